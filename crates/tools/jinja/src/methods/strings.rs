//! Methods of text.

mod format;

use format::format_text;

use crate::{Args, Error, State, Str, Value};

pub(super) const NAMES: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

fn n(i: usize) -> Value {
    Value::Int(i64::try_from(i).unwrap_or(i64::MAX))
}

/// `chars[start:stop]` by Python's bounds.
fn window(s: &str, start: i64, stop: i64) -> (usize, String) {
    let chars: Vec<char> = s.chars().collect();
    let len = chars.len() as i64;
    let clamp = |i: i64| (if i < 0 { (i + len).max(0) } else { i.min(len) }) as usize;
    let (a, b) = (clamp(start), clamp(stop));
    (a, if a < b { chars[a..b].iter().collect() } else { String::new() })
}

fn all(s: &str, f: impl Fn(char) -> bool) -> Value {
    Value::Bool(!s.is_empty() && s.chars().all(f))
}

fn cased(s: &str, want: fn(char) -> bool, not: fn(char) -> bool) -> Value {
    Value::Bool(s.chars().any(want) && !s.chars().any(not))
}

fn strip(args: Args, name: &str) -> Result<Box<dyn Fn(char) -> bool>, Error> {
    let b = args.bind(name, &["chars"], 0)?;
    Ok(match b.opt(0) {
        None | Some(Value::None) => Box::new(char::is_whitespace),
        Some(v) => {
            let chars = v.to_text()?;
            Box::new(move |c| chars.contains(c))
        }
    })
}

fn pad(s: &str, args: Args, name: &str) -> Result<(usize, char), Error> {
    let b = args.bind(name, &["width", "fillchar"], 1)?;
    let width = usize::try_from(b.int(0, 0)?).unwrap_or(0);
    if width > 64 << 20 {
        return Err(Error::limit("the text would be too long"));
    }
    let fill = b.text(1, " ")?;
    match fill.chars().collect::<Vec<_>>().as_slice() {
        [c] => Ok((width.saturating_sub(s.chars().count()), *c)),
        _ => Err(Error::type_error("The fill character must be exactly one character long")),
    }
}

fn repeat(c: char, n: usize) -> String {
    std::iter::repeat_n(c, n).collect()
}

fn affix(s: &str, args: Args, start: bool) -> Result<Value, Error> {
    let name = if start { "startswith" } else { "endswith" };
    let b = args.bind(name, &["prefix", "start", "end"], 1)?;
    let (_, part) = window(s, b.int(1, 0)?, b.int(2, i64::MAX)?);
    let any = match b.get(0) {
        Value::Str(p) => vec![Value::Str(p)],
        Value::Tuple(t) => t.to_vec(),
        v => {
            return Err(Error::type_error(format!(
                "{name} first arg must be str or a tuple of str, not {}",
                v.type_name()
            )));
        }
    };
    Ok(Value::Bool(
        any.iter()
            .filter_map(Value::as_str)
            .any(|p| if start { part.starts_with(p) } else { part.ends_with(p) }),
    ))
}

fn find(s: &str, args: Args, name: &str) -> Result<Value, Error> {
    let b = args.bind(name, &["sub", "start", "end"], 1)?;
    let sub = match b.get(0) {
        Value::Str(s) => s,
        v => {
            return Err(Error::type_error(format!("{name}() argument 1 must be str, not {}", v.type_name())));
        }
    };
    let (from, part) = window(s, b.int(1, 0)?, b.int(2, i64::MAX)?);
    if name == "count" {
        return Ok(n(if sub.is_empty() {
            part.chars().count() + 1
        } else {
            part.matches(sub.as_str()).count()
        }));
    }
    let at = if name.starts_with('r') { part.rfind(sub.as_str()) } else { part.find(sub.as_str()) };
    match at {
        Some(i) => Ok(n(from + part[..i].chars().count())),
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => Err(Error::value_error("substring not found")),
    }
}

