//! Filters on paths, as Python's `os.path` and `ntpath` have them. None looks at the disk but `expanduser` and
//! `expandvars` (the environment) and `realpath` (links).

use super::Plain;
use crate::{Args, Error, ErrorKind, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("basename", |_, a| Ok(Value::str(split(&path_of(&a.first())?).1.to_owned()))),
    ("commonpath", commonpath),
    ("dirname", |_, a| Ok(Value::str(split(&path_of(&a.first())?).0))),
    ("expanduser", expanduser),
    ("expandvars", expandvars),
    ("normpath", |_, a| Ok(Value::str(normalise(&path_of(&a.first())?)))),
    ("path_join", path_join),
    ("realpath", realpath),
    ("relpath", relpath),
    ("splitext", splitext),
    ("win_basename", |_, a| Ok(Value::str(win_split(&path_of(&a.first())?).1))),
    ("win_dirname", |_, a| Ok(Value::str(win_split(&path_of(&a.first())?).0))),
    ("win_splitdrive", win_splitdrive),
    ("urlsplit", urlsplit),
];

/// A path: text, as Python's `os.fspath` wants it.
fn path_of(v: &Value) -> Result<String, Error> {
    match v {
        Value::Str(s) => Ok(s.to_string()),
        Value::Bytes(b) => Ok(String::from_utf8_lossy(b).into_owned()),
        other => Err(Error::type_error(format!(
            "expected str, bytes or os.PathLike object, not {}",
            other.type_name()
        ))),
    }
}

/// Python's `os.path.split`.
fn split(path: &str) -> (String, &str) {
    let at = path.rfind('/').map_or(0, |i| i + 1);
    let (head, tail) = path.split_at(at);
    let trimmed = head.trim_end_matches('/');
    (if trimmed.is_empty() { head.to_owned() } else { trimmed.to_owned() }, tail)
}

/// Python's `os.path.normpath`.
pub(crate) fn normalise(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let root = if path.starts_with("//") && !path.starts_with("///") {
        "//"
    } else if path.starts_with('/') {
        "/"
    } else {
        ""
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            ".." if !root.is_empty() => {}
            p => parts.push(p),
        }
    }
    let out = format!("{root}{}", parts.join("/"));
    if out.is_empty() { ".".into() } else { out }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        return normalise(path);
    }
    let here = std::env::current_dir().unwrap_or_default();
    normalise(&format!("{}/{path}", here.to_string_lossy()))
}

fn path_join(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let parts = match a.first() {
        Value::Str(s) => vec![Value::Str(s)],
        v => super::sequence(&v).ok_or_else(|| {
            Error::new(
                ErrorKind::Plugin,
                format!("|path_join expects string or sequence, got {} instead.", v.type_name()),
            )
        })?,
    };
    let mut out = String::new();
    for part in parts {
        let part = part.to_text()?;
        if part.starts_with('/') || out.is_empty() {
            out = part;
        } else {
            if !out.ends_with('/') {
                out.push('/');
            }
            out.push_str(&part);
        }
    }
    Ok(Value::str(out))
}

fn relpath(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("relpath", &["path", "start"], 1)?;
    let path = b.text(0, "")?;
    if path.is_empty() {
        return Err(Error::value_error("no path specified"));
    }
    let (path, start) = (absolute(&path), absolute(&b.text(1, ".")?));
    let parts = |s: &str| s.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (path, start) = (parts(&path), parts(&start));
    let same = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let mut out = vec!["..".to_owned(); start.len() - same];
    out.extend_from_slice(&path[same..]);
    Ok(Value::str(if out.is_empty() { ".".into() } else { out.join("/") }))
}

fn realpath(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let path = absolute(&path_of(&a.first())?);
    // what does not exist stays as it is; the part that does is followed
    let mut known = std::path::PathBuf::from(&path);
    let mut rest = Vec::new();
    loop {
        if let Ok(real) = std::fs::canonicalize(&known) {
            let mut out = real;
            out.extend(rest.iter().rev());
            return Ok(Value::str(out.to_string_lossy().into_owned()));
        }
        match known.file_name() {
            Some(name) => rest.push(name.to_owned()),
            None => return Ok(Value::str(path)),
        }
        known.pop();
    }
}

fn expanduser(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let s = path_of(&a.first())?;
    let Some(rest) = s.strip_prefix('~') else { return Ok(Value::str(s)) };
    let (user, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = if user.is_empty() {
        std::env::var("HOME").ok()
    } else {
        std::fs::read_to_string("/etc/passwd").ok().and_then(|t| {
            t.lines().find_map(|l| {
                let f: Vec<&str> = l.split(':').collect();
                (f.len() > 5 && f[0] == user).then(|| f[5].to_owned())
            })
        })
    };
    Ok(Value::str(match home {
        Some(home) => format!("{}{tail}", home.trim_end_matches('/')),
        None => s,
    }))
}

fn expandvars(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let s = path_of(&a.first())?;
    let mut out = String::new();
    let mut rest = s.as_str();
    while let Some(i) = rest.find('$') {
        out.push_str(&rest[..i]);
        rest = &rest[i..];
        let (name, len) = match rest.strip_prefix("${").and_then(|r| r.split_once('}')) {
            Some((name, _)) => (name, name.len() + 3),
            None => {
                let n = rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1);
                (&rest[1..=n], n + 1)
            }
        };
        match std::env::var(name) {
            Ok(v) if !name.is_empty() => out.push_str(&v),
            _ => out.push_str(&rest[..len]),
        }
        rest = &rest[len..];
    }
    out.push_str(rest);
    Ok(Value::str(out))
}

