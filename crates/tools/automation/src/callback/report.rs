//! ansible.posix's `json`: nothing is printed while it runs; at the end one document tells of plays, tasks, hosts.

use std::sync::Arc;

use jiff::Timestamp;
use pileus_jinja::{Dict, Value};

use crate::display;
use crate::execute::TaskResult;
use crate::inventory::Name;
use crate::playbook::{Play, Task};

use super::{Callback, Stats, dump, json};

/// Columns of a level.
const INDENT: usize = 4;

/// The callback.
#[derive(Debug)]
pub struct Report {
    plays: Vec<OfPlay>,
    /// What distinguishes this run's ids.
    run: u64,
}

#[derive(Debug)]
struct OfPlay {
    play: Dict,
    tasks: Vec<OfTask>,
}

#[derive(Debug)]
struct OfTask {
    id: u64,
    task: Dict,
    hosts: Dict,
}

impl Default for Report {
    fn default() -> Self {
        Self { plays: Vec::new(), run: rand::random() }
    }
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// What is told of a play or a task: when, which, where.
fn described(id: String, name: &str, origin: Option<&pileus_jinja::Origin>) -> Dict {
    let (d, duration) = (Dict::new(), Dict::new());
    duration.insert("start", now());
    d.insert("duration", Value::Dict(duration));
    d.insert("id", id);
    d.insert("name", name.trim());
    if let Some(o) = origin {
        d.insert("path", format!("{}:{}", o.file, o.line));
    }
    d
}

fn ended(of: &Dict) {
    if let Some(Value::Dict(duration)) = of.get("duration") {
        duration.insert("end", now());
    }
}

impl Report {
    /// An id in the form of a UUID.
    fn id(&self, n: u64) -> String {
        let r = self.run;
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{n:012x}",
            r >> 32,
            r >> 16 & 0xffff,
            r & 0xfff,
            r >> 52 & 0xfff
        )
    }

    fn note(&mut self, r: &TaskResult) {
        let Some(play) = self.plays.last_mut() else { return };
        ended(&play.play);
        let Some(t) = play.tasks.iter_mut().rev().find(|t| t.id == r.task.id) else { return };
        ended(&t.task);
        let of_host = if r.fields.no_log { dump::cleaned(&r.value, &r.task, true) } else { r.value.copy() };
        of_host.insert("_ansible_no_log", r.fields.no_log);
        of_host.insert("action", r.task.shown_action());
        t.hosts.insert(&*r.host, Value::Dict(of_host));
    }
}

impl Callback for Report {
    fn play_start(&mut self, play: &Arc<Play>, name: &str, _hosts: &[Name]) {
        let id = self.id(self.plays.len() as u64 + 1);
        self.plays.push(OfPlay { play: described(id, name, play.origin.as_deref()), tasks: Vec::new() });
    }
    fn task_start(&mut self, task: &Arc<Task>, name: &str) {
        let id = self.id(task.id);
        let Some(play) = self.plays.last_mut() else { return };
        let told = described(id, name, task.origin.as_deref());
        play.tasks.push(OfTask { id: task.id, task: told, hosts: Dict::new() });
    }
    fn ok(&mut self, r: &TaskResult) {
        self.note(r);
    }
    fn failed(&mut self, r: &TaskResult, _ignored: bool) {
        self.note(r);
    }
    fn skipped(&mut self, r: &TaskResult) {
        self.note(r);
    }
    fn unreachable(&mut self, r: &TaskResult) {
        self.note(r);
    }

    fn stats(&mut self, stats: &Stats, custom: &[(String, String, Value)]) {
        let plays = self.plays.iter().map(|p| {
            let tasks = p.tasks.iter().map(|t| {
                Value::dict([("hosts", Value::Dict(t.hosts.clone())), ("task", Value::Dict(t.task.clone()))])
            });
            Value::dict([("play", Value::Dict(p.play.clone())), ("tasks", Value::list(tasks.collect()))])
        });
        let (counts, own, all) = (Dict::new(), Dict::new(), Dict::new());
        for (host, c) in stats.all() {
            let of_host = Dict::new();
            for (name, n) in [
                ("ok", c.ok),
                ("changed", c.changed),
                ("unreachable", c.dark),
                ("failures", c.failures),
                ("skipped", c.skipped),
                ("rescued", c.rescued),
                ("ignored", c.ignored),
            ] {
                of_host.insert(name, i64::from(n));
            }
            counts.insert(host.as_str(), Value::Dict(of_host));
        }
        for (host, name, value) in custom {
            if host == "_run" {
                all.insert(name.as_str(), value.clone());
                continue;
            }
            let of_host = match own.get(host) {
                Some(Value::Dict(d)) => d,
                _ => Dict::new(),
            };
            of_host.insert(name.as_str(), value.clone());
            own.insert(host.as_str(), Value::Dict(of_host));
        }
        let whole = Value::dict([
            ("custom_stats", Value::Dict(own)),
            ("global_custom_stats", Value::Dict(all)),
            ("plays", Value::list(plays.collect())),
            ("stats", Value::Dict(counts)),
        ]);
        display::out(&json::dumps(&whole, Some(INDENT), true));
    }
}
