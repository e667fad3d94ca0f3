//! Records of runs: which plays ran, what became of every task on every host, in how long, as JSON lines in one file
//! for each run, so that `pileus ansible-runs` and the dashboard can show them later.
//!
//! A run over the cloud's inventory (`-i pileus:`) is recorded in the cloud's state directory; any other where
//! `PILEUS_STATE_DIR` says, or with the callback `pileus.runs` enabled, in the user's own (`XDG_STATE_HOME`).
//!
//! | `event` | fields |
//! |---|---|
//! | `run` | `id program playbook user time check` |
//! | `play` | `name hosts` |
//! | `task` | `task` (its number) `name action path handler` |
//! | `result` | `task host status duration_s output diff items` |
//! | `end` | `duration_s hosts` (each host's counts) |
//!
//! Arguments of tasks and of the command are not recorded, nor anything of a task with `no_log`. A run without `end` was
//! broken off.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use pileus_jinja::{Dict, Value};
use serde_json::{Map, Value as Json, json};

use crate::display;
use crate::execute::TaskResult;
use crate::execute::result::{Item, flag};
use crate::inventory::Name;
use crate::playbook::{K, Play, Task};

use super::dump::CENSORED;
use super::{Callback, Inclusion, Stats};

/// The name that enables it where the cloud's inventory doesn't.
pub const NAME: &str = "pileus.runs";
/// The folder below a state directory.
const FOLDER: &str = "ansible-runs";
/// Runs that are kept; the oldest go.
const KEPT: usize = 200;
/// Bytes of an output that are kept.
const OUTPUT_BYTES: usize = 64 * 1024;
/// What is recorded of a result.
const RECORDED: [&str; 5] = ["msg", "rc", "stdout", "stderr", "skip_reason"];

/// Where the runs over these inventories are recorded, if they are; `enabled`: in any case.
pub fn directory(inventory: &[String], enabled: bool) -> Option<PathBuf> {
    let state = || std::env::var_os("PILEUS_STATE_DIR").filter(|d| !d.is_empty()).map(PathBuf::from);
    let cloud = inventory.iter().find_map(|source| source.strip_prefix("pileus:"));
    let cloud = match cloud {
        Some("") => Some(state().unwrap_or_else(|| "/var/lib/pileus".into())),
        Some(dir) => Some(dir.into()),
        None => state(),
    };
    // A cloud's directory is the daemon's to make, not ours.
    let dir = cloud.filter(|d| d.is_dir()).or_else(|| enabled.then(own));
    dir.map(|d| d.join(FOLDER))
}

/// The user's own state directory.
fn own() -> PathBuf {
    let home = || PathBuf::from(crate::source::paths::expand_user("~")).join(".local/state");
    let xdg = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|d| d.is_absolute());
    xdg.unwrap_or_else(home).join("pileus")
}

/// Where runs are looked for: the cloud's, else the user's.
pub fn places() -> Vec<PathBuf> {
    let cloud = directory(&["pileus:".to_owned()], false);
    cloud.into_iter().chain([own().join(FOLDER)]).collect()
}

/// The files of runs in `dir`, the newest first: their ids and paths.
pub fn all(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut out: Vec<(String, PathBuf)> = entries
        .filter_map(|e| {
            let name = e.file_name().into_string().ok()?;
            Some((name.strip_suffix(".jsonl")?.to_owned(), e.path()))
        })
        .collect();
    out.sort();
    out.reverse();
    out
}

/// The callback.
#[derive(Debug)]
pub struct Records {
    file: File,
    id: String,
    program: String,
    check: bool,
    start: Instant,
    running: HashMap<(Name, u64), Instant>,
    items: HashMap<(Name, u64), Vec<Json>>,
    told: Option<u64>,
    broken: bool,
}

impl Records {
    /// A new record in `dir`; the oldest make room.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn new(dir: &Path, program: &str, check: bool) -> std::io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        for (_, old) in all(dir).into_iter().skip(KEPT - 1) {
            // another run may have removed it already
            let _ = std::fs::remove_file(old);
        }
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string().replace('.', "");
        let id = format!("{time}-{}", std::process::id());
        let path = dir.join(format!("{id}.jsonl"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self {
            file,
            id,
            program: program.to_owned(),
            check,
            start: Instant::now(),
            running: HashMap::new(),
            items: HashMap::new(),
            told: None,
            broken: false,
        })
    }

    fn write(&mut self, line: Json) {
        if self.broken {
            return;
        }
        if let Err(e) = self.file.write_all(format!("{line}\n").as_bytes()) {
            // a full disk is no reason to stop the run
            display::warning(&format!("The record of this run ends here: {e}"));
            self.broken = true;
        }
    }

    fn result(&mut self, r: &TaskResult, status: &str) {
        let key = (r.host.clone(), r.task.id);
        let took = self.running.remove(&key).map(|since| since.elapsed().as_secs_f64());
        let mut line = json!({ "event": "result", "task": r.task.id, "host": &*r.host, "status": status,
                               "duration_s": took, "output": output(&r.value, r.fields.no_log) });
        if let Some(line) = line.as_object_mut() {
            if let Some(items) = self.items.remove(&key) {
                line.insert("items".into(), items.into());
            }
            if let Some(diff) = r.value.get("diff").filter(|_| !r.fields.no_log) {
                line.insert("diff".into(), cut(diff.to_json()));
            }
        }
        self.write(line);
    }
}

