//! Conversion of a setting to its option's type.

use std::path::Path;

use pileus_jinja::value::repr_str;
use serde_json::Value as Json;

use crate::Error;
use crate::source::paths::{unfrack, unfrack_from};

/// Text without the quotes around it, where both ends bear the same.
pub fn unquote(s: &str) -> &str {
    let b = s.as_bytes();
    let quoted =
        b.len() > 1 && b[0] == b[b.len() - 1] && matches!(b[0], b'"' | b'\'') && b[b.len() - 2] != b'\\';
    if quoted { &s[1..s.len() - 1] } else { s }
}

/// Python's `str()` of a setting's value.
pub fn plain(v: &Json) -> String {
    match v {
        Json::String(s) => s.clone(),
        other => pileus_jinja::Value::from(other).repr(),
    }
}

/// What counts as true; everything else is false.
pub fn truth(v: &Json) -> bool {
    match v {
        Json::Bool(b) => *b,
        Json::Number(n) => n.as_f64() == Some(1.0),
        Json::String(s) => crate::truth::holds(s),
        _ => false,
    }
}

/// `value` as `kind`; relative paths are from the directory of `origin`, where that is a file.
///
/// # Errors
/// Where it cannot be one.
pub fn convert(value: &Json, kind: Option<&str>, origin: &str) -> Result<Json, Error> {
    if value.is_null() {
        return Ok(Json::Null);
    }
    let kind = kind.map(str::to_lowercase);
    let done = match kind.as_deref() {
        Some("boolean" | "bool") => Some(Json::Bool(truth(value))),
        Some("integer" | "int") => integer(value),
        Some("float") => float(value),
        Some("list") => list(value),
        Some("none") => (value.as_str() == Some("None")).then_some(Json::Null),
        Some("path" | "temppath" | "tmppath" | "tmp") => value.as_str().map(|s| path(s, origin)),
        Some("pathspec") => paths(value, ':', origin),
        Some("pathlist") => paths(value, ',', origin),
        Some("dictionary" | "dict") => value.is_object().then(|| value.clone()),
        Some("string" | "str") => match value {
            Json::String(_) => Some(value.clone()),
            Json::Bool(_) | Json::Number(_) => Some(Json::String(plain(value))),
            _ => None,
        },
        _ => Some(value.clone()),
    };
    done.ok_or_else(|| {
        let shown = pileus_jinja::Value::from(value).repr();
        let kind = repr_str(kind.as_deref().unwrap_or_default());
        Error::new(format!("Invalid value provided for {kind}: {shown}"))
    })
}

fn integer(value: &Json) -> Option<Json> {
    match value {
        Json::Bool(b) => Some(Json::from(i64::from(*b))),
        Json::Number(n) => match n.as_i64() {
            Some(_) => Some(value.clone()),
            None => whole(n.as_f64()?),
        },
        Json::String(s) => {
            let s = s.trim().replace('_', "");
            s.parse::<i64>().map(Json::from).ok().or_else(|| whole(s.parse().ok()?))
        }
        _ => None,
    }
}

fn whole(f: f64) -> Option<Json> {
    (f.is_finite() && f == f.trunc() && f.abs() < 9e18).then(|| Json::from(f as i64))
}

fn float(value: &Json) -> Option<Json> {
    match value {
        Json::Bool(b) => Some(Json::from(f64::from(u8::from(*b)))),
        Json::Number(n) => n.as_f64().map(Json::from),
        Json::String(s) => s.trim().parse::<f64>().ok().map(Json::from),
        _ => None,
    }
}

fn list(value: &Json) -> Option<Json> {
    match value {
        Json::Array(_) => Some(value.clone()),
        Json::String(s) => Some(s.split(',').map(|x| unquote(x.trim())).collect()),
        _ => None,
    }
}

fn path(s: &str, origin: &str) -> Json {
    let s = match std::env::current_dir() {
        Ok(cwd) if s.contains("{{CWD}}") => s.replace("{{CWD}}", &cwd.to_string_lossy()),
        _ => s.to_owned(),
    };
    let base = Path::new(origin);
    Json::String(if base.is_absolute() && base.exists() {
        let dir = if base.is_dir() { base } else { base.parent().unwrap_or(base) };
        unfrack_from(&s, &dir.to_string_lossy())
    } else {
        unfrack(&s)
    })
}

fn paths(value: &Json, divider: char, origin: &str) -> Option<Json> {
    match value {
        Json::String(s) => {
            Some(s.split(divider).map(|p| path(if divider == ',' { p.trim() } else { p }, origin)).collect())
        }
        Json::Array(items) => items.iter().map(|v| v.as_str().map(|s| path(s, origin))).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types() {
        assert_eq!(convert(&json!("1.0"), Some("int"), "").unwrap(), json!(1));
        assert!(convert(&json!("1.5"), Some("int"), "").is_err());
        assert_eq!(convert(&json!("a, 'b' ,c"), Some("list"), "").unwrap(), json!(["a", "b", "c"]));
        assert_eq!(convert(&json!("maybe"), Some("bool"), "").unwrap(), json!(false));
        assert_eq!(convert(&json!("/a/../b:/c"), Some("pathspec"), "").unwrap(), json!(["/b", "/c"]));
        assert_eq!(convert(&json!(true), Some("str"), "").unwrap(), json!("True"));
        assert_eq!(unquote("'a'"), "a");
        assert_eq!(unquote("'a\""), "'a\"");
    }
}