fn splitext(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let s = path_of(&a.first())?;
    let name = s.rfind('/').map_or(0, |i| i + 1);
    let dots = s[name..].len() - s[name..].trim_start_matches('.').len();
    let at = s[name + dots..].rfind('.').map_or(s.len(), |i| name + dots + i);
    Ok(Value::tuple(vec![Value::str(&s[..at]), Value::str(&s[at..])]))
}

fn commonpath(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let Some(paths) = super::sequence(&a.first()) else {
        return Err(Error::new(
            ErrorKind::Plugin,
            "|commonpath expects sequence, got something else instead.",
        ));
    };
    let paths: Result<Vec<String>, Error> = paths.iter().map(Value::to_text).collect();
    let paths = paths?;
    let Some(first) = paths.first() else {
        return Err(Error::value_error("commonpath() arg is an empty sequence"));
    };
    if paths.iter().any(|p| p.starts_with('/') != first.starts_with('/')) {
        return Err(Error::value_error("Can't mix absolute and relative paths"));
    }
    let parts =
        |s: &str| s.split('/').filter(|p| !p.is_empty() && *p != ".").map(str::to_owned).collect::<Vec<_>>();
    let mut same = parts(first);
    for p in &paths[1..] {
        let other = parts(p);
        let n = same.iter().zip(&other).take_while(|(a, b)| a == b).count();
        same.truncate(n);
    }
    Ok(Value::str(format!("{}{}", if first.starts_with('/') { "/" } else { "" }, same.join("/"))))
}

fn win_drive(s: &str) -> (&str, &str) {
    if s.as_bytes().get(1) == Some(&b':') { s.split_at(2) } else { ("", s) }
}

fn win_split(s: &str) -> (String, String) {
    let (drive, path) = win_drive(s);
    let at = path.rfind(['/', '\\']).map_or(0, |i| i + 1);
    let (head, tail) = path.split_at(at);
    let trimmed = head.trim_end_matches(['/', '\\']);
    (format!("{drive}{}", if trimmed.is_empty() { head } else { trimmed }), tail.to_owned())
}

fn win_splitdrive(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let s = path_of(&a.first())?;
    let (drive, path) = win_drive(&s);
    Ok(Value::tuple(vec![Value::str(drive), Value::str(path)]))
}

fn urlsplit(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("split_url", &["value", "query", "alias"], 1)?;
    let url = b.text(0, "")?;
    let (rest, fragment) = url.split_once('#').unwrap_or((&url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = match rest.split_once(':') {
        Some((s, r))
            if s.starts_with(|c: char| c.is_ascii_alphabetic())
                && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (s.to_lowercase(), r)
        }
        _ => (String::new(), rest),
    };
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(r) => r.split_at(r.find('/').unwrap_or(r.len())),
        None => ("", rest),
    };
    let (user, host) = netloc.rsplit_once('@').map_or((None, netloc), |(u, h)| (Some(u), h));
    let (name, password) = match user {
        Some(u) => {
            u.split_once(':').map_or((Value::str(u), Value::None), |(n, p)| (Value::str(n), Value::str(p)))
        }
        None => (Value::None, Value::None),
    };
    let (hostname, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((h, p)) => (h, p.strip_prefix(':').unwrap_or("")),
        None => host.rsplit_once(':').unwrap_or((host, "")),
    };
    let port = match port {
        "" => Value::None,
        p => Value::Int(p.parse::<u16>().map(i64::from).map_err(|_| {
            Error::value_error(format!(
                "Port could not be cast to integer value as {}",
                crate::value::repr_str(p)
            ))
        })?),
    };
    let all = Value::dict([
        ("fragment", Value::str(fragment)),
        ("hostname", if hostname.is_empty() { Value::None } else { Value::str(hostname.to_lowercase()) }),
        ("netloc", Value::str(netloc)),
        ("password", password),
        ("path", Value::str(path)),
        ("port", port),
        ("query", Value::str(query)),
        ("scheme", Value::str(scheme)),
        ("username", name),
    ]);
    match b.text(1, "")?.as_str() {
        "" => Ok(all),
        part => all.get(part).ok_or_else(|| {
            Error::new(
                ErrorKind::Plugin,
                format!("{}: unknown URL component: {part}", b.text(2, "urlsplit").unwrap_or_default()),
            )
        }),
    }
}
