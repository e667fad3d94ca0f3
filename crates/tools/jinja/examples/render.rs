//! Renders templates read from standard input, for comparing with the reference (`tests/ansible/fuzz`).
//!
//! Input: `{"vars": {…}, "cases": ["template", {"expr": "…"}, {"cond": "…"}, …]}`. Output: for each case
//! `["OK", type, repr]` or `["ERR", "", message]`.

use std::io::Read;

use pileus_jinja::{Dict, Engine, List, Str, Value};
use serde_json::{Value as Json, json};

/// All text in `v`, trusted.
fn trusted(v: &Value) -> Value {
    match v {
        Value::Str(s) => Value::Str(s.clone().trust()),
        Value::List(l) => Value::List(l.items().iter().map(trusted).collect::<List>()),
        Value::Dict(d) => Value::Dict(d.items().iter().map(|(k, v)| (k.clone(), trusted(v))).collect()),
        other => other.clone(),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let input: Json = serde_json::from_str(&text)?;
    let engine = Engine::new();
    let mut out = Vec::new();
    for case in input["cases"].as_array().into_iter().flatten() {
        let scope = match trusted(&Value::from(&input["vars"])) {
            Value::Dict(d) => d,
            _ => Dict::new(),
        };
        let result = if let Some(e) = case["expr"].as_str() {
            engine.expression(&Str::trusted(e), &scope)
        } else if let Some(c) = case["cond"].as_str() {
            engine.condition(&Value::Str(Str::trusted(c)), &scope, false).map(Value::Bool)
        } else {
            engine.render(&Str::trusted(case.as_str().unwrap_or_default()), &scope)
        };
        out.push(match result {
            Ok(v) => json!(["OK", v.type_name(), v.repr()]),
            Err(e) => json!(["ERR", "", e.to_string()]),
        });
    }
    println!("{}", Json::Array(out));
    Ok(())
}