fn split(s: &str, args: Args, right: bool) -> Result<Value, Error> {
    let b = args.bind("split", &["sep", "maxsplit"], 0)?;
    let max = usize::try_from(b.int(1, -1)?).ok();
    let parts: Vec<String> = match b.opt(0) {
        None | Some(Value::None) if right && max.is_some() => {
            let flipped: String = s.chars().rev().collect();
            let mut parts: Vec<String> = crate::filters::split_blanks(&flipped, max)
                .iter()
                .map(|p| p.chars().rev().collect())
                .collect();
            parts.reverse();
            parts
        }
        None | Some(Value::None) => crate::filters::split_blanks(s, max),
        Some(sep) => {
            let sep = sep
                .as_str()
                .ok_or_else(|| Error::type_error(format!("must be str or None, not {}", sep.type_name())))?
                .to_owned();
            if sep.is_empty() {
                return Err(Error::value_error("empty separator"));
            }
            match (max, right) {
                (None, _) => s.split(sep.as_str()).map(str::to_owned).collect(),
                (Some(n), false) => s.splitn(n + 1, sep.as_str()).map(str::to_owned).collect(),
                (Some(n), true) => {
                    let mut parts: Vec<String> = s.rsplitn(n + 1, sep.as_str()).map(str::to_owned).collect();
                    parts.reverse();
                    parts
                }
            }
        }
    };
    Ok(Value::list(parts.into_iter().map(Value::str).collect()))
}

fn partition(s: &str, args: Args, right: bool) -> Result<Value, Error> {
    let sep = args.bind("partition", &["sep"], 1)?.text(0, "")?;
    if sep.is_empty() {
        return Err(Error::value_error("empty separator"));
    }
    let found = if right { s.rsplit_once(sep.as_str()) } else { s.split_once(sep.as_str()) };
    Ok(Value::tuple(match found {
        Some((a, b)) => vec![Value::str(a), Value::str(sep), Value::str(b)],
        None if right => vec![Value::str(""), Value::str(""), Value::str(s)],
        None => vec![Value::str(s), Value::str(""), Value::str("")],
    }))
}

