//! `sequence`: numbers, formatted. `start=1 end=5 stride=2 format=%02d`, `count=3`, or `[start-]end[/stride][:format]`.

use std::sync::OnceLock;

use pileus_jinja::{Str, Value};
use regex::Regex;

use crate::Error;
use crate::playbook::split::parse_kv;

use super::options::{self, Own};
use super::{Cx, Found};

const NAMES: [&str; 5] = ["count", "end", "start", "stride", "format"];

/// The short form. Its numbers may look like hexadecimal ones, which are then refused with a name.
fn shortcut() -> Option<&'static Regex> {
    static SHORT: OnceLock<Option<Regex>> = OnceLock::new();
    const PATTERN: &str =
        r"(?i)^(?:(0?x?[0-9a-f]+)\s*-)?\s*(0?x?[0-9a-f]+)\s*(?:/\s*(0?x?[0-9a-f]+)\s*)?(?::(.+))?$";
    SHORT.get_or_init(|| Regex::new(PATTERN).ok()).as_ref()
}

/// The lookup.
pub fn sequence(terms: &[Value], cx: &Cx<'_>) -> Found {
    if terms.is_empty() {
        return if NAMES.iter().any(|n| cx.options.contains(n)) {
            one(Vec::new(), cx)
        } else {
            Ok(Vec::new())
        };
    }
    let mut out = Vec::new();
    for t in terms {
        let Value::Str(text) = t else {
            return Err(Error::new(format!(
                "unknown error parsing with_sequence arguments: {}. Error was: expected string or bytes-like object, got '{}'",
                t.repr(),
                t.type_name()
            )));
        };
        out.extend(one(own(text)?, cx)?);
    }
    Ok(out)
}

/// The options that the term `text` holds.
fn own(text: &Str) -> Result<Own, Error> {
    if let Some(c) = shortcut().and_then(|r| r.captures(text)) {
        let named = [("start", 1), ("end", 2), ("stride", 3), ("format", 4)];
        return Ok(named
            .iter()
            .filter_map(|(n, i)| Some(((*n).to_owned(), c.get(*i)?.as_str().into())))
            .collect());
    }
    let mut out = Own::new();
    let mut unknown = Vec::new();
    for (k, v) in parse_kv(text, false)?.items() {
        let k = k.to_text()?;
        if NAMES.contains(&k.as_str()) {
            out.push((k, v.to_text()?));
        } else {
            unknown.push(Value::from(k));
        }
    }
    if unknown.is_empty() {
        return Ok(out);
    }
    Err(Error::new(format!("unrecognized arguments to with_sequence: {}", Value::list(unknown).repr())))
}

fn one(own: Own, cx: &Cx<'_>) -> Found {
    let int = |name: &str| options::int("sequence", name, "integer", &own, cx);
    let (count, end, start, stride) = (int("count")?, int("end")?, int("start")?, int("stride")?);
    let (start, stride) = (start.unwrap_or(1), stride.unwrap_or(1));
    let format = options::text("format", &own, cx).unwrap_or_else(|| "%d".into());
    let end = match (count, end) {
        (None, None) => return Err(Error::new("must specify count or end in with_sequence")),
        (Some(_), Some(_)) => return Err(Error::new("can't specify both count and end in with_sequence")),
        (Some(0), None) => return Ok(Vec::new()),
        (Some(n), None) => start + n * stride - 1,
        (None, Some(e)) => e,
    };
    if stride > 0 && end < start {
        return Err(Error::new("to count backwards make stride negative"));
    }
    if stride < 0 && end > start {
        return Err(Error::new("to count forward don't make stride negative"));
    }
    if format.matches('%').count() != 1 {
        return Err(Error::new(format!("bad formatting string: {format}")));
    }
    let mut out = Vec::new();
    let mut n = start;
    while (stride > 0 && n <= end) || (stride < 0 && n >= end) {
        let text =
            pileus_jinja::value::modulo(&Value::str(format.as_str()), &Value::Int(n)).map_err(|_| {
                Error::new(format!("problem formatting {n} with {}", Value::str(format.as_str()).repr()))
            })?;
        out.push(text);
        n += stride;
    }
    Ok(out)
}
