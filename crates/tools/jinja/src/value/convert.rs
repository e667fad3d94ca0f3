//! To and from JSON, YAML and Rust's own types.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Number, Value as Json};

use super::{BigInt, Dict, List, Origin, Str, Value};

/// Levels of nesting past which JSON gets null: a list may hold itself.
const MAX_DEPTH: usize = 200;

macro_rules! from {
    ($($t:ty => |$x:ident| $e:expr),* $(,)?) => {
        $(impl From<$t> for Value {
            fn from($x: $t) -> Self {
                $e
            }
        })*
    };
}

from! {
    bool => |b| Value::Bool(b),
    i64 => |i| Value::Int(i),
    i32 => |i| Value::Int(i64::from(i)),
    u32 => |i| Value::Int(i64::from(i)),
    u64 => |i| Value::big(BigInt::from(i)),
    usize => |i| Value::big(BigInt::from(i)),
    f64 => |f| Value::Float(f),
    &str => |s| Value::Str(Str::new(s)),
    String => |s| Value::Str(Str::new(s)),
    &String => |s| Value::Str(Str::new(s.as_str())),
    Arc<str> => |s| Value::Str(Str::new(s)),
    Str => |s| Value::Str(s),
    List => |l| Value::List(l),
    Dict => |d| Value::Dict(d),
    Vec<Value> => |l| Value::list(l),
}

impl From<Json> for Value {
    /// Text becomes untrusted.
    fn from(json: Json) -> Self {
        Value::from(&json)
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Value::None,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(i), _) => Value::Int(i),
                (_, Some(u)) => Value::from(u),
                _ => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(s) => Value::from(s),
            Json::Array(items) => Value::list(items.iter().map(Value::from).collect()),
            Json::Object(map) => Value::Dict(Dict::from(map)),
        }
    }
}

impl From<&Map<String, Json>> for Dict {
    fn from(map: &Map<String, Json>) -> Self {
        map.iter().map(|(k, v)| (Value::from(k), Value::from(v))).collect()
    }
}

impl Value {
    /// As JSON. Keys become text as Python's `json` does it; bytes become text; an undefined value and what
    /// cannot be iterated become their text.
    pub fn to_json(&self) -> Json {
        self.json(0)
    }

    fn json(&self, depth: usize) -> Json {
        if depth > MAX_DEPTH {
            return Json::Null;
        }
        match self {
            Self::None => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(i) => Json::from(*i),
            Self::BigInt(b) => match u64::try_from(&**b) {
                Ok(u) => Json::from(u),
                Err(_) => self.as_float().and_then(Number::from_f64).map_or(Json::Null, Json::Number),
            },
            Self::Float(f) => Number::from_f64(*f).map_or(Json::Null, Json::Number),
            Self::Str(s) => Json::String(s.to_string()),
            Self::Bytes(b) => Json::String(String::from_utf8_lossy(b).into_owned()),
            Self::List(l) => Json::Array(l.items().iter().map(|v| v.json(depth + 1)).collect()),
            Self::Tuple(t) => Json::Array(t.iter().map(|v| v.json(depth + 1)).collect()),
            Self::Dict(d) => {
                Json::Object(d.items().iter().map(|(k, v)| (k.json_key(), v.json(depth + 1))).collect())
            }
            Self::Undefined(u) => Json::String(u.message()),
            Self::Object(o) => {
                if let Some(Ok(plain)) = o.resolve() {
                    return plain.json(depth + 1);
                }
                match o.iter() {
                    Some(Ok(it)) if o.is_mapping() => Json::Object(
                        it.map(|k| {
                            let v = o.item(&k).ok().flatten().unwrap_or_default();
                            (k.json_key(), v.json(depth + 1))
                        })
                        .collect(),
                    ),
                    Some(Ok(it)) => Json::Array(it.map(|v| v.json(depth + 1)).collect()),
                    _ => Json::String(o.json()),
                }
            }
        }
    }

    /// As the key of a JSON object: `1`, `true`, `null`, text as it is.
    pub fn json_key(&self) -> String {
        match self {
            Self::Str(s) => s.to_string(),
            Self::None => "null".into(),
            Self::Bool(b) => b.to_string(),
            other => other.repr(),
        }
    }

    /// The date, time or moment that a timestamp of YAML or TOML stands for (`2024-01-01 12:01:01.5`).
    pub fn moment(text: &str) -> Option<Self> {
        crate::filters::moment(text)
    }

    /// From YAML read from `file`: text is trusted unless tagged `!unsafe`, and everything knows its place.
    /// Other tags (`!vault`) are the caller's to treat first.
    pub fn from_yaml(yaml: &pileus_yaml::Value, file: &Arc<str>) -> Self {
        from_yaml(yaml, file, true)
    }
}

fn from_yaml(yaml: &pileus_yaml::Value, file: &Arc<str>, trusted: bool) -> Value {
    use pileus_yaml::Kind;
    let trusted = trusted && !matches!(yaml.tag.as_deref(), Some("!unsafe"));
    let origin = || {
        Some(Arc::new(Origin {
            file: file.clone(),
            line: u32::try_from(yaml.span.line).unwrap_or(0),
            column: u32::try_from(yaml.span.column).unwrap_or(0),
            sealed: None,
        }))
    };
    let text = |s: &str| {
        let s = Str::new(s).at(origin());
        Value::Str(if trusted { s.trust() } else { s })
    };
    match &yaml.kind {
        Kind::Null => Value::None,
        Kind::Bool(b) => Value::Bool(*b),
        Kind::Int(i) => Value::Int(*i),
        Kind::BigInt(s) => s.parse().map_or_else(|_| text(s), Value::big),
        Kind::Float(f) => Value::Float(*f),
        Kind::Str(s) => text(s),
        Kind::Date(s) => Value::moment(s).unwrap_or_else(|| text(s)),
        Kind::Seq(items) => {
            let items = items.iter().map(|v| from_yaml(v, file, trusted)).collect();
            Value::List(List::with_origin(items, origin()))
        }
        Kind::Map(map) => {
            let mut out = IndexMap::with_capacity(map.len());
            for (k, v) in map.iter() {
                out.insert(from_yaml(k, file, trusted), from_yaml(v, file, trusted));
            }
            Value::Dict(Dict::with_origin(out, origin()))
        }
    }
}
