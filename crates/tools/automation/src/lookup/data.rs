//! Lookups of variables and of plain data.

use pileus_jinja::Value;

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
    for t in flat(terms) {
        let Value::Dict(d) = &t else {
            if t.is_mapping() {
                let d = Value::from(t.to_json());
                out.extend(dict(&[d])?);
                continue;
            }
            let shown = t.to_text().map_err(Error::from)?;
            return Err(Error::new(format!(
                "the 'dict' lookup plugin expects a dictionary, got '{shown}' of type {}",
                t.type_name()
            )));
        };
        for (k, v) in d.items() {
            out.push(Value::dict([("key", k), ("value", v)]));
        }
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
            Ok(v) => out.push(Value::from(v)),
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
    let lists: Vec<Vec<Value>> = terms.iter().map(items).collect();
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

/// `subelements`: each of a list with each of a list inside of it.
pub fn subelements(terms: &[Value]) -> Found {
    let [list, key, rest @ ..] = terms else {
        return Err(Error::new("subelements lookup expects a list of two or three items"));
    };
    let Some(key) = key.as_str() else {
        return Err(Error::new("subelements lookup expects a string as the second item"));
    };
    let skip = rest
        .first()
        .and_then(|f| f.get("skip_missing"))
        .is_some_and(|v| v.truth().unwrap_or(false) && v.as_str() != Some("False"));
    let elements: Vec<Value> = match list {
        Value::Dict(d) => d
            .values()
            .into_iter()
            .filter(|v| v.get("skipped").is_none_or(|s| !s.truth().unwrap_or(false)))
            .collect(),
        Value::List(_) | Value::Tuple(_) => items(list),
        other => {
            return Err(Error::new(format!(
                "subelements lookup expects a dictionary, got '{}'",
                other.to_text().unwrap_or_default()
            )));
        }
    };
    let mut out = Vec::new();
    'elements: for e in elements {
        if !e.is_mapping() {
            return Err(Error::new(format!(
                "subelements lookup expects a dictionary, got '{}'",
                e.to_text().unwrap_or_default()
            )));
        }
        let mut at = e.clone();
        for part in key.split('.') {
            match at.get(part) {
                Some(v) => at = v,
                None if skip => continue 'elements,
                None => {
                    return Err(Error::new(format!(
                        "could not find '{part}' key in iterated item '{}'",
                        e.repr()
                    )));
                }
            }
        }
        if !at.is_sequence() {
            if skip && at.is_none() {
                continue;
            }
            return Err(Error::new(format!(
                "the key {} should point to a list, got '{}'",
                key.rsplit('.').next().unwrap_or(key),
                at.to_text().unwrap_or_default()
            )));
        }
        for v in items(&at) {
            out.push(Value::tuple(vec![e.clone(), v]));
        }
    }
    Ok(out)
}

/// `sequence`: numbers from start to end, formatted.
pub fn sequence(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    let terms: Vec<Value> = if terms.is_empty() { vec![Value::str("")] } else { terms.to_vec() };
    for t in terms {
        let text = t.to_text().map_err(Error::from)?;
        out.extend(one_sequence(&text, cx)?);
    }
    Ok(out)
}

fn number(s: &str, name: &str) -> Result<i64, Error> {
    let (neg, body) = s.strip_prefix('-').map_or((false, s), |b| (true, b));
    let n = if let Some(h) = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")) {
        i64::from_str_radix(h, 16)
    } else if body.len() > 1 && body.starts_with('0') {
        i64::from_str_radix(body.trim_start_matches("0o"), 8)
    } else {
        body.parse()
    };
    n.map(|n| if neg { -n } else { n }).map_err(|_| Error::new(format!("can't parse {name}={s} as integer")))
}

