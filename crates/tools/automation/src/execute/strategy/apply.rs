//! What a result changes: notifications, facts, the host's state.

use super::super::include::{self};
use super::super::meta;
use super::super::one::clean;
use super::super::result::{TaskResult, flag};
use super::*;
use crate::inventory::Name;
use crate::{Error, display};
use pileus_jinja::{Dict, Value};

impl<'a> Strategy<'a> {
    /// Notes a result: variables, facts, notifications, counts; tells the callbacks.
    pub(super) fn finish(&mut self, mut r: TaskResult) -> TaskResult {
        let host = r.host.clone();
        let world = self.world;
        let run_once = r.fields.run_once || bypasses(&r.task);
        if !r.unreachable() && !r.skipped() && (!r.failed() || r.fields.ignore_errors) {
            self.inventory(&r);
        }
        let everyone = || if run_once { self.run.alive() } else { vec![host.clone()] };
        if let Some(name) = &r.fields.register {
            let value = clean(&r.value);
            value.remove("_ansible_item_label");
            value.remove("invocation");
            if let Some(Value::List(l)) = value.get("results") {
                let cleaned = l
                    .items()
                    .iter()
                    .map(|v| v.as_dict().map_or_else(|| v.clone(), |d| Value::Dict(clean(d))))
                    .collect();
                value.insert("results", Value::list(cleaned));
            }
            if let Some(name) = r.task.keyword(crate::playbook::K::Register) {
                crate::vars::reserved::warn_of(name);
            }
            for h in everyone() {
                world.host(&h).set.insert(&**name, Value::Dict(value.clone()));
            }
        }
        if r.task.handler {
            for h in everyone() {
                self.iterator.handled(&r.task, &h);
            }
        }
        if r.unreachable() {
            if r.fields.ignore_unreachable {
                self.callbacks().stats.add(&host, |s| {
                    s.ok += 1;
                    s.ignored += 1;
                });
            } else {
                self.run.unreachable.write().insert(host.clone());
                self.ended = self.ended.and(Ended::UNREACHABLE);
                self.callbacks().stats.add(&host, |s| s.dark += 1);
            }
            self.callbacks().unreachable(&r);
        } else if r.failed() {
            touch(&r);
            let ignored = r.fields.ignore_errors;
            if ignored {
                let changed = r.changed();
                self.callbacks().stats.add(&host, |s| {
                    s.ok += 1;
                    s.ignored += 1;
                    s.changed += u32::from(changed);
                });
            } else {
                let rescuing = self.iterator.is_rescuing(&host);
                for h in if run_once { self.run.alive() } else { vec![host.clone()] } {
                    if !self.iterator.is_rescuing(&h) {
                        self.run.removed.write().insert(h.clone());
                    }
                    self.iterator.fail(&h);
                }
                if self.iterator.is_failed(&host) && self.iterator.peek(&host).is_none() {
                    self.run.failed.write().insert(host.clone());
                }
                if rescuing {
                    self.callbacks().stats.add(&host, |s| s.rescued += 1);
                    let data = world.host(&host);
                    data.set.insert("ansible_failed_task", described(&r));
                    data.set.insert("ansible_failed_result", Value::Dict(clean(&r.value)));
                } else {
                    self.callbacks().stats.add(&host, |s| s.failures += 1);
                }
            }
            self.facts(&r);
            self.callbacks().failed(&r, ignored);
        } else if r.skipped() {
            self.callbacks().stats.add(&host, |s| s.skipped += 1);
            self.callbacks().skipped(&r);
        } else {
            touch(&r);
            self.facts(&r);
            self.notifications(&mut r);
            if !include::is_include(&r.task) {
                let changed = r.changed();
                self.callbacks().stats.add(&host, |s| {
                    s.ok += 1;
                    s.changed += u32::from(changed);
                });
            }
            if r.value.contains("diff") || r.items.iter().any(|i| i.value.contains("diff")) {
                self.callbacks().diff(&r);
            }
            self.callbacks().ok(&r);
        }
        r
    }

    pub(super) fn results_of(r: &TaskResult) -> Vec<Dict> {
        if r.looped { r.items.iter().map(|i| i.value.clone()).collect() } else { vec![r.value.clone()] }
    }

