//! Regular expressions with Python's syntax, over `fancy-regex` (look-around, back references).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use fancy_regex::{Captures, Regex};

use super::Plain;
use crate::{Args, Error, ErrorKind, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("regex_escape", regex_escape),
    ("regex_findall", regex_findall),
    ("regex_replace", regex_replace),
    ("regex_search", regex_search),
];

/// The pattern in the crate's syntax: what Python writes otherwise is changed.
pub(crate) fn translate(pattern: &str, ignorecase: bool, multiline: bool) -> Result<Arc<Regex>, Error> {
    type Known = Mutex<HashMap<(String, bool, bool), Arc<Regex>>>;
    static KNOWN: OnceLock<Known> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let key = (pattern.to_owned(), ignorecase, multiline);
    if let Ok(k) = known.lock()
        && let Some(found) = k.get(&key)
    {
        return Ok(found.clone());
    }
    let mut out = String::new();
    if ignorecase || multiline {
        out.push_str(&format!(
            "(?{}{})",
            if ignorecase { "i" } else { "" },
            if multiline { "m" } else { "" }
        ));
    }
    let mut chars = pattern.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Z') => out.push_str("\\z"),
                Some(e) => out.extend(['\\', e]),
                None => out.push('\\'),
            },
            '[' if class => out.push_str("\\["),
            '[' => {
                class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
                if chars.peek() == Some(&']') {
                    out.push_str("\\]");
                    chars.next();
                }
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            // the crate knows set operations, Python does not
            '&' | '~' if class => out.extend(['\\', c]),
            '-' if class && chars.peek() == Some(&'-') => out.push_str("\\-"),
            '$' if !class && !multiline => out.push_str("(?=\\n?\\z)"),
            c => out.push(c),
        }
    }
    let regex = Regex::new(&out).map_err(|e| {
        let why = python_words(pattern).unwrap_or_else(|| {
            format!("Invalid regular expression {}: {e}", crate::value::repr_str(pattern))
        });
        Error::new(ErrorKind::Value, why)
    })?;
    let regex = Arc::new(regex);
    if let Ok(mut k) = known.lock() {
        if k.len() > 1000 {
            k.clear();
        }
        k.insert(key, regex.clone());
    }
    Ok(regex)
}

/// What Python says against `pattern`, for its common mistakes.
fn python_words(pattern: &str) -> Option<String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut open = Vec::new();
    // whether something stands before that can be repeated, and whether it is repeated already
    let (mut item, mut repeated) = (false, false);
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        match c {
            '\\' if i + 1 == chars.len() => {
                return Some(format!("bad escape (end of pattern) at position {i}"));
            }
            '\\' => i += 1,
            '[' => {
                let from = i;
                i += if chars.get(i + 1) == Some(&'^') { 2 } else { 1 };
                let first = i;
                while i < chars.len() && (chars[i] != ']' || i == first) {
                    i += if chars[i] == '\\' { 2 } else { 1 };
                }
                if i >= chars.len() {
                    return Some(format!("unterminated character set at position {from}"));
                }
            }
            '(' => {
                open.push(i);
                if chars[i..].starts_with(&['(', '?', 'P', '<']) && !chars[i..].contains(&'>') {
                    return Some(format!("missing >, unterminated name at position {}", i + 4));
                }
                if chars.get(i + 1) == Some(&'?') {
                    i += 1;
                }
            }
            ')' if open.pop().is_none() => return Some(format!("unbalanced parenthesis at position {i}")),
            '*' | '+' | '?' if repeated && c != '?' && c != '+' => {
                return Some(format!("multiple repeat at position {i}"));
            }
            '*' | '+' | '?' if !item => return Some(format!("nothing to repeat at position {i}")),
            _ => {}
        }
        repeated = matches!(c, '*' | '+' | '?') && item && !repeated;
        item = !matches!(c, '(' | '|' | '^');
        i += 1;
    }
    open.last().map(|at| format!("missing ), unterminated subpattern at position {at}"))
}

fn failed(e: fancy_regex::Error) -> Error {
    Error::limit(format!("the regular expression took too long: {e}"))
}

