//! Values on their way to Python and back: templates keep being templates.

use std::sync::Arc;

use pileus_jinja::{Dict, Origin, Scope, Str, Undefined, Value};
use pileus_modules::Map;
use serde_json::{Value as Json, json};

/// How a template is written.
const TEMPLATE: &str = "__pileus_template";
/// How a date, a time or both are written.
const MOMENT: &str = "__pileus_moment";
/// How something undefined is written: by its message.
const UNDEFINED: &str = "__pileus_undefined";
/// How a text that knows its place is written.
const ORIGIN: &str = "__pileus_origin";
/// Variables that name other hosts' or all variables, or are Python's own.
const LEFT_OUT: [&str; 4] = ["hostvars", "vars", "omit", "ansible_local_placeholder"];
/// Levels of nesting past which nothing is sent: a list may hold itself.
const MAX_DEPTH: usize = 100;

/// A value for Python.
pub fn encode(value: &Value) -> Json {
    at(value, 0, false)
}

/// A value for Python, its texts with where they were written.
pub fn encode_placed(value: &Value) -> Json {
    at(value, 0, true)
}

/// A value as JSON, but dates and times as such; `None` where there are none.
pub fn moments(value: &Value) -> Option<Json> {
    fn any(value: &Value, depth: usize) -> bool {
        depth <= MAX_DEPTH
            && match value {
                Value::List(l) => l.items().iter().any(|v| any(v, depth + 1)),
                Value::Tuple(t) => t.iter().any(|v| any(v, depth + 1)),
                Value::Dict(d) => d.items().iter().any(|(_, v)| any(v, depth + 1)),
                Value::Object(o) => is_moment(o.type_name()),
                _ => false,
            }
    }
    any(value, 0).then(|| encode(value))
}

fn is_moment(type_name: &str) -> bool {
    matches!(type_name, "date" | "datetime" | "time")
}

/// A module's result: dates and times are such; nothing else is more than it says.
pub fn result(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::list(items.iter().map(result).collect()),
        Json::Object(map) => match only(map, MOMENT).and_then(Value::moment) {
            Some(moment) => moment,
            None => Value::Dict(map.iter().map(|(k, v)| (Value::from(k), result(v))).collect::<Dict>()),
        },
        other => Value::from(other),
    }
}

/// The text under `key` where there is nothing else.
fn only<'a>(map: &'a Map, key: &str) -> Option<&'a str> {
    if map.len() == 1 { map.get(key).and_then(Json::as_str) } else { None }
}

fn at(value: &Value, depth: usize, placed: bool) -> Json {
    if depth > MAX_DEPTH {
        return Json::Null;
    }
    match value {
        Value::Str(s) if placed && s.origin().is_some() => match s.origin() {
            Some(o) => {
                json!({ ORIGIN: [&*o.file, o.line, o.column], "text": s.to_string(), "trusted": s.is_trusted() })
            }
            None => value.to_json(),
        },
        Value::Undefined(u) => json!({ UNDEFINED: u.message() }),
        Value::Object(o) if is_moment(o.type_name()) => json!({ MOMENT: o.json() }),
        Value::Str(s) if s.is_template() => json!({ TEMPLATE: s.to_string() }),
        Value::List(l) => l.items().iter().map(|v| at(v, depth + 1, placed)).collect(),
        Value::Tuple(t) => t.iter().map(|v| at(v, depth + 1, placed)).collect(),
        Value::Dict(d) => {
            d.items().iter().map(|(k, v)| (k.json_key(), at(v, depth + 1, placed))).collect::<Map>().into()
        }
        other => other.to_json(),
    }
}

/// A value from Python.
pub fn decode(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::list(items.iter().map(decode).collect()),
        Json::Object(map) => {
            if let Some(text) = only(map, TEMPLATE) {
                return Value::Str(Str::trusted(text));
            }
            if let Some(moment) = only(map, MOMENT).and_then(Value::moment) {
                return moment;
            }
            if let Some(message) = only(map, UNDEFINED) {
                return Value::Undefined(Arc::new(Undefined::hint(message)));
            }
            if let Some(text) = placed(map) {
                return text;
            }
            Value::Dict(map.iter().map(|(k, v)| (Value::from(k), decode(v))).collect::<Dict>())
        }
        other => Value::from(other),
    }
}

