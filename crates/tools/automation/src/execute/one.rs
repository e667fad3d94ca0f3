//! One task on one host: conditions, loop, arguments, action, retries.

use std::sync::Arc;
use std::time::Duration;

use pileus_jinja::{Args, Dict, Scope, Value};

use crate::action::{self, Failure};
use crate::inventory::Name;
use crate::playbook::keyword::items;
use crate::playbook::{K, Task};
use crate::vars::Vars;
use crate::{Error, lookup};

use super::fields::{self, Fields};
use super::include::{self, Wanted};
use super::result::{Item, TaskResult, flag};
use super::{Run, World};

/// What a worker tells before a task is done.
#[derive(Debug)]
pub enum Event {
    /// An item of a loop is done.
    Item(Box<TaskResult>, Box<Item>),
    /// Another attempt follows.
    Retry(Box<TaskResult>, i64),
    /// A task that was started without waiting is looked at.
    Poll(Box<TaskResult>),
    /// The task is done.
    Done(Box<TaskResult>),
}

/// One task on one host.
pub struct One<'a> {
    /// The world.
    pub world: &'a Arc<World>,
    /// The play.
    pub run: &'a Arc<Run>,
    /// The host.
    pub host: &'a Name,
    /// The task.
    pub task: &'a Arc<Task>,
    /// Where events go.
    pub report: &'a dyn Fn(Event),
}

/// One execution: its result, why it failed, the keywords it had, the include it asks for.
struct Done {
    value: Dict,
    error: Option<Error>,
    fields: Arc<Fields>,
    include: Option<Wanted>,
}

fn skipped(condition: &Value) -> Dict {
    let d = Dict::new();
    d.insert("changed", false);
    d.insert("skipped", true);
    d.insert("skip_reason", "Conditional result was False");
    d.insert("false_condition", plain(condition));
    d
}

/// A condition as it is shown: text without trust.
fn plain(v: &Value) -> Value {
    match v {
        Value::Str(s) => Value::Str(s.clone().untrust().at(None)),
        other => other.clone(),
    }
}

/// The name of a task as shown, rendered as far as it can be.
pub fn name_of(world: &World, task: &Task, vars: &Vars) -> String {
    let own = match task.name() {
        Some(v) => match world.resolve(v, vars) {
            Ok(v) => v.to_text().unwrap_or_default(),
            Err(_) => v.as_str().unwrap_or_default().to_owned(),
        },
        None => String::new(),
    };
    let own = if own.is_empty() { task.shown_action().to_owned() } else { own };
    match &task.frame.role {
        Some(role) if !task.implicit || own != "meta" => {
            let shown = if role.collection.is_some() { &role.full_name } else { &role.name };
            if own.starts_with(&format!("{shown} : ")) { own } else { format!("{shown} : {own}") }
        }
        _ => own,
    }
}

