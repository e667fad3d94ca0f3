//! `subelements`: each of a list with each of a list inside of it, which it no longer holds.

use pileus_jinja::{Dict, Value};

use crate::Error;
use crate::playbook::keyword::items;

use super::Found;

fn wrong(what: &str) -> Error {
    Error::new(format!("subelements lookup expects a list of two or three items,{what}"))
}

fn skipped(e: &Value) -> bool {
    e.get("skipped").is_some_and(|s| !matches!(s, Value::Bool(false)))
}

/// Whether what is missing is passed over.
fn skip_missing(flags: Option<&Value>) -> Result<bool, Error> {
    let Some(flags) = flags else { return Ok(false) };
    if !flags.is_mapping() {
        for f in flags.to_vec()? {
            if f.as_str() != Some("skip_missing") {
                return Err(wrong(" the optional third item must be a dict with flags ('skip_missing',)"));
            }
        }
        return Ok(false);
    }
    Ok(crate::truth::of(flags.get("skip_missing"), false))
}

/// `element` without what lies under `path`.
fn without(element: &Value, path: &[&str]) -> Value {
    let (Value::Dict(d), Some((first, rest))) = (element, path.split_first()) else { return element.clone() };
    let out = Dict::new();
    for (k, v) in d.items() {
        if k.as_str() != Some(first) {
            out.insert(k, v);
        } else if !rest.is_empty() {
            out.insert(k, without(&v, rest));
        }
    }
    Value::Dict(out)
}

/// The lookup.
pub fn subelements(terms: &[Value]) -> Found {
    let (list, key, flags) = match terms {
        [list, key] => (list, key, None),
        [list, key, flags] => (list, key, Some(flags)),
        _ => return Err(wrong("")),
    };
    let key = match (list, key.as_str()) {
        (Value::Dict(_) | Value::List(_) | Value::Tuple(_), Some(key)) => key,
        _ => return Err(wrong(" first a dict or a list, second a string pointing to the subkey")),
    };
    let path: Vec<&str> = key.split('.').collect();
    let skip = skip_missing(flags)?;
    let elements = match list {
        Value::Dict(_) if skipped(list) => return Ok(Vec::new()),
        Value::Dict(d) => d.values(),
        other => items(other),
    };
    let mut out = Vec::new();
    'elements: for e in elements {
        if !e.is_mapping() {
            return Err(Error::new(format!(
                "subelements lookup expects a dictionary, got '{}'",
                e.to_text().unwrap_or_default()
            )));
        }
        if skipped(&e) {
            continue;
        }
        let mut at = e.clone();
        for (i, part) in path.iter().enumerate() {
            let found = match at.get(part) {
                Some(v) => v,
                None if skip => continue 'elements,
                None => {
                    let m = format!("could not find '{part}' key in iterated item '{}'", at.repr());
                    return Err(Error::new(m));
                }
            };
            let (fits, what) = if i + 1 < path.len() {
                (found.is_mapping(), "a dictionary")
            } else {
                (found.is_sequence(), "a list")
            };
            if !fits {
                if skip && i + 1 < path.len() {
                    continue 'elements;
                }
                let text = found.to_text().unwrap_or_default();
                return Err(Error::new(format!("the key {part} should point to {what}, got '{text}'")));
            }
            at = found;
        }
        let rest = without(&e, &path);
        out.extend(items(&at).into_iter().map(|v| Value::tuple(vec![rest.clone(), v])));
    }
    Ok(out)
}
