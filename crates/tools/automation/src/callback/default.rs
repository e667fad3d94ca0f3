//! The `default` callback, to the character.

mod diff;
mod recap;

pub use diff::differences;
use recap::{columns, keep, shown_label};

use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::execute::TaskResult;
use crate::execute::include::is_include;
use crate::execute::result::{Item, flag};
use crate::inventory::Name;
use crate::playbook::{K, Play, Task};
use crate::{config, display};

use super::dump::{self, Format};
use super::{Callback, Inclusion, Stats};

/// The columns of a banner where stdout is no terminal.
const COLUMNS: usize = 79;

/// The `default` callback.
pub struct Default {
    last: Option<u64>,
    pending: Option<(Arc<Task>, String)>,
    show_skipped: bool,
    show_ok: bool,
    failed_to_stderr: bool,
    custom_stats: bool,
    per_host_start: bool,
    check_markers: bool,
    path_on_failure: bool,
    format: Format,
    pretty: Option<bool>,
    columns: usize,
    colors: Colors,
    check: bool,
    prefix: &'static str,
    /// Errors told: each once.
    told: parking_lot::Mutex<std::collections::HashSet<String>>,
}

struct Colors {
    ok: String,
    changed: String,
    skip: String,
    error: String,
    unreachable: String,
    warn: String,
    verbose: String,
    debug: String,
    included: String,
    added: String,
    removed: String,
    lines: String,
}

/// A text of a result; empty where it isn't there.
fn text_of(r: &TaskResult, name: &str) -> String {
    r.value.get(name).and_then(|v| v.to_text().ok()).unwrap_or_default()
}

fn option(name: &str) -> serde_json::Value {
    config::current().plugin("callback", "default", name).map(|s| s.value).unwrap_or(serde_json::Value::Null)
}

impl Default {
    /// With the settings. `check`: the run is in check mode.
    pub fn new(check: bool) -> Self {
        let flag = |name: &str, default: bool| option(name).as_bool().unwrap_or(default);
        let color = |name: &str, default: &str| config::current().text(name).unwrap_or(default).to_owned();
        let format = match option("result_format").as_str() {
            Some("yaml") => Format::Yaml { lossy: option("pretty_results").as_bool().unwrap_or(true) },
            _ => Format::Json,
        };
        Self {
            last: None,
            pending: None,
            show_skipped: flag("display_skipped_hosts", true),
            show_ok: flag("display_ok_hosts", true),
            failed_to_stderr: flag("display_failed_stderr", false),
            custom_stats: flag("show_custom_stats", false),
            per_host_start: flag("show_per_host_start", false),
            check_markers: flag("check_mode_markers", false),
            path_on_failure: flag("show_task_path_on_failure", false),
            format,
            pretty: option("pretty_results").as_bool(),
            columns: columns(),
            colors: Colors {
                ok: color("COLOR_OK", "green"),
                changed: color("COLOR_CHANGED", "yellow"),
                skip: color("COLOR_SKIP", "cyan"),
                error: color("COLOR_ERROR", "red"),
                unreachable: color("COLOR_UNREACHABLE", "bright red"),
                warn: color("COLOR_WARN", "bright purple"),
                verbose: color("COLOR_VERBOSE", "blue"),
                debug: color("COLOR_DEBUG", "dark gray"),
                included: color("COLOR_INCLUDED", "cyan"),
                added: color("COLOR_DIFF_ADD", "green"),
                removed: color("COLOR_DIFF_REMOVE", "red"),
                lines: color("COLOR_DIFF_LINES", "cyan"),
            },
            check,
            prefix: "TASK",
            told: parking_lot::Mutex::default(),
        }
    }

    fn banner(&self, text: &str) {
        let n = text.chars().count();
        let stars = self.columns.saturating_sub(n).max(3);
        display::out(&format!("\n{text} {}", "*".repeat(stars)));
    }

    fn say(&self, text: &str, color: &str) {
        display::out(&display::paint(text, color));
    }

    fn complain(&self, text: &str, color: &str) {
        if self.failed_to_stderr { display::err(text, color) } else { self.say(text, color) }
    }

