//! Results as they are shown: cleaned, in JSON or YAML.

use pileus_jinja::{Dict, Value};

use crate::display;
use crate::playbook::Task;

use super::json;
use pileus_jinja::yaml::Style;

/// Columns of a level.
pub const INDENT: usize = 4;
const TAB: usize = 8;
/// Levels past which results are taken as they are.
const MAX_DEPTH: usize = 100;

/// What a censored result shows.
pub const CENSORED: &str =
    "the output has been hidden due to the fact that 'no_log: true' was specified for this result";

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, indented where asked for.
    Json,
    /// YAML; whether without brackets and quotes.
    Yaml {
        /// Strings without quotes where possible.
        lossy: bool,
    },
}

/// Whether a result's content is shown although all is well.
pub fn verbose(d: &Dict, no_log: bool) -> bool {
    (display::verbosity() > 0 || (d.contains("_ansible_verbose_always") && !no_log))
        && !d.contains("_ansible_verbose_override")
}

/// A result as it may be shown: without what is only the engine's; censored where it must be.
pub fn cleaned(d: &Dict, task: &Task, no_log: bool) -> Dict {
    if no_log {
        let out = Dict::new();
        for key in [
            "attempts",
            "changed",
            "retries",
            "_ansible_no_log",
            "_ansible_item_label",
            "_ansible_delegated_vars",
        ] {
            if let Some(v) = d.get(key) {
                out.insert(key, v);
            }
        }
        out.insert("censored", CENSORED);
        if &*task.action == "debug" {
            out.remove("changed");
        }
        return out;
    }
    let out = d.copy();
    for key in ["failed", "skipped"] {
        out.write().shift_remove(&Value::str(key));
    }
    if &*task.action == "debug" {
        if out.contains("msg") {
            let keys: Vec<String> = out.keys().iter().filter_map(|k| k.as_str().map(str::to_owned)).collect();
            for k in keys {
                if !matches!(k.as_str(), "msg" | "exception" | "warnings" | "deprecations")
                    && !k.starts_with('_')
                {
                    out.remove(&k);
                }
            }
        } else {
            for key in ["changed", "invocation", "skip_reason", "results", "ansible_loop_var"] {
                out.remove(key);
            }
        }
    }
    out
}

/// The columns of a level: as `pretty_results` says, else where a result is always shown whole.
pub fn indent(d: &Dict, pretty: Option<bool>) -> Option<usize> {
    let whole = || d.contains("_ansible_verbose_always") || display::verbosity() > 2;
    pretty.unwrap_or_else(whole).then_some(INDENT)
}

/// Says the warnings and deprecations of a result.
pub fn warnings(d: &Dict) {
    if !crate::config::current().bool("ACTION_WARNINGS") {
        return;
    }
    if let Some(list) = d.get("warnings") {
        for w in crate::playbook::keyword::items(&list) {
            display::warning(&w.to_text().unwrap_or_default());
        }
    }
    if let Some(list) = d.get("deprecations") {
        for w in crate::playbook::keyword::items(&list) {
            let msg = w.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default();
            let version = w.get("version").and_then(|m| m.to_text().ok()).unwrap_or_default();
            display::deprecated(&msg, &version, None);
        }
    }
}

/// An item's result without the engine's own keys.
fn own(item: &Value) -> Value {
    match item {
        Value::Dict(d) => Value::Dict(crate::execute::one::clean(d)),
        other => other.clone(),
    }
}

/// The text of a result.
pub fn results(d: &Dict, indent: Option<usize>, format: Format) -> String {
    let out = Dict::new();
    for (k, v) in d.items() {
        let name = k.as_str().unwrap_or_default();
        if name.starts_with("_ansible_")
            || matches!(name, "warnings" | "deprecations" | "exception" | "failed" | "skipped")
            || (name == "invocation" && display::verbosity() < 3)
            || (name == "diff" && display::verbosity() < 3)
        {
            continue;
        }
        // items without what is only the engine's
        let v = match &v {
            Value::List(items) if name == "results" => Value::list(items.items().iter().map(own).collect()),
            _ => v,
        };
        out.insert(k, v);
    }
    match format {
        Format::Json => json::dumps(&Value::Dict(out), indent, true),
        Format::Yaml { lossy } => yaml(&out, lossy),
    }
}

