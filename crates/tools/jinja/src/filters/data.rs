//! JSON and YAML, both ways.

use pileus_yaml::Quote;

use super::{Plain, yaml};
use crate::value::{repr_float, repr_str};
use crate::{Args, Dict, Error, ErrorKind, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("from_json", from_json),
    ("from_yaml", from_yaml),
    ("from_yaml_all", from_yaml_all),
    ("to_json", to_json),
    ("to_nice_json", to_nice_json),
    ("to_nice_yaml", to_nice_yaml),
    ("to_yaml", to_yaml),
    ("tojson", tojson),
];

fn from_json(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let Value::Str(s) = a.first() else {
        return Err(Error::type_error(format!(
            "the JSON object must be str, bytes or bytearray, not {}",
            a.first().type_name()
        )));
    };
    let json: serde_json::Value = serde_json::from_str(&s)
        .map_err(|e| Error::value_error(format!("{} (line {} column {})", e, e.line(), e.column())))?;
    match a.named("profile").and_then(Value::as_str) {
        // an inventory's text is as good a template as the text that it is read from
        Some("inventory_legacy") => Ok(legacy(&json, s.is_trusted())),
        Some("cache_persistence" | "legacy") => Ok(legacy(&json, false)),
        _ => Ok(Value::from(json)),
    }
}

/// JSON whose marked text (`{"__ansible_unsafe": "…"}`) is that text.
fn legacy(json: &serde_json::Value, trusted: bool) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Array(items) => Value::list(items.iter().map(|v| legacy(v, trusted)).collect()),
        Json::Object(map) => match (map.len(), map.get("__ansible_unsafe")) {
            (1, Some(Json::String(text))) => Value::from(text),
            _ => Value::Dict(map.iter().map(|(k, v)| (Value::from(k), legacy(v, trusted))).collect::<Dict>()),
        },
        Json::String(text) if trusted => Value::Str(crate::Str::trusted(text.as_str())),
        other => Value::from(other),
    }
}

fn parsed(v: &Value, all: bool) -> Result<Vec<Value>, Error> {
    let text = v.to_text()?;
    let options = pileus_yaml::Options {
        unknown_tags: pileus_yaml::UnknownTags::Refuse,
        ..pileus_yaml::Options::default()
    };
    let bad = |e: pileus_yaml::Error| Error::value_error(e.to_string());
    let file: std::sync::Arc<str> = "<unknown>".into();
    // what a filter makes is no template, and stands nowhere
    let plain = |d: pileus_yaml::Document| untrusted(Value::from_yaml(&d.value, &file));
    if all {
        return Ok(pileus_yaml::load_all(&text, &options).map_err(bad)?.into_iter().map(plain).collect());
    }
    Ok(vec![plain(pileus_yaml::load(&text, &options).map_err(bad)?)])
}

fn untrusted(v: Value) -> Value {
    match v {
        Value::Str(s) => Value::Str(s.untrust().at(None)),
        Value::List(l) => Value::list(l.items().into_iter().map(untrusted).collect()),
        Value::Dict(d) => {
            Value::Dict(d.items().into_iter().map(|(k, v)| (untrusted(k), untrusted(v))).collect())
        }
        v => v,
    }
}

fn from_yaml(_: &State<'_>, a: Args) -> Result<Value, Error> {
    if a.first().is_none() {
        return Ok(Value::None);
    }
    if a.first().as_str().is_none() {
        return Ok(a.first());
    }
    Ok(parsed(&a.first(), false)?.pop().unwrap_or_default())
}

fn from_yaml_all(_: &State<'_>, a: Args) -> Result<Value, Error> {
    if a.first().is_none() {
        return Ok(Value::list(Vec::new()));
    }
    if a.first().as_str().is_none() {
        return Ok(a.first());
    }
    Ok(Value::list(parsed(&a.first(), true)?))
}

/// How Python's `json.dumps` is asked to print.
struct Style {
    indent: Option<String>,
    sort: bool,
    item: String,
    key: String,
    ascii: bool,
}

impl Style {
    fn from(a: &mut Args, indent: Option<i64>, sort: bool) -> Result<Self, Error> {
        let indent = match a.take_named("indent") {
            None => indent.map(|n| " ".repeat(usize::try_from(n).unwrap_or(0))),
            Some(Value::None) => None,
            Some(Value::Str(s)) => Some(s.to_string()),
            Some(v) => Some(" ".repeat(v.as_int().and_then(|n| usize::try_from(n).ok()).unwrap_or(0))),
        };
        let mut style = Self {
            item: if indent.is_some() { ",".into() } else { ", ".into() },
            key: ": ".into(),
            indent,
            sort: a.take_named("sort_keys").map_or(Ok(sort), |v| v.truth())?,
            ascii: a.take_named("ensure_ascii").map_or(Ok(true), |v| v.truth())?,
        };
        if let Some(v) = a.take_named("separators").filter(|v| !v.is_none())
            && let [item, key] = v.to_vec()?.as_slice()
        {
            style.item = item.to_text()?;
            style.key = key.to_text()?;
        }
        for name in
            ["vault_to_text", "preprocess_unsafe", "allow_nan", "skipkeys", "check_circular", "profile"]
        {
            a.take_named(name);
        }
        match a.kw.first() {
            Some((k, _)) => Err(Error::type_error(format!(
                "JSONEncoder.__init__() got an unexpected keyword argument '{k}'"
            ))),
            None => Ok(style),
        }
    }
}

