//! What is printed, and who else hears of results: default, minimal, oneline, json, profile_tasks, junit, tree, those in
//! Python, and the records of runs.

pub mod choose;
pub mod default;
pub mod dump;
pub mod dump_diff;
pub mod json;
pub mod junit;
pub mod minimal;
pub mod profile_tasks;
pub mod prompt;
pub mod python;
pub mod records;
pub mod report;
pub mod stats;
pub mod tree;

use std::io::{BufRead, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use pileus_jinja::{Dict, Value};

use crate::execute::TaskResult;
use crate::execute::result::Item;
use crate::inventory::Name;
use crate::playbook::{Play, Task};

pub use stats::Stats;

/// An include that was read.
#[derive(Debug)]
pub struct Inclusion<'a> {
    /// The task that asked for it.
    pub task: &'a Arc<Task>,
    /// The file or role.
    pub what: &'a str,
    /// For whom.
    pub hosts: &'a [Name],
    /// The item of a loop, as shown.
    pub label: Option<&'a Value>,
}

/// Hears of what happens. Every method but those of need does nothing by default.
pub trait Callback: Send {
    /// A playbook of so many plays begins, as named.
    fn playbook_start(&mut self, _path: &str, _plays: usize) {}
    /// A play begins.
    fn play_start(&mut self, _play: &Arc<Play>, _name: &str, _hosts: &[Name]) {}
    /// A task or handler begins.
    fn task_start(&mut self, _task: &Arc<Task>, _name: &str) {}
    /// A task that the engine put there begins; for those who want to hear of such.
    fn implicit_start(&mut self, _task: &Arc<Task>, _name: &str) {}
    /// A task begins on a host.
    fn host_start(&mut self, _host: &Name, _task: &Arc<Task>) {}
    /// A play's `vars_prompt` was answered.
    fn asked(&mut self, _name: &str, _spec: &Dict) {}
    /// A host's result is well.
    fn ok(&mut self, _r: &TaskResult) {}
    /// A host failed.
    fn failed(&mut self, _r: &TaskResult, _ignored: bool) {}
    /// A host was skipped.
    fn skipped(&mut self, _r: &TaskResult) {}
    /// A host could not be reached.
    fn unreachable(&mut self, _r: &TaskResult) {}
    /// An item of a loop is done.
    fn item(&mut self, _r: &TaskResult, _item: &Item) {}
    /// Another attempt follows.
    fn retry(&mut self, _r: &TaskResult, _left: i64) {}
    /// A job in the background is looked at, and has not ended.
    fn poll(&mut self, _r: &TaskResult) {}
    /// A job in the background has ended, or its time.
    fn polled(&mut self, _r: &TaskResult, _failed: bool) {}
    /// A difference.
    fn diff(&mut self, _r: &TaskResult) {}
    /// An include was read.
    fn included(&mut self, _what: &Inclusion<'_>) {}
    /// A handler was notified.
    fn notified(&mut self, _handler: &str, _host: &Name) {}
    /// No host matches.
    fn no_hosts_matched(&mut self) {}
    /// No host is left.
    fn no_hosts_remaining(&mut self) {}
    /// All is over.
    fn stats(&mut self, _stats: &Stats, _custom: &[(String, String, Value)]) {}
}

/// All who hear, and the counts.
#[derive(Default)]
pub struct Callbacks {
    all: Mutex<Vec<Box<dyn Callback>>>,
    /// The counts.
    pub stats: Stats,
}

macro_rules! each {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $t:ty),*);)*) => {
        $(#[allow(missing_docs)] pub fn $name(&self, $($arg: $t),*) {
            for c in self.all.lock().iter_mut() {
                c.$name($($arg),*);
            }
        })*
    };
}

impl Callbacks {
    /// These.
    pub fn new(all: Vec<Box<dyn Callback>>) -> Self {
        Self { all: Mutex::new(all), stats: Stats::default() }
    }
    each! {
        playbook_start(path: &str, plays: usize);
        play_start(play: &Arc<Play>, name: &str, hosts: &[Name]);
        task_start(task: &Arc<Task>, name: &str);
        implicit_start(task: &Arc<Task>, name: &str);
        host_start(host: &Name, task: &Arc<Task>);
        asked(name: &str, spec: &Dict);
        ok(r: &TaskResult);
        failed(r: &TaskResult, ignored: bool);
        skipped(r: &TaskResult);
        unreachable(r: &TaskResult);
        item(r: &TaskResult, item: &Item);
        retry(r: &TaskResult, left: i64);
        poll(r: &TaskResult);
        polled(r: &TaskResult, failed: bool);
        diff(r: &TaskResult);
        included(what: &Inclusion<'_>);
        notified(handler: &str, host: &Name);
        no_hosts_matched();
        no_hosts_remaining();
    }
    /// All is over.
    pub fn finish(&self, custom: &[(String, String, Value)]) {
        for c in self.all.lock().iter_mut() {
            c.stats(&self.stats, custom);
        }
    }
    /// A `meta` task whose condition did not hold begins.
    pub fn task_start_conditional(&self, task: &Arc<Task>, name: &str) {
        self.task_start(task, name);
    }
    /// A `meta` task was skipped on a host.
    pub fn meta_skipped(&self, host: &Name, task: &Arc<Task>, msg: &str, reason: &str) {
        let value = Dict::new();
        value.insert("msg", msg);
        value.insert("skip_reason", reason);
        value.insert("skipped", true);
        let r = TaskResult {
            host: host.clone(),
            task: task.clone(),
            name: String::new(),
            value,
            fields: Arc::default(),
            items: Vec::new(),
            looped: false,
            error: None,
        };
        self.skipped(&r);
    }
}

/// Asks on the terminal; the answer without its newline.
pub fn ask(prompt: &str) -> String {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(prompt.as_bytes());
    let _ = out.flush();
    drop(out);
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    line.trim_end_matches(['\n', '\r']).to_owned()
}
