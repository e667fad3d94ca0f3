//! The `minimal` and `oneline` callbacks, which `ansible` prints by.

use pileus_jinja::Dict;

use crate::display;
use crate::execute::TaskResult;

use super::dump::{self, Format};
use super::{Callback, json};

/// Modules whose raw output is shown as it came.
const RAW: [&str; 4] = ["command", "raw", "script", "shell"];

/// The `minimal` callback.
#[derive(Debug, Default)]
pub struct Minimal;

fn text(d: &Dict, k: &str) -> String {
    d.get(k).and_then(|v| v.to_text().ok()).unwrap_or_default()
}

fn raw(r: &TaskResult, caption: &str) -> String {
    let rc = r.value.get("rc").and_then(|v| v.to_text().ok()).unwrap_or_else(|| "-1".into());
    let mut out = format!("{} | {caption} | rc={rc} >>\n", r.host);
    for k in ["stdout", "stderr", "msg"] {
        out.push_str(&text(&r.value, k));
    }
    out.push('\n');
    out
}

impl Minimal {
    fn show(r: &TaskResult, caption: &str, color: &str) {
        dump::warnings(&r.value);
        let shown = dump::cleaned(&r.value, &r.task, r.fields.no_log);
        let out = if RAW.contains(&&*r.task.action) && !r.value.contains("ansible_job_id") && !r.fields.no_log
        {
            raw(r, caption)
        } else {
            format!("{} | {caption} => {}", r.host, dump::results(&shown, Some(4), Format::Json))
        };
        display::out(&display::paint(&out, color));
    }
}

impl Callback for Minimal {
    fn ok(&mut self, r: &TaskResult) {
        if r.changed() { Self::show(r, "CHANGED", "yellow") } else { Self::show(r, "SUCCESS", "green") }
    }
    fn failed(&mut self, r: &TaskResult, _ignored: bool) {
        if let Some(e) = &r.error {
            display::err(&format!("[ERROR]: {}", e.details()), "red");
        }
        if RAW.contains(&&*r.task.action) && r.value.contains("rc") {
            Self::show(r, "FAILED", "red")
        } else {
            Self::show(r, "FAILED!", "red")
        }
    }
    fn skipped(&mut self, r: &TaskResult) {
        display::out(&display::paint(&format!("{} | SKIPPED", r.host), "cyan"));
    }
    fn unreachable(&mut self, r: &TaskResult) {
        Self::show(r, "UNREACHABLE!", "bright red");
    }
    fn diff(&mut self, r: &TaskResult) {
        if let Some(d) = r.value.get("diff") {
            let text = super::default::differences(&d, "green", "red", "cyan");
            if !text.is_empty() {
                display::out(&text);
            }
        }
    }
}

/// The `oneline` callback.
#[derive(Debug, Default)]
pub struct Oneline;

impl Oneline {
    fn show(r: &TaskResult, caption: &str, color: &str) {
        let out = if RAW.contains(&&*r.task.action) && !r.value.contains("ansible_job_id") {
            let stdout = text(&r.value, "stdout").replace('\n', "\\n").replace('\r', "\\r");
            let stderr = text(&r.value, "stderr").replace('\n', "\\n").replace('\r', "\\r");
            let rc = text(&r.value, "rc");
            let mut line = format!("{} | {caption} | rc={rc} | (stdout) {stdout}", r.host);
            if !stderr.is_empty() {
                line.push_str(&format!(" (stderr) {stderr}"));
            }
            line
        } else {
            let shown = dump::cleaned(&r.value, &r.task, r.fields.no_log);
            format!(
                "{} | {caption} => {}",
                r.host,
                dump::results(&shown, None, Format::Json).replace('\n', "")
            )
        };
        display::out(&display::paint(&out, color));
    }
}

impl Callback for Oneline {
    fn ok(&mut self, r: &TaskResult) {
        if r.changed() { Self::show(r, "CHANGED", "yellow") } else { Self::show(r, "SUCCESS", "green") }
    }
    fn failed(&mut self, r: &TaskResult, _ignored: bool) {
        Self::show(r, "FAILED!", "red");
    }
    fn skipped(&mut self, r: &TaskResult) {
        display::out(&display::paint(&format!("{} | SKIPPED", r.host), "cyan"));
    }
    fn unreachable(&mut self, r: &TaskResult) {
        display::out(&display::paint(
            &format!("{} | UNREACHABLE!: {}", r.host, text(&r.value, "msg")),
            "bright red",
        ));
    }
}

/// Text as JSON, for callbacks that need it.
pub fn quoted(s: &str) -> String {
    let mut out = String::new();
    json::string(&mut out, s);
    out
}
