//! `validate_argument_spec`: a role's arguments against its specs.

use pileus_jinja::{Dict, Scope, Value};

use crate::playbook::keyword::items;

use super::{Cx, Failure, Outcome};

/// The action.
pub fn validate(cx: &mut Cx<'_>) -> Outcome {
    let Some(spec) = cx.args.get("argument_spec") else {
        return Err(Failure::msg("\"argument_spec\" arg is required in args: {}"));
    };
    let spec = match &spec {
        Value::Dict(d) => d.clone(),
        other => match cx.world.resolve(other, cx.vars)? {
            Value::Dict(d) => d,
            v => {
                return Err(Failure::msg(format!(
                    "Incorrect type for argument_spec, expected dict and got {}",
                    v.type_name()
                )));
            }
        },
    };
    let provided = match cx.args.get("provided_arguments") {
        None | Some(Value::None) => Dict::new(),
        Some(Value::Dict(d)) => d,
        Some(v) => {
            return Err(Failure::msg(format!(
                "Incorrect type for provided_arguments, expected dict and got {}",
                v.type_name()
            )));
        }
    };
    let context = cx.args.get("validate_args_context").unwrap_or_default();
    // role variables by the names of the spec
    let given = Dict::new();
    for name in spec.keys() {
        let Some(n) = name.as_str() else { continue };
        let v = match provided.get(n) {
            Some(v) => Some(v),
            None => match cx.vars.get(n) {
                Some(v) => Some(cx.world.resolve(&v, cx.vars)?),
                None => None,
            },
        };
        if let Some(v) = v {
            given.insert(n, v);
        }
    }
    for (k, v) in provided.items() {
        given.insert(k, v);
    }
    let mut errors = Vec::new();
    check(&spec, &given, "", &mut errors);
    let d = Dict::new();
    d.insert("changed", false);
    d.insert("validate_args_context", context);
    if errors.is_empty() {
        d.insert("msg", "The arg spec validation passed");
        return Ok(d);
    }
    d.insert("failed", true);
    d.insert("msg", format!("Validation of arguments failed:\n{}", errors.join("\n")));
    d.insert("argument_spec_data", Value::Dict(spec));
    d.insert("argument_errors", Value::list(errors.into_iter().map(Value::from).collect()));
    Ok(d)
}

fn check(spec: &Dict, given: &Dict, within: &str, errors: &mut Vec<String>) {
    let place = if within.is_empty() { String::new() } else { format!(" found in {within}") };
    let mut known: Vec<String> = Vec::new();
    let mut missing = Vec::new();
    let here = errors.len();
    for (name, rule) in spec.items() {
        let Some(n) = name.as_str() else { continue };
        known.push(n.to_owned());
        let aliases = rule.get("aliases").map(|a| items(&a)).unwrap_or_default();
        known.extend(aliases.iter().filter_map(|a| a.as_str().map(str::to_owned)));
        let v = given.get(n).or_else(|| aliases.iter().find_map(|a| given.get(a.as_str()?)));
        let required = rule.get("required").is_some_and(|r| r.truth().unwrap_or(false));
        let Some(v) = v else {
            if required {
                missing.push(n.to_owned());
            }
            continue;
        };
        if v.is_none() && !required {
            continue;
        }
        let kind =
            rule.get("type").and_then(|t| t.as_str().map(str::to_owned)).unwrap_or_else(|| "str".into());
        let v = match convert(&v, &kind) {
            Ok(v) => v,
            Err(why) => {
                errors.push(format!(
                    "argument '{n}' is of type {}{place} and we were unable to convert to {kind}: {why}",
                    v.type_name()
                ));
                continue;
            }
        };
        if let Some(choices) = rule.get("choices") {
            let choices = items(&choices);
            for one in items(&v) {
                if !choices.contains(&one) {
                    let shown: Vec<String> =
                        choices.iter().map(|c| c.to_text().unwrap_or_default()).collect();
                    let what = if matches!(v, Value::List(_)) { "one or more of" } else { "one of" };
                    errors.push(format!(
                        "value of {n} must be {what}: {}, got: {}{place}",
                        shown.join(", "),
                        one.to_text().unwrap_or_default()
                    ));
                    break;
                }
            }
        }
        if kind == "list"
            && let Some(e) = rule.get("elements").and_then(|e| e.as_str().map(str::to_owned))
        {
            for item in items(&v) {
                if let Err(why) = convert(&item, &e) {
                    errors.push(format!("Elements value for option '{n}'{place} is of type {} and we were unable to convert to {e}: {why}", item.type_name()));
                }
            }
        }
        if let Some(Value::Dict(inner)) = rule.get("options") {
            let path = if within.is_empty() { n.to_owned() } else { format!("{within} -> {n}") };
            for item in items(&v) {
                if let Value::Dict(d) = &item {
                    check(&inner, d, &path, errors);
                }
            }
        }
    }
    if !missing.is_empty() {
        missing.sort();
        // what is missing is told before what is wrong
        errors.insert(here, format!("missing required arguments: {}{place}", missing.join(", ")));
    }
    if !within.is_empty() {
        let bad: Vec<String> =
            given.keys().iter().filter_map(|k| k.to_text().ok()).filter(|k| !known.contains(k)).collect();
        if !bad.is_empty() {
            errors.push(format!(
                "{}. Supported parameters include: {}.",
                bad.iter()
                    .map(|b| format!("{}.{b}", within.replace(" -> ", ".")))
                    .collect::<Vec<_>>()
                    .join(", "),
                known.join(", ")
            ));
        }
    }
}