    /// The mark of what runs in check mode: as it says itself, else as the run.
    fn mode(&self, own: Option<&Value>) -> &'static str {
        let check = own.filter(|v| !v.is_none()).and_then(|v| v.truth().ok()).unwrap_or(self.check);
        if check && self.check_markers { " [CHECK MODE]" } else { "" }
    }

    fn task_banner(&mut self, task: &Task, name: &str) {
        let mode = self.mode(task.keyword(K::CheckMode));
        let prefix = if task.handler { "RUNNING HANDLER" } else { self.prefix };
        self.banner(&format!("{prefix} [{}]{mode}", name.trim()));
        if display::verbosity() >= 2
            && let Some(origin) = &task.origin
        {
            self.say(&format!("task path: {}:{}", origin.file, origin.line), "dark gray");
        }
        self.last = Some(task.id);
    }

    /// Prints the banner of a result's task where it isn't the last one printed.
    fn ensure_banner(&mut self, r: &TaskResult) {
        if self.last == Some(r.task.id) {
            return;
        }
        let name = match &self.pending {
            Some((t, name)) if t.id == r.task.id => name.clone(),
            _ => r.name.clone(),
        };
        let task = r.task.clone();
        self.task_banner(&task, &name);
    }

    fn label(r: &TaskResult, value: &Dict) -> String {
        let Some(Value::Dict(d)) = value.get("_ansible_delegated_vars") else { return r.host.to_string() };
        let text = |k: &str| d.get(k).and_then(|v| v.to_text().ok()).unwrap_or_default();
        let (to, address) = (text("ansible_delegated_host"), text("ansible_host"));
        if to.is_empty() {
            return r.host.to_string();
        }
        if address == to || address.is_empty() {
            format!("{} -> {to}", r.host)
        } else {
            format!("{} -> {to}({address})", r.host)
        }
    }

    fn text(&self, d: &Dict) -> String {
        dump::results(d, dump::indent(d, self.pretty), self.format)
    }

    /// Prints why a result failed; with `no_log`, nothing.
    fn exception(&self, r: &TaskResult, error: Option<&crate::Error>) {
        let Some(e) = error else { return };
        if r.fields.no_log {
            return;
        }
        let text = format!("[ERROR]: {}\n", e.details().trim_end_matches('\n'));
        if !self.told.lock().insert(text.clone()) {
            return;
        }
        if self.failed_to_stderr {
            display::err(&text, &self.colors.error);
        } else {
            self.say(&format!("{text}\n"), &self.colors.error);
        }
    }

    fn path(&self, r: &TaskResult) {
        if self.path_on_failure
            && let Some(origin) = &r.task.origin
        {
            self.say(&format!("task path: {}:{}", origin.file, origin.line), &self.colors.error);
        }
    }
}

impl Callback for Default {
    fn playbook_start(&mut self, path: &str, plays: usize) {
        if display::verbosity() > 1 {
            let name = std::path::Path::new(path)
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            self.banner(&format!("PLAYBOOK: {name}"));
            display::verbose(2, &format!("{plays} plays in {path}"));
        }
        if self.check && self.check_markers {
            self.banner("DRY RUN");
        }
    }

    fn play_start(&mut self, play: &Arc<Play>, name: &str, _hosts: &[Name]) {
        let mode = self.mode(play.keywords.get(K::CheckMode));
        let name = name.trim();
        if name.is_empty() {
            self.banner(&format!("PLAY{mode}"))
        } else {
            self.banner(&format!("PLAY [{name}]{mode}"))
        }
    }

    fn task_start(&mut self, task: &Arc<Task>, name: &str) {
        if self.show_skipped && self.show_ok {
            self.task_banner(task, name);
        } else {
            self.pending = Some((task.clone(), name.to_owned()));
            self.last = None;
        }
        if self.per_host_start {
            self.pending = Some((task.clone(), name.to_owned()));
        }
    }