pub(super) fn call(state: &State<'_>, s: &Str, name: &str, args: Args) -> Result<Value, Error> {
    let text = s.as_str();
    Ok(match name {
        "upper" => Value::str(text.to_uppercase()),
        "lower" | "casefold" => Value::str(text.to_lowercase()),
        "capitalize" => {
            let mut c = text.chars();
            let head = c.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            Value::str(head + &c.as_str().to_lowercase())
        }
        "title" => {
            let mut start = true;
            let mut out = String::new();
            for c in text.chars() {
                if start {
                    out.extend(c.to_uppercase())
                } else {
                    out.extend(c.to_lowercase())
                }
                start = !c.is_alphabetic();
            }
            Value::str(out)
        }
        "swapcase" => Value::str(
            text.chars()
                .map(|c| {
                    if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() }
                })
                .collect::<String>(),
        ),
        "strip" => Value::str(text.trim_matches(&*strip(args, name)?)),
        "lstrip" => Value::str(text.trim_start_matches(&*strip(args, name)?)),
        "rstrip" => Value::str(text.trim_end_matches(&*strip(args, name)?)),
        "split" => split(text, args, false)?,
        "rsplit" => split(text, args, true)?,
        "splitlines" => {
            let keep = args.bind(name, &["keepends"], 0)?.truth(0, false)?;
            let lines = text.split_inclusive('\n').map(|l| {
                if keep { l } else { l.strip_suffix('\n').map_or(l, |l| l.strip_suffix('\r').unwrap_or(l)) }
            });
            Value::list(lines.map(Value::str).collect())
        }
        "partition" => partition(text, args, false)?,
        "rpartition" => partition(text, args, true)?,
        "startswith" => affix(text, args, true)?,
        "endswith" => affix(text, args, false)?,
        "find" | "rfind" | "index" | "rindex" | "count" => find(text, args, name)?,
        "replace" => {
            let b = args.bind("replace", &["old", "new", "count"], 2)?;
            let (old, new) = (b.text(0, "")?, b.text(1, "")?);
            Value::str(match usize::try_from(b.int(2, -1)?) {
                Ok(n) => text.replacen(&old, &new, n),
                Err(_) => text.replace(&old, &new),
            })
        }
        "join" => {
            let mut out = String::new();
            for (i, v) in state.items(&args.bind("join", &["iterable"], 1)?.get(0))?.iter().enumerate() {
                if i > 0 {
                    out.push_str(text);
                }
                match v {
                    Value::Str(s) => out.push_str(s),
                    Value::Undefined(u) => return Err(u.to_error()),
                    v => {
                        return Err(Error::type_error(format!(
                            "sequence item {i}: expected str instance, {} found",
                            v.type_name()
                        )));
                    }
                }
            }
            state.count_bytes(out.len())?;
            Value::str(out)
        }
        "removeprefix" => {
            let p = args.bind(name, &["prefix"], 1)?.text(0, "")?;
            Value::str(text.strip_prefix(p.as_str()).unwrap_or(text))
        }
        "removesuffix" => {
            let p = args.bind(name, &["suffix"], 1)?.text(0, "")?;
            Value::str(text.strip_suffix(p.as_str()).unwrap_or(text))
        }
        "ljust" => {
            let (n, c) = pad(text, args, name)?;
            Value::str(format!("{text}{}", repeat(c, n)))
        }
        "rjust" => {
            let (n, c) = pad(text, args, name)?;
            Value::str(format!("{}{text}", repeat(c, n)))
        }
        "center" => {
            let (n, c) = pad(text, args, name)?;
            Value::str(crate::filters::pad_center(text, text.chars().count() + n, c))
        }
        "zfill" => {
            let width =
                usize::try_from(args.bind(name, &["width"], 1)?.int(0, 0)?).unwrap_or(0).min(64 << 20);
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(rest) => (&text[..1], rest),
                None => ("", text),
            };
            Value::str(format!("{sign}{}{digits}", repeat('0', width.saturating_sub(text.chars().count()))))
        }
        "expandtabs" => {
            let size = usize::try_from(args.bind(name, &["tabsize"], 0)?.int(0, 8)?).unwrap_or(0);
            let (mut out, mut column) = (String::new(), 0);
            for c in text.chars() {
                match c {
                    '\t' if size > 0 => {
                        let n = size - column % size;
                        out.push_str(&repeat(' ', n));
                        column += n;
                    }
                    '\t' => {}
                    c => {
                        out.push(c);
                        column = if c == '\n' { 0 } else { column + 1 };
                    }
                }
            }
            Value::str(out)
        }
        "format" => format_text(state, text, &args)?,
        "format_map" => {
            let v = args.first();
            let kw = v
                .to_vec()?
                .into_iter()
                .map(|k| Ok((k.to_text()?.into(), state.item(&v, &k)?)))
                .collect::<Result<_, Error>>()?;
            format_text(state, text, &Args { pos: Vec::new(), kw })?
        }
        "encode" => Value::Bytes(text.as_bytes().into()),
        "translate" => Value::str(text),
        "isdigit" | "isdecimal" | "isnumeric" => all(text, char::is_numeric),
        "isalpha" => all(text, char::is_alphabetic),
        "isalnum" => all(text, char::is_alphanumeric),
        "isspace" => all(text, char::is_whitespace),
        "isascii" => Value::Bool(text.is_ascii()),
        "isprintable" => Value::Bool(!text.chars().any(char::is_control)),
        "isidentifier" => Value::Bool(
            text.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_alphanumeric() || c == '_'),
        ),
        "islower" => cased(text, char::is_lowercase, char::is_uppercase),
        "isupper" => cased(text, char::is_uppercase, char::is_lowercase),
        "istitle" => {
            let (mut inside, mut any, mut right) = (false, false, true);
            for c in text.chars() {
                if c.is_uppercase() {
                    right &= !inside;
                    any = true;
                } else if c.is_lowercase() {
                    right &= inside;
                }
                inside = c.is_alphabetic();
            }
            Value::Bool(any && right)
        }
        other => return Err(Error::type_error(format!("'str' object has no method '{other}'"))),
    })
}
