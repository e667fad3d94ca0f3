//! The `version` test: loose, strict (distutils), semantic (semver 2.0) and PEP 440.

use std::cmp::Ordering;

use super::Plain;
use crate::{Args, Error, ErrorKind, State, Value};

pub(super) const TESTS: &[(&str, Plain)] = &[("version", version), ("version_compare", version)];

fn fail<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Plugin, message))
}

fn version(_: &State<'_>, a: Args) -> Result<bool, Error> {
    let b = a.bind("version_compare", &["value", "version", "operator", "strict", "version_type"], 2)?;
    let (value, other) = (b.text(0, "")?, b.text(1, "")?);
    if value.is_empty() {
        return fail("Input version value cannot be empty");
    }
    if other.is_empty() {
        return fail("Version parameter to compare against cannot be empty");
    }
    let strict = b.opt(3).filter(|v| !v.is_none());
    let kind = b.opt(4).filter(|v| !v.is_none()).map(Value::to_text).transpose()?;
    if strict.is_some() && kind.is_some() {
        return fail("Cannot specify both 'strict' and 'version_type'");
    }
    let kind = match (kind, strict) {
        (Some(k), _) => k,
        (None, Some(s)) if s.truth()? => "strict".into(),
        _ => "loose".into(),
    };
    let bad = |what: &str| Error::new(ErrorKind::Plugin, format!("Version comparison failed: {what}"));
    let invalid = |s: &str| bad(&format!("invalid version number '{s}'"));
    let order = match kind.as_str() {
        "loose" => loose(&value)
            .partial_cmp_parts(&loose(&other))
            .ok_or_else(|| bad("'<' not supported between instances of 'str' and 'int'"))?,
        "strict" => compare_strict(
            &strict_parts(&value).ok_or_else(|| invalid(&value))?,
            &strict_parts(&other).ok_or_else(|| invalid(&other))?,
        ),
        "semver" | "semantic" => {
            let invalid = |s: &str| bad(&format!("invalid semantic version '{s}'"));
            semver(&value)
                .ok_or_else(|| invalid(&value))?
                .cmp(&semver(&other).ok_or_else(|| invalid(&other))?)
        }
        "pep440" => pep440(&value)
            .ok_or_else(|| bad(&format!("Invalid version: '{value}'")))?
            .cmp(&pep440(&other).ok_or_else(|| bad(&format!("Invalid version: '{other}'")))?),
        other => {
            return fail(format!(
                "Invalid version type ({other}). Must be one of 'loose', 'strict', 'semver', 'semantic', 'pep440'"
            ));
        }
    };
    match b.text(2, "eq")?.as_str() {
        "==" | "=" | "eq" => Ok(order.is_eq()),
        "<" | "lt" => Ok(order.is_lt()),
        "<=" | "le" => Ok(order.is_le()),
        ">" | "gt" => Ok(order.is_gt()),
        ">=" | "ge" => Ok(order.is_ge()),
        "!=" | "<>" | "ne" => Ok(order.is_ne()),
        other => fail(format!(
            "Invalid operator type ({other}). Must be one of '==', '=', 'eq', '<', 'lt', '<=', 'le', '>', 'gt', '>=', 'ge', '!=', '<>', 'ne'"
        )),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Number(u64),
    Word(String),
}

struct Loose(Vec<Part>);

impl Loose {
    fn partial_cmp_parts(&self, other: &Self) -> Option<Ordering> {
        for (a, b) in self.0.iter().zip(&other.0) {
            let o = match (a, b) {
                (Part::Number(a), Part::Number(b)) => a.cmp(b),
                (Part::Word(a), Part::Word(b)) => a.cmp(b),
                _ => return None,
            };
            if o.is_ne() {
                return Some(o);
            }
        }
        Some(self.0.len().cmp(&other.0.len()))
    }
}

/// Runs of digits are numbers, runs of letters words; dots and the rest part them.
fn loose(s: &str) -> Loose {
    let mut out = Vec::new();
    let mut now = String::new();
    let mut kind = 0;
    let of = |c: char| {
        if c.is_ascii_digit() {
            1
        } else if c.is_ascii_lowercase() {
            2
        } else if c == '.' {
            0
        } else {
            3
        }
    };
    let mut flush = |now: &mut String, kind: i32| {
        if !now.is_empty() {
            let word = std::mem::take(now);
            out.push(match word.parse() {
                Ok(n) if kind == 1 => Part::Number(n),
                _ => Part::Word(word),
            });
        }
    };
    for c in s.chars() {
        let k = of(c);
        if k != kind {
            flush(&mut now, kind);
            kind = k;
        }
        if k != 0 {
            now.push(c);
        }
    }
    flush(&mut now, kind);
    Loose(out)
}

type Strict = ([u64; 3], Option<(char, u64)>);

/// `1.2`, `1.2.3`, `1.2a1`.
fn strict_parts(s: &str) -> Option<Strict> {
    let (numbers, pre) = match s.find(['a', 'b']) {
        Some(i) => (&s[..i], Some((s[i..].chars().next()?, s[i + 1..].parse().ok()?))),
        None => (s, None),
    };
    let parts: Option<Vec<u64>> = numbers.split('.').map(|p| p.parse().ok()).collect();
    match parts?.as_slice() {
        [a, b] => Some(([*a, *b, 0], pre)),
        [a, b, c] => Some(([*a, *b, *c], pre)),
        _ => None,
    }
}

fn compare_strict(a: &Strict, b: &Strict) -> Ordering {
    a.0.cmp(&b.0).then_with(|| match (&a.1, &b.1) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.cmp(b),
    })
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    Number(u64),
    Word(String),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Semver {
    core: [u64; 3],
    /// A release is above its pre-releases.
    release: bool,
    pre: Vec<Id>,
}

fn semver(s: &str) -> Option<Semver> {
    let s = s.split_once('+').map_or(s, |(s, _)| s);
    let (core, pre) = s.split_once('-').map_or((s, None), |(c, p)| (c, Some(p)));
    let numbers: Option<Vec<u64>> =
        core.split('.').map(|p| p.parse().ok().filter(|_| p == "0" || !p.starts_with('0'))).collect();
    let core: [u64; 3] = numbers?.try_into().ok()?;
    let pre: Vec<Id> = match pre {
        None => Vec::new(),
        Some(p) => p
            .split('.')
            .map(|i| (!i.is_empty()).then(|| i.parse().map_or_else(|_| Id::Word(i.to_owned()), Id::Number)))
            .collect::<Option<_>>()?,
    };
    Some(Semver { core, release: pre.is_empty(), pre })
}

type Pep440 = (u64, Vec<u64>, (i8, u64), (bool, u64), (bool, u64), Vec<Id>);

/// Epoch, release, pre, post, not-a-development release, local (PEP 440).
fn pep440(s: &str) -> Option<Pep440> {
    let s = s.trim().to_lowercase();
    let s = s.strip_prefix('v').unwrap_or(&s);
    let (s, local) = s.split_once('+').map_or((s, ""), |(s, l)| (s, l));
    let (epoch, s) = s.split_once('!').map_or((Some(0), s), |(e, s)| (e.parse().ok(), s));
    let end = s.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(s.len());
    let numbers = s[..end].trim_end_matches('.');
    let mut rest = s[numbers.len()..].replace(['-', '_'], ".");
    let mut release: Vec<u64> = numbers.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    let mut take = |names: &[&str]| -> Option<Option<u64>> {
        let t = rest.trim_start_matches('.');
        for name in names {
            if let Some(r) = t.strip_prefix(name) {
                let r = r.trim_start_matches('.');
                let end = r.find(|c: char| !c.is_ascii_digit()).unwrap_or(r.len());
                let n = if end == 0 { Some(0) } else { r[..end].parse().ok() };
                rest = r[end..].to_owned();
                return Some(n);
            }
        }
        None
    };
    let mut pre = (3, 0);
    for (rank, names) in
        [(0, &["alpha", "a"][..]), (1, &["beta", "b"][..]), (2, &["preview", "pre", "rc", "c"][..])]
    {
        if let Some(n) = take(names) {
            pre = (rank, n?);
            break;
        }
    }
    let post = take(&["post", "rev", "r"]);
    let dev = take(&["dev"]);
    if !rest.is_empty() {
        return None;
    }
    if pre.0 == 3 && post.is_none() && dev.is_some() {
        pre = (-1, 0);
    }
    let local = local
        .split(['.', '-', '_'])
        .filter(|p| !p.is_empty())
        .map(|p| p.parse().map_or_else(|_| Id::Word(p.to_owned()), Id::Number));
    let dev = match dev {
        Some(n) => (false, n?),
        None => (true, 0),
    };
    let post = match post {
        Some(n) => (true, n?),
        None => (false, 0),
    };
    Some((epoch?, release, pre, post, dev, local.collect()))
}