/// A result as callbacks tell it to files: as it is but for what is only the engine's; censored where it must be.
/// `indent` is that of results that aren't always shown whole.
pub fn told(d: &Dict, task: &Task, no_log: bool, indent_unless: Option<usize>) -> String {
    let shown = if no_log { cleaned(d, task, true) } else { d.copy() };
    if &*task.action == "debug" {
        shown.remove("invocation");
    }
    results(&without_own(&shown), indent(&shown, None).or(indent_unless), Format::Json)
}

/// Without the engine's own keys (`_ansible_…`), at every level.
fn without_own(d: &Dict) -> Dict {
    fn value(v: Value, depth: usize) -> Value {
        match v {
            // a list may hold itself
            v if depth > MAX_DEPTH => v,
            Value::Dict(d) => Value::Dict(
                d.items()
                    .into_iter()
                    .filter(|(k, _)| !k.as_str().is_some_and(|k| k.starts_with("_ansible_")))
                    .map(|(k, v)| (k, value(v, depth + 1)))
                    .collect(),
            ),
            Value::List(l) => Value::list(l.items().into_iter().map(|v| value(v, depth + 1)).collect()),
            v => v,
        }
    }
    d.items().into_iter().map(|(k, v)| (k, value(v, 0))).collect()
}

/// A result as YAML below its line.
fn yaml(d: &Dict, lossy: bool) -> String {
    let mut value = Value::Dict(d.clone());
    if lossy {
        for (whole, lines) in [("stdout", "stdout_lines"), ("stderr", "stderr_lines")] {
            if d.contains(whole) && d.contains(lines) {
                d.insert(lines, "<omitted>");
            }
        }
        value = readable(value);
    }
    let mut style = Style { flow: Some(false), literal: true, ..Style::default() };
    style.layout.indent = if lossy { INDENT } else { 2 };
    let text = pileus_jinja::yaml::dump(&plain(value), &style).unwrap_or_else(|e| e.to_string());
    let mut out = String::new();
    for line in text.trim_end().split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str("    ");
            out.push_str(line);
        }
    }
    out
}

/// Values that only the engine knows as what they stand for.
fn plain(v: Value) -> Value {
    match v {
        Value::List(l) => Value::list(l.items().into_iter().map(plain).collect()),
        Value::Tuple(t) => Value::list(t.iter().cloned().map(plain).collect()),
        Value::Dict(d) => Value::Dict(d.items().into_iter().map(|(k, v)| (k, plain(v))).collect()),
        Value::Object(o) => Value::from(Value::Object(o).to_json()),
        Value::Undefined(u) => Value::from(format!("<< error 1 - {} >>", u.message())),
        v => v,
    }
}

/// Text of several lines without what a `|` block cannot hold: blanks at ends, tabs, what isn't printed.
fn readable(v: Value) -> Value {
    match v {
        Value::Str(s) if s.contains('\n') => Value::from(block_text(&s)),
        Value::List(l) => Value::list(l.items().into_iter().map(readable).collect()),
        Value::Dict(d) => {
            Value::Dict(d.items().into_iter().map(|(k, v)| (readable(k), readable(v))).collect())
        }
        v => v,
    }
}

fn block_text(s: &str) -> String {
    let mut out = String::new();
    let shown = |c: &char| matches!(c, '\t' | '\n' | ' '..='~') || *c >= '\u{a0}';
    for (i, line) in s.trim_end().split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let mut column = 0;
        let mut text = String::new();
        for c in line.chars().filter(shown) {
            let width = if c == '\t' { TAB - column % TAB } else { 1 };
            if c == '\t' {
                text.extend(std::iter::repeat_n(' ', width))
            } else {
                text.push(c)
            }
            column += width;
        }
        out.push_str(text.trim_end_matches(' '));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_to_the_character() {
        let d = Dict::new();
        d.insert("cmd", Value::list(vec![Value::str("echo"), Value::dict([("k", Value::Int(1))])]));
        d.insert("stdout", "one\ntwo  \n\tthree\x07\n\n");
        d.insert("stdout_lines", Value::list(Vec::new()));
        assert_eq!(
            yaml(&d, true),
            "\n    cmd:\n    - echo\n    -   k: 1\n    stdout: |-\n        one\n        two\n                three\n    \
             stdout_lines: <omitted>"
        );
        let d = Dict::new();
        d.insert("s", "a\tb\nc");
        d.insert("l", "x\ny\n");
        assert_eq!(yaml(&d, false), "\n    l: |\n      x\n      y\n    s: \"a\\tb\\nc\"");
    }
}