impl One<'_> {
    /// Runs the task.
    pub fn run(&self) -> TaskResult {
        let mut vars = Vars::new(self.world, Some(self.run), Some(self.host), Some(self.task));
        let name = name_of(self.world, self.task, &vars);
        let mut out = TaskResult {
            host: self.host.clone(),
            task: self.task.clone(),
            name,
            value: Dict::new(),
            fields: Arc::default(),
            items: Vec::new(),
            looped: false,
            error: None,
        };
        let looped = match self.loop_items(&vars) {
            Ok(l) => l,
            Err(e) => {
                // a condition may spare it
                match self.conditions(K::When, &vars) {
                    Ok(Err(condition)) => {
                        out.value = skipped(&condition);
                        out.fields = Arc::new(Fields { register: self.register(), ..Fields::default() });
                        return out;
                    }
                    _ => {
                        return self.failed(
                            out,
                            Error::new("Task failed.").at(self.task.origin.clone()).because(e),
                            None,
                        );
                    }
                }
            }
        };
        match looped {
            None => {
                let done = self.once(&mut vars, &out);
                out.value = done.value;
                out.error = done.error;
                out.fields = done.fields;
                if let Some(wanted) = done.include {
                    out.items.push(Item {
                        value: out.value.clone(),
                        label: Value::None,
                        error: None,
                        include: Some(wanted),
                    });
                }
            }
            Some(list) => {
                out.looped = true;
                self.each(list, &mut vars, &mut out);
            }
        }
        out
    }

    fn register(&self) -> Option<Arc<str>> {
        self.task.keyword(K::Register).and_then(|v| v.as_str().map(Arc::from))
    }

    /// A result that says why.
    fn failed(&self, mut out: TaskResult, error: Error, fields: Option<Arc<Fields>>) -> TaskResult {
        out.value = failure(&error);
        out.error = Some(error);
        out.fields = fields.unwrap_or_else(|| Arc::new(self.static_fields()));
        out
    }

    /// Keywords as far as they are known without rendering.
    fn static_fields(&self) -> Fields {
        let flag = |k: K| self.task.keyword(k).and_then(Value::as_bool).unwrap_or(false);
        Fields {
            register: self.register(),
            ignore_errors: flag(K::IgnoreErrors),
            no_log: flag(K::NoLog),
            run_once: flag(K::RunOnce),
            any_errors_fatal: flag(K::AnyErrorsFatal),
            ..Fields::default()
        }
    }

    /// The items to loop over; `None` where the task doesn't loop.
    fn loop_items(&self, vars: &Vars) -> Result<Option<Vec<Value>>, Error> {
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

    /// Whether all conditions of a keyword hold; the first that does not.
    fn conditions(&self, k: K, vars: &Vars) -> Result<Result<(), Value>, Error> {
        let Some(list) = self.task.keyword(k) else { return Ok(Ok(())) };
        let broken = crate::config::current().bool("ALLOW_BROKEN_CONDITIONALS");
        for c in items(list) {
            let holds = self.world.condition(&c, vars, broken).map_err(|e| {
                let at = c.origin().cloned();
                Error::new("Error while evaluating conditional.")
                    .at(at.clone())
                    .because(Error::from(e).at(at))
            })?;
            if !holds {
                return Ok(Err(c));
            }
        }
        Ok(Ok(()))
    }

    fn each(&self, list: Vec<Value>, vars: &mut Vars, out: &mut TaskResult) {
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
        for (i, item) in list.iter().enumerate() {
            if i > 0 && control.pause_s > 0.0 {
                std::thread::sleep(Duration::from_secs_f64(control.pause_s));
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
            let label = match &control.label {
                Some(l) => self.world.resolve(l, vars).unwrap_or_else(|_| item.clone()),
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
            d.insert("skipped", true);
            d.insert("msg", "All items skipped");
        } else {
            d.insert("msg", "All items completed");
        }
        if any("unreachable") {
            d.insert("unreachable", true);
        }
        d.insert("results", Value::list(results));
        if no_log {
            let mut f = (*out.fields).clone();
            f.no_log = true;
            out.fields = Arc::new(f);
        }
        out.error = None;
        out.value = d;
    }

    fn control(&self, vars: &Vars) -> Result<Control, Error> {
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

    /// One execution, with `item` set where it loops.
    fn once(&self, vars: &mut Vars, so_far: &TaskResult) -> Done {
        let fail = |e: Error, fields: Option<Fields>| Done {
            value: failure(&e),
            error: Some(e),
            fields: Arc::new(fields.unwrap_or_else(|| self.static_fields())),
            include: None,
        };
        let task_failed = |e: Error| Error::new("Task failed.").at(self.task.origin.clone()).because(e);
        // the delegated host's variables are there for conditions already
        let delegate = match self.delegate(vars) {
            Ok(d) => d,
            Err(e) => return fail(task_failed(e), None),
        };
        match self.conditions(K::When, vars) {
            Ok(Ok(())) => {}
            Ok(Err(condition)) => {
                let fields = Fields { no_log: self.no_log(vars), ..self.static_fields() };
                return Done {
                    value: skipped(&condition),
                    error: None,
                    fields: Arc::new(fields),
                    include: None,
                };
            }
            Err(e) => {
                return fail(
                    task_failed(e),
                    Some(Fields {
                        no_log: self.no_log(vars),
                        ignore_errors: self.ignores(vars),
                        ..self.static_fields()
                    }),
                );
            }
        }
        let mut fields = match Fields::render(self.world, self.task, vars) {
            Ok(f) => f,
            Err(e) => return fail(task_failed(e), None),
        };
        fields.delegate_to = delegate;
        if include::is_include(self.task) {
            return match include::wanted(self.world, self.task, vars) {
                Ok(w) => {
                    let d = Dict::new();
                    if let Wanted::Tasks { file, args, .. } = &w {
                        d.insert("include", file.as_str());
                        d.insert("include_args", Value::Dict(args.clone()));
                    } else if let Wanted::Role { args, .. } = &w {
                        d.insert("include_args", Value::Dict(args.clone()));
                    }
                    d.insert("changed", false);
                    Done { value: d, error: None, fields: Arc::new(fields), include: Some(w) }
                }
                Err(e) => fail(task_failed(e), Some(fields)),
            };
        }
        if let Err(e) = fields.render_environment(self.world, self.task, vars) {
            return fail(task_failed(e), Some(fields));
        }
        let args = match self.arguments(vars) {
            Ok(a) => a,
            Err(e) => {
                let e = Error::new(format!(
                    "Finalization of task args for '{}' failed.",
                    self.task.full_action()
                ))
                .at(self.task.origin.clone())
                .because(e);
                return fail(task_failed(e), Some(fields));
            }
        };
        self.attempts(vars, fields, args, so_far)
    }

    fn no_log(&self, vars: &Vars) -> bool {
        self.flag(K::NoLog, vars)
    }

    fn ignores(&self, vars: &Vars) -> bool {
        self.flag(K::IgnoreErrors, vars)
    }

    fn flag(&self, k: K, vars: &Vars) -> bool {
        let Some(v) = self.task.keyword(k) else { return false };
        fields::keyword(self.world, k, v, vars).ok().flatten().and_then(|v| v.as_bool()).unwrap_or(false)
    }

    /// Whom the task is delegated to.
    fn delegate(&self, vars: &Vars) -> Result<Option<Arc<str>>, Error> {
        let Some(v) = self.task.keyword(K::DelegateTo) else { return Ok(None) };
        let v = fields::keyword(self.world, K::DelegateTo, v, vars)?;
        Ok(v.and_then(|v| v.as_str().filter(|s| !s.is_empty()).map(Arc::from)))
    }

    /// The arguments, rendered, with `module_defaults` below them.
    fn arguments(&self, vars: &Vars) -> Result<Dict, Error> {
        let engine = &**self.world;
        let out = Dict::new();
        let mut put = |d: &Dict| -> Result<(), Error> {
            for (k, v) in d.items() {
                if action::keeps_unrendered(&self.task.action, k.as_str().unwrap_or_default()) {
                    out.insert(k, v);
                    continue;
                }
                let value = engine.resolve(&v, vars).map_err(|e| {
                    let at = v.origin().cloned();
                    Error::new(format!("Error while resolving value for {}", k.repr()))
                        .at(at.clone())
                        .because(Error::from(e).at(at))
                })?;
                let k = engine.resolve(&k, vars)?;
                if crate::vars::is_omit(&value) {
                    out.write().shift_remove(&k);
                    continue;
                }
                out.insert(k, value);
            }
            Ok(())
        };
        if let Some(list) = self.task.keyword(K::ModuleDefaults) {
            for layer in items(list) {
                let layer = match &layer {
                    Value::Dict(_) => layer,
                    other => engine.resolve(other, vars)?,
                };
                let Value::Dict(layer) = layer else { continue };
                for (name, defaults) in layer.items() {
                    let name = engine.resolve(&name, vars)?.to_text().map_err(Error::from)?;
                    if action::defaults_apply(&name, &self.task.action) {
                        let defaults = match defaults {
                            Value::Dict(d) => d,
                            other => match engine.resolve(&other, vars)? {
                                Value::Dict(d) => d,
                                _ => continue,
                            },
                        };
                        put(&defaults)?;
                    }
                }
            }
        }
        if let Some(t) = &self.task.args_template {
            match engine.resolve(t, vars).map_err(|e| Error::from(e).at(t.origin().cloned()))? {
                Value::Dict(d) => put(&d)?,
                v if crate::vars::is_omit(&v) || v.is_none() => {}
                other => {
                    return Err(Error::new(format!(
                        "the template of the task's arguments must give a dictionary, not {}",
                        other.type_name()
                    ))
                    .at(t.origin().cloned()));
                }
            }
        }
        put(&self.task.args)?;
        Ok(out)
    }

    /// Runs the action until it is as `until` wants it.
    fn attempts(&self, vars: &mut Vars, fields: Fields, args: Dict, so_far: &TaskResult) -> Done {
        let has_until = self.task.keyword(K::Until).is_some();
        let attempts = match fields.retries {
            None => {
                if has_until {
                    4
                } else {
                    1
                }
            }
            Some(n) if n <= 0 => 1,
            Some(n) => n + 1,
        };
        let fields = Arc::new(fields);
        let mut last = (Dict::new(), None);
        for attempt in 1..=attempts {
            let (value, mut error) = match self.act(vars, &fields, &args) {
                Ok(v) => v,
                Err(e) => return Done { value: failure(&e), error: Some(e), fields, include: None },
            };
            if attempts > 1 {
                value.insert("attempts", attempt);
            }
            if let Some(r) = &fields.register {
                vars.set(r, Value::Dict(clean(&value)));
            }
            if !flag(&value, "unreachable")
                && let Err(e) = self.judge(vars, &fields, &value, &mut error)
            {
                let e = Error::new("Task failed.").at(self.task.origin.clone()).because(e);
                let d = value.copy();
                d.insert("failed", true);
                d.insert("msg", e.brief());
                return Done { value: d, error: Some(e), fields, include: None };
            }
            if let Some(r) = &fields.register {
                vars.set(r, Value::Dict(clean(&value)));
            }
            last = (value.clone(), error);
            if attempts == 1 {
                break;
            }
            let ok = if has_until {
                match self.conditions(K::Until, vars) {
                    Ok(r) => r.is_ok(),
                    Err(e) => {
                        let e = Error::new("Task failed.").at(self.task.origin.clone()).because(e);
                        return Done { value: failure(&e), error: Some(e), fields, include: None };
                    }
                }
            } else {
                !flag(&value, "failed")
            };
            if ok {
                break;
            }
            if attempt < attempts {
                let shown = TaskResult { value: value.copy(), fields: fields.clone(), ..so_far.clone() };
                shown.value.insert("retries", attempts);
                (self.report)(Event::Retry(Box::new(shown), attempts - attempt));
                std::thread::sleep(Duration::from_secs_f64(fields.delay_s.max(0.0)));
            } else {
                value.insert("attempts", attempts - 1);
                value.insert("failed", true);
                if last.1.is_none() {
                    let msg = value.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default();
                    last.1 = Some(Error::new("Task failed.").at(self.task.origin.clone()).because(
                        Error::new(format!("Action failed: {msg}").trim_end_matches([':', ' ']).to_owned()),
                    ));
                }
            }
        }
        let (value, error) = last;
        if !fields.notify.is_empty() && flag(&value, "changed") {
            value.insert("_ansible_notify", Value::list(fields.notify.iter().map(Value::from).collect()));
        }
        if let Some(to) = &fields.delegate_to {
            let d = Dict::new();
            d.insert("ansible_delegated_host", &**to);
            for name in ["ansible_host", "ansible_port", "ansible_user", "ansible_connection"] {
                let scope = Vars::new(self.world, Some(self.run), Some(to), None);
                if let Some(v) = scope.rendered(name) {
                    d.insert(name, v);
                }
            }
            if !d.contains("ansible_host") {
                d.insert("ansible_host", &**to);
            }
            value.insert("_ansible_delegated_vars", Value::Dict(d));
        }
        Done { value, error, fields, include: None }
    }

    /// Runs the action once.
    fn act(
        &self,
        vars: &mut Vars,
        fields: &Arc<Fields>,
        args: &Dict,
    ) -> Result<(Dict, Option<Error>), Error> {
        let mut cx = action::Cx {
            world: self.world,
            run: self.run,
            host: self.host,
            task: self.task,
            vars,
            fields,
            args: args.copy(),
        };
        let task_failed = |e: Error| Error::new("Task failed.").at(self.task.origin.clone()).because(e);
        match action::run(&mut cx) {
            Ok(value) => {
                finish(&value);
                let error = flag(&value, "failed").then(|| {
                    let msg = value.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default();
                    let what = if action::on_controller(&self.task.action) {
                        "Action failed"
                    } else {
                        "Module failed"
                    };
                    task_failed(Error::new(format!("{what}.")).because(Error::new(if msg.is_empty() {
                        "Unknown error.".to_owned()
                    } else {
                        msg
                    })))
                });
                Ok((value, error))
            }
            Err(Failure::Result(value)) => {
                value.insert("failed", true);
                finish(&value);
                let msg = value.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default();
                Ok((value, Some(task_failed(Error::new("Action failed.").because(Error::new(msg))))))
            }
            Err(Failure::Error(e)) => {
                let e = task_failed(e);
                Ok((failure(&e), Some(e)))
            }
            Err(Failure::Unreachable(msg)) => {
                let d = Dict::new();
                d.insert("unreachable", true);
                d.insert("changed", false);
                let e = task_failed(Error::new(msg));
                d.insert("msg", e.brief());
                Ok((d, Some(e)))
            }
        }
    }

    /// `changed_when` and `failed_when`.
    fn judge(
        &self,
        vars: &mut Vars,
        _fields: &Fields,
        value: &Dict,
        error: &mut Option<Error>,
    ) -> Result<(), Error> {
        let scope_with = |vars: &Vars| {
            let mut v = vars.clone();
            for key in ["rc", "stdout", "stderr", "msg", "changed", "failed"] {
                let _ = key;
            }
            v.task = vars.task.clone();
            v
        };
        if self.task.keyword(K::ChangedWhen).is_some_and(|v| !items(v).is_empty()) {
            let scope = scope_with(vars);
            let changed = self.conditions(K::ChangedWhen, &scope).map_err(|e| {
                value.insert("changed_when_result", e.brief());
                e
            })?;
            value.insert("changed", changed.is_ok());
        }
        if let Some(r) = self.register() {
            vars.set(&r, Value::Dict(clean(value)));
        }
        if self.task.keyword(K::FailedWhen).is_some_and(|v| !items(v).is_empty()) {
            let scope = scope_with(vars);
            let failed = self.conditions(K::FailedWhen, &scope).map_err(|e| {
                value.insert("failed_when_result", e.brief());
                e
            })?;
            let failed = failed.is_ok();
            value.insert("failed", failed);
            value.insert("failed_when_result", failed);
            if !failed {
                *error = None;
            } else if error.is_none() {
                let msg = value.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default();
                let what =
                    if action::on_controller(&self.task.action) { "Action failed" } else { "Module failed" };
                let inner = if msg.is_empty() {
                    Error::new(format!("{what}."))
                } else {
                    Error::new(format!("{what}.")).because(Error::new(msg))
                };
                *error = Some(Error::new("Task failed.").at(self.task.origin.clone()).because(inner));
            }
        }
        Ok(())
    }
}

/// What every result of an action gets.
fn finish(d: &Dict) {
    if !d.contains("changed") && !flag(d, "skipped") {
        d.insert("changed", false);
    }
    if !d.contains("failed") {
        let rc = d.get("rc");
        let bad = match &rc {
            None | Some(Value::None) => false,
            Some(Value::Int(n)) => *n != 0,
            Some(Value::Str(s)) => &**s != "0",
            Some(_) => false,
        };
        d.insert("failed", bad);
    }
    for (text, lines) in [("stdout", "stdout_lines"), ("stderr", "stderr_lines")] {
        if let Some(Value::Str(s)) = d.get(text)
            && !d.contains(lines)
        {
            d.insert(lines, Value::list(split_lines(&s).into_iter().map(Value::str).collect()));
        }
    }
}

/// Python's `splitlines`.
fn split_lines(s: &str) -> Vec<&str> {
    s.split_inclusive(['\n', '\r']).map(|l| l.trim_end_matches(['\n', '\r'])).collect()
}

/// A failed result of an error.
pub fn failure(e: &Error) -> Dict {
    let d = Dict::new();
    d.insert("failed", true);
    d.insert("msg", e.brief());
    d
}

/// A result without what is only the engine's.
pub fn clean(d: &Dict) -> Dict {
    d.items().into_iter().filter(|(k, _)| !k.as_str().is_some_and(|k| k.starts_with("_ansible_"))).collect()
}

struct Control {
    var: Arc<str>,
    index: Option<Arc<str>>,
    label: Option<Value>,
    pause_s: f64,
    extended: bool,
    all_items: bool,
    break_when: Option<Value>,
}

fn extended(list: &[Value], i: usize, all: bool) -> Value {
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

/// Arguments for a lookup.
pub fn args(list: Vec<Value>) -> Args {
    Args::from(list)
}
