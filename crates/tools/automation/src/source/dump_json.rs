//! Values as Python's `json.dumps` writes them: indented by 4, keys sorted; untrusted and encrypted text marked.

use std::fmt::Write as _;

use pileus_jinja::Value;
use pileus_jinja::value::repr_float;

use crate::vault::EncryptedString;

/// How values are written.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Whether untrusted text becomes `{"__ansible_unsafe": …}`.
    pub mark_untrusted: bool,
}

/// `value` as JSON.
pub fn dump(value: &Value, style: Style) -> String {
    let mut out = String::new();
    write(&mut out, value, 0, style, false);
    out
}

/// `value` as JSON, all of it variables: untrusted text is marked anywhere.
pub fn dump_variables(value: &Value, style: Style) -> String {
    let mut out = String::new();
    write(&mut out, value, 0, style, true);
    out
}

fn newline(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("    ", depth));
}

/// `s` as JSON writes it, characters beyond ASCII as they are.
pub fn string(out: &mut String, s: &str) {
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
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn marked(out: &mut String, key: &str, text: &str, depth: usize) {
    out.push('{');
    newline(out, depth + 1);
    string(out, key);
    out.push_str(": ");
    string(out, text);
    newline(out, depth);
    out.push('}');
}

fn write(out: &mut String, value: &Value, depth: usize, style: Style, variable: bool) {
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Float(f) if f.is_nan() => out.push_str("NaN"),
        Value::Float(f) if f.is_infinite() => out.push_str(if *f > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Float(f) => out.push_str(&repr_float(*f)),
        Value::Int(_) | Value::BigInt(_) => out.push_str(&value.repr()),
        Value::Str(s) if style.mark_untrusted && variable && !s.is_trusted() => {
            marked(out, "__ansible_unsafe", s, depth);
        }
        Value::Str(s) => string(out, s),
        Value::List(l) => sequence(out, &l.items(), depth, style, variable),
        Value::Tuple(t) => sequence(out, t, depth, style, variable),
        Value::Dict(d) => {
            let mut pairs: Vec<(String, Value)> =
                d.items().into_iter().map(|(k, v)| (k.json_key(), v)).collect();
            if pairs.is_empty() {
                out.push_str("{}");
                return;
            }
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (i, (k, v)) in pairs.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                newline(out, depth + 1);
                string(out, k);
                out.push_str(": ");
                // what stands below hostvars or vars is a variable
                let inside = variable || k == "hostvars" || k == "vars";
                write(out, v, depth + 1, style, inside);
            }
            newline(out, depth);
            out.push('}');
        }
        Value::Object(o) => match o.downcast::<EncryptedString>() {
            Some(e) => marked(out, "__ansible_vault", e.ciphertext(), depth),
            None => write(out, &Value::from(value.to_json()), depth, style, false),
        },
        other => string(out, &other.to_text().unwrap_or_default()),
    }
}

fn sequence(out: &mut String, items: &[Value], depth: usize, style: Style, variable: bool) {
    if items.is_empty() {
        out.push_str("[]");
        return;
    }
    out.push('[');
    for (i, v) in items.iter().enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        newline(out, depth + 1);
        write(out, v, depth + 1, style, variable);
    }
    newline(out, depth);
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use pileus_jinja::{Dict, Str};

    #[test]
    fn sorted_and_marked() {
        let vars = Dict::new();
        vars.insert("b", Value::str("x"));
        vars.insert("a", Value::Str(Str::trusted("{{ y }}é")));
        let top = Dict::new();
        top.insert("hostvars", Value::Dict(vars));
        top.insert("e", Value::list(Vec::new()));
        let text = dump(&Value::Dict(top), Style { mark_untrusted: true });
        assert_eq!(
            text,
            "{\n    \"e\": [],\n    \"hostvars\": {\n        \"a\": \"{{ y }}é\",\n        \"b\": {\n            \
             \"__ansible_unsafe\": \"x\"\n        }\n    }\n}"
        );
    }
}
