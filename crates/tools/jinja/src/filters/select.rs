//! Filters that choose, map and order by attribute or test, and `default`.

use std::sync::Arc;

use super::Plain;
use crate::value::sort_by_key;
use crate::{Args, Error, ErrorKind, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("groupby", groupby),
    ("map", map),
    ("max", |s, a| extreme(s, a, true)),
    ("min", |s, a| extreme(s, a, false)),
    ("reject", |s, a| choose(s, a, false, false)),
    ("rejectattr", |s, a| choose(s, a, true, false)),
    ("select", |s, a| choose(s, a, false, true)),
    ("selectattr", |s, a| choose(s, a, true, true)),
    ("sort", sort),
    ("unique", unique),
    ("attr", attr),
];

/// Those that take undefined values.
pub(super) const RAW: &[(&str, Plain)] = &[
    ("default", default),
    ("d", default),
    ("mandatory", mandatory),
    ("ternary", super::maps::ternary),
    ("undef", undef),
    ("type_debug", type_debug),
];

/// The name of the type; of what is undefined or failed, what ansible-core calls it.
fn type_debug(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let v = state.read(a.first());
    Ok(Value::from(marker(&v).unwrap_or_else(|| v.type_name())))
}

/// What ansible-core calls the marker that stands for `v`, where `v` is undefined or an error kept.
pub(super) fn marker(v: &Value) -> Option<&'static str> {
    let Value::Undefined(u) = v else { return None };
    fn any(e: &Error, kind: ErrorKind) -> bool {
        e.kind() == kind || e.cause().is_some_and(|c| any(c, kind))
    }
    Some(match u.to_error() {
        e if any(&e, ErrorKind::Vault) => "VaultExceptionMarker",
        e if e.is_undefined() => "UndefinedMarker",
        _ => "CapturedExceptionMarker",
    })
}

/// Jinja's `make_attrgetter`: a dotted name, numbers are indices.
pub(super) fn attribute(
    state: &State<'_>,
    v: &Value,
    by: &Value,
    default: Option<&Value>,
) -> Result<Value, Error> {
    let out = match by {
        Value::Str(path) => {
            let mut now = v.clone();
            for part in path.split('.') {
                now = match part.parse::<i64>() {
                    Ok(i) => state.item(&now, &Value::Int(i))?,
                    Err(_) => state.item(&now, &Value::str(part))?,
                };
                if now.is_undefined() && default.is_some() {
                    break;
                }
            }
            now
        }
        other => state.item(v, other)?,
    };
    Ok(match default {
        Some(d) if out.is_undefined() => d.clone(),
        _ => out,
    })
}

fn attr(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_attr", &["obj", "name"], 2)?;
    state.attr(&b.get(0), &b.text(1, "")?)
}

fn fold_case(v: Value, case_sensitive: bool) -> Value {
    match v {
        Value::Str(s) if !case_sensitive => Value::str(s.to_lowercase()),
        v => v,
    }
}

/// The sort key of `v`: itself, an attribute, or several joined by commas.
fn key(
    state: &State<'_>,
    v: &Value,
    by: Option<&Value>,
    case_sensitive: bool,
    default: Option<&Value>,
) -> Result<Value, Error> {
    Ok(match by {
        None | Some(Value::None) => fold_case(v.clone(), case_sensitive),
        Some(Value::Str(s)) if s.contains(',') => {
            let parts: Result<Vec<Value>, Error> = s
                .split(',')
                .map(|p| Ok(fold_case(attribute(state, v, &Value::str(p.trim()), default)?, case_sensitive)))
                .collect();
            Value::list(parts?)
        }
        Some(by) => fold_case(attribute(state, v, by, default)?, case_sensitive),
    })
}

fn keyed(
    state: &State<'_>,
    v: &Value,
    by: Option<&Value>,
    case: bool,
    default: Option<&Value>,
) -> Result<Vec<(Value, Value)>, Error> {
    state.items(v)?.into_iter().map(|v| Ok((key(state, &v, by, case, default)?, v))).collect()
}

fn sort(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_sort", &["value", "reverse", "case_sensitive", "attribute"], 1)?;
    let mut items = keyed(state, &b.get(0), b.opt(3), b.truth(2, false)?, None)?;
    sort_by_key(&mut items, b.truth(1, false)?)?;
    Ok(Value::list(items.into_iter().map(|(_, v)| v).collect()))
}

fn extreme(state: &State<'_>, a: Args, largest: bool) -> Result<Value, Error> {
    let b = a.bind("extreme", &["value", "case_sensitive", "attribute"], 1)?;
    let mut best: Option<(Value, Value)> = None;
    for (k, v) in keyed(state, &b.get(0), b.opt(2), b.truth(1, false)?, None)? {
        let better = match &best {
            None => true,
            Some((top, _)) if largest => top.less(&k)?,
            Some((top, _)) => k.less(top)?,
        };
        if better {
            best = Some((k, v));
        }
    }
    Ok(best.map_or_else(|| Value::undefined_hint("No aggregated item, sequence was empty."), |(_, v)| v))
}

