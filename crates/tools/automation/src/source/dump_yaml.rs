//! Values as PyYAML's block style writes them: keys sorted, text plain, in single or in double quotes as needed,
//! long lines folded at 80 columns; encrypted text under `!vault`.

use std::fmt::Write as _;

use pileus_jinja::Value;
use pileus_jinja::value::repr_float;
use pileus_yaml::{Scalar, resolve_plain};

use crate::vault::EncryptedString;

const WIDTH: usize = 80;

/// `value` as YAML.
pub fn dump(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Dict(d) if !d.is_empty() => mapping(&mut out, value, 0),
        Value::List(l) if !l.is_empty() => sequence(&mut out, &l.items(), 0),
        other => {
            scalar(&mut out, other, 0, 0);
            out.push('\n');
            if matches!(other, Value::Str(s) if style(s) == Style::Plain)
                || !matches!(other, Value::Str(_) | Value::List(_) | Value::Dict(_))
            {
                out.push_str("...\n");
            }
        }
    }
    out
}

fn mapping(out: &mut String, value: &Value, indent: usize) {
    let Value::Dict(d) = value else { return };
    let mut pairs = d.items();
    // keys of one kind are sorted, others stay as they are
    pairs.sort_by(|a, b| a.0.order(&b.0, "<").ok().flatten().unwrap_or(std::cmp::Ordering::Equal));
    for (i, (k, v)) in pairs.iter().enumerate() {
        if i > 0 {
            let _ = write!(out, "{:indent$}", "");
        }
        let start = out.len();
        scalar(out, k, indent, indent);
        out.push(':');
        let column = indent + out[start..].chars().count();
        below(out, v, indent, column, false);
    }
}

/// What stands after `key:` or `-`.
fn below(out: &mut String, v: &Value, indent: usize, column: usize, in_sequence: bool) {
    match v {
        Value::Dict(d) if !d.is_empty() => {
            if in_sequence {
                out.push(' ');
            } else {
                let _ = write!(out, "\n{:1$}", "", indent + 2);
            }
            mapping(out, v, indent + 2);
        }
        Value::List(l) if !l.is_empty() => {
            if in_sequence {
                out.push(' ');
                sequence(out, &l.items(), indent + 2);
            } else {
                // a list in a mapping is not indented
                let _ = write!(out, "\n{:indent$}", "");
                sequence(out, &l.items(), indent);
            }
        }
        v => {
            out.push(' ');
            scalar(out, v, indent + 2, column + 1);
            out.push('\n');
        }
    }
}

fn sequence(out: &mut String, items: &[Value], indent: usize) {
    for (i, v) in items.iter().enumerate() {
        if i > 0 {
            let _ = write!(out, "{:indent$}", "");
        }
        out.push('-');
        below(out, v, indent, indent + 1, true);
    }
}

