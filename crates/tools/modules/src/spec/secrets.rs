//! Hiding the values of `no_log` parameters wherever they would show in a result.

use serde_json::Value;

use super::Spec;
use crate::py;
use crate::result::Map;

const PLACEHOLDER: &str = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER";

impl Spec {
    /// Replaces secrets in the result: a whole value by the placeholder, a part of a text by stars.
    pub fn hide_secrets(&self, params: &Map, result: &mut Map) {
        let mut secrets = Vec::new();
        for param in self.params.iter().filter(|p| p.no_log == Some(true)) {
            if let Some(value) = params.get(&param.name) {
                collect(value, &mut secrets);
            }
        }
        if secrets.is_empty() {
            return;
        }
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        for (key, value) in result.iter_mut() {
            // `changed` and the like are never secrets; a secret `true` would spoil them.
            if !value.is_boolean() && key != "rc" {
                hide(value, &secrets);
            }
        }
    }
}

fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|v| collect(v, secrets)),
        Value::Object(map) => map.values().for_each(|v| collect(v, secrets)),
        Value::Null | Value::Bool(_) => {}
        other => {
            let text = py::str(other);
            if !text.is_empty() {
                secrets.push(text);
            }
        }
    }
}

fn hide(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => {
            if secrets.iter().any(|s| s == text) {
                *text = PLACEHOLDER.into();
                return;
            }
            for secret in secrets {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), "********");
                }
            }
        }
        Value::Number(n) if secrets.iter().any(|s| *s == n.to_string()) => *value = PLACEHOLDER.into(),
        Value::Array(items) => items.iter_mut().for_each(|v| hide(v, secrets)),
        Value::Object(map) => map.values_mut().for_each(|v| hide(v, secrets)),
        _ => {}
    }
}