fn quoted(s: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if ascii && !c.is_ascii() => {
                let mut units = [0u16; 2];
                for u in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{u:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write(state: &State<'_>, v: &Value, style: &Style, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth > 300 {
        return Err(Error::value_error("Circular reference detected"));
    }
    let newline = |out: &mut String, depth: usize| {
        if let Some(i) = &style.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(i));
        }
    };
    let v = &state.plain(v.clone())?;
    match v {
        Value::None => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::BigInt(b) => out.push_str(&b.to_string()),
        Value::Float(f) if f.is_nan() => out.push_str("NaN"),
        Value::Float(f) if f.is_infinite() => out.push_str(if *f > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Float(f) => out.push_str(&repr_float(*f)),
        Value::Str(s) => quoted(s, style.ascii, out),
        v if v.is_mapping() => {
            let mut pairs = match v {
                Value::Dict(d) => d.items(),
                v => v.iter()?.map(|k| Ok((k.clone(), state.item(v, &k)?))).collect::<Result<_, Error>>()?,
            };
            if style.sort {
                crate::value::sort_by_key(&mut pairs, false)?;
            }
            out.push('{');
            for (i, (k, v)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push_str(&style.item);
                }
                newline(out, depth + 1);
                quoted(&k.json_key(), style.ascii, out);
                out.push_str(&style.key);
                write(state, v, style, depth + 1, out)?;
            }
            if !pairs.is_empty() {
                newline(out, depth);
            }
            out.push('}');
        }
        Value::Object(o) if o.iter().is_none() => quoted(&o.json(), style.ascii, out),
        Value::Bytes(b) => quoted(&String::from_utf8_lossy(b), style.ascii, out),
        v => {
            let items = state.items(v)?;
            out.push('[');
            for (i, v) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(&style.item);
                }
                newline(out, depth + 1);
                write(state, v, style, depth + 1, out)?;
            }
            if !items.is_empty() {
                newline(out, depth);
            }
            out.push(']');
        }
    }
    Ok(())
}

fn to_json(state: &State<'_>, mut a: Args) -> Result<Value, Error> {
    let style = Style::from(&mut a, None, false)?;
    let mut out = String::new();
    write(state, &a.first(), &style, 0, &mut out)?;
    Ok(Value::str(out))
}

fn to_nice_json(state: &State<'_>, mut a: Args) -> Result<Value, Error> {
    let style = Style::from(&mut a, Some(4), true)?;
    let mut out = String::new();
    write(state, &a.first(), &style, 0, &mut out)?;
    Ok(Value::str(out))
}

/// Jinja's own, safe within HTML.
fn tojson(state: &State<'_>, mut a: Args) -> Result<Value, Error> {
    let style = Style::from(&mut a, None, true)?;
    let mut out = String::new();
    write(state, &a.first(), &style, 0, &mut out)?;
    Ok(Value::str(
        out.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027"),
    ))
}

fn dumped(state: &State<'_>, mut a: Args, mut style: yaml::Style) -> Result<Value, Error> {
    let layout = &mut style.layout;
    if let Some(v) = a.take_named("indent").filter(|v| !v.is_none()) {
        layout.indent = v.as_int().and_then(|n| usize::try_from(n).ok()).unwrap_or(2);
    }
    if let Some(v) = a.take_named("width").filter(|v| !v.is_none()) {
        layout.width = match &v {
            Value::Float(f) if f.is_infinite() => None,
            v => Some(v.as_int().and_then(|n| usize::try_from(n).ok()).unwrap_or(80)),
        };
    }
    for (name, flag) in [
        ("explicit_start", &mut layout.start),
        ("explicit_end", &mut layout.end),
        ("canonical", &mut layout.canonical),
        ("sort_keys", &mut style.sort),
    ] {
        if let Some(v) = a.take_named(name) {
            *flag = v.truth()?;
        }
    }
    if let Some(v) = a.take_named("default_flow_style") {
        style.flow = if v.is_none() { None } else { Some(v.truth()?) };
    }
    if let Some(v) = a.take_named("default_style").filter(|v| !v.is_none()) {
        style.quote = match v.to_text()?.as_str() {
            "'" => Quote::Single,
            "\"" => Quote::Double,
            "|" => Quote::Literal,
            ">" => Quote::Folded,
            _ => Quote::Any,
        };
    }
    for name in
        ["allow_unicode", "vault_behavior", "dump_vault_tags", "line_break", "encoding", "version", "tags"]
    {
        a.take_named(name);
    }
    if let Some((k, _)) = a.kw.first() {
        return Err(Error::type_error(format!(
            "dump_all() got an unexpected keyword argument {}",
            repr_str(k)
        )));
    }
    let v = state
        .plain(a.first())
        .map_err(|e| if e.is_undefined() { e } else { Error::new(ErrorKind::Plugin, e.to_string()) })?;
    Ok(Value::str(yaml::dump(&v, &style)?))
}

fn to_yaml(state: &State<'_>, a: Args) -> Result<Value, Error> {
    dumped(state, a, yaml::Style::default())
}

fn to_nice_yaml(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let mut style = yaml::Style { flow: Some(false), ..yaml::Style::default() };
    style.layout.indent = 4;
    dumped(state, a, style)
}