fn one_sequence(text: &str, cx: &Cx<'_>) -> Found {
    let (mut start, mut end, mut stride, mut count, mut format) = (None, None, None, None, None);
    let int = |n: &str| -> Result<Option<i64>, Error> { cx.text(n).map(|s| number(&s, n)).transpose() };
    if text.contains('=') {
        for word in crate::playbook::split::split_args(text)? {
            let Some((k, v)) = word.split_once('=') else {
                return Err(Error::new(format!(
                    "unknown error parsing with_sequence arguments: {text:?}. Error was: not enough values to unpack (expected 2, got 1)"
                )));
            };
            let v = crate::playbook::split::unquote(v.trim());
            match k.trim() {
                "start" => start = Some(number(v, "start")?),
                "end" => end = Some(number(v, "end")?),
                "stride" => stride = Some(number(v, "stride")?),
                "count" => count = Some(number(v, "count")?),
                "format" => format = Some(v.to_owned()),
                other => {
                    return Err(Error::new(format!(
                        "unrecognized arguments to with_sequence: {:?}",
                        [other]
                    )));
                }
            }
        }
    } else if !text.trim().is_empty() {
        // start-end/stride:format
        let (rest, f) = text.split_once(':').map_or((text, None), |(r, f)| (r, Some(f)));
        format = f.map(str::to_owned);
        let (rest, s) = rest.split_once('/').map_or((rest, None), |(r, s)| (r, Some(s)));
        stride = s.map(|s| number(s, "stride")).transpose()?;
        match rest.split_once('-') {
            Some((a, b)) if !a.is_empty() => {
                start = Some(number(a, "start")?);
                end = Some(number(b, "end")?);
            }
            _ => end = Some(number(rest, "end")?),
        }
    }
    start = start.or(int("start")?);
    end = end.or(int("end")?);
    stride = stride.or(int("stride")?);
    count = count.or(int("count")?);
    let format = format.or_else(|| cx.text("format")).unwrap_or_else(|| "%d".into());
    let start = start.unwrap_or(1);
    let mut stride = stride.unwrap_or(1);
    if count.is_none() && end.is_none() {
        return Err(Error::new("must specify count or end in with_sequence"));
    }
    if count.is_some() && end.is_some() {
        return Err(Error::new("can't specify both count and end in with_sequence"));
    }
    let end = match (count, end) {
        (Some(0), _) => return Ok(Vec::new()),
        (Some(n), _) => start + n * stride - stride,
        (_, Some(e)) => e,
        _ => start,
    };
    if cx.text("stride").is_none() && count.is_none() && stride == 1 && end < start && text.is_empty() {
        stride = 1;
    }
    if stride > 0 && end < start {
        return if count.is_none() {
            Err(Error::new("to count backwards make stride negative"))
        } else {
            Ok(Vec::new())
        };
    }
    if stride < 0 && end > start {
        return Err(Error::new("to count forward don't make stride negative"));
    }
    if format.matches('%').count() != 1 {
        return Err(Error::new(format!("bad formatting string: {format}")));
    }
    let mut out = Vec::new();
    let mut n = start;
    while stride == 0 && out.is_empty() || (stride > 0 && n <= end) || (stride < 0 && n >= end) {
        let text =
            pileus_jinja::value::modulo(&Value::str(format.as_str()), &Value::Int(n)).map_err(|e| {
                Error::new(format!("problem formatting {n} with {format:?}")).because(Error::from(e))
            })?;
        out.push(text);
        n += stride;
        if stride == 0 {
            break;
        }
    }
    Ok(out)
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
                None => return Err(Error::new(format!("No variable named '{name}' was found."))),
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
                "Invalid setting identifier, \"{}\" is not a string, its a {}",
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

/// `config`: settings.
pub fn config(terms: &[Value], cx: &Cx<'_>) -> Found {
    let missing = cx.text("on_missing").or_else(|| cx.text("missing")).unwrap_or_else(|| "error".into());
    if !matches!(missing.as_str(), "error" | "warn" | "skip") {
        return Err(Error::new(format!(
            "\"on_missing\" must be a string and one of \"error\", \"warn\" or \"skip\", not {missing}"
        )));
    }
    let (kind, name) = (cx.text("plugin_type"), cx.text("plugin_name"));
    if kind.is_some() != name.is_some() {
        return Err(Error::new(
            "Both plugin_type and plugin_name are required, cannot use one without the other",
        ));
    }
    let mut out = Vec::new();
    for t in terms {
        let Some(option) = t.as_str() else {
            return Err(Error::new(format!(
                "Invalid setting identifier, \"{}\" is not a string, its a {}",
                t.repr(),
                t.type_name()
            )));
        };
        let config = crate::config::current();
        let setting = match (&kind, &name) {
            (Some(k), Some(n)) => config.plugin(k, n, option).ok(),
            _ => config.get(option).cloned(),
        };
        match setting {
            Some(s) => {
                let v = Value::from(&s.value);
                out.push(if cx.flag("show_origin", false) {
                    Value::tuple(vec![v, Value::from(s.origin)])
                } else {
                    v
                });
            }
            None => {
                let message = format!("Unable to find setting {option}");
                match missing.as_str() {
                    "error" => return Err(Error::new(message)),
                    "warn" => crate::display::warning(&format!("Skipping, did not find setting {option}")),
                    _ => {}
                }
            }
        }
    }
    Ok(out)
}