/// Python's replacement template: `\1`, `\g<1>`, `\g<name>`, `\n`.
fn expand(template: &str, c: &Captures<'_, str>) -> Result<String, Error> {
    let group = |name: &str| -> Result<String, Error> {
        match name.parse::<usize>() {
            Ok(n) if n < c.len() => Ok(c.get(n).map_or("", |m| m.as_str()).to_owned()),
            Ok(n) => Err(Error::new(ErrorKind::Value, format!("invalid group reference {n}"))),
            Err(_) => Ok(c.name(name).map_or("", |m| m.as_str()).to_owned()),
        }
    };
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    while let Some(ch) = chars.next() {
        if ch != '\\' {
            out.push(ch);
            continue;
        }
        match chars.next() {
            Some('g') if chars.peek() == Some(&'<') => {
                chars.next();
                let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                out.push_str(&group(&name)?);
            }
            Some(d) if d.is_ascii_digit() => {
                let mut n = d.to_string();
                if let Some(e) = chars.peek().copied().filter(char::is_ascii_digit) {
                    n.push(e);
                    chars.next();
                }
                out.push_str(&group(&n)?);
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\\') => out.push('\\'),
            Some(e) => out.extend(['\\', e]),
            None => out.push('\\'),
        }
    }
    Ok(out)
}

fn regex_replace(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let names = ["value", "pattern", "replacement", "ignorecase", "multiline", "count", "mandatory_count"];
    let b = a.bind("regex_replace", &names, 1)?;
    let text = b.text(0, "")?;
    let regex = translate(&b.text(1, "")?, b.truth(3, false)?, b.truth(4, false)?)?;
    let (with, most) = (b.text(2, "")?, b.int(5, 0)?);
    let (mut out, mut last, mut n) = (String::new(), 0, 0);
    for c in regex.captures_iter(text.as_str()) {
        let c = c.map_err(failed)?;
        if most > 0 && n == most {
            break;
        }
        let Some(m) = c.get(0) else { continue };
        out.push_str(&text[last..m.start()]);
        out.push_str(&expand(&with, &c)?);
        last = m.end();
        n += 1;
    }
    out.push_str(&text[last..]);
    let wanted = b.int(6, 0)?;
    if wanted > 0 && n != wanted {
        return Err(Error::new(
            ErrorKind::Plugin,
            format!("'{}' should match {wanted} times, but matches {n} times in '{text}'", b.text(1, "")?),
        ));
    }
    Ok(Value::str(out))
}

fn group(m: Option<fancy_regex::Match<'_>>) -> Value {
    m.map_or(Value::None, |m| Value::str(m.as_str()))
}

fn regex_search(_: &State<'_>, mut a: Args) -> Result<Value, Error> {
    let ignorecase = a.take_named("ignorecase").map_or(Ok(false), |v| v.truth())?;
    let multiline = a.take_named("multiline").map_or(Ok(false), |v| v.truth())?;
    let mut pos = a.pos.into_iter();
    let text = pos.next().unwrap_or_default().to_text()?;
    let pattern = pos
        .next()
        .or_else(|| a.kw.iter().find(|(k, _)| &**k == "regex").map(|(_, v)| v.clone()))
        .unwrap_or_default()
        .to_text()?;
    let regex = translate(&pattern, ignorecase, multiline)?;
    let mut groups = Vec::new();
    for g in pos {
        let g = g.to_text()?;
        let name = g
            .strip_prefix("\\g<")
            .map(|g| g.trim_end_matches('>'))
            .or_else(|| g.strip_prefix('\\'))
            .unwrap_or("");
        if name.is_empty() || (!g.starts_with("\\g<") && name.parse::<usize>().is_err()) {
            return Err(Error::new(ErrorKind::Plugin, "Unknown argument"));
        }
        groups.push(name.to_owned());
    }
    let Some(c) = regex.captures(&text).map_err(failed)? else {
        return Ok(Value::None);
    };
    if groups.is_empty() {
        return Ok(group(c.get(0)));
    }
    Ok(Value::list(
        groups
            .iter()
            .map(|g| g.parse().map_or_else(|_| group(c.name(g)), |n: usize| group(c.get(n))))
            .collect(),
    ))
}

fn regex_findall(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("regex_findall", &["value", "regex", "multiline", "ignorecase"], 2)?;
    let text = b.text(0, "")?;
    let regex = translate(&b.text(1, "")?, b.truth(3, false)?, b.truth(2, false)?)?;
    let mut out = Vec::new();
    for c in regex.captures_iter(text.as_str()) {
        let c = c.map_err(failed)?;
        let text = |i: usize| Value::str(c.get(i).map_or("", |m| m.as_str()));
        out.push(match c.len() {
            1 => text(0),
            2 => text(1),
            n => Value::tuple((1..n).map(text).collect()),
        });
    }
    Ok(Value::list(out))
}

fn regex_escape(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("regex_escape", &["string", "re_type"], 1)?;
    let special = match b.text(1, "python")?.as_str() {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}",
        "posix_basic" => "[].^$*\\",
        "posix_extended" => {
            return Err(Error::new(ErrorKind::Plugin, "Regex type (posix_extended) not yet implemented"));
        }
        other => return Err(Error::new(ErrorKind::Plugin, format!("Invalid regex type ({other})"))),
    };
    let mut out = String::new();
    for c in b.text(0, "")?.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Value::str(out))
}