fn scalar(out: &mut String, v: &Value, indent: usize, column: usize) {
    match v {
        Value::None => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Float(f) if f.is_nan() => out.push_str(".nan"),
        Value::Float(f) if f.is_infinite() => out.push_str(if *f > 0.0 { ".inf" } else { "-.inf" }),
        Value::Float(f) => {
            let text = repr_float(*f);
            match text.split_once('e') {
                Some((m, e)) if !m.contains('.') => {
                    let _ = write!(out, "{m}.0e{e}");
                }
                _ => out.push_str(&text),
            }
        }
        Value::Int(_) | Value::BigInt(_) => out.push_str(&v.repr()),
        Value::Str(s) => text(out, s, indent, column),
        Value::List(l) if l.is_empty() => out.push_str("[]"),
        Value::Dict(d) if d.is_empty() => out.push_str("{}"),
        Value::Object(o) => match o.downcast::<EncryptedString>() {
            Some(e) => {
                out.push_str("!vault |");
                for line in e.ciphertext().lines() {
                    let _ = write!(out, "\n{:indent$}{line}", "");
                }
            }
            None if matches!(o.type_name(), "date" | "datetime") => out.push_str(&o.text()),
            None => text(out, &o.text(), indent, column),
        },
        other => text(out, &other.repr(), indent, column),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
}

fn style(s: &str) -> Style {
    if s.is_empty() {
        return Style::Single;
    }
    let special = |c: char| {
        !(c == '\n'
            || ('\u{20}'..='\u{7e}').contains(&c)
            || c == '\u{85}'
            || ('\u{a0}'..='\u{d7ff}').contains(&c)
            || ('\u{e000}'..='\u{fffd}').contains(&c)
            || c as u32 >= 0x10000)
            || c == '\u{feff}'
    };
    let (mut space_break, mut break_space) = (false, false);
    let mut previous = ' ';
    for (i, c) in s.chars().enumerate() {
        if i > 0 {
            space_break |= previous == ' ' && c == '\n';
            break_space |= previous == '\n' && c == ' ';
        }
        previous = c;
    }
    if s.chars().any(special) || space_break {
        return Style::Double;
    }
    if break_space {
        return Style::Double;
    }
    let first = s.chars().next().unwrap_or(' ');
    let edge = s.starts_with([' ', '\n']) || s.ends_with([' ', '\n']);
    let blank_at = |i: usize| s[i..].chars().next().is_none_or(|c| c == ' ' || c == '\n');
    let indicator = matches!(
        first,
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
    ) || (matches!(first, '-' | '?' | ':') && blank_at(1))
        || s.starts_with("---")
        || s.starts_with("...")
        || s.match_indices(':').any(|(i, _)| blank_at(i + 1))
        || s.match_indices('#').any(|(i, _)| i > 0 && s[..i].ends_with([' ', '\n']));
    if edge || indicator || s.contains('\n') || resolve_plain(s) != Scalar::Str || s == "=" {
        return Style::Single;
    }
    Style::Plain
}

fn text(out: &mut String, s: &str, indent: usize, column: usize) {
    match style(s) {
        Style::Plain => folded(out, s, indent, column),
        Style::Single => {
            out.push('\'');
            let escaped = s.replace('\'', "''");
            // a run of n breaks is written as n + 1
            let mut in_breaks = false;
            for (i, line) in escaped.split('\n').enumerate() {
                if i == 0 {
                    folded(out, line, indent, column + 1);
                    continue;
                }
                out.push('\n');
                if !in_breaks {
                    out.push('\n');
                }
                in_breaks = line.is_empty();
                if !line.is_empty() {
                    let _ = write!(out, "{:indent$}", "");
                    folded(out, line, indent, indent);
                }
            }
            if escaped.ends_with('\n') {
                let _ = write!(out, "{:indent$}", "");
            }
            out.push('\'');
        }
        Style::Double => {
            out.push('"');
            for c in s.chars() {
                match c {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\t' => out.push_str("\\t"),
                    '\r' => out.push_str("\\r"),
                    '\0' => out.push_str("\\0"),
                    '\u{7}' => out.push_str("\\a"),
                    '\u{8}' => out.push_str("\\b"),
                    '\u{b}' => out.push_str("\\v"),
                    '\u{c}' => out.push_str("\\f"),
                    '\u{1b}' => out.push_str("\\e"),
                    '\u{feff}' => out.push_str("\\uFEFF"),
                    c if (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32)) => {
                        let _ = write!(out, "\\x{:02X}", c as u32);
                    }
                    c => out.push(c),
                }
            }
            out.push('"');
        }
    }
}

/// A line, broken at single blanks once it is past the width.
fn folded(out: &mut String, line: &str, indent: usize, column: usize) {
    let mut column = column;
    let chars: Vec<char> = line.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let single = c == ' ' && i > 0 && chars[i - 1] != ' ' && chars.get(i + 1).is_some_and(|n| *n != ' ');
        if single && column > WIDTH {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else {
            out.push(c);
            column += 1;
        }
        i += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        dump(&crate::source::parse(text, &"f".into(), true).unwrap())
    }

    #[test]
    fn block_style() {
        assert_eq!(
            round("b: [1, {y: 2, x: [a]}]\na: {k: 'yes', e: [], d: {}, n: }\n"),
            "a:\n  d: {}\n  e: []\n  k: 'yes'\n  n: null\nb:\n- 1\n- x:\n  - a\n  y: 2\n"
        );
        assert_eq!(
            round("a: 'it: x'\nb: \"l1\\nl2\"\nc: \"t\\tb\"\nd: '{{ x }}'\n"),
            "a: 'it: x'\nb: 'l1\n\n  l2'\nc: \"t\\tb\"\nd: '{{ x }}'\n"
        );
        assert_eq!(round("a: '0644'\nb: 1.5\nc: ''\nd: příbor\n"), "a: '0644'\nb: 1.5\nc: ''\nd: příbor\n");
    }

    #[test]
    fn breaks_survive() {
        for text in ["a\nb\nc", "x\ny\n", "\na", "a\n\n\nb", "it's\n\n"] {
            let read =
                crate::source::parse(&dump(&Value::dict([("k", Value::str(text))])), &"f".into(), true)
                    .unwrap();
            assert_eq!(read.get("k").unwrap().as_str(), Some(text));
        }
    }

    #[test]
    fn long_lines_fold() {
        let words = vec!["word"; 30].join(" ");
        let text = round(&format!("a: {words}\n"));
        assert!(text.lines().all(|l| l.len() <= 86));
        assert_eq!(
            crate::source::parse(&text, &"f".into(), true).unwrap().get("a").unwrap().as_str(),
            Some(words.as_str())
        );
    }
}
