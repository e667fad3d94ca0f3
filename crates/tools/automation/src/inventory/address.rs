//! Host names as sources and patterns write them: ports, IPv6 in brackets, ranges `[01:20:2]` and `[a:f]`.

use std::net::Ipv6Addr;
use std::sync::OnceLock;

use regex::Regex;

use crate::Error;

fn compiled(cell: &'static OnceLock<Option<Regex>>, text: &str) -> Option<&'static Regex> {
    cell.get_or_init(|| Regex::new(text).ok()).as_ref()
}

/// Splits `address` into name and port, and checks the name.
///
/// # Errors
/// Where it is no host name, no address, or has ranges that are not allowed.
pub fn parse(address: &str, ranges: bool) -> Result<(&str, Option<u16>), Error> {
    static BRACKETED: OnceLock<Option<Regex>> = OnceLock::new();
    static PORT: OnceLock<Option<Regex>> = OnceLock::new();
    static RANGE: OnceLock<Option<Regex>> = OnceLock::new();
    let mut name = address;
    let mut port = None;
    if address.contains(':') {
        let found =
            compiled(&BRACKETED, r"^\[(.+)\]:([0-9]+)$").and_then(|r| r.captures(address)).or_else(|| {
                compiled(&PORT, r"^((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)$").and_then(|r| r.captures(address))
            });
        if let Some((Some(n), Some(p))) = found.map(|c| (c.get(1), c.get(2))) {
            name = n.as_str();
            port = p.as_str().parse().ok();
        }
    }
    // what a range stands for is as good as a digit
    let plain = match compiled(&RANGE, r"(?i)\[(?:[a-z]:[a-z]|[0-9a-f]+:[0-9a-f]+)(?::[0-9]+)?\]") {
        Some(range) if name.contains('[') => range.replace_all(name, "1"),
        _ => name.into(),
    };
    let label = |l: &str| {
        l.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            && l.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
            && !l.ends_with(['-', '_'])
    };
    if !plain.split('.').all(label) && plain.parse::<Ipv6Addr>().is_err() {
        return Err(Error::new(format!("Not a valid network hostname: {address}")));
    }
    if !ranges && name.contains('[') {
        return Err(Error::parser("Detected range in host but was asked to ignore ranges"));
    }
    Ok((name, port))
}

/// The hosts of a definition, and the port for all of them.
///
/// # Errors
/// Where a range is wrong.
pub fn expand(pattern: &str) -> Result<(Vec<String>, Option<u16>), Error> {
    if !pattern.contains(['[', ':']) {
        return Ok((vec![pattern.to_owned()], None));
    }
    let (name, port) = parse(pattern, true).unwrap_or((pattern, None));
    let hosts = if name.contains('[') { ranges(name)? } else { vec![name.to_owned()] };
    Ok((hosts, port))
}

/// Expands every range of `name`.
fn ranges(name: &str) -> Result<Vec<String>, Error> {
    let wrong = |what: &str| Error::new(format!("host range must {what}"));
    let unpack = || Error::new("not enough values to unpack (expected 3, got 2)");
    let (head, rest) = name.split_once('[').ok_or_else(unpack)?;
    let (range, tail) = rest.split_once(']').ok_or_else(unpack)?;
    let bounds: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match bounds.as_slice() {
        [first, last] => (*first, *last, "1"),
        [first, last, step] => (*first, *last, *step),
        _ => return Err(wrong("be begin:end or begin:end:step")),
    };
    let first = if first.is_empty() { "0" } else { first };
    if last.is_empty() {
        return Err(wrong("specify end value"));
    }
    let width = if first.starts_with('0') && first.len() > 1 { first.len() } else { 0 };
    if width > 0 && width != last.len() {
        return Err(wrong("specify equal-length begin and end formats"));
    }
    let number = |s: &str| {
        s.parse::<usize>().map_err(|_| {
            Error::new(format!(
                "invalid literal for int() with base 10: {}",
                pileus_jinja::value::repr_str(s)
            ))
        })
    };
    let step = match number(step)? {
        0 => return Err(Error::new("range() arg 3 must not be zero")),
        step => step,
    };
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = |s: &str| (s.len() == 1).then(|| LETTERS.find(s)).flatten();
    let items: Vec<String> = match (letter(first), letter(last)) {
        (Some(a), Some(b)) if a > b => return Err(wrong("have begin <= end")),
        (Some(a), Some(b)) => LETTERS[a..=b].chars().step_by(step).map(String::from).collect(),
        _ => (number(first)?..=number(last)?).step_by(step).map(|n| format!("{n:0width$}")).collect(),
    };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let name = format!("{head}{item}{tail}");
        if name.contains('[') {
            out.extend(ranges(&name)?);
        } else {
            out.push(name);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(p: &str) -> Vec<String> {
        expand(p).unwrap().0
    }

    #[test]
    fn ranges_expand() {
        assert_eq!(hosts("web[08:10].x"), ["web08.x", "web09.x", "web10.x"]);
        assert_eq!(hosts("[a:e:2]"), ["a", "c", "e"]);
        assert_eq!(hosts("n[1:2][a:b]"), ["n1a", "n1b", "n2a", "n2b"]);
        assert_eq!(expand("h[1:2]:2222").unwrap().1, Some(2222));
        assert_eq!(expand("[::1]:22").unwrap(), (vec!["::1".to_owned()], Some(22)));
        assert_eq!(expand("fe80::1").unwrap(), (vec!["fe80::1".to_owned()], None));
        assert_eq!(
            expand("a[01:2]").unwrap_err().brief(),
            "host range must specify equal-length begin and end formats"
        );
    }

    #[test]
    fn names_are_checked() {
        assert!(parse("a.b-c", false).is_ok());
        assert!(parse("a:b", true).is_err());
        assert!(parse("a*", true).is_err());
        assert!(parse("a[1:2]", false).is_err());
        assert_eq!(parse("a:22", false).unwrap(), ("a", Some(22)));
    }
}