/// ansible.builtin.unique, which also takes Jinja's arguments.
#[expect(clippy::mutable_key_type, reason = "what can change is refused as a key: check_hashable")]
fn unique(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("unique", &["a", "case_sensitive", "attribute"], 1)?;
    let (case, attribute) = (b.truth(1, false)?, b.opt(2).filter(|v| !v.is_none()));
    let keys = keyed(state, &b.get(0), attribute, case, None)?;
    if let Some(e) = keys.iter().find_map(|(k, _)| k.check_hashable().err()) {
        // Ansible's own way: it compares, but knows no options
        if b.opt(1).is_some_and(|v| !v.is_none()) || attribute.is_some() {
            return Err(Error::new(
                crate::ErrorKind::Plugin,
                format!(
                    "Jinja2's unique filter failed and we cannot fall back to Ansible's version as it does not support the parameters supplied: {e}"
                ),
            ));
        }
        let mut out: Vec<Value> = Vec::new();
        for v in state.items(&b.get(0))? {
            if !out.contains(&v) {
                out.push(v);
            }
        }
        return Ok(Value::list(out));
    }
    let mut seen = std::collections::HashSet::new();
    Ok(Value::list(keys.into_iter().filter_map(|(k, v)| seen.insert(k).then_some(v)).collect()))
}

fn groupby(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("sync_do_groupby", &["value", "attribute", "default", "case_sensitive"], 2)?;
    let case = b.truth(3, false)?;
    let mut items = Vec::new();
    for v in state.items(&b.get(0))? {
        let k = attribute(state, &v, &b.get(1), b.opt(2).filter(|d| !d.is_none()))?;
        items.push((k, v));
    }
    sort_by_key(&mut items, false)?;
    let mut out: Vec<(Value, Vec<Value>)> = Vec::new();
    for (k, v) in items {
        match out.last_mut() {
            Some((last, group)) if fold_case(last.clone(), case) == fold_case(k.clone(), case) => {
                group.push(v)
            }
            _ => out.push((k, vec![v])),
        }
    }
    Ok(Value::list(out.into_iter().map(|(k, g)| super::group::value(k, Value::list(g))).collect()))
}

fn map(state: &State<'_>, mut a: Args) -> Result<Value, Error> {
    if a.pos.is_empty() {
        return Err(Error::type_error("map requires a value"));
    }
    let seq = a.pos.remove(0);
    let items = state.items(&seq)?;
    if a.pos.is_empty()
        && let Some(by) = a.take_named("attribute")
    {
        let default = a.take_named("default");
        if let Some((k, _)) = a.kw.first() {
            return Err(Error::runtime(format!("Unexpected keyword argument '{k}'")));
        }
        let out: Result<Vec<Value>, Error> =
            items.iter().map(|v| attribute(state, v, &by, default.as_ref())).collect();
        return Ok(Value::list(out?));
    }
    if a.pos.is_empty() {
        return Err(Error::runtime("map requires a filter argument"));
    }
    let name = a.pos.remove(0).to_text()?;
    let out: Result<Vec<Value>, Error> = items
        .into_iter()
        .map(|v| {
            let mut args = a.clone();
            args.pos.insert(0, v);
            state.filter(&name, args)
        })
        .collect();
    Ok(Value::list(out?))
}

fn choose(state: &State<'_>, mut a: Args, by_attribute: bool, keep: bool) -> Result<Value, Error> {
    if a.pos.is_empty() {
        return Err(Error::type_error("select requires a value"));
    }
    let seq = a.pos.remove(0);
    let by = if by_attribute {
        if a.pos.is_empty() {
            return Err(Error::runtime("Missing parameter for attribute name"));
        }
        Some(a.pos.remove(0))
    } else {
        None
    };
    let test: Option<Arc<str>> =
        if a.pos.is_empty() { None } else { Some(a.pos.remove(0).to_text()?.into()) };
    let mut out = Vec::new();
    for v in state.items(&seq)? {
        let tested = match &by {
            Some(by) => attribute(state, &v, by, None)?,
            None => v.clone(),
        };
        let holds = match &test {
            None => tested.truth()?,
            Some(name) => {
                let mut args = a.clone();
                args.pos.insert(0, tested);
                state.test(name, args)?
            }
        };
        if holds == keep {
            out.push(v);
        }
    }
    Ok(Value::list(out))
}

fn default(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_default", &["value", "default_value", "boolean"], 1)?;
    let v = state.read(b.get(0));
    if v.is_absent()? || (b.truth(2, false)? && !v.truth()?) {
        return Ok(state.read(b.or(1, "")));
    }
    Ok(v)
}

fn mandatory(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("mandatory", &["a", "msg"], 1)?;
    let v = state.read(b.get(0));
    let Value::Undefined(u) = &v else { return Ok(v) };
    if let Some(m) = b.opt(1).filter(|m| !m.is_none()) {
        return Err(Error::new(crate::ErrorKind::Plugin, m.to_text()?));
    }
    let message = u.message();
    let name = message.strip_suffix(" is undefined").map(|n| format!("{n} ")).unwrap_or_default();
    Err(Error::new(crate::ErrorKind::Plugin, format!("Mandatory variable {name}not defined.")))
}

fn undef(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(Value::undefined_hint(a.first().to_text()?))
}
