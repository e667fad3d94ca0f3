//! Tests on values: their types, comparisons, sets and patterns.

use std::cmp::Ordering;

use super::Plain;
use crate::{Args, Error, State, Value, filters};

pub(super) const RAW: &[(&str, Plain)] = &[
    ("defined", |s, a| Ok(!s.read(a.first()).is_absent()?)),
    ("undefined", |s, a| s.read(a.first()).is_absent()),
    ("omitted", |s, a| Ok(s.read(a.first()).is_omit())),
];

pub(super) const TESTS: &[(&str, Plain)] = &[
    ("==", eq),
    ("eq", eq),
    ("equalto", eq),
    ("!=", |s, a| eq(s, a).map(|b| !b)),
    ("ne", |s, a| eq(s, a).map(|b| !b)),
    ("<", |_, a| order(a, "<", Ordering::is_lt)),
    ("lt", |_, a| order(a, "<", Ordering::is_lt)),
    ("lessthan", |_, a| order(a, "<", Ordering::is_lt)),
    ("<=", |_, a| order(a, "<=", Ordering::is_le)),
    ("le", |_, a| order(a, "<=", Ordering::is_le)),
    (">", |_, a| order(a, ">", Ordering::is_gt)),
    ("gt", |_, a| order(a, ">", Ordering::is_gt)),
    ("greaterthan", |_, a| order(a, ">", Ordering::is_gt)),
    (">=", |_, a| order(a, ">=", Ordering::is_ge)),
    ("ge", |_, a| order(a, ">=", Ordering::is_ge)),
    ("boolean", |_, a| Ok(matches!(a.first(), Value::Bool(_)))),
    ("true", |_, a| Ok(matches!(a.first(), Value::Bool(true)))),
    ("false", |_, a| Ok(matches!(a.first(), Value::Bool(false)))),
    ("none", |_, a| Ok(a.first().is_none())),
    ("integer", |_, a| Ok(matches!(a.first(), Value::Int(_) | Value::BigInt(_)))),
    ("float", |_, a| Ok(matches!(a.first(), Value::Float(_)))),
    ("number", |_, a| Ok(a.first().as_float().is_some())),
    ("string", |_, a| Ok(matches!(a.first(), Value::Str(_)))),
    ("mapping", |_, a| Ok(a.first().is_mapping())),
    ("sequence", |_, a| {
        Ok(a.first().is_sequence() || matches!(a.first(), Value::Str(_) | Value::Dict(_) | Value::Bytes(_)))
    }),
    ("iterable", |_, a| Ok(a.first().iter().is_ok())),
    ("callable", |_, a| Ok(matches!(a.first(), Value::Object(o) if o.is_callable()))),
    ("escaped", |_, _| Ok(false)),
    ("sameas", sameas),
    ("in", |s, a| within(s, a, "in", true)),
    ("contains", |s, a| within(s, a, "contains", false)),
    ("lower", |_, a| {
        a.first().to_text().map(|t| t.chars().any(char::is_alphabetic) && t == t.to_lowercase())
    }),
    ("upper", |_, a| {
        a.first().to_text().map(|t| t.chars().any(char::is_alphabetic) && t == t.to_uppercase())
    }),
    ("odd", |_, a| remainder(&a.first(), 2).map(|r| r == 1)),
    ("even", |_, a| remainder(&a.first(), 2).map(|r| r == 0)),
    ("divisibleby", divisible),
    ("filter", |s, a| Ok(s.engine().has_filter(&a.first().to_text()?))),
    ("test", |s, a| Ok(s.engine().has_test(&a.first().to_text()?))),
    ("truthy", |s, a| truthy(s, a)),
    ("falsy", |s, a| truthy(s, a).map(|b| !b)),
    ("all", |s, a| all(s, &a)),
    ("any", |s, a| any(s, &a)),
    ("nan", nan),
    ("isnan", nan),
    ("subset", |s, a| subset(s, &a, false)),
    ("issubset", |s, a| subset(s, &a, false)),
    ("superset", |s, a| subset(s, &a, true)),
    ("issuperset", |s, a| subset(s, &a, true)),
    ("match", |_, a| pattern(a, "match")),
    ("search", |_, a| pattern(a, "search")),
    ("regex", |_, a| pattern(a, "search")),
    ("uri", |_, a| uri(a, false)),
    ("url", |_, a| uri(a, true)),
    ("urn", |_, a| Ok(a.first().to_text()?.to_lowercase().starts_with("urn:"))),
];

fn two(a: Args, name: &str) -> Result<(Value, Value), Error> {
    let b = a.bind(name, &["a", "b"], 2)?;
    Ok((b.get(0), b.get(1)))
}

fn eq(_: &State<'_>, a: Args) -> Result<bool, Error> {
    let (x, y) = two(a, "eq")?;
    x.equals(&y)
}

