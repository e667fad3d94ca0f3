//! Groups of actions that `module_defaults` names as `group/NAME`: a collection's `meta/runtime.yml` lists them.

use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use super::files::Files;
use super::frame::Frame;
use crate::{config, display};

impl Files {
    /// The actions of a group, by the names they go by; `None` where there is no such group.
    pub fn action_group(&self, name: &str, frame: &Frame) -> Option<Arc<Vec<String>>> {
        let full =
            if name.split('.').count() > 2 { name.to_owned() } else { format!("ansible.builtin.{name}") };
        if let Some(known) = self.groups.read().get(&full) {
            return known.clone();
        }
        let mut seen = Vec::new();
        let mut out = Vec::new();
        let found = self.collect(&full, frame, &mut seen, &mut out).then(|| Arc::new(out));
        self.groups.write().insert(full, found.clone());
        found
    }

    fn collect(&self, group: &str, frame: &Frame, seen: &mut Vec<String>, out: &mut Vec<String>) -> bool {
        if seen.iter().any(|s| s == group) {
            return true;
        }
        seen.push(group.to_owned());
        let mut parts = group.splitn(3, '.');
        let (Some(ns), Some(collection), Some(short)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let collection = format!("{ns}.{collection}");
        if collection == "ansible.builtin" {
            return self.builtin(group, out);
        }
        let Some(dir) = self.collection(&collection) else { return false };
        let Ok(runtime) = self.load(&format!("{dir}/meta/runtime.yml")) else { return false };
        let Some(Value::Dict(groups)) = runtime.get("action_groups") else { return false };
        let Some(Value::List(entries)) = groups.get(group).or_else(|| groups.get(short)) else {
            return false;
        };
        let mut extends = Vec::new();
        let mut described = false;
        for entry in entries.items() {
            match &entry {
                Value::Str(action) => {
                    let action = if action.split('.').count() > 2 {
                        action.to_string()
                    } else {
                        format!("{collection}.{action}")
                    };
                    let action = self.resolve_action(&action, frame).to_string();
                    if !out.contains(&action) {
                        out.push(action);
                    }
                }
                Value::Dict(d) => {
                    check(d, described, group);
                    if let Some(Value::Dict(metadata)) = d.get("metadata") {
                        described = true;
                        extends = match metadata.get("extend_group") {
                            Some(Value::Str(s)) => vec![s.to_string()],
                            Some(Value::List(l)) => {
                                l.items().iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
                            }
                            _ => Vec::new(),
                        };
                    }
                }
                _ => {}
            }
        }
        for other in extends {
            let other = if other.split('.').count() > 2 { other } else { format!("{collection}.{other}") };
            self.collect(&other, frame, seen, out);
        }
        true
    }

    /// A group of core's own: where its members went is what the installed ansible-core knows.
    fn builtin(&self, group: &str, out: &mut Vec<String>) -> bool {
        let fields = pileus_modules::Map::from_iter([("name".to_owned(), group.into())]);
        match crate::python::host().value(&format!("the group {group}"), "group", fields) {
            Ok((found, _)) => {
                let names = found.as_array().cloned().unwrap_or_default();
                out.extend(
                    names
                        .iter()
                        .filter_map(|n| n.as_str())
                        .map(|n| n.strip_prefix("ansible.builtin.").unwrap_or(n).to_owned()),
                );
                true
            }
            Err(e) => {
                display::verbose(1, &e.to_string());
                false
            }
        }
    }
}

/// Says what is wrong with the metadata of a group.
fn check(entry: &Dict, described: bool, group: &str) {
    if !config::current().bool("VALIDATE_ACTION_GROUP_METADATA") {
        return;
    }
    let mut wrong = Vec::new();
    let keys: Vec<String> = entry.keys().iter().filter_map(|k| k.to_text().ok()).collect();
    if described {
        wrong.push("The group contains multiple metadata entries.".to_owned());
    }
    if keys != ["metadata"] {
        let mut keys = keys;
        keys.sort();
        wrong.push(format!("The only expected key is metadata, but got keys: {}", keys.join(", ")));
    }
    match entry.get("metadata") {
        Some(Value::Dict(metadata)) => {
            let extra: Vec<String> = metadata
                .keys()
                .iter()
                .filter_map(|k| k.to_text().ok())
                .filter(|k| k != "extend_group")
                .collect();
            if !extra.is_empty() {
                wrong.push(format!("The metadata contains unexpected keys: {}", extra.join(", ")));
            }
            if let Some(v) = metadata.get("extend_group")
                && !matches!(v, Value::List(_) | Value::Str(_) | Value::None)
            {
                wrong.push(format!(
                    "The metadata contains unexpected key types: extend_group is {} (expected type list)",
                    v.repr()
                ));
            }
        }
        Some(other) => wrong.push(format!("The metadata is not a dictionary. Got {}", other.repr())),
        None => {}
    }
    if !wrong.is_empty() {
        display::warning(&format!(
            "Invalid metadata was found for action_group {group} while loading module_defaults. {}",
            wrong.join(" ")
        ));
    }
}
