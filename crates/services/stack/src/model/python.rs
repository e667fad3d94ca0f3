//! How Python shows values: `str`, `repr`, `json.dumps`, `int`. Heat's results and messages are made of these.

use serde_json::Number;

use super::Json;

/// `str(value)`.
pub fn str(value: &Json) -> String {
    match value {
        Json::String(s) => s.clone(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub fn repr(value: &Json) -> String {
    match value {
        Json::Null => "None".into(),
        Json::Bool(true) => "True".into(),
        Json::Bool(false) => "False".into(),
        Json::Number(n) => number(n),
        Json::String(s) => repr_str(s),
        Json::Array(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(k, v)| format!("{}: {}", repr_str(k), repr(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// `repr` of a text.
pub fn repr_str(s: &str) -> String {
    let quote = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(s.len() + 2);
    out.push(quote);
    for c in s.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || (0x7f..0xa1).contains(&(c as u32)) => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// `repr` of a number.
pub fn number(n: &Number) -> String {
    if n.is_i64() || n.is_u64() {
        return n.to_string();
    }
    float(n.as_f64().unwrap_or(f64::NAN))
}

/// `repr` of a float.
pub fn float(f: f64) -> String {
    let text = format!("{f:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
            format!("{}e{sign}{exponent:0>2}", digits.trim_end_matches(".0"))
        }
        None => text,
    }
}

/// `json.dumps(value)`, with sorted keys when asked.
pub fn dumps(value: &Json, sorted: bool) -> String {
    match value {
        Json::Number(n) => number(n),
        Json::String(s) => dumps_str(s),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(|v| dumps(v, sorted)).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            if sorted {
                pairs.sort_by(|a, b| a.0.cmp(b.0));
            }
            let pairs: Vec<_> =
                pairs.into_iter().map(|(k, v)| format!("{}: {}", dumps_str(k), dumps(v, sorted))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

fn dumps_str(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    for c in Json::String(s.to_owned()).to_string().chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// Python's name of the type.
pub fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "NoneType",
        Json::Bool(_) => "bool",
        Json::Number(n) if n.is_f64() => "float",
        Json::Number(_) => "int",
        Json::String(_) => "str",
        Json::Array(_) => "list",
        Json::Object(_) => "dict",
    }
}

/// Whether Python holds the value for true.
pub fn truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(b) => *b,
        Json::Number(n) => n.as_f64() != Some(0.0),
        Json::String(s) => !s.is_empty(),
        Json::Array(a) => !a.is_empty(),
        Json::Object(o) => !o.is_empty(),
    }
}

/// Python's `==`: `1`, `1.0` and `True` are equal.
pub fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        (Json::Bool(_) | Json::Number(_), Json::Bool(_) | Json::Number(_)) => {
            let whole = |v: &Json| match v {
                Json::Bool(b) => Some(i64::from(*b)),
                v => v.as_i64(),
            };
            match (whole(a), whole(b)) {
                (Some(a), Some(b)) => a == b,
                (a_int, b_int) => {
                    let float = |v: &Json, i: Option<i64>| i.map(|i| i as f64).or(v.as_f64());
                    float(a, a_int) == float(b, b_int)
                }
            }
        }
        _ => a == b,
    }
}

/// `int(text)`: blanks around and underscores between digits allowed.
pub fn int(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// `bool_from_string(value, strict=True)` of oslo.
pub fn bool_strict(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// `int(value)`, where Python would give one.
pub fn to_int(value: &Json) -> Option<i64> {
    match value {
        Json::Bool(b) => Some(i64::from(*b)),
        Json::Number(n) => n.as_i64().or_else(|| n.as_f64().map(|f| f.trunc() as i64)),
        Json::String(s) => int(s),
        _ => None,
    }
}

/// A value used as an index: integers and truth values, not texts.
pub fn index(value: &Json) -> Option<i64> {
    if value.is_f64() || value.is_string() { None } else { to_int(value) }
}

/// What Python's `json.loads` says of a text that serde_json refused.
pub fn json_error(error: &serde_json::Error, text: &str) -> String {
    let said = error.to_string();
    let what = if said.starts_with("trailing characters") {
        "Extra data"
    } else if said.starts_with("key must be a string") || said.starts_with("EOF while parsing an object") {
        "Expecting property name enclosed in double quotes"
    } else if said.starts_with("expected `,`") || said.starts_with("EOF while parsing a list") {
        "Expecting ',' delimiter"
    } else if said.starts_with("expected `:`") {
        "Expecting ':' delimiter"
    } else if said.starts_with("EOF while parsing a string") {
        "Unterminated string starting at"
    } else {
        "Expecting value"
    };
    let (line, column) = (error.line().max(1), error.column().max(1));
    let before: usize = text.split_inclusive('\n').take(line - 1).map(|l| l.chars().count()).sum();
    format!("{what}: line {line} column {column} (char {})", before + column - 1)
}
