//! Callbacks in Python: what happens is told to ansible-core's callback manager in a process of its own.

use std::collections::HashSet;
use std::sync::Arc;

use pileus_jinja::{Dict, Origin, Value};
use pileus_modules::Map;
use serde_json::{Value as Json, json};

use crate::Error;
use crate::execute::TaskResult;
use crate::execute::include::is_include;
use crate::execute::result::{Item, flag};
use crate::inventory::Name;
use crate::playbook::{K, Keywords, Play, Task};
use crate::python::events::Events;
use crate::python::values;

use super::{Callback, Inclusion, Stats};

/// All callbacks in Python.
pub struct Python {
    events: Events,
    /// The tasks that were told whole.
    told: HashSet<u64>,
    /// The prompts that were told.
    prompts: HashSet<String>,
}

fn place(to: &mut Json, origin: Option<&Arc<Origin>>) {
    if let (Some(map), Some(o)) = (to.as_object_mut(), origin) {
        map.insert("path".into(), (*o.file).into());
        map.insert("line".into(), o.line.into());
        map.insert("column".into(), o.column.into());
    }
}

/// Keywords that a callback may ask for, as they were written.
fn keywords(of: &Keywords) -> Json {
    let left_out = [K::Name, K::Hosts, K::Vars, K::VarsPrompt, K::VarsFiles];
    of.iter()
        .filter(|(k, _)| !left_out.contains(k))
        .map(|(k, v)| (k.name().to_owned(), values::encode(v)))
        .collect::<Map>()
        .into()
}

impl Python {
    /// By the process that has loaded them.
    pub fn new(events: Events) -> Self {
        Self { events, told: HashSet::new(), prompts: HashSet::new() }
    }

    fn tell(&mut self, method: &str, args: Vec<(&str, Json)>) {
        self.events.tell(method, args, Map::new());
    }

    /// A task: whole at its first time.
    fn task(&mut self, task: &Task, shown: Option<&str>) -> Json {
        if !self.told.insert(task.id) {
            return json!({ "id": task.id });
        }
        let own = task.name().and_then(|n| n.to_text().ok()).unwrap_or_default();
        let shown =
            shown.unwrap_or_else(|| if own.is_empty() { task.shown_action() } else { &own }).to_owned();
        let role = task.frame.role.as_ref();
        // the role's name before it is the role's
        let prefix =
            role.map(|r| format!("{} : ", if r.collection.is_some() { &r.full_name } else { &r.name }));
        let name = prefix.and_then(|p| shown.strip_prefix(&p).map(str::to_owned)).unwrap_or(shown.clone());
        let mut json = json!({
            "id": task.id, "action": task.shown_action(), "resolved": task.full_action(), "name": if own.is_empty() { "" } else { &name },
            "shown": shown, "args": values::encode(&Value::Dict(task.args.clone())),
            "handler": task.handler, "implicit": task.implicit, "keywords": keywords(&task.keywords),
            "role": role.map(|r| json!({ "name": &*r.name, "path": &*r.path, "collection": r.collection.as_deref() })),
        });
        place(&mut json, task.origin.as_ref());
        json
    }

    fn result(&mut self, r: &TaskResult, value: &Dict, error: Option<&Error>, no_log: bool) -> Json {
        let shown = (!r.name.is_empty()).then_some(&*r.name);
        let task = self.task(&r.task, shown);
        let f = &r.fields;
        let fields = json!({
            "name": shown.unwrap_or_default(), "args": if no_log { Json::Null } else { plain(&Value::Dict(f.args.clone())) },
            "action": r.task.shown_action(), "ignore_errors": f.ignore_errors, "ignore_unreachable": f.ignore_unreachable,
            "no_log": no_log, "delegate_to": f.delegate_to.as_deref(), "check_mode": f.check, "diff": f.diff,
            "register": f.register.as_deref(), "run_once": f.run_once, "async": f.async_s, "poll": f.poll_s,
            "become": f.r#become, "become_user": f.become_user, "connection": f.connection, "notify": f.notify,
            "debugger": r.task.keyword(K::Debugger).map(plain), "loop": r.task.keyword(K::Loop).map(plain),
        });
        let error = error.filter(|_| !no_log).map(|e| {
            let (message, whole) = (e.brief(), e.details());
            let place = whole.strip_prefix(&message).map(|p| p.trim_start_matches('\n')).unwrap_or_default();
            json!({ "message": message, "place": place.trim_end() })
        });
        json!({ "host": &*r.host, "task": task, "value": plain(&Value::Dict(value.clone())), "no_log": no_log,
                "error": error, "fields": fields })
    }

    fn whole(&mut self, method: &str, r: &TaskResult) {
        let result = self.result(r, &r.value, r.error.as_ref(), r.fields.no_log);
        self.tell(method, vec![("result", result)]);
    }
}

/// A value without what only the engine knows.
fn plain(value: &Value) -> Json {
    value.to_json()
}

impl Callback for Python {
    fn playbook_start(&mut self, path: &str, plays: usize) {
        let basedir = crate::playbook::build::directory(&crate::source::paths::unfrack(path)).to_string();
        let playbook = json!({ "path": path, "basedir": basedir, "plays": plays });
        self.tell("v2_playbook_on_start", vec![("playbook", playbook)]);
    }

