//! `key=value` arguments: splitting a line into words as the reference does, with quotes and templates kept whole.

use pileus_jinja::{Dict, Str, Value};

use crate::Error;

/// The keys that a free-form module takes beside its text.
const FREE_FORM_KEYS: [&str; 9] = [
    "creates",
    "removes",
    "chdir",
    "executable",
    "warn",
    "stdin",
    "stdin_add_newline",
    "strip_empty_ends",
    "expand_argument_vars",
];

/// Whether `s` is quoted all through.
fn quoted(s: &str) -> bool {
    let b = s.as_bytes();
    b.len() > 1 && b[0] == b[b.len() - 1] && matches!(b[0], b'"' | b'\'') && b[b.len() - 2] != b'\\'
}

/// `s` without the quotes around it.
pub fn unquote(s: &str) -> &str {
    if quoted(s) { &s[1..s.len() - 1] } else { s }
}

/// Splits `args` at blanks outside of quotes and templates. Newlines and further blanks stay with the word before.
///
/// # Errors
/// Where a quote or a template isn't closed.
pub fn split_args(args: &str) -> Result<Vec<String>, Error> {
    let mut words: Vec<String> = Vec::new();
    let (mut quote, mut depth) = (None::<char>, [0i32; 3]);
    let (mut before, mut fresh) = ('\n', true);
    let chars: Vec<char> = args.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let inside = quote.is_some() || depth.iter().any(|d| *d > 0);
        let alone = matches!(before, ' ' | '\n');
        if !inside && c == '\\' && alone && chars.get(i + 1) == Some(&'\n') {
            // a line goes on
            (before, fresh) = ('\n', true);
            i += 2;
            continue;
        }
        if !inside && matches!(c, ' ' | '\n') {
            match words.last_mut() {
                Some(w) if c == '\n' || before == ' ' => w.push(c),
                None if c == '\n' => words.push("\n".into()),
                _ => {}
            }
            (before, fresh) = (c, true);
            i += 1;
            continue;
        }
        if matches!(c, '"' | '\'') && before != '\\' {
            match quote {
                Some(q) if q == c => quote = None,
                None => quote = Some(c),
                Some(_) => {}
            }
        }
        let pair = (before, c);
        for (d, (open, close)) in depth.iter_mut().zip([
            (('{', '{'), ('}', '}')),
            (('{', '%'), ('%', '}')),
            (('{', '#'), ('#', '}')),
        ]) {
            if pair == open {
                *d += 1;
            } else if pair == close && *d > 0 {
                *d -= 1;
            }
        }
        match words.last_mut() {
            Some(w) if !fresh => w.push(c),
            _ => words.push(c.to_string()),
        }
        // `}}}` closes once, `{{{` opens once
        before = if [('{', '{'), ('}', '}'), ('{', '%'), ('%', '}'), ('{', '#'), ('#', '}')].contains(&pair) {
            '\0'
        } else {
            c
        };
        fresh = false;
        i += 1;
    }
    if quote.is_some() || depth.iter().any(|d| *d > 0) {
        return Err(Error::parser(format!(
            "failed at splitting arguments, either an unbalanced jinja2 block or quotes: {args}"
        )));
    }
    Ok(words)
}

/// Joins words again: a blank between them, unless the one before ends its line.
fn join(words: &[String]) -> String {
    let mut out = String::new();
    for w in words {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push(' ');
        }
        out.push_str(w);
    }
    out
}

/// The first `=` that isn't escaped.
fn equals(word: &str) -> Option<usize> {
    let b = word.as_bytes();
    (1..b.len()).find(|&i| b[i] == b'=' && b[i - 1] != b'\\')
}

/// `\n`, `\t`, `\x41` … of a value as the character they stand for.
fn unescape(s: &str) -> String {
    if !s.contains('\\') {
        return s.to_owned();
    }
    let mut out = String::new();
    let mut chars = s.char_indices();
    while let Some((i, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let hex = |n: usize| {
            s.get(i + 2..i + 2 + n).and_then(|h| u32::from_str_radix(h, 16).ok()).and_then(char::from_u32)
        };
        let (done, skip) = match s[i + 1..].chars().next() {
            Some('n') => (Some('\n'), 1),
            Some('t') => (Some('\t'), 1),
            Some('r') => (Some('\r'), 1),
            Some('\\') => (Some('\\'), 1),
            Some('\'') => (Some('\''), 1),
            Some('"') => (Some('"'), 1),
            Some('a') => (Some('\x07'), 1),
            Some('b') => (Some('\x08'), 1),
            Some('f') => (Some('\x0c'), 1),
            Some('v') => (Some('\x0b'), 1),
            Some('x') => (hex(2), 3),
            Some('u') => (hex(4), 5),
            Some('U') => (hex(8), 9),
            _ => (None, 0),
        };
        match done {
            Some(c) => {
                out.push(c);
                for _ in 0..skip {
                    chars.next();
                }
            }
            None => out.push('\\'),
        }
    }
    out
}

/// Reads `text` as `key=value` words; what isn't such a word becomes `_raw_params`. With `free_form`, only the keys
/// that free-form modules know are keys. Values are as trusted as `text`.
///
/// # Errors
/// Where a quote or a template isn't closed.
pub fn parse_kv(text: &Str, free_form: bool) -> Result<Dict, Error> {
    let out = Dict::new();
    let make = |s: &str| {
        let s = Str::new(s).at(text.origin().cloned());
        Value::Str(if text.is_trusted() { s.trust() } else { s })
    };
    let mut raw = Vec::new();
    for word in split_args(text).map_err(|e| e.at(text.origin().cloned()))? {
        let plain = unescape(&word);
        match equals(&plain) {
            Some(at) if !free_form || FREE_FORM_KEYS.contains(&plain[..at].trim()) => {
                out.insert(plain[..at].trim(), make(unquote(plain[at + 1..].trim())));
            }
            _ => raw.push(word),
        }
    }
    if !raw.is_empty() {
        out.insert("_raw_params", make(&join(&raw)));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(s: &str) -> Vec<String> {
        split_args(s).unwrap()
    }

    #[test]
    fn quotes_and_templates_stay_whole() {
        assert_eq!(split("a=b c=\"foo bar\""), ["a=b", "c=\"foo bar\""]);
        assert_eq!(split("a={{ x | d('y z') }} b=1"), ["a={{ x | d('y z') }}", "b=1"]);
        assert_eq!(split("echo 'a b' \\\n c"), ["echo", "'a b'", "c"]);
        assert_eq!(split("one\ntwo three"), ["one\n", "two", "three"]);
        assert!(split_args("a='b").is_err() && split_args("{{ x").is_err());
    }

    #[test]
    fn key_values() {
        let d = parse_kv(&Str::trusted("src=a dest='b c' x={{ y }} mode=\"0644\""), false).unwrap();
        assert_eq!(Value::Dict(d).repr(), "{'src': 'a', 'dest': 'b c', 'x': '{{ y }}', 'mode': '0644'}");
        let d = parse_kv(&Str::trusted("echo a=b chdir=/tmp | cat"), true).unwrap();
        assert_eq!(Value::Dict(d).repr(), "{'chdir': '/tmp', '_raw_params': 'echo a=b | cat'}");
        let d = parse_kv(&Str::trusted("msg='a\\nb'"), false).unwrap();
        assert_eq!(d.get("msg").unwrap().as_str(), Some("a\nb"));
    }
}
