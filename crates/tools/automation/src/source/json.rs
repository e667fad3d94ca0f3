//! JSON into values, as the reference reads it before it tries YAML.

use std::sync::Arc;

use pileus_jinja::{Dict, List, Origin, Str, Value};
use serde_json::Value as Json;

use crate::vault::EncryptedString;

/// What `{"__ansible_unsafe": "text"}` and `{"__ansible_vault": "text"}` are made of.
const UNSAFE: &str = "__ansible_unsafe";
const VAULT: &str = "__ansible_vault";

/// Whether `text` may be JSON: YAML's plain scalars are not tried.
pub fn looks_like(text: &str) -> bool {
    text.trim_start().starts_with(|c: char| matches!(c, '{' | '[' | '"' | '-') || c.is_ascii_digit())
}

/// Reads `text`; `None` where it is no JSON. Its text is a template where `trusted`.
pub fn parse(text: &str, file: &Arc<str>, trusted: bool) -> Option<Value> {
    if !looks_like(text) {
        return None;
    }
    let json: Json = serde_json::from_str(text).ok()?;
    let origin = Arc::new(Origin { file: file.clone(), line: 1, column: 1, sealed: None });
    Some(value(&json, Some(&origin), trusted))
}

/// `json` as a value written at `origin`.
pub fn value(json: &Json, origin: Option<&Arc<Origin>>, trusted: bool) -> Value {
    match json {
        Json::String(s) => {
            let s = Str::new(s.as_str()).at(origin.cloned());
            Value::Str(if trusted { s.trust() } else { s })
        }
        Json::Array(items) => Value::List(List::with_origin(
            items.iter().map(|v| value(v, origin, trusted)).collect(),
            origin.cloned(),
        )),
        Json::Object(map) => {
            if map.len() == 1 {
                if let Some(Json::String(s)) = map.get(UNSAFE) {
                    return Value::Str(Str::new(s.as_str()).at(origin.cloned()));
                }
                if let Some(Json::String(s)) = map.get(VAULT) {
                    return Value::object(EncryptedString::new(s.as_str(), origin.cloned(), trusted));
                }
            }
            let pairs = map.iter().map(|(k, v)| (Value::from(k), value(v, origin, trusted))).collect();
            Value::Dict(Dict::with_origin(pairs, origin.cloned()))
        }
        scalar => Value::from(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_and_marks() {
        let v =
            parse(r#"{"a": "{{ x }}", "b": {"__ansible_unsafe": "{{ y }}"}}"#, &"f".into(), true).unwrap();
        let template = |v: &Value| matches!(v, Value::Str(s) if s.is_template());
        assert!(template(&v.get("a").unwrap()));
        assert!(!template(&v.get("b").unwrap()));
        assert!(parse("a: 1", &"f".into(), true).is_none());
    }
}