fn convert(v: &Value, kind: &str) -> Result<Value, String> {
    let shown = || v.to_text().unwrap_or_default();
    let class = || format!("<class '{}'>", v.type_name());
    Ok(match kind {
        "str" | "path" => match v {
            Value::Str(_) => v.clone(),
            other => Value::from(other.to_text().map_err(|e| e.to_string())?),
        },
        "int" => match v {
            Value::Int(_) => v.clone(),
            Value::Str(s) => {
                Value::Int(s.trim().parse().map_err(|_| format!("\"{s}\" cannot be converted to an int"))?)
            }
            Value::Float(f) if f.fract() == 0.0 => Value::Int(*f as i64),
            Value::None => return Err("\"None\" cannot be converted to an int".into()),
            _ => return Err(format!("{} cannot be converted to an int", class())),
        },
        "float" => match v {
            Value::Int(_) | Value::Float(_) => v.clone(),
            Value::Str(s) => {
                Value::Float(s.trim().parse().map_err(|_| format!("\"{s}\" cannot be converted to a float"))?)
            }
            _ => return Err(format!("{} cannot be converted to a float", class())),
        },
        "bool" => match v {
            Value::Bool(_) => v.clone(),
            Value::Int(0 | 1) => Value::Bool(v.as_int() == Some(1)),
            Value::Str(s) => match crate::truth::said(s) {
                Some(b) => Value::Bool(b),
                None => {
                    return Err(format!(
                        "The value '{s}' is not a valid boolean.  Valid booleans include: 0, 'f', '1', 1, 'off', 'yes', 't', 'false', 'true', 'n', '0', 'no', 'y', 'on'"
                    ));
                }
            },
            _ => return Err(format!("{} cannot be converted to a bool", class())),
        },
        "list" => match v {
            Value::List(_) | Value::Tuple(_) => v.clone(),
            Value::Str(s) => Value::list(s.split(',').map(|p| Value::str(p.trim())).collect()),
            Value::Int(_) | Value::Float(_) => Value::list(vec![Value::from(shown())]),
            _ => return Err(format!("{} cannot be converted to a list", class())),
        },
        "dict" => match v {
            Value::Dict(_) => v.clone(),
            Value::Str(s) if s.trim_start().starts_with('{') => serde_json::from_str::<serde_json::Value>(s)
                .map(Value::from)
                .map_err(|_| "unable to evaluate string as dictionary".to_owned())?,
            Value::Str(s) if s.contains('=') => match crate::playbook::split::parse_kv(s, false) {
                Ok(d) => Value::Dict(d),
                Err(e) => return Err(e.brief()),
            },
            Value::Str(_) => return Err("dictionary requested, could not parse JSON or key=value".into()),
            _ => return Err(format!("{} cannot be converted to a dict", class())),
        },
        _ => v.clone(),
    })
}
