//! `str.format` and Python's format specification.

use super::*;
use crate::value::modulo;
use crate::{Args, Error, State, Value};

/// `str.format`: `{}`, `{0}`, `{name.attr[key]!r:spec}`.
pub(super) fn format_text(state: &State<'_>, text: &str, args: &Args) -> Result<Value, Error> {
    let mut out = String::new();
    let mut auto = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.peek() == Some(&'{') => {
                chars.next();
                out.push('{');
            }
            '}' => {
                if chars.next() != Some('}') {
                    return Err(Error::value_error("Single '}' encountered in format string"));
                }
                out.push('}');
            }
            '{' => {
                let (mut field, mut depth) = (String::new(), 1);
                for c in chars.by_ref() {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    if depth == 0 {
                        break;
                    }
                    field.push(c);
                }
                if depth != 0 {
                    return Err(Error::value_error("expected '}' before end of string"));
                }
                out.push_str(&one_field(state, &field, args, &mut auto)?);
            }
            c => out.push(c),
        }
    }
    state.count_bytes(out.len())?;
    Ok(Value::str(out))
}

pub(super) fn one_field(
    state: &State<'_>,
    field: &str,
    args: &Args,
    auto: &mut usize,
) -> Result<String, Error> {
    let (head, spec) = field.split_once(':').unwrap_or((field, ""));
    let spec = match spec.contains('{') {
        true => format_text(state, spec, args)?.to_text()?,
        false => spec.to_owned(),
    };
    let (name, conversion) = head.split_once('!').unwrap_or((head, ""));
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut rest) = name.split_at(end);
    let by_index = |i: usize| {
        args.pos.get(i).cloned().ok_or_else(|| {
            Error::value_error(format!("Replacement index {i} out of range for positional args tuple"))
        })
    };
    let mut v = if first.is_empty() {
        *auto += 1;
        by_index(*auto - 1)?
    } else if let Ok(i) = first.parse::<usize>() {
        by_index(i)?
    } else {
        match args.named(first) {
            Some(v) => v.clone(),
            None => return Err(Error::value_error(crate::value::repr_str(first))),
        }
    };
    while !rest.is_empty() {
        if let Some(r) = rest.strip_prefix('.') {
            let end = r.find(['.', '[']).unwrap_or(r.len());
            v = state.attr(&v, &r[..end])?.checked()?;
            rest = &r[end..];
        } else {
            let Some((key, r)) = rest[1..].split_once(']') else {
                return Err(Error::value_error("Missing ']' in format string"));
            };
            let key = key.parse().map_or_else(|_| Value::str(key), Value::Int);
            v = state.item(&v, &key)?.checked()?;
            rest = r;
        }
    }
    match conversion {
        "" => {}
        "r" | "a" => v = Value::str(v.repr()),
        "s" => v = Value::str(v.to_text()?),
        other => return Err(Error::value_error(format!("Unknown conversion specifier '{other}'"))),
    }
    by_spec(&v, &spec)
}

/// Python's format specification: `[[fill]align][sign][#][0][width][,][.precision][type]`.
pub(super) fn by_spec(v: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return v.to_text();
    }
    let mut c: Vec<char> = spec.chars().collect();
    let is_align = |c: char| "<>^=".contains(c);
    let (mut fill, mut align) = (' ', None);
    if c.len() > 1 && is_align(c[1]) {
        (fill, align) = (c[0], Some(c[1]));
        c.drain(..2);
    } else if c.first().copied().is_some_and(is_align) {
        align = Some(c.remove(0));
    }
    let mut take = |wanted: &str| match c.first() {
        Some(x) if wanted.contains(*x) => Some(c.remove(0)),
        _ => None,
    };
    let sign = take("+- ");
    let alternate = take("#").is_some();
    if take("0").is_some() && align.is_none() {
        (fill, align) = ('0', Some('='));
    }
    let mut width = String::new();
    while let Some(d) = take("0123456789") {
        width.push(d);
    }
    let group = take(",_");
    let mut precision = None;
    if take(".").is_some() {
        let mut p = String::new();
        while let Some(d) = take("0123456789") {
            p.push(d);
        }
        precision =
            Some(p.parse::<usize>().map_err(|_| Error::value_error("Format specifier missing precision"))?);
    }
    let kind = take("bcdeEfFgGnosxX%");
    if !c.is_empty() {
        return Err(Error::value_error(format!(
            "Invalid format specifier '{spec}' for object of type '{}'",
            v.type_name()
        )));
    }
    let width: usize = width.parse().unwrap_or(0);
    if width > 64 << 20 || precision.is_some_and(|p| p > 10_000) {
        return Err(Error::limit("the text would be too long"));
    }
    let numeric = v.as_float().is_some();
    let body = match (v, kind) {
        (Value::Str(s), None | Some('s')) => match precision {
            Some(p) => s.chars().take(p).collect(),
            None => s.to_string(),
        },
        (_, Some('s')) => {
            return Err(Error::value_error(format!(
                "Unknown format code 's' for object of type '{}'",
                v.type_name()
            )));
        }
        (Value::Str(_), Some(k)) => {
            return Err(Error::value_error(format!("Unknown format code '{k}' for object of type 'str'")));
        }
        _ if !numeric => v.to_text()?,
        (_, Some('c')) => v
            .as_int()
            .and_then(|i| u32::try_from(i).ok())
            .and_then(char::from_u32)
            .map(String::from)
            .unwrap_or_default(),
        (_, Some('%')) => modulo(
            &Value::str(format!("%.{}f%%", precision.unwrap_or(6))),
            &Value::Float(v.as_float().unwrap_or(0.0) * 100.0),
        )?
        .to_text()?,
        (_, Some('b')) => v
            .as_int()
            .map(|i| format!("{}{:b}", if i < 0 { "-" } else { "" }, i.unsigned_abs()))
            .unwrap_or_default(),
        (_, Some('n')) | (Value::Int(_) | Value::Bool(_) | Value::BigInt(_), None) => {
            modulo(&Value::str("%d"), v)?.to_text()?
        }
        (Value::Float(_), None) if precision.is_none() => v.to_text()?,
        (_, kind) => {
            let alternate = if alternate { "#" } else { "" };
            let p = precision.map(|p| format!(".{p}")).unwrap_or_default();
            modulo(&Value::str(format!("%{alternate}{p}{}", kind.unwrap_or('g'))), v)?.to_text()?
        }
    };
    let (mut minus, mut digits) = match body.strip_prefix('-') {
        Some(d) if numeric => ("-".to_owned(), d.to_owned()),
        _ => (String::new(), body),
    };
    if numeric && minus.is_empty() {
        minus = sign.filter(|s| *s != '-').map(String::from).unwrap_or_default();
    }
    if let Some(g) = group {
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let whole: Vec<char> = digits[..end].chars().collect();
        let mut out = String::new();
        for (i, d) in whole.iter().enumerate() {
            if i > 0 && (whole.len() - i).is_multiple_of(3) {
                out.push(g);
            }
            out.push(*d);
        }
        digits = out + &digits[end..];
    }
    let room = width.saturating_sub(minus.chars().count() + digits.chars().count());
    Ok(match align.unwrap_or(if numeric { '>' } else { '<' }) {
        '<' => format!("{minus}{digits}{}", repeat(fill, room)),
        '^' => format!("{}{minus}{digits}{}", repeat(fill, room / 2), repeat(fill, room - room / 2)),
        '=' => format!("{minus}{}{digits}", repeat(fill, room)),
        _ => format!("{}{minus}{digits}", repeat(fill, room)),
    })
}
