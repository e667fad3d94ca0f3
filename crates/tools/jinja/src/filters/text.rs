//! Filters on text.

use super::{Plain, text_of};
use crate::{Args, Error, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("capitalize", capitalize),
    ("center", center),
    ("e", escape),
    ("escape", escape),
    ("forceescape", escape),
    ("filesizeformat", filesizeformat),
    ("format", format),
    ("indent", indent),
    ("lower", lower),
    ("pprint", pprint),
    ("quote", quote),
    ("replace", replace),
    ("safe", string),
    ("string", string),
    ("striptags", striptags),
    ("title", title),
    ("trim", trim),
    ("truncate", truncate),
    ("upper", upper),
    ("wordcount", wordcount),
    ("wordwrap", wordwrap),
    ("split", split),
    ("urlencode", urlencode),
    ("urldecode", urldecode),
    ("bool", boolean),
];

fn string(_: &State<'_>, a: Args) -> Result<Value, Error> {
    match a.first() {
        v @ Value::Str(_) => Ok(v),
        v => Ok(Value::str(text_of(&v)?)),
    }
}

fn upper(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(Value::str(text_of(&a.first())?.to_uppercase()))
}

fn lower(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(Value::str(text_of(&a.first())?.to_lowercase()))
}

fn capitalize(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let s = text_of(&a.first())?;
    let mut chars = s.chars();
    let head = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    Ok(Value::str(head + &chars.as_str().to_lowercase()))
}

/// As Jinja's, which begins a word after `-`, blanks and opening brackets.
fn title(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let mut start = true;
    let mut out = String::new();
    for c in text_of(&a.first())?.chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        start = c.is_whitespace() || "-({[<".contains(c);
    }
    Ok(Value::str(out))
}

fn center(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_center", &["value", "width"], 1)?;
    let (s, width) = (b.text(0, "")?, b.int(1, 80)?);
    Ok(Value::str(crate::filters::text::pad_center(&s, usize::try_from(width).unwrap_or(0), ' ')))
}

/// Python's `str.center`.
pub(crate) fn pad_center(s: &str, width: usize, fill: char) -> String {
    let n = s.chars().count();
    let Some(pad) = width.checked_sub(n) else { return s.to_owned() };
    let left = pad / 2 + (pad & width & 1);
    let side = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    format!("{}{s}{}", side(left), side(pad - left))
}

fn trim(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_trim", &["value", "chars"], 1)?;
    let s = b.text(0, "")?;
    Ok(Value::str(match b.opt(1) {
        None | Some(Value::None) => s.trim().to_owned(),
        Some(chars) => {
            let chars = chars.to_text()?;
            s.trim_matches(|c| chars.contains(c)).to_owned()
        }
    }))
}

fn replace(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_replace", &["s", "old", "new", "count"], 3)?;
    let (s, old, new) = (b.text(0, "")?, b.text(1, "")?, b.text(2, "")?);
    let count = match b.opt(3) {
        None | Some(Value::None) => -1,
        Some(_) => b.int(3, -1)?,
    };
    Ok(Value::str(match usize::try_from(count) {
        Ok(n) => s.replacen(&old, &new, n),
        Err(_) => s.replace(&old, &new),
    }))
}

