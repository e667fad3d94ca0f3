//! Lookups of variables and of plain data.

use std::sync::Arc;

use pileus_jinja::{Origin, Str, Value};

use crate::Error;
use crate::playbook::keyword::items;

use super::{Cx, Found};

/// The items of lists among the terms, and the other terms, one level deep.
pub fn flat(terms: &[Value]) -> Vec<Value> {
    terms
        .iter()
        .flat_map(|t| match t {
            Value::List(_) | Value::Tuple(_) => items(t),
            other => vec![other.clone()],
        })
        .collect()
}

/// The same, all the way down, without nulls.
pub fn flat_deep(terms: &[Value]) -> Vec<Value> {
    terms
        .iter()
        .flat_map(|t| match t {
            Value::List(_) | Value::Tuple(_) => flat_deep(&items(t)),
            Value::None => Vec::new(),
            other => vec![other.clone()],
        })
        .collect()
}

/// `dict`: pairs of dicts as `{key, value}`.
pub fn dict(terms: &[Value]) -> Found {
    let mut out = Vec::new();
    for t in terms {
        if !t.is_mapping() {
            return Err(Error::new(format!(
                "the 'dict' lookup plugin expects a dictionary, got '{}' of type <class '{}'>)",
                t.to_text().unwrap_or_default(),
                t.type_name()
            )));
        }
        let plain = match t {
            Value::Dict(d) => d.clone(),
            other => match Value::from(other.to_json()) {
                Value::Dict(d) => d,
                _ => continue,
            },
        };
        out.extend(plain.items().into_iter().map(|(k, v)| Value::dict([("key", k), ("value", v)])));
    }
    Ok(out)
}

/// `env`: variables of the environment.
pub fn env(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let text = t.to_text().map_err(Error::from)?;
        let name = text.split_whitespace().next().unwrap_or_default().to_owned();
        match std::env::var(&name) {
            Ok(v) => {
                let file = format!("<environment variable {}>", Value::from(name.as_str()).repr());
                let origin = Origin { file: file.into(), line: 0, column: 0, sealed: None };
                out.push(Value::Str(Str::new(v).at(Some(Arc::new(origin)))));
            }
            Err(_) => match cx.options.get("default") {
                Some(d) => out.push(d),
                None => out.push(Value::str("")),
            },
        }
    }
    Ok(out)
}

/// `indexed_items`: items with their index.
pub fn indexed_items(terms: &[Value]) -> Found {
    Ok(flat(terms)
        .into_iter()
        .enumerate()
        .map(|(i, v)| Value::tuple(vec![Value::Int(i as i64), v]))
        .collect())
}

/// `nested`: the product of lists.
pub fn nested(terms: &[Value]) -> Found {
    if terms.is_empty() {
        return Err(Error::new("with_nested requires at least one element in the nested list"));
    }
    let mut out: Vec<Vec<Value>> = vec![Vec::new()];
    for t in terms {
        let choices = match t {
            Value::List(_) | Value::Tuple(_) => items(t),
            other => vec![other.clone()],
        };
        out = out
            .into_iter()
            .flat_map(|prefix| {
                choices.iter().map(move |c| {
                    let mut next = prefix.clone();
                    next.push(c.clone());
                    next
                })
            })
            .collect();
    }
    Ok(out.into_iter().map(|v| Value::list(flat(&v))).collect())
}

/// `together`: lists side by side; the shorter padded with null.
pub fn together(terms: &[Value]) -> Found {
    if terms.is_empty() {
        return Err(Error::new("with_together requires at least one element in each list"));
    }
    let lists = terms.iter().map(Value::to_vec).collect::<Result<Vec<_>, _>>()?;
    let n = lists.iter().map(Vec::len).max().unwrap_or(0);
    Ok((0..n)
        .map(|i| {
            Value::list(lists.iter().flat_map(|l| flat(&[l.get(i).cloned().unwrap_or_default()])).collect())
        })
        .collect())
}

/// `random_choice`: one of the terms.
pub fn random_choice(terms: &[Value]) -> Vec<Value> {
    use std::hash::{BuildHasher, Hasher};
    let all = terms.to_vec();
    if all.is_empty() {
        return all;
    }
    let n = std::collections::hash_map::RandomState::new().build_hasher().finish() as usize % all.len();
    vec![all[n].clone()]
}

/// `vars`: variables by name.
pub fn vars(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let Some(name) = t.as_str() else {
            return Err(Error::new(format!("Variable name must be 'str' not '{}'.", t.type_name())));
        };
        let engine = &**cx.world;
        match cx.scope.get(name) {
            Some(v) => out.push(engine.resolve(&v, cx.scope).map_err(Error::from)?),
            None => match cx.options.get("default") {
                Some(d) => out.push(d),
                None => out.push(Value::undefined_hint(format!("No variable named '{name}' was found."))),
            },
        }
    }
    Ok(out)
}

/// `varnames`: names of variables that match.
pub fn varnames(terms: &[Value], cx: &Cx<'_>) -> Found {
    let all: Vec<String> = match cx.scope.get("vars") {
        Some(v) => {
            v.to_vec().map_err(Error::from)?.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        }
        None => Vec::new(),
    };
    let mut out = Vec::new();
    for t in terms {
        let Some(pattern) = t.as_str() else {
            return Err(Error::new(format!(
                "Invalid setting identifier, \"{}\" is not a string, it is a <class '{}'>",
                t.repr(),
                t.type_name()
            )));
        };
        let scope = pileus_jinja::Dict::new();
        scope.insert("pattern", pattern);
        scope.insert("names", Value::list(all.iter().map(Value::from).collect()));
        let expr = pileus_jinja::Str::trusted("names | select('search', pattern) | list");
        let found = cx.world.engine().expression(&expr, &scope).map_err(|e| {
            Error::new(format!("Unable to use \"{pattern}\" as a search parameter")).because(Error::from(e))
        })?;
        out.extend(items(&found));
    }
    Ok(out)
}

/// `inventory_hostnames`: the hosts of patterns.
pub fn inventory_hostnames(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut patterns = Vec::new();
    for t in flat(terms) {
        patterns.push(t.to_text().map_err(Error::from)?);
    }
    let hosts = cx.world.inventory.matching(&patterns.join(",")).unwrap_or_default();
    Ok(hosts.iter().map(|h| Value::str(&**h)).collect())
}