    fn ok(&mut self, r: &TaskResult) {
        let changed = r.changed();
        if is_include(&r.task) {
            self.ensure_banner(r);
            return;
        }
        if !changed && !self.show_ok {
            return;
        }
        self.ensure_banner(r);
        let (word, color) = if changed { ("changed", &self.colors.changed) } else { ("ok", &self.colors.ok) };
        dump::warnings(&r.value);
        if r.looped && !r.items.is_empty() {
            return;
        }
        let shown = dump::cleaned(&r.value, &r.task, r.fields.no_log);
        let mut text = format!("{word}: [{}]", Self::label(r, &r.value));
        if dump::verbose(&r.value, r.fields.no_log) {
            text.push_str(&format!(" => {}", self.text(&keep(&shown, &r.value, r.fields.no_log))));
        }
        self.say(&text, color);
    }

    fn failed(&mut self, r: &TaskResult, ignored: bool) {
        self.ensure_banner(r);
        // of a failed loop of `debug` only the message stays, so the whole is told too
        let whole = !r.looped || r.items.is_empty() || &*r.task.action == "debug";
        if whole {
            self.exception(r, r.error.as_ref());
        }
        dump::warnings(&r.value);
        if whole {
            self.path(r);
            let shown = dump::cleaned(&r.value, &r.task, r.fields.no_log);
            let text = format!(
                "fatal: [{}]: FAILED! => {}",
                Self::label(r, &r.value),
                self.text(&keep(&shown, &r.value, r.fields.no_log))
            );
            self.complain(&text, &self.colors.error);
        }
        if ignored {
            self.say("...ignoring", &self.colors.skip);
        }
    }

    fn skipped(&mut self, r: &TaskResult) {
        if !self.show_skipped {
            return;
        }
        self.ensure_banner(r);
        dump::warnings(&r.value);
        // of a loop the items are told; the whole is told too
        let mut text = format!("skipping: [{}]", r.host);
        if dump::verbose(&r.value, r.fields.no_log) {
            let shown = dump::cleaned(&r.value, &r.task, r.fields.no_log);
            shown.remove("results");
            text.push_str(&format!(" => {}", self.text(&shown)));
        }
        self.say(&text, &self.colors.skip);
    }

    fn unreachable(&mut self, r: &TaskResult) {
        self.ensure_banner(r);
        self.exception(r, r.error.as_ref());
        let shown = dump::cleaned(&r.value, &r.task, r.fields.no_log);
        let text = format!("fatal: [{}]: UNREACHABLE! => {}", Self::label(r, &r.value), self.text(&shown));
        self.complain(&text, &self.colors.unreachable);
        if r.fields.ignore_unreachable {
            self.say("...ignoring", &self.colors.skip);
        }
    }

    fn item(&mut self, r: &TaskResult, item: &Item) {
        let value = &item.value;
        let no_log = r.fields.no_log;
        let label = if no_log { "(censored due to no_log)".to_owned() } else { shown_label(&item.label) };
        let host = Self::label(r, value);
        if flag(value, "failed") || flag(value, "unreachable") {
            self.ensure_banner(r);
            self.exception(r, item.error.as_ref());
            dump::warnings(value);
            let shown = keep(&dump::cleaned(value, &r.task, no_log), value, no_log);
            let text = format!("failed: [{host}] (item={label}) => {}", self.text(&shown));
            self.complain(&text, &self.colors.error);
            return;
        }
        if flag(value, "skipped") {
            if !self.show_skipped {
                return;
            }
            self.ensure_banner(r);
            let mut text = format!("skipping: [{}] => (item={label}) ", r.host);
            if dump::verbose(value, no_log) {
                let shown = dump::cleaned(value, &r.task, no_log);
                text.push_str(&format!(" => {}", self.text(&shown)));
            }
            self.say(&text, &self.colors.skip);
            return;
        }
        if is_include(&r.task) {
            return;
        }
        let changed = flag(value, "changed");
        if !changed && !self.show_ok {
            return;
        }
        self.ensure_banner(r);
        dump::warnings(value);
        let (word, color) = if changed { ("changed", &self.colors.changed) } else { ("ok", &self.colors.ok) };
        let mut text = format!("{word}: [{host}] => (item={label})");
        if dump::verbose(value, no_log) {
            let shown = keep(&dump::cleaned(value, &r.task, no_log), value, no_log);
            text.push_str(&format!(" => {}", self.text(&shown)));
        }
        self.say(&text, color);
    }