    /// Groups that the result adds the host to, and hosts (where it isn't `add_host`'s, which has added them).
    fn inventory(&self, r: &TaskResult) {
        let inventory = &self.world.inventory;
        let names = |v: Option<Value>| -> Vec<String> {
            let list = v.map(|g| crate::playbook::keyword::items(&g)).unwrap_or_default();
            list.iter().filter_map(|g| g.to_text().ok()).collect()
        };
        for value in Self::results_of(r) {
            if let Some(Value::Dict(add)) = value.get("add_host").filter(|_| &*r.task.action != "add_host") {
                let name = add.get("host_name").and_then(|v| v.to_text().ok()).unwrap_or_default();
                let vars = add.get("host_vars").and_then(|v| v.as_dict().cloned()).unwrap_or_default();
                inventory.add_host(&name, &names(add.get("groups")), &vars);
            }
            if let Some(group) = value.get("add_group") {
                let group = group.to_text().unwrap_or_default();
                inventory.add_to_group(&r.host, &group, &names(value.get("parent_groups")));
            }
        }
    }

    pub(super) fn notifications(&mut self, r: &mut TaskResult) {
        for value in Self::results_of(r) {
            if !flag(&value, "changed") {
                continue;
            }
            let Some(Value::List(names)) = value.get("_ansible_notify") else { continue };
            for name in names.items() {
                let name = name.to_text().unwrap_or_default();
                if self.iterator.handlers().iter().any(|h| meta::answers(self.world, self.run, h, &name)) {
                    if self.iterator.state(&r.host).is_some_and(super::super::iterator::State::is_flushing) {
                        // handlers are under way: it joins them
                        for h in meta::called(self, &name) {
                            self.iterator.notify(&h, &r.host);
                        }
                    } else if let Some(s) = self.iterator.state_mut(&r.host)
                        && !s.notifications.contains(&name)
                    {
                        s.notifications.push(name.clone());
                    }
                    self.callbacks().notified(&name, &r.host);
                } else {
                    let error = Error::new(format!(
                        "The requested handler '{name}' was not found in either the main handlers list nor in the listening handlers list"
                    ));
                    let missing = crate::config::current().bool("ERROR_ON_MISSING_HANDLER");
                    if missing {
                        display::error(&error);
                        self.ended = self.ended.and(Ended::ERROR);
                        self.iterator.complete(&r.host);
                        for h in self.run.batch.clone() {
                            self.iterator.complete(&h);
                        }
                        return;
                    }
                    display::warning(&error.brief());
                }
            }
        }
    }

    pub(super) fn facts(&mut self, r: &TaskResult) {
        let world = self.world;
        for value in Self::results_of(r) {
            if let Some(Value::Dict(stats)) = value.get("ansible_stats") {
                crate::action::stats::record(world, &r.host, &stats);
            }
            let Some(Value::Dict(facts)) = value.get("ansible_facts") else { continue };
            if matches!(&*r.task.action, "set_fact" | "include_vars") {
                crate::vars::reserved::warn(&facts);
            }
            // each item of a loop may have a host of its own
            let own = || {
                let to = value.get("_ansible_delegated_vars")?.as_dict()?.get("ansible_delegated_host")?;
                to.as_str().map(Name::from)
            };
            let delegated =
                r.fields.delegate_facts.then(|| own().or_else(|| r.fields.delegate_to.clone())).flatten();
            let targets: Vec<Name> = match delegated {
                Some(to) => vec![to],
                None if r.fields.run_once || bypasses(&r.task) => self.run.alive(),
                None => vec![r.host.clone()],
            };
            for t in targets {
                let data = world.host(&t);
                match &*r.task.action {
                    "include_vars" => {
                        for (k, v) in facts.items() {
                            data.included.insert(k, v);
                        }
                    }
                    "set_fact" => {
                        for (k, v) in facts.items() {
                            data.set.insert(k, v);
                        }
                        if flag(&value, "_ansible_facts_cacheable") {
                            data.add_facts(&facts);
                            world.keep_facts(&t, &data);
                        }
                    }
                    "debug" => {}
                    _ => {
                        data.add_facts(&facts);
                        world.keep_facts(&t, &data);
                    }
                }
            }
        }
    }
}

/// Notes that a task of its role ran on the host.
fn touch(r: &TaskResult) {
    if let Some(role) = &r.task.frame.role {
        role.touched.lock().insert(r.host.clone());
    }
}

/// `ansible_failed_task`.
pub(super) fn described(r: &TaskResult) -> Value {
    let d = Dict::new();
    let name = r.task.name().and_then(|n| n.as_str().map(str::to_owned)).unwrap_or_default();
    d.insert("name", name);
    d.insert("action", &*r.task.written);
    let args = Dict::new();
    for (k, v) in r.task.args.items() {
        args.insert(
            k,
            match v {
                Value::Str(s) => Value::Str(s.untrust()),
                other => other,
            },
        );
    }
    d.insert("args", Value::Dict(args));
    for (k, v) in r.task.keywords.iter() {
        if !d.contains(k.name()) {
            d.insert(
                k.name(),
                match v.clone() {
                    Value::Str(s) => Value::Str(s.untrust()),
                    other => other,
                },
            );
        }
    }
    Value::Dict(d)
}