    fn play_start(&mut self, play: &Arc<Play>, name: &str, _hosts: &[Name]) {
        let hosts = play.keywords.get(K::Hosts).map(plain);
        let mut json = json!({ "name": name, "hosts": hosts, "keywords": keywords(&play.keywords) });
        place(&mut json, play.origin.as_ref());
        self.tell("v2_playbook_on_play_start", vec![("play", json)]);
    }

    fn task_start(&mut self, task: &Arc<Task>, name: &str) {
        let json = self.task(task, Some(name));
        if task.handler {
            self.tell("v2_playbook_on_handler_task_start", vec![("task", json)]);
        } else {
            let kwargs = Map::from_iter([("is_conditional".to_owned(), Json::Bool(false))]);
            self.events.tell("v2_playbook_on_task_start", vec![("task", json)], kwargs);
        }
    }

    fn implicit_start(&mut self, task: &Arc<Task>, name: &str) {
        // their manager knows which of them want it
        self.task_start(task, name);
    }

    fn host_start(&mut self, host: &Name, task: &Arc<Task>) {
        let json = self.task(task, None);
        self.tell("v2_runner_on_start", vec![("host", (**host).into()), ("task", json)]);
    }

    fn asked(&mut self, name: &str, spec: &Dict) {
        if !self.prompts.insert(name.to_owned()) {
            return;
        }
        let of = |k: &str| spec.get(k).map_or(Json::Null, |v| plain(&v));
        let all = ["private", "prompt", "encrypt", "confirm", "salt_size", "salt", "default", "unsafe"];
        let args = std::iter::once(("plain", name.into())).chain(all.into_iter().map(|k| ("plain", of(k))));
        self.tell("v2_playbook_on_vars_prompt", args.collect());
    }

    fn ok(&mut self, r: &TaskResult) {
        self.whole("v2_runner_on_ok", r);
    }

    fn failed(&mut self, r: &TaskResult, ignored: bool) {
        let result = self.result(r, &r.value, r.error.as_ref(), r.fields.no_log);
        let kwargs = Map::from_iter([("ignore_errors".to_owned(), Json::Bool(ignored))]);
        self.events.tell("v2_runner_on_failed", vec![("result", result)], kwargs);
    }

    fn skipped(&mut self, r: &TaskResult) {
        self.whole("v2_runner_on_skipped", r);
    }

    fn unreachable(&mut self, r: &TaskResult) {
        self.whole("v2_runner_on_unreachable", r);
    }

    fn item(&mut self, r: &TaskResult, item: &Item) {
        if is_include(&r.task) {
            return;
        }
        let result = self.result(r, &item.value, item.error.as_ref(), r.fields.no_log);
        let method = if flag(&item.value, "failed") || flag(&item.value, "unreachable") {
            "v2_runner_item_on_failed"
        } else if flag(&item.value, "skipped") {
            "v2_runner_item_on_skipped"
        } else {
            "v2_runner_item_on_ok"
        };
        self.tell(method, vec![("result", result)]);
    }

    fn retry(&mut self, r: &TaskResult, _left: i64) {
        self.whole("v2_runner_retry", r);
    }

    fn poll(&mut self, r: &TaskResult) {
        self.whole("v2_runner_on_async_poll", r);
    }

    fn polled(&mut self, r: &TaskResult, failed: bool) {
        self.whole(if failed { "v2_runner_on_async_failed" } else { "v2_runner_on_async_ok" }, r);
    }

    fn diff(&mut self, r: &TaskResult) {
        self.whole("v2_on_file_diff", r);
    }

    fn included(&mut self, of: &Inclusion<'_>) {
        let task = self.task(of.task, None);
        let mut include = json!({ "what": of.what, "task": task, "hosts": of.hosts.iter().map(|h| &**h).collect::<Vec<_>>(),
                                  "role": &*of.task.action == "include_role" });
        if let (Some(label), Some(map)) = (of.label, include.as_object_mut()) {
            map.insert("label".into(), plain(label));
        }
        self.tell("v2_playbook_on_include", vec![("include", include)]);
    }

    fn notified(&mut self, handler: &str, host: &Name) {
        self.tell("v2_playbook_on_notify", vec![("handler", handler.into()), ("host", (**host).into())]);
    }

    fn no_hosts_matched(&mut self) {
        self.tell("v2_playbook_on_no_hosts_matched", Vec::new());
    }

    fn no_hosts_remaining(&mut self) {
        self.tell("v2_playbook_on_no_hosts_remaining", Vec::new());
    }

    fn stats(&mut self, stats: &Stats, custom: &[(String, String, Value)]) {
        let hosts: Map = stats
            .all()
            .into_iter()
            .map(|(host, c)| {
                let counts = json!({ "ok": c.ok, "changed": c.changed, "dark": c.dark, "failures": c.failures,
                                     "skipped": c.skipped, "rescued": c.rescued, "ignored": c.ignored });
                (host, counts)
            })
            .collect();
        let custom: Vec<Json> = custom.iter().map(|(host, name, v)| json!([host, name, plain(v)])).collect();
        self.tell("v2_playbook_on_stats", vec![("stats", json!({ "hosts": hosts, "custom": custom }))]);
    }
}