    fn retry(&mut self, r: &TaskResult, left: i64) {
        let mut text =
            format!("FAILED - RETRYING: [{}]: {} ({left} retries left).", Self::label(r, &r.value), r.name);
        if display::verbosity() > 2 {
            let shown = dump::cleaned(&r.value, &r.task, r.fields.no_log);
            text.push_str(&format!("Result was: {}", self.text(&shown)));
        }
        self.ensure_banner(r);
        self.say(&text, "bright purple");
    }

    fn host_start(&mut self, host: &Name, task: &Arc<Task>) {
        if self.per_host_start {
            let name = self.pending.as_ref().filter(|(t, _)| t.id == task.id).map_or("", |(_, name)| name);
            let kind = if task.handler { "HANDLER" } else { "TASK" };
            self.say(&format!(" [started {kind}: {name} on {host}]"), &self.colors.ok);
        }
    }

    fn poll(&mut self, r: &TaskResult) {
        let text = format!(
            "ASYNC POLL on {}: jid={} started=True finished=False",
            r.host,
            text_of(r, "ansible_job_id")
        );
        self.say(&text, &self.colors.debug);
    }

    fn polled(&mut self, r: &TaskResult, failed: bool) {
        let how = if failed { "FAILED" } else { "OK" };
        let jid = text_of(r, "ansible_job_id");
        self.say(&format!("ASYNC {how} on {}: jid={jid}", r.host), &self.colors.debug);
    }

    fn diff(&mut self, r: &TaskResult) {
        if r.fields.no_log {
            return;
        }
        let values: Vec<Dict> =
            if r.looped { r.items.iter().map(|i| i.value.clone()).collect() } else { vec![r.value.clone()] };
        for v in values {
            let Some(diff) = v.get("diff") else { continue };
            if !flag(&v, "changed") {
                continue;
            }
            let text = super::default::differences(
                &diff,
                &self.colors.added,
                &self.colors.removed,
                &self.colors.lines,
            );
            if !text.is_empty() {
                self.ensure_banner(r);
                display::out(&text);
            }
        }
    }

    fn included(&mut self, of: &Inclusion<'_>) {
        let mut text = format!("included: {} for {}", of.what, of.hosts.join(", "));
        if let Some(l) = of.label {
            text.push_str(&format!(" => (item={})", shown_label(l)));
        }
        self.say(&text, &self.colors.included);
    }

    fn notified(&mut self, handler: &str, host: &Name) {
        if display::verbosity() > 1 {
            self.say(&format!("NOTIFIED HANDLER {handler} for {host}"), &self.colors.verbose);
        }
    }

    fn no_hosts_matched(&mut self) {
        self.say("skipping: no hosts matched", &self.colors.skip);
    }

    fn no_hosts_remaining(&mut self) {
        self.banner("NO MORE HOSTS LEFT");
    }

    fn stats(&mut self, stats: &Stats, custom: &[(String, String, Value)]) {
        self.banner("PLAY RECAP");
        for (host, c) in stats.all() {
            let part = |name: &str, n: u32, color: &str| {
                let text = format!("{name}={n:<4}");
                if n > 0 && display::colored() { display::paint(&text, color) } else { text }
            };
            let shown = if display::colored() {
                let color = if c.failures > 0 || c.dark > 0 {
                    &self.colors.error
                } else if c.changed > 0 {
                    &self.colors.changed
                } else {
                    &self.colors.ok
                };
                format!("{:<37}", display::paint(&host, color))
            } else {
                format!("{host:<26}")
            };
            display::out(&format!(
                "{shown} : {} {} {} {} {} {} {}",
                part("ok", c.ok, &self.colors.ok),
                part("changed", c.changed, &self.colors.changed),
                part("unreachable", c.dark, &self.colors.unreachable),
                part("failed", c.failures, &self.colors.error),
                part("skipped", c.skipped, &self.colors.skip),
                part("rescued", c.rescued, &self.colors.ok),
                part("ignored", c.ignored, &self.colors.warn),
            ));
        }
        display::out("\n");
        if !custom.is_empty() && self.custom_stats {
            self.banner("CUSTOM STATS: ");
            recap::custom(custom);
        }
        if self.check && self.check_markers {
            self.banner("DRY RUN");
        }
    }
}