pub(crate) fn escape_html(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

fn escape(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(Value::str(escape_html(&text_of(&a.first())?)))
}

fn striptags(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let mut out = String::new();
    let mut inside = false;
    for c in text_of(&a.first())?.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    let out = out.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'").replace("&#34;", "\"");
    Ok(Value::str(out.replace("&amp;", "&").split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// `%` formatting with the arguments as tuple or mapping.
fn format(_: &State<'_>, mut a: Args) -> Result<Value, Error> {
    let s = Value::str(text_of(&a.first())?);
    if !a.pos.is_empty() {
        a.pos.remove(0);
    }
    if !a.kw.is_empty() && !a.pos.is_empty() {
        return Err(Error::type_error("can't handle positional and keyword arguments at the same time"));
    }
    let with = if a.kw.is_empty() {
        Value::tuple(a.pos)
    } else {
        Value::Dict(a.kw.into_iter().map(|(k, v)| (Value::str(k), v)).collect())
    };
    crate::value::modulo(&s, &with)
}

fn indent(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_indent", &["s", "width", "first", "blank"], 1)?;
    let width = match b.opt(1) {
        Some(Value::Str(s)) => s.to_string(),
        _ => " ".repeat(usize::try_from(b.int(1, 4)?).unwrap_or(0)),
    };
    let (first, blank) = (b.truth(2, false)?, b.truth(3, false)?);
    let value = b.get(0);
    if !matches!(value, Value::Str(_)) {
        return Err(Error::type_error(format!(
            "unsupported operand type(s) for +=: '{}' and 'str'",
            value.type_name()
        )));
    }
    let s = b.text(0, "")? + "\n";
    let mut lines: Vec<&str> = s.lines().collect();
    if s.ends_with("\n\n") && lines.last() != Some(&"") {
        lines.push("");
    }
    let mut out = String::new();
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if (i > 0 || first) && (blank || !line.is_empty() || (i == 0 && first)) {
            out.push_str(&width);
        }
        out.push_str(line);
    }
    Ok(Value::str(out))
}

fn truncate(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_truncate", &["s", "length", "killwords", "end", "leeway"], 1)?;
    let value = b.get(0);
    if !matches!(value, Value::Str(_)) {
        // whatever has a length passes, if it is short
        return match (value.len()?, b.int(1, 255)?) {
            (n, length) if i64::try_from(n).is_ok_and(|n| n <= length + 5) => Ok(value),
            _ => Err(Error::type_error(format!("'{}' object has no attribute 'rsplit'", value.type_name()))),
        };
    }
    let (s, end) = (b.text(0, "")?, b.text(3, "...")?);
    let length = usize::try_from(b.int(1, 255)?).unwrap_or(0);
    let leeway = usize::try_from(b.int(4, 5)?).unwrap_or(0);
    let n = end.chars().count();
    if length < n {
        return Err(Error::runtime(format!("expected length >= {n}, got {length}")));
    }
    if s.chars().count() <= length + leeway {
        return Ok(Value::str(s));
    }
    let mut cut: String = s.chars().take(length - n).collect();
    if !b.truth(2, false)?
        && let Some(i) = cut.rfind(' ')
    {
        cut.truncate(i);
    }
    Ok(Value::str(cut + &end))
}

fn wordcount(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let s = text_of(&a.first())?;
    let words = s.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).count();
    Ok(Value::Int(i64::try_from(words).unwrap_or(0)))
}

fn wordwrap(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b =
        a.bind("do_wordwrap", &["s", "width", "break_long_words", "wrapstring", "break_on_hyphens"], 1)?;
    let value = b.get(0);
    if !matches!(value, Value::Str(_)) {
        return Err(Error::type_error(format!(
            "'{}' object has no attribute 'splitlines'",
            value.type_name()
        )));
    }
    let s = b.text(0, "")?;
    let width = usize::try_from(b.int(1, 79)?).unwrap_or(1).max(1);
    let long = b.truth(2, true)?;
    let wrap = match b.opt(3) {
        None | Some(Value::None) => "\n".to_owned(),
        Some(v) => v.to_text()?,
    };
    let lines: Vec<String> = s.lines().map(|l| wrap_line(l, width, long).join(&wrap)).collect();
    Ok(Value::str(lines.join(&wrap)))
}

fn wrap_line(line: &str, width: usize, long: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut now = String::new();
    for word in line.split_inclusive(' ') {
        let mut word = word.to_owned();
        if now.chars().count() + word.trim_end().chars().count() > width && !now.is_empty() {
            out.push(std::mem::take(&mut now).trim_end().to_owned());
        }
        while long && word.trim_end().chars().count() > width {
            let at = word.char_indices().nth(width).map_or(word.len(), |(i, _)| i);
            let rest = word.split_off(at);
            out.push(std::mem::replace(&mut word, rest));
        }
        now.push_str(&word);
    }
    if !now.is_empty() {
        out.push(now.trim_end().to_owned());
    }
    out
}

fn filesizeformat(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_filesizeformat", &["value", "binary"], 1)?;
    let binary = b.truth(1, false)?;
    let n = match b.get(0) {
        Value::Str(s) => s.trim().parse().map_err(|_| {
            Error::value_error(format!("could not convert string to float: {}", crate::value::repr_str(&s)))
        })?,
        v => v.as_float().unwrap_or(0.0),
    };
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    let units = if binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    if n == 1.0 {
        return Ok(Value::str("1 Byte"));
    }
    if n < base {
        return Ok(Value::str(format!("{} Bytes", n.trunc())));
    }
    let mut unit = base;
    for name in &units[..7] {
        unit *= base;
        if n < unit {
            return Ok(Value::str(format!("{:.1} {name}", base * n / unit)));
        }
    }
    Ok(Value::str(format!("{:.1} {}", n / unit, units[7])))
}

fn pprint(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(Value::str(a.first().repr()))
}

/// Python's `shlex.quote`.
fn quote(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let s = match a.first() {
        Value::None => String::new(),
        v => text_of(&v)?,
    };
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    Ok(Value::str(if s.is_empty() {
        "''".to_owned()
    } else if s.chars().all(safe) {
        s
    } else {
        format!("'{}'", s.replace('\'', "'\"'\"'"))
    }))
}

fn split(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("split", &["string", "sep", "maxsplit"], 1)?;
    let Value::Str(s) = b.get(0) else {
        return Err(Error::type_error(format!(
            "descriptor 'split' for 'str' objects doesn't apply to a '{}' object",
            b.get(0).type_name()
        )));
    };
    let max = usize::try_from(b.int(2, -1)?).ok();
    let parts: Vec<Value> = match b.opt(1) {
        None | Some(Value::None) => split_blanks(&s, max).into_iter().map(Value::str).collect(),
        Some(sep) => {
            let sep = sep.to_text()?;
            if sep.is_empty() {
                return Err(Error::value_error("empty separator"));
            }
            match max {
                Some(n) => s.splitn(n + 1, sep.as_str()).map(Value::str).collect(),
                None => s.split(sep.as_str()).map(Value::str).collect(),
            }
        }
    };
    Ok(Value::list(parts))
}

/// Python's `str.split()` at blanks.
pub(crate) fn split_blanks(s: &str, max: Option<usize>) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = s.trim_start();
    while !rest.is_empty() {
        if max == Some(out.len()) {
            out.push(rest.to_owned());
            break;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        out.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    out
}

fn percent(s: &str, keep: &str) -> String {
    let mut out = String::new();
    for b in s.bytes() {
        let c = char::from(b);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || (c.is_ascii() && keep.contains(c)) {
            out.push(c);
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// Jinja's `urlencode`: a mapping or pairs become a query, text keeps its slashes.
fn urlencode(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let v = a.first();
    let pair = |k: &Value, v: &Value| -> Result<String, Error> {
        Ok(format!(
            "{}={}",
            percent(&k.to_text()?, "").replace("%20", "+"),
            percent(&v.to_text()?, "").replace("%20", "+")
        ))
    };
    let parts: Result<Vec<String>, Error> = match &v {
        Value::Dict(d) => d.items().iter().map(|(k, v)| pair(k, &state.read(v.clone()))).collect(),
        Value::List(_) | Value::Tuple(_) => v
            .to_vec()?
            .iter()
            .map(|p| match p.to_vec()?.as_slice() {
                [k, v] => pair(k, v),
                other => Err(Error::value_error(format!(
                    "not enough values to unpack (expected 2, got {})",
                    other.len()
                ))),
            })
            .collect(),
        other => return Ok(Value::str(percent(&other.to_text()?, "/"))),
    };
    Ok(Value::str(parts?.join("&")))
}

fn urldecode(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let value = a.first();
    let Some(s) = value.as_str() else {
        let name = value.type_name();
        return Err(Error::type_error(format!("'{name}' object has no attribute 'replace'")));
    };
    let s = s.replace('+', " ");
    Ok(Value::str(percent_encoding::percent_decode_str(&s).decode_utf8_lossy()))
}

/// ansible.builtin.bool.
fn boolean(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let v = a.first();
    Ok(match &v {
        Value::Bool(_) => v,
        Value::Str(s) => {
            Value::Bool(matches!(s.trim().to_lowercase().as_str(), "yes" | "on" | "1" | "true" | "t" | "y"))
        }
        Value::Int(1) => Value::Bool(true),
        Value::Float(f) if *f == 1.0 => Value::Bool(true),
        _ => Value::Bool(false),
    })
}
