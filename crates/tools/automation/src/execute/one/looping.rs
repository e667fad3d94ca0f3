//! A task's loop: its items, its controls, one run per item.

use super::super::fields::{self};
use super::super::result::{Item, TaskResult, flag};
use super::*;
use crate::playbook::K;
use crate::playbook::keyword::items;
use crate::vars::Vars;
use crate::{Error, lookup};
use pileus_jinja::{Dict, Scope, Value};
use std::sync::Arc;
use std::time::Duration;

impl One<'_> {
    /// The items to loop over; `None` where the task doesn't loop.
    pub(super) fn loop_items(&self, vars: &Vars) -> Result<Option<Vec<Value>>, Error> {
        let Some(v) = self.task.keyword(K::Loop) else { return Ok(None) };
        if let Some(with) = &self.task.loop_with {
            return lookup::with(self.world, with, v, vars).map(Some);
        }
        let at = v.origin().cloned();
        let list = self.world.resolve(v, vars).map_err(|e| Error::from(e).at(at.clone()))?;
        match &list {
            Value::List(l) => Ok(Some(l.items())),
            Value::Tuple(t) => Ok(Some(t.to_vec())),
            other => Err(Error::new(format!(
                "Invalid data passed to 'loop', it requires a list, got this instead: {}. Hint: If you passed a list/dict of just one element, try adding wantlist=True to your lookup invocation or use q/query instead of lookup.",
                other.to_text().unwrap_or_default()
            ))
            .at(at)),
        }
    }

    pub(super) fn each(&self, list: Vec<Value>, vars: &mut Vars, out: &mut TaskResult) {
        let d = Dict::new();
        if list.is_empty() {
            d.insert("changed", false);
            d.insert("skipped", true);
            d.insert("skipped_reason", "No items in the list");
            d.insert("results", Value::list(Vec::new()));
            out.value = d;
            out.fields = Arc::new(self.static_fields());
            return;
        }
        let control = match self.control(vars) {
            Ok(c) => c,
            Err(e) => {
                *out = self.failed(
                    out.clone(),
                    Error::new("Task failed.").at(self.task.origin.clone()).because(e),
                    None,
                );
                return;
            }
        };
        if vars.get(&control.var).is_some() {
            crate::display::warning(&format!(
                "{}: The loop variable '{}' is already in use. You should set the `loop_var` value in the `loop_control` option for the task to something else to avoid variable collisions and unexpected behavior.",
                out.name, control.var
            ));
        }
        let total = list.len();
        let mut results = Vec::with_capacity(total);
        let mut no_log = false;
        // what is ignored of one item must be ignored of all
        let (mut ignore_errors, mut ignore_unreachable) = (None, None);
        for (i, item) in list.iter().enumerate() {
            if i > 0 && control.pause_s > 0.0 {
                crate::delay::asked(Duration::from_secs_f64(control.pause_s));
            }
            vars.set(&control.var, item.clone());
            vars.set("ansible_loop_var", Value::str(&*control.var));
            if let Some(index) = &control.index {
                vars.set(index, Value::Int(i as i64));
                vars.set("ansible_index_var", Value::str(&**index));
            }
            if control.extended {
                vars.set("ansible_loop", extended(&list, i, control.all_items));
            }
            let done = self.once(vars, out);
            let value = done.value;
            if let Some(r) = self.register() {
                vars.set(&r, Value::Dict(clean(&value)));
            }
            // the next item sees what this one has set
            if matches!(&*self.task.action, "set_fact" | "include_vars")
                && let Some(Value::Dict(facts)) = value.get("ansible_facts")
            {
                for (k, v) in facts.items() {
                    if let Some(name) = k.as_str() {
                        vars.set(name, v);
                    }
                }
            }
            value.insert(&*control.var, item.clone());
            value.insert("ansible_loop_var", &*control.var);
            if let Some(index) = &control.index {
                value.insert(&**index, i as i64);
                value.insert("ansible_index_var", &**index);
            }
            if control.extended
                && let Some(l) = vars.locals.iter().find(|(n, _)| &**n == "ansible_loop")
            {
                value.insert("ansible_loop", l.1.clone());
            }
            no_log |= done.fields.no_log;
            if flag(&value, "failed") {
                ignore_errors = Some(ignore_errors.unwrap_or(true) && done.fields.ignore_errors);
            }
            if flag(&value, "unreachable") {
                ignore_unreachable =
                    Some(ignore_unreachable.unwrap_or(true) && done.fields.ignore_unreachable);
            }
            let label = match &control.label {
                Some(l) => self.world.resolve(l, vars).unwrap_or_else(|e| {
                    value.insert("failed", true);
                    value.insert("msg", format!("Failed to template loop_control.label: {}", Error::from(e)));
                    item.clone()
                }),
                None => item.clone(),
            };
            value.insert("_ansible_item_label", label.clone());
            out.fields = done.fields;
            let item = Item { value: value.clone(), label, error: done.error, include: done.include };
            (self.report)(Event::Item(
                Box::new(TaskResult { items: Vec::new(), ..out.clone() }),
                Box::new(item.clone()),
            ));
            results.push(Value::Dict(value));
            out.items.push(item);
            if let Some(stop) = &control.break_when {
                let mut stopped = true;
                for c in items(stop) {
                    match self.world.condition(&c, vars, false) {
                        Ok(true) => {}
                        Ok(false) => stopped = false,
                        Err(e) => {
                            let e = Error::new("Task failed.")
                                .at(self.task.origin.clone())
                                .because(Error::from(e).at(c.origin().cloned()));
                            *out = self.failed(out.clone(), e, Some(out.fields.clone()));
                            return;
                        }
                    }
                }
                if stopped {
                    break;
                }
            }
        }
        let any = |name: &str| out.items.iter().any(|i| flag(&i.value, name));
        let all = |name: &str| out.items.iter().all(|i| flag(&i.value, name));
        d.insert("changed", any("changed"));
        if any("failed") {
            d.insert("failed", true);
            d.insert("msg", "One or more items failed");
        } else if all("skipped") {
            d.insert("msg", "All items skipped");
        } else {
            d.insert("msg", "All items completed");
        }
        d.insert("skipped", all("skipped"));
        if any("unreachable") {
            d.insert("unreachable", true);
        }
        d.insert("results", Value::list(results));
        let last = &out.fields;
        let (errors, unreachable) = (
            ignore_errors.unwrap_or(last.ignore_errors),
            ignore_unreachable.unwrap_or(last.ignore_unreachable),
        );
        if no_log || errors != last.ignore_errors || unreachable != last.ignore_unreachable {
            let mut f = (**last).clone();
            (f.no_log, f.ignore_errors, f.ignore_unreachable) = (f.no_log || no_log, errors, unreachable);
            out.fields = Arc::new(f);
        }
        out.error = None;
        out.value = d;
    }

    pub(super) fn control(&self, vars: &Vars) -> Result<Control, Error> {
        let mut c = Control {
            var: "item".into(),
            index: None,
            label: None,
            pause_s: 0.0,
            extended: false,
            all_items: true,
            break_when: None,
        };
        let Some(Value::Dict(d)) = self.task.keyword(K::LoopControl) else { return Ok(c) };
        let render = |name: &str| -> Result<Option<Value>, Error> {
            match d.get(name) {
                Some(v) => Ok(Some(
                    self.world.resolve(&v, vars).map_err(|e| Error::from(e).at(v.origin().cloned()))?,
                )
                .filter(|v| !v.is_none())),
                None => Ok(None),
            }
        };
        let truth = |v: Option<Value>, default: bool| match v {
            Some(v) => fields::convert(K::Become, &v).map(|v| v.as_bool().unwrap_or(default)),
            None => Ok(default),
        };
        if let Some(v) = render("loop_var")? {
            c.var = v.to_text().map_err(Error::from)?.into();
        }
        if let Some(v) = render("index_var")? {
            c.index = Some(v.to_text().map_err(Error::from)?.into());
        }
        c.label = d.get("label");
        if let Some(v) = render("pause")? {
            c.pause_s = fields::convert(K::Delay, &v)?.as_float().unwrap_or(0.0);
        }
        c.extended = truth(render("extended")?, false)?;
        c.all_items = truth(render("extended_allitems")?, true)?;
        c.break_when = d.get("break_when");
        Ok(c)
    }
}

pub(super) struct Control {
    pub(super) var: Arc<str>,
    pub(super) index: Option<Arc<str>>,
    pub(super) label: Option<Value>,
    pub(super) pause_s: f64,
    pub(super) extended: bool,
    pub(super) all_items: bool,
    pub(super) break_when: Option<Value>,
}

pub(super) fn extended(list: &[Value], i: usize, all: bool) -> Value {
    let d = Dict::new();
    let n = list.len();
    if all {
        d.insert("allitems", Value::list(list.to_vec()));
    }
    d.insert("index", (i + 1) as i64);
    d.insert("index0", i as i64);
    d.insert("first", i == 0);
    d.insert("last", i + 1 == n);
    d.insert("length", n as i64);
    d.insert("revindex", (n - i) as i64);
    d.insert("revindex0", (n - i - 1) as i64);
    if i + 1 < n {
        d.insert("nextitem", list[i + 1].clone());
    }
    if i > 0 {
        d.insert("previtem", list[i - 1].clone());
    }
    Value::Dict(d)
}
