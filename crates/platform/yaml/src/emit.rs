//! Writes a JSON value as YAML in block style, so that [`crate::load`] reads the same back.

use serde_json::Value as Json;

use crate::resolve::{Scalar, plain};

/// `value` as a YAML document, keys in their order.
pub fn to_yaml(value: &Json) -> String {
    let mut out = String::new();
    match value {
        Json::Array(a) if !a.is_empty() => block(value, 0, &mut out),
        Json::Object(o) if !o.is_empty() => block(value, 0, &mut out),
        _ => {
            scalar(value, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

fn block(value: &Json, indent: usize, out: &mut String) {
    match value {
        Json::Array(items) => {
            for item in items {
                pad(indent, out);
                out.push('-');
                match item {
                    Json::Object(o) if !o.is_empty() => {
                        // The first pair stands on the line of the dash.
                        out.push(' ');
                        let mut inner = String::new();
                        block(item, indent + 2, &mut inner);
                        out.push_str(&inner[indent + 2..]);
                    }
                    Json::Array(a) if !a.is_empty() => {
                        out.push('\n');
                        block(item, indent + 2, out);
                    }
                    _ => {
                        out.push(' ');
                        scalar(item, indent + 2, out);
                        out.push('\n');
                    }
                }
            }
        }
        Json::Object(map) => {
            for (key, item) in map {
                pad(indent, out);
                text(key, out);
                out.push(':');
                match item {
                    Json::Object(o) if !o.is_empty() => {
                        out.push('\n');
                        block(item, indent + 2, out);
                    }
                    Json::Array(a) if !a.is_empty() => {
                        out.push('\n');
                        block(item, indent, out);
                    }
                    _ => {
                        out.push(' ');
                        scalar(item, indent + 2, out);
                        out.push('\n');
                    }
                }
            }
        }
        _ => scalar(value, indent, out),
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn scalar(value: &Json, indent: usize, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() => out.push_str(&float(f)),
            _ => out.push_str(&n.to_string()),
        },
        Json::String(s) if literal(s) => {
            out.push_str(if s.ends_with('\n') { "|" } else { "|-" });
            for line in s.strip_suffix('\n').unwrap_or(s).split('\n') {
                out.push('\n');
                if !line.is_empty() {
                    pad(indent.max(2), out);
                    out.push_str(line);
                }
            }
        }
        Json::String(s) => text(s, out),
        Json::Array(_) => out.push_str("[]"),
        Json::Object(_) => out.push_str("{}"),
    }
}

/// YAML 1.1 asks for a point and a signed exponent.
fn float(f: f64) -> String {
    let text = format!("{f:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let point = if digits.contains('.') { "" } else { ".0" };
    let plus = if exponent.starts_with('-') { "" } else { "+" };
    format!("{digits}{point}e{plus}{exponent}")
}

/// Whether a text reads well, and back the same, as a literal block.
fn literal(s: &str) -> bool {
    s.contains('\n')
        && !s.starts_with([' ', '\n', '\t'])
        && !s.ends_with("\n\n")
        && s.chars()
            .all(|c| c == '\n' || (!c.is_control() && c != '\u{feff}' && c != '\u{2028}' && c != '\u{2029}'))
        && s.lines().all(|l| !l.ends_with(' '))
}

fn text(s: &str, out: &mut String) {
    let inner = |c: char| {
        c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '+' | '(' | ')' | ';' | '=' | '@')
    };
    let simple = s.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '/')
        && !s.ends_with(' ')
        && s.chars().all(|c| inner(c) || c == ':')
        && !s.contains(": ")
        && !s.ends_with(':')
        && plain(s) == Scalar::Str;
    if simple {
        out.push_str(s);
    } else if s.chars().any(|c| c.is_control() || c == '\u{feff}' || c == '\u{2028}' || c == '\u{2029}') {
        // A JSON string is a YAML double-quoted one, but for the line breaks that JSON does not know.
        let json = Json::String(s.to_owned()).to_string();
        out.push_str(&json.replace('\u{85}', "\\N").replace('\u{2028}', "\\L").replace('\u{2029}', "\\P"));
    } else {
        out.push('\'');
        out.push_str(&s.replace('\'', "''"));
        out.push('\'');
    }
}
