//! Values as Python's `json.dumps(sort_keys=True, ensure_ascii=False)` writes them.

use std::fmt::Write as _;

use pileus_jinja::Value;
use pileus_jinja::value::repr_float;

/// Levels past which null is written: a list may hold itself.
const MAX_DEPTH: usize = 100;

/// `value` in one line, or indented.
pub fn dumps(value: &Value, indent: Option<usize>, sort: bool) -> String {
    let mut out = String::new();
    write(&mut out, value, indent, sort, 0);
    out
}

/// Appends `s` as JSON text.
pub fn string(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn line(out: &mut String, indent: Option<usize>, depth: usize) {
    if let Some(n) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', n * depth));
    }
}

fn write(out: &mut String, value: &Value, indent: Option<usize>, sort: bool, depth: usize) {
    if depth > MAX_DEPTH {
        out.push_str("null");
        return;
    }
    let list = |out: &mut String, items: &[Value]| {
        if items.is_empty() {
            out.push_str("[]");
            return;
        }
        out.push('[');
        for (i, v) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(if indent.is_some() { "," } else { ", " });
            }
            line(out, indent, depth + 1);
            write(out, v, indent, sort, depth + 1);
        }
        line(out, indent, depth);
        out.push(']');
    };
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => {
            let _ = write!(out, "{i}");
        }
        Value::BigInt(i) => {
            let _ = write!(out, "{i}");
        }
        Value::Float(f) => match *f {
            f if f.is_nan() => out.push_str("NaN"),
            f if f.is_infinite() => out.push_str(if f > 0.0 { "Infinity" } else { "-Infinity" }),
            f => out.push_str(&repr_float(f)),
        },
        Value::Str(s) => string(out, s),
        Value::Bytes(b) => string(out, &String::from_utf8_lossy(b)),
        Value::List(l) => list(out, &l.items()),
        Value::Tuple(t) => list(out, t),
        Value::Dict(d) => {
            let mut items: Vec<(String, Value)> =
                d.items().into_iter().map(|(k, v)| (k.json_key(), v)).collect();
            if items.is_empty() {
                out.push_str("{}");
                return;
            }
            if sort {
                items.sort_by(|a, b| a.0.cmp(&b.0));
            }
            out.push('{');
            for (i, (k, v)) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(if indent.is_some() { "," } else { ", " });
                }
                line(out, indent, depth + 1);
                string(out, k);
                out.push_str(": ");
                write(out, v, indent, sort, depth + 1);
            }
            line(out, indent, depth);
            out.push('}');
        }
        Value::Undefined(u) => string(out, &format!("<< error 1 - {} >>", u.message())),
        Value::Object(_) => write(out, &Value::from(value.to_json()), indent, sort, depth + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_writes() {
        let v = Value::dict([
            ("b", Value::list(vec![1i64.into(), "x\"é".into()])),
            ("a", Value::Float(1.0)),
            ("c", Value::list(vec![])),
        ]);
        assert_eq!(dumps(&v, None, true), r#"{"a": 1.0, "b": [1, "x\"é"], "c": []}"#);
        assert_eq!(
            dumps(&v, Some(4), true),
            "{\n    \"a\": 1.0,\n    \"b\": [\n        1,\n        \"x\\\"é\"\n    ],\n    \"c\": []\n}"
        );
    }
}
