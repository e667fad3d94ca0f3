//! Conversions of arguments to their types, with the reference's words for what doesn't convert.

use serde_json::{Map, Number, Value};

use super::Type;
use crate::py;

/// The type's name in messages.
pub fn name(kind: Type) -> &'static str {
    match kind {
        Type::Str => "str",
        Type::Bool => "bool",
        Type::Int => "int",
        Type::Float => "float",
        Type::List => "list",
        Type::Dict => "dict",
        Type::Path => "path",
        Type::Json => "jsonarg",
        Type::Bytes => "bytes",
        Type::Raw => "raw",
    }
}

/// A value as that type.
pub fn to_type(value: &Value, kind: Type) -> Result<Value, String> {
    match kind {
        Type::Str => Ok(Value::String(py::str(value))),
        Type::Bool => to_bool(value).map(Value::Bool),
        Type::Int => to_int(value).map(Value::from),
        Type::Float => to_float(value),
        Type::List => to_list(value),
        Type::Dict => to_dict(value),
        Type::Path => Ok(Value::String(crate::sys::path::expand(&py::str(value)))),
        Type::Json => Ok(match value {
            Value::Array(_) | Value::Object(_) => Value::String(value.to_string()),
            other => Value::String(py::str(other).trim().to_string()),
        }),
        Type::Bytes => human_to_bytes(&py::str(value)).map(Value::from),
        Type::Raw => Ok(value.clone()),
    }
}

/// A boolean in any of its spellings.
pub fn to_bool(value: &Value) -> Result<bool, String> {
    let text = match value {
        Value::Bool(b) => return Ok(*b),
        Value::Number(n) if n.as_f64() == Some(1.0) => return Ok(true),
        Value::Number(n) if n.as_f64() == Some(0.0) => return Ok(false),
        Value::String(s) => s.trim().to_lowercase(),
        other => py::str(other),
    };
    match text.as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" => Ok(true),
        "n" | "no" | "off" | "0" | "false" | "f" => Ok(false),
        _ => Err(format!(
            "The value '{}' is not a valid boolean. Valid booleans include: 'n', 1, 0, '0', 'no', 't', 'true', 'y', '1', 'f', 'off', 'false', 'on', 'yes'",
            py::str(value)
        )),
    }
}

/// A whole number: `5`, `"5"`, `5.0`.
pub fn to_int(value: &Value) -> Result<i64, String> {
    let bad = || format!("\"{}\" cannot be converted to an int", py::repr(value));
    match value {
        Value::Bool(b) => Ok(i64::from(*b)),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => Ok(i),
            (None, Some(f)) if f.fract() == 0.0 && f.abs() < 9e18 => Ok(f as i64),
            _ => Err(bad()),
        },
        Value::String(s) => {
            let s = s.trim();
            if let Ok(i) = s.replace('_', "").parse::<i64>() {
                return Ok(i);
            }
            match s.parse::<f64>() {
                Ok(f) if f.fract() == 0.0 && f.abs() < 9e18 => Ok(f as i64),
                _ => Err(bad()),
            }
        }
        _ => Err(bad()),
    }
}

fn to_float(value: &Value) -> Result<Value, String> {
    let float = match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.trim().parse().ok(),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        _ => None,
    };
    float
        .and_then(Number::from_f64)
        .map(Value::Number)
        .ok_or_else(|| format!("{} cannot be converted to a float", py::type_name(value)))
}

fn to_list(value: &Value) -> Result<Value, String> {
    match value {
        Value::Array(_) => Ok(value.clone()),
        Value::String(s) => Ok(s.split(',').map(Value::from).collect()),
        Value::Number(_) => Ok(Value::Array(vec![py::str(value).into()])),
        other => Err(format!("'{}' cannot be converted to a list", py::str(other))),
    }
}

fn to_dict(value: &Value) -> Result<Value, String> {
    let text = match value {
        Value::Object(_) => return Ok(value.clone()),
        Value::String(s) => s,
        other => return Err(format!("{} cannot be converted to a dict", py::repr(other))),
    };
    if text.starts_with('{') {
        return serde_json::from_str::<Map<String, Value>>(text)
            .map(Value::Object)
            .map_err(|_| "unable to evaluate string as dictionary".to_string());
    }
    if !text.contains('=') {
        return Err("dictionary requested, could not parse JSON or key=value".into());
    }
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut quote, mut escaped) = (None, false);
    for c in text.trim().chars() {
        if escaped {
            field.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == ',' || c == ' ') {
            if !field.trim().is_empty() {
                fields.push(field.trim().to_string());
            }
            field.clear();
        } else {
            field.push(c);
        }
    }
    if !field.trim().is_empty() {
        fields.push(field.trim().to_string());
    }
    let mut map = Map::new();
    for field in fields {
        let Some((key, value)) = field.split_once('=') else {
            return Err("dictionary requested, could not parse JSON or key=value".into());
        };
        map.insert(key.to_string(), value.into());
    }
    Ok(Value::Object(map))
}

/// `10M`, `1.5 GB` in bytes.
pub fn human_to_bytes(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let bad = || format!("{} cannot be converted to a Byte value", text);
    let number: f64 = text[..at].parse().map_err(|_| bad())?;
    let unit = text[at..].trim();
    let power = match unit.chars().next().map(|c| c.to_ascii_uppercase()) {
        None | Some('B') => 0,
        Some('K') => 1,
        Some('M') => 2,
        Some('G') => 3,
        Some('T') => 4,
        Some('P') => 5,
        Some('E') => 6,
        _ => return Err(bad()),
    };
    Ok((number * 1024f64.powi(power)).round() as i64)
}