/// A text that knows its place.
fn placed(map: &Map) -> Option<Value> {
    let [file, line, column] = map.get(ORIGIN)?.as_array()?.as_slice() else { return None };
    let number = |v: &Json| v.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let file = file.as_str().unwrap_or_default().into();
    let origin = Origin { file, line: number(line), column: number(column), sealed: None };
    let text = Str::new(map.get("text")?.as_str()?).at(Some(Arc::new(origin)));
    let trusted = map.get("trusted").and_then(Json::as_bool).unwrap_or(false);
    Some(Value::Str(if trusted { text.trust() } else { text }))
}

/// Takes the engine's own keys (`_ansible_…`) out of what a result holds; those of the result itself stay.
pub fn strip(result: &mut Map) {
    fn inside(value: &mut Json) {
        match value {
            Json::Object(map) => {
                map.retain(|k, _| !k.starts_with("_ansible_"));
                map.values_mut().for_each(inside);
            }
            Json::Array(items) => items.iter_mut().for_each(inside),
            _ => {}
        }
    }
    result.values_mut().for_each(inside);
}

/// The variables `names` of a scope.
pub fn variables(scope: &dyn Scope, names: &[String]) -> Map {
    let mut out = Map::new();
    for name in names {
        if !LEFT_OUT.contains(&name.as_str())
            && let Some(value) = scope.get(name).filter(|v| !v.is_undefined())
        {
            out.insert(name.clone(), encode(&value));
        }
    }
    out
}

/// All variables of a scope, as its own `vars` names them.
pub fn every(scope: &dyn Scope) -> Map {
    let names: Vec<String> = match scope.get("vars") {
        Some(Value::Object(all)) => match all.iter() {
            Some(Ok(it)) => it.filter_map(|k| k.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    variables(scope, &names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nested_internal_keys_are_taken_out() {
        let mut result = Map::new();
        result.insert("_ansible_parsed".into(), true.into());
        result.insert("args".into(), json!([{ "_ansible_debug": false, "a": 1 }]));
        strip(&mut result);
        assert_eq!(Json::from(result), json!({ "_ansible_parsed": true, "args": [{ "a": 1 }] }));
    }

    #[test]
    fn dates_places_and_what_is_undefined_come_back() {
        let origin = Origin { file: "/f.yml".into(), line: 3, column: 7, sealed: None };
        let text = Value::Str(Str::trusted("x").at(Some(Arc::new(origin))));
        let back = decode(&encode_placed(&text));
        assert_eq!(back.origin().unwrap().to_string(), "/f.yml:3:7");
        assert!(matches!(back, Value::Str(s) if s.is_trusted()));
        for kind in ["2020-01-02", "03:04:05", "2020-01-02T03:04:05+02:00"] {
            let moment = Value::moment(kind).unwrap();
            assert_eq!(result(&encode(&moment)), moment);
        }
        let absent = Value::Undefined(Arc::new(Undefined::name("x")));
        assert!(matches!(decode(&encode(&absent)), Value::Undefined(u) if u.message() == "'x' is undefined"));
        // a module's result is never a template
        assert!(matches!(result(&json!({ TEMPLATE: "{{ x }}" })), Value::Dict(_)));
    }

    #[test]
    fn templates_stay_templates_both_ways() {
        let template = Value::Str(Str::trusted("{{ a }}"));
        let plain = Value::str("{{ a }}");
        let back = decode(&encode(&Value::list(vec![template, plain])));
        let Value::List(list) = back else { panic!("no list") };
        let kinds: Vec<bool> =
            list.items().iter().map(|v| matches!(v, Value::Str(s) if s.is_template())).collect();
        assert_eq!(kinds, [true, false]);
    }
}
