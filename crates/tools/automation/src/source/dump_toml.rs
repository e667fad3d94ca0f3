//! Values as TOML, laid out as Python's `tomli_w` does: plain values first, then tables, arrays over several lines.

use std::fmt::Write as _;

use pileus_jinja::value::repr_float;
use pileus_jinja::{Dict, Value};

use crate::Error;

/// The width up to which a table in an array stays in a line.
const INLINE: usize = 100;

/// `dict` as TOML.
///
/// # Errors
/// Where it holds what TOML cannot: null.
pub fn dump(dict: &Dict) -> Result<String, Error> {
    let mut out = String::new();
    table(&mut out, dict, "", false)?;
    Ok(out)
}

fn key(k: &Value) -> Result<String, Error> {
    let text = k.to_text()?;
    let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    Ok(if bare { text } else { string(&text) })
}

fn string(s: &str) -> String {
    let mut out = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push('\t'),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn table(out: &mut String, dict: &Dict, name: &str, in_array: bool) -> Result<(), Error> {
    let mut plain = Vec::new();
    let mut tables = Vec::new();
    for (k, v) in dict.items() {
        let k = key(&k)?;
        match &v {
            Value::Dict(d) => tables.push((k, d.clone(), false)),
            Value::List(l) if !l.is_empty() && l.items().iter().all(|v| matches!(v, Value::Dict(_))) => {
                let items = l.items();
                let fits =
                    |v: &Value| literal(v, 0).is_ok_and(|t| t.len() + 4 <= INLINE && !t.contains('\n'));
                if items.iter().all(fits) {
                    plain.push((k, v));
                } else {
                    tables.extend(
                        items.iter().filter_map(Value::as_dict).map(|d| (k.clone(), d.clone(), true)),
                    );
                }
            }
            _ => plain.push((k, v)),
        }
    }
    let mut yielded = false;
    if in_array || (!name.is_empty() && (!plain.is_empty() || tables.is_empty())) {
        yielded = true;
        let _ = if in_array { writeln!(out, "[[{name}]]") } else { writeln!(out, "[{name}]") };
    }
    for (k, v) in plain {
        yielded = true;
        let _ = writeln!(out, "{k} = {}", literal(&v, 0)?);
    }
    for (k, d, array) in tables {
        if yielded {
            out.push('\n');
        }
        yielded = true;
        let full = if name.is_empty() { k } else { format!("{name}.{k}") };
        table(out, &d, &full, array)?;
    }
    Ok(())
}

fn literal(v: &Value, depth: usize) -> Result<String, Error> {
    Ok(match v {
        Value::Bool(b) => b.to_string(),
        Value::Int(_) | Value::BigInt(_) => v.repr(),
        Value::Float(f) => repr_float(*f),
        Value::Str(s) => string(s),
        Value::List(l) if l.is_empty() => "[]".into(),
        Value::List(l) => {
            let mut out = String::from("[\n");
            for item in l.items() {
                let _ = writeln!(out, "{:1$}{2},", "", (depth + 1) * 4, literal(&item, depth + 1)?);
            }
            let _ = write!(out, "{:1$}]", "", depth * 4);
            out
        }
        Value::Dict(d) if d.is_empty() => "{}".into(),
        Value::Dict(d) => {
            let pairs = d
                .items()
                .iter()
                .map(|(k, v)| Ok(format!("{} = {}", key(k)?, literal(v, depth)?)))
                .collect::<Result<Vec<_>, Error>>()?;
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Object(o) if o.resolve().is_some() => string(&v.to_text()?),
        other => {
            return Err(Error::new(format!(
                "Object of type '<class '{}'>' is not TOML serializable",
                other.type_name()
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_after_values() {
        let text = "g:\n  hosts:\n    h: {a: 1, d: {x: y}, l: [1, b]}\n  v: é\n";
        let v = crate::source::parse(text, &"f".into(), true).unwrap();
        assert_eq!(
            dump(v.as_dict().unwrap()).unwrap(),
            "[g]\nv = \"é\"\n\n[g.hosts.h]\na = 1\nl = [\n    1,\n    \"b\",\n]\n\n[g.hosts.h.d]\nx = \"y\"\n"
        );
    }
}