/// What is recorded of a result.
fn output(value: &Dict, no_log: bool) -> Json {
    if no_log {
        return json!({ "censored": CENSORED });
    }
    let of = |k: &&str| value.get(k).map(|v| ((*k).to_owned(), cut(v.to_json())));
    RECORDED.iter().filter_map(of).collect::<Map<String, Json>>().into()
}

/// Long texts end where they may, and say so.
fn cut(value: Json) -> Json {
    match value {
        Json::String(s) if s.len() > OUTPUT_BYTES => {
            let end = (0..=OUTPUT_BYTES).rev().find(|n| s.is_char_boundary(*n)).unwrap_or(0);
            format!("{}… ({} bytes)", &s[..end], s.len()).into()
        }
        Json::Object(map) => map.into_iter().map(|(k, v)| (k, cut(v))).collect::<Map<_, _>>().into(),
        Json::Array(list) => list.into_iter().map(cut).collect(),
        other => other,
    }
}

fn status_of(value: &Dict) -> &'static str {
    if flag(value, "unreachable") {
        "unreachable"
    } else if flag(value, "failed") {
        "failed"
    } else if flag(value, "skipped") {
        "skipped"
    } else if flag(value, "changed") {
        "changed"
    } else {
        "ok"
    }
}

impl Callback for Records {
    fn playbook_start(&mut self, path: &str, _plays: usize) {
        let (id, program) = (self.id.clone(), self.program.clone());
        let time = Timestamp::now().to_string();
        self.write(json!({ "event": "run", "id": id, "program": program, "playbook": path,
                           "user": crate::log::user(), "time": time, "check": self.check }));
    }
    fn play_start(&mut self, _play: &Arc<Play>, name: &str, hosts: &[Name]) {
        let hosts: Vec<&str> = hosts.iter().map(|h| &**h).collect();
        self.write(json!({ "event": "play", "name": name, "hosts": hosts }));
    }
    fn task_start(&mut self, task: &Arc<Task>, name: &str) {
        if self.told == Some(task.id) {
            return;
        }
        self.told = Some(task.id);
        let path = task.origin.as_ref().map(|o| format!("{}:{}", o.file, o.line));
        // a name may be rendered from what must not be seen
        let hidden = task.keyword(K::NoLog).is_some_and(|v| v.truth().unwrap_or(true));
        let name = if hidden { task.shown_action() } else { name.trim() };
        self.write(json!({ "event": "task", "task": task.id, "name": name, "action": task.shown_action(),
                           "path": path, "handler": task.handler }));
    }
    fn host_start(&mut self, host: &Name, task: &Arc<Task>) {
        self.running.insert((host.clone(), task.id), Instant::now());
    }
    fn ok(&mut self, r: &TaskResult) {
        self.result(r, if r.changed() { "changed" } else { "ok" });
    }
    fn failed(&mut self, r: &TaskResult, ignored: bool) {
        self.result(r, if ignored { "ignored" } else { "failed" });
    }
    fn skipped(&mut self, r: &TaskResult) {
        self.result(r, "skipped");
    }
    fn unreachable(&mut self, r: &TaskResult) {
        self.result(r, "unreachable");
    }
    fn item(&mut self, r: &TaskResult, item: &Item) {
        let no_log = r.fields.no_log;
        let label = if no_log { Json::from(CENSORED) } else { cut(item.label.to_json()) };
        let line =
            json!({ "item": label, "status": status_of(&item.value), "output": output(&item.value, no_log) });
        self.items.entry((r.host.clone(), r.task.id)).or_default().push(line);
    }
    fn included(&mut self, of: &Inclusion<'_>) {
        let hosts: Vec<&str> = of.hosts.iter().map(|h| &**h).collect();
        self.write(json!({ "event": "include", "task": of.task.id, "what": of.what, "hosts": hosts }));
    }
    fn stats(&mut self, stats: &Stats, _custom: &[(String, String, Value)]) {
        let hosts: Map<String, Json> = stats
            .all()
            .into_iter()
            .map(|(host, c)| {
                let counts = json!({ "ok": c.ok, "changed": c.changed, "unreachable": c.dark, "failed": c.failures,
                                     "skipped": c.skipped, "rescued": c.rescued, "ignored": c.ignored });
                (host, counts)
            })
            .collect();
        let took = self.start.elapsed().as_secs_f64();
        self.write(json!({ "event": "end", "duration_s": took, "hosts": hosts }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_that_is_not_there_gets_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let source = |path: &Path| vec![format!("pileus:{}", path.display())];
        assert_eq!(directory(&source(dir.path()), false), Some(dir.path().join(FOLDER)));
        assert_eq!(directory(&source(&dir.path().join("none")), false), None);
    }

    #[test]
    fn what_must_not_be_seen_is_not_recorded() {
        let d = Dict::new();
        d.insert("stdout", "secret");
        d.insert("invocation", "secret");
        assert_eq!(output(&d, true), json!({ "censored": CENSORED }));
        assert_eq!(output(&d, false), json!({ "stdout": "secret" }));
    }

    #[test]
    fn long_output_is_cut_between_characters() {
        let cut = cut(Json::from("é".repeat(OUTPUT_BYTES)));
        let text = cut.as_str().unwrap();
        assert!(text.len() < OUTPUT_BYTES + 40 && text.ends_with("bytes)"));
    }

    #[test]
    fn the_oldest_make_room() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..KEPT + 5 {
            std::fs::write(dir.path().join(format!("2020{n:04}.jsonl")), "").unwrap();
        }
        Records::new(dir.path(), "ansible-playbook", false).unwrap();
        let left = all(dir.path());
        assert_eq!(left.len(), KEPT);
        assert!(left.iter().all(|(id, _)| id != "20200005"));
    }
}
