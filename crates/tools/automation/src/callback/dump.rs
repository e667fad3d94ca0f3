//! Results as they are shown: cleaned, in JSON or YAML.

use pileus_jinja::{Dict, Value};

use crate::display;
use crate::playbook::Task;

use super::json;

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
pub fn verbose(d: &Dict) -> bool {
    (display::verbosity() > 0 || d.contains("_ansible_verbose_always"))
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
            out.remove("changed");
            out.remove("invocation");
        }
    }
    out
}

/// The text of a result.
pub fn results(d: &Dict, indent: Option<usize>, format: Format) -> String {
    let always = d.contains("_ansible_verbose_always");
    let indent = indent.or((always || display::verbosity() > 2).then_some(4));
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
        out.insert(k, v);
    }
    match format {
        Format::Json => json::dumps(&Value::Dict(out), indent, true),
        Format::Yaml { lossy: _ } => yaml(&out),
    }
}

/// A result as YAML below its line.
fn yaml(d: &Dict) -> String {
    let value = Value::Dict(d.clone()).to_json();
    let mut text = String::new();
    block(&mut text, &value, 0);
    let body: String = text.trim_end().lines().map(|l| format!("    {l}\n")).collect();
    format!("\n{}", body.trim_end())
}

fn block(out: &mut String, v: &serde_json::Value, depth: usize) {
    use serde_json::Value as Json;
    let pad = "    ".repeat(depth);
    match v {
        Json::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for k in keys {
                let v = &map[k.as_str()];
                out.push_str(&format!("{pad}{}:", scalar(&Json::String(k.clone()))));
                inner(out, v, depth);
            }
        }
        Json::Array(list) => {
            for v in list {
                match v {
                    Json::Object(m) if !m.is_empty() => {
                        let mut text = String::new();
                        block(&mut text, v, 0);
                        for (i, l) in text.lines().enumerate() {
                            out.push_str(&format!("{pad}{}{l}\n", if i == 0 { "-   " } else { "    " }));
                        }
                    }
                    other => out.push_str(&format!("{pad}- {}\n", scalar(other))),
                }
            }
        }
        other => out.push_str(&format!("{pad}{}\n", scalar(other))),
    }
}

fn inner(out: &mut String, v: &serde_json::Value, depth: usize) {
    use serde_json::Value as Json;
    match v {
        Json::Object(m) if !m.is_empty() => {
            out.push('\n');
            block(out, v, depth + 1);
        }
        Json::Array(l) if !l.is_empty() => {
            out.push('\n');
            block(out, v, depth);
        }
        Json::String(s) if s.contains('\n') => {
            let keep = if s.ends_with('\n') { "" } else { "-" };
            out.push_str(&format!(" |{keep}\n"));
            for l in s.trim_end_matches('\n').split('\n') {
                out.push_str(&format!("{}{l}\n", "    ".repeat(depth + 1)));
            }
        }
        other => out.push_str(&format!(" {}\n", scalar(other))),
    }
}

fn scalar(v: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    match v {
        Json::Null => "null".into(),
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => n.to_string(),
        Json::Array(_) => "[]".into(),
        Json::Object(_) => "{}".into(),
        Json::String(s) => {
            let plain = !s.is_empty()
                && !s.starts_with(|c: char| "!&*-?:{}[],#|>@`\"'% ".contains(c))
                && !s.contains(": ")
                && !s.contains(" #")
                && !s.ends_with([':', ' '])
                && !s.contains('\n')
                && pileus_yaml::load(s, &pileus_yaml::Options::default())
                    .is_ok_and(|d| d.value.as_str() == Some(s));
            if plain { s.clone() } else { format!("'{}'", s.replace('\'', "''")) }
        }
    }
}
