//! Values on their way to Python and back: templates keep being templates.

use pileus_jinja::{Dict, Scope, Str, Value};
use pileus_modules::Map;
use serde_json::{Value as Json, json};

/// How a template is written.
const TEMPLATE: &str = "__pileus_template";
/// Variables that name other hosts' or all variables, or are Python's own.
const LEFT_OUT: [&str; 4] = ["hostvars", "vars", "omit", "ansible_local_placeholder"];
/// Levels of nesting past which nothing is sent: a list may hold itself.
const MAX_DEPTH: usize = 100;

/// A value for Python.
pub fn encode(value: &Value) -> Json {
    at(value, 0)
}

fn at(value: &Value, depth: usize) -> Json {
    if depth > MAX_DEPTH {
        return Json::Null;
    }
    match value {
        Value::Str(s) if s.is_template() => json!({ TEMPLATE: s.to_string() }),
        Value::List(l) => l.items().iter().map(|v| at(v, depth + 1)).collect(),
        Value::Tuple(t) => t.iter().map(|v| at(v, depth + 1)).collect(),
        Value::Dict(d) => {
            d.items().iter().map(|(k, v)| (k.json_key(), at(v, depth + 1))).collect::<Map>().into()
        }
        other => other.to_json(),
    }
}

/// A value from Python.
pub fn decode(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::list(items.iter().map(decode).collect()),
        Json::Object(map) => {
            if map.len() == 1
                && let Some(Json::String(text)) = map.get(TEMPLATE)
            {
                return Value::Str(Str::trusted(text.as_str()));
            }
            Value::Dict(map.iter().map(|(k, v)| (Value::from(k), decode(v))).collect::<Dict>())
        }
        other => Value::from(other),
    }
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
