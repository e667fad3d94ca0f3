//! `ansible-config init`: a configuration of every option at its default, to start from.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::args::Given;
use super::config::{base, plugins};
use crate::config::options::Opt;
use crate::config::{Config, types};

/// What an option is, told by its name: `DEFAULT_FORKS` is `forks (default)`.
pub fn description(name: &str) -> String {
    match name.strip_prefix("DEFAULT_") {
        Some(rest) => format!("{} (default)", rest.to_lowercase().replace('_', " ")),
        None => name.trim_start_matches('_').to_lowercase().replace('_', " "),
    }
}

fn default(o: &Opt, config: &Config) -> Json {
    match config.get(&o.name) {
        // defaults made of other settings are shown as they come out
        Some(s)
            if s.origin == "default"
                && o.default.as_ref().is_some_and(|d| d.as_str().is_some_and(|t| t.starts_with("{{"))) =>
        {
            s.value.clone()
        }
        _ => o.default.clone().unwrap_or(Json::String(String::new())),
    }
}

fn plain(o: &Opt, v: &Json) -> String {
    let list = matches!(o.kind.as_deref(), Some("list" | "pathspec" | "pathlist"));
    match v {
        Json::Array(items) if list => {
            let divider = if o.kind.as_deref() == Some("pathspec") { ":" } else { ", " };
            items.iter().map(types::plain).collect::<Vec<_>>().join(divider)
        }
        Json::Null => String::new(),
        v => types::plain(v),
    }
}

/// The configuration, as ini text, environment variables or variables.
pub fn text(given: &Given, config: &Config, kind: &str) -> String {
    let mut options: Vec<&Opt> = if matches!(kind, "base" | "all") { base().collect() } else { Vec::new() };
    options.sort_by(|a, b| a.name.cmp(&b.name));
    if kind != "base" {
        for (_, found) in plugins(given, kind) {
            for p in found {
                let mut own: Vec<&Opt> = p.options.iter().collect();
                own.sort_by(|a, b| a.name.cmp(&b.name));
                options.extend(own);
            }
        }
    }
    let off = given.on("commented");
    match given.value("format") {
        Some("env") => env(&options, config, off),
        Some("vars") => vars(&options, config, off),
        _ => ini(&options, config, off),
    }
}

fn head(o: &Opt) -> String {
    format!("# ({}) {}", o.kind.as_deref().unwrap_or("string"), description(&o.name))
}

fn ini(options: &[&Opt], config: &Config, off: bool) -> String {
    let mut sections: IndexMap<&str, Vec<String>> = IndexMap::new();
    let mut seen = HashSet::new();
    for o in options {
        let Some((section, key)) = o.ini.last() else { continue };
        if seen.insert((section, key)) {
            let mark = if off { ";" } else { "" };
            let value = plain(o, &default(o, config));
            sections.entry(section).or_default().push(format!("{}\n{mark}{key}={value}\n", head(o)));
        }
    }
    let blocks: Vec<String> =
        sections.iter().map(|(s, keys)| format!("[{s}]\n{}\n", keys.join("\n"))).collect();
    blocks.join("\n")
}

fn env(options: &[&Opt], config: &Config, off: bool) -> String {
    let mut out = Vec::new();
    for o in options {
        let Some(name) = o.env.last().filter(|n| !n.starts_with('_')) else { continue };
        let v = default(o, config);
        let value = match o.kind.as_deref() {
            Some("boolean" | "bool") => {
                if types::truth(&v) {
                    "1".to_owned()
                } else {
                    "0".to_owned()
                }
            }
            _ => quote(&plain(o, &v)),
        };
        out.push(format!("{}\n{}{name}={value}\n", head(o), if off { "#" } else { "" }));
    }
    out.join("\n")
}

fn vars(options: &[&Opt], config: &Config, off: bool) -> String {
    let mut out = Vec::new();
    for o in options {
        let Some(name) = o.vars.last().filter(|n| !n.starts_with('_')) else { continue };
        let v = default(o, config);
        out.push(format!("{}\n{}{name}: {v}\n", head(o), if off { "#" } else { "" }));
    }
    out.join("\n")
}

/// A word as a shell takes it.
fn quote(s: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if s.is_empty() || s.chars().all(safe) {
        s.to_owned()
    } else {
        format!("'{}'", s.replace('\'', "'\"'\"'"))
    }
}