fn order(a: Args, op: &str, holds: fn(Ordering) -> bool) -> Result<bool, Error> {
    let (x, y) = two(a, op)?;
    Ok(x.order(&y, op)?.is_some_and(holds))
}

fn sameas(_: &State<'_>, a: Args) -> Result<bool, Error> {
    Ok(match two(a, "test_sameas")? {
        (Value::List(x), Value::List(y)) => x.same(&y),
        (Value::Dict(x), Value::Dict(y)) => x.same(&y),
        (x, y) => x.type_name() == y.type_name() && x == y,
    })
}

fn within(state: &State<'_>, a: Args, name: &str, in_second: bool) -> Result<bool, Error> {
    let (x, y) = two(a, name)?;
    if in_second { state.contains(&y, &x) } else { state.contains(&x, &y) }
}

fn remainder(v: &Value, by: i64) -> Result<i64, Error> {
    match crate::value::modulo(v, &Value::Int(by))? {
        Value::Int(i) => Ok(i),
        Value::Float(f) => Ok(if f == f.trunc() { f as i64 } else { -1 }),
        _ => Err(Error::type_error("not all arguments converted during string formatting")),
    }
}

fn divisible(_: &State<'_>, a: Args) -> Result<bool, Error> {
    let b = a.bind("test_divisibleby", &["value", "num"], 2)?;
    Ok(crate::value::modulo(&b.get(0), &b.get(1))?.as_float() == Some(0.0))
}

fn truthy(state: &State<'_>, mut a: Args) -> Result<bool, Error> {
    let convert = a.take_named("convert_bool").map_or(Ok(false), |v| v.truth())?;
    let v = a.first();
    if convert && let Some(s) = v.as_str() {
        return match s.trim().to_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" => Ok(true),
            "n" | "no" | "off" | "0" | "false" | "f" => Ok(false),
            _ => v.truth(),
        };
    }
    state.read(v).truth()
}

fn members(state: &State<'_>, v: &Value) -> Result<Vec<Value>, Error> {
    state.items(v)
}

fn all(state: &State<'_>, a: &Args) -> Result<bool, Error> {
    for v in members(state, &a.first())? {
        if !v.truth()? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any(state: &State<'_>, a: &Args) -> Result<bool, Error> {
    for v in members(state, &a.first())? {
        if v.truth()? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn subset(state: &State<'_>, a: &Args, swapped: bool) -> Result<bool, Error> {
    let (x, y) = (a.first(), a.pos.get(1).cloned().unwrap_or_default());
    let (small, large) = if swapped { (y, x) } else { (x, y) };
    let large = members(state, &large)?;
    Ok(members(state, &small)?.iter().all(|v| large.contains(v)))
}

/// `match`, `search` and `regex`.
fn pattern(a: Args, how: &str) -> Result<bool, Error> {
    let b = a.bind("regex", &["value", "pattern", "ignorecase", "multiline", "match_type"], 1)?;
    let text = b.get(0).to_text()?;
    let how = match b.opt(4) {
        Some(v) => v.to_text()?,
        None => how.to_owned(),
    };
    let pattern = b.text(1, "")?;
    let pattern = match how.as_str() {
        "match" => format!("\\A(?:{pattern})"),
        "fullmatch" => format!("\\A(?:{pattern})\\Z"),
        _ => pattern,
    };
    let regex = filters::python_regex(&pattern, b.truth(2, false)?, b.truth(3, false)?)?;
    regex.is_match(text.as_str()).map_err(|e| Error::limit(e.to_string()))
}

fn nan(_: &State<'_>, a: Args) -> Result<bool, Error> {
    Ok(matches!(a.first(), Value::Float(f) if f.is_nan()))
}

/// Whether Python's `urlparse` takes the text: almost anything; an address has a scheme and a host as well.
fn uri(a: Args, url: bool) -> Result<bool, Error> {
    let b = a.bind("is_uri", &["value", "schemes"], 1)?;
    let text = b.text(0, "")?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let (scheme, rest) = match text.split_once(':') {
        Some((s, rest)) if s.starts_with(|c: char| c.is_ascii_alphabetic()) && s.chars().all(legal) => {
            (s.to_lowercase(), rest)
        }
        _ => (String::new(), text.as_str()),
    };
    let host = rest.strip_prefix("//").map_or("", |r| r.split(['/', '?', '#']).next().unwrap_or_default());
    // an IPv6 address's brackets belong together
    if host.contains('[') != host.contains(']') {
        return Ok(false);
    }
    if let Some(v) = b.opt(1).filter(|v| !v.is_none()) {
        let names: Result<Vec<String>, Error> = v.to_vec()?.iter().map(Value::to_text).collect();
        if !names?.contains(&scheme) {
            return Ok(false);
        }
    }
    Ok(!url || !scheme.is_empty() && !host.is_empty())
}
