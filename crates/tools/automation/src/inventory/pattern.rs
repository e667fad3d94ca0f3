//! Host patterns: `web*:&prod:!old`, `~regex`, `group[0:3]`, lists by `,` or `:`.

use std::collections::HashSet;

use regex::Regex;

use super::address;
use super::data::{Data, LOCALHOST};
use crate::{Error, config, display};

/// A host chosen: one of the sources', or the implicit localhost under the name asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Chosen {
    /// A host of the sources.
    Host(usize),
    /// The implicit localhost.
    Implicit(String),
}

/// Splits a text into single patterns.
pub fn split(pattern: &str) -> Vec<String> {
    let parts: Vec<&str> = if pattern.contains(',') {
        pattern.split(',').collect()
    } else if !pattern.contains(':') || address::parse(pattern, true).is_ok() {
        vec![pattern]
    } else {
        colons(pattern)
    };
    parts.into_iter().map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

/// Parts between colons and blanks, where `[…]` holds together.
fn colons(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = None;
    let mut i = 0;
    let bytes = text.as_bytes();
    while i < bytes.len() {
        let closed = (bytes[i] == b'[').then(|| text[i..].find(']')).flatten();
        let ends = match bytes[i] {
            b':' | b']' => true,
            b'[' => closed.is_none(),
            b => b.is_ascii_whitespace(),
        };
        if ends {
            out.extend(start.take().map(|s| &text[s..i]));
            i += 1;
        } else {
            start.get_or_insert(i);
            i += closed.map_or(1, |c| c + 1);
        }
    }
    out.extend(start.map(|s| &text[s..]));
    out
}

/// The hosts that `patterns` choose: plain ones first, then `&`, then `!`.
///
/// # Errors
/// Where a pattern is wrong, or matches nothing and `host_pattern_mismatch` is `error`.
pub fn evaluate(data: &Data, patterns: &[String]) -> Result<Vec<Chosen>, Error> {
    let of = |kind: fn(&str) -> bool| patterns.iter().filter(move |p| kind(p)).map(String::as_str);
    let mut plain: Vec<&str> = of(|p| !p.starts_with(['!', '&']) && !p.is_empty()).collect();
    if plain.is_empty() {
        plain.push("all");
    }
    let mut hosts: Vec<Chosen> = Vec::new();
    let mut seen: HashSet<Chosen> = HashSet::new();
    for p in plain.into_iter().chain(of(|p| p.starts_with('&'))).chain(of(|p| p.starts_with('!'))) {
        if let Some(id) = data.host(p) {
            if seen.insert(Chosen::Host(id)) {
                hosts.push(Chosen::Host(id));
            }
            continue;
        }
        let found = one(data, p.trim_start_matches(['!', '&']))?;
        match p.as_bytes().first() {
            Some(b'!') => {
                let out: HashSet<Chosen> = found.into_iter().collect();
                hosts.retain(|h| !out.contains(h));
            }
            Some(b'&') => {
                let keep: HashSet<Chosen> = found.into_iter().collect();
                hosts.retain(|h| keep.contains(h));
            }
            _ => hosts.extend(found.into_iter().filter(|h| seen.insert(h.clone()))),
        }
    }
    Ok(hosts)
}

/// The hosts of one pattern.
fn one(data: &Data, pattern: &str) -> Result<Vec<Chosen>, Error> {
    let (name, subscript) = subscript(pattern);
    let hosts = matches(data, name)?;
    let Some((start, end)) = subscript else { return Ok(hosts) };
    if hosts.is_empty() {
        return Ok(hosts);
    }
    let len = hosts.len() as i64;
    match end {
        None => {
            let at = if start < 0 { start + len } else { start };
            let host = usize::try_from(at).ok().and_then(|i| hosts.get(i)).cloned();
            host.map(|h| vec![h])
                .ok_or_else(|| Error::new(format!("No hosts matched the subscripted pattern '{pattern}'")))
        }
        Some(end) => {
            let end = if end < 0 { len } else { (end + 1).min(len) };
            let start = start.min(len);
            Ok(hosts.get(start as usize..end.max(start) as usize).unwrap_or_default().to_vec())
        }
    }
}

/// `name[1]`, `name[-1]`, `name[0:3]`, `name[2:]`: the name, start and end (-1: to the last one).
fn subscript(pattern: &str) -> (&str, Option<(i64, Option<i64>)>) {
    let none = (pattern, None);
    if pattern.starts_with('~') {
        return none;
    }
    let Some((name, inner)) = pattern.strip_suffix(']').and_then(|p| p.rsplit_once('[')) else { return none };
    if name.is_empty() {
        return none;
    }
    if let Ok(i) = inner.parse::<i64>()
        && !inner.starts_with('+')
    {
        return (name, Some((i, None)));
    }
    let Some(at) = inner.find([':', '-']) else { return none };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (start, end) = (&inner[..at], &inner[at + 1..]);
    if !digits(start) || !(end.is_empty() || digits(end)) {
        return none;
    }
    if inner.as_bytes()[at] == b'-' {
        display::warning("Use [x:y] inclusive subscripts instead of [x-y] which has been removed");
    }
    // an end of 0 counts as none
    let end: i64 = if end.is_empty() { -1 } else { end.parse().unwrap_or(-1) };
    let start: i64 = start.parse().unwrap_or(0);
    (name, Some((start, (end != 0).then_some(end))))
}

fn matches(data: &Data, pattern: &str) -> Result<Vec<Chosen>, Error> {
    let special = pattern.starts_with('~') || pattern.contains(['*', '?', '[']);
    let mut out = Vec::new();
    let mut groups = false;
    if !special {
        if let Some(g) = data.group(pattern) {
            groups = true;
            out.extend(data.hosts_in(g).into_iter().map(Chosen::Host));
        }
        if (!groups || pattern.contains('.'))
            && let Some(h) = data.host(pattern)
        {
            out.push(Chosen::Host(h));
        }
    } else {
        let matcher = Matcher::new(pattern)?;
        for (id, g) in data.groups.iter().enumerate() {
            if matcher.matches(&g.name) {
                groups = true;
                out.extend(data.hosts_in(id).into_iter().map(Chosen::Host));
            }
        }
        let hosts = data.hosts.iter().enumerate().filter(|(_, h)| matcher.matches(&h.name));
        out.extend(hosts.map(|(id, _)| Chosen::Host(id)));
    }
    if out.is_empty() && LOCALHOST.contains(&pattern) {
        out.push(match data.localhost {
            Some(id) => Chosen::Host(id),
            None => Chosen::Implicit(pattern.to_owned()),
        });
    }
    if out.is_empty() && !groups && pattern != "all" {
        let message = format!("Could not match supplied host pattern, ignoring: {pattern}");
        match config::current().text("HOST_PATTERN_MISMATCH") {
            Some("error") => return Err(Error::new(message)),
            Some("ignore") => {}
            _ => display::warning(&message),
        }
    }
    Ok(out)
}

enum Matcher {
    Regex(Regex),
}

impl Matcher {
    fn new(pattern: &str) -> Result<Self, Error> {
        let text = match pattern.strip_prefix('~') {
            Some(regex) => format!("^(?:{regex})"),
            None => glob(pattern),
        };
        Regex::new(&text)
            .map(Matcher::Regex)
            .map_err(|_| Error::new(format!("Invalid host list pattern: {pattern}")))
    }
    fn matches(&self, name: &str) -> bool {
        let Matcher::Regex(r) = self;
        r.is_match(name)
    }
}

/// A shell pattern as a regular expression for whole names.
fn glob(pattern: &str) -> String {
    let mut out = String::from("(?s)^(?:");
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let body = rest.strip_prefix('!').unwrap_or(rest);
                // a first `]` stands for itself
                let skip = usize::from(body.starts_with(']'));
                match body[skip..].find(']') {
                    None => out.push_str("\\["),
                    Some(end) => {
                        let set = &body[..skip + end];
                        out.push('[');
                        if body.len() < rest.len() {
                            out.push('^');
                        }
                        for c in set.chars() {
                            if matches!(c, '\\' | '[' | ']' | '^' | '&' | '~') {
                                out.push('\\');
                            }
                            out.push(c);
                        }
                        out.push(']');
                        rest = &body[skip + end + 1..];
                    }
                }
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push_str(")$");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Data {
        let mut d = Data::default();
        for (group, hosts) in [("web", ["w1", "w2", "w3"]), ("prod", ["w2", "w3", "d1"])] {
            let g = d.add_group(group).unwrap();
            for h in hosts {
                d.add_host(h, Some(g), None).unwrap();
            }
        }
        d.reconcile();
        d
    }

    fn names(p: &str) -> Vec<String> {
        let d = data();
        let of = |c: Chosen| match c {
            Chosen::Host(h) => d.hosts[h].name.to_string(),
            Chosen::Implicit(n) => format!("({n})"),
        };
        evaluate(&d, &split(p)).unwrap().into_iter().map(of).collect()
    }

    #[test]
    fn patterns() {
        assert_eq!(names("web:&prod"), ["w2", "w3"]);
        assert_eq!(names("all,!web"), ["d1"]);
        assert_eq!(names("!w1"), ["w2", "w3", "d1"]);
        assert_eq!(names("web[0]"), ["w1"]);
        assert_eq!(names("web[1:]"), ["w2", "w3"]);
        assert_eq!(names("web[-1]"), ["w3"]);
        assert_eq!(names("web[0:1]"), ["w1", "w2"]);
        assert_eq!(names("~w[12]$"), ["w1", "w2"]);
        assert_eq!(names("w*:d?"), ["w1", "w2", "w3", "d1"]);
        assert_eq!(names("w[!1]"), ["w2", "w3"]);
        assert_eq!(names("localhost"), ["(localhost)"]);
        assert!(names("nothing").is_empty());
        assert_eq!(
            evaluate(&data(), &split("web[9]")).unwrap_err().brief(),
            "No hosts matched the subscripted pattern 'web[9]'"
        );
    }

    #[test]
    fn splitting() {
        assert_eq!(split("a:b[1:2]:&c"), ["a", "b[1:2]", "&c"]);
        assert_eq!(split("fe80::1"), ["fe80::1"]);
        assert_eq!(split("a, b ,"), ["a", "b"]);
        assert_eq!(split("h[1:3]"), ["h[1:3]"]);
    }
}
