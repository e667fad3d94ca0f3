//! The value: what it is, where it stood, and the tag it bore.

use std::sync::Arc;

use serde_json::{Map as JsonMap, Number, Value as Json};

/// A place in the text. Lines and columns count from 1; 0 means unknown (JSON has no places).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// A value with its place and tag. Two values are equal when their kinds and tags are.
#[derive(Debug, Clone)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub span: Span,
    /// An explicit tag, as `!vault` or `tag:yaml.org,2002:set`.
    pub tag: Option<Arc<str>>,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.tag == other.tag
    }
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `~`, `null` or nothing.
    Null,
    /// `yes`, `off`, `True` …
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer beyond 64 bits, in decimal.
    BigInt(String),
    /// A float.
    Float(f64),
    /// Text.
    Str(String),
    /// A date or a time, as written.
    Date(String),
    /// A sequence.
    Seq(Vec<Value>),
    /// A mapping, in the order written.
    Map(Map),
}

/// A mapping: pairs in order, keys unique by Python's idea of equality.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map(pub(crate) Vec<(Value, Value)>);

impl Map {
    /// The pairs in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Value, &Value)> {
        self.0.iter().map(|(k, v)| (k, v))
    }
    /// The value under the text key `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }
    /// How many pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Map {
    type Item = (Value, Value);
    type IntoIter = std::vec::IntoIter<(Value, Value)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Value {
    /// `kind` at `span`, without a tag.
    pub fn new(kind: Kind, span: Span) -> Self {
        Self { kind, span, tag: None }
    }
    /// Null, nowhere.
    pub fn null() -> Self {
        Self::new(Kind::Null, Span::default())
    }
    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Str(s) => Some(s),
            _ => None,
        }
    }
    /// The truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(b) => Some(b),
            _ => None,
        }
    }
    /// The integer.
    pub fn as_int(&self) -> Option<i64> {
        match self.kind {
            Kind::Int(i) => Some(i),
            _ => None,
        }
    }
    /// The items of a sequence.
    pub fn as_seq(&self) -> Option<&[Value]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            _ => None,
        }
    }
    /// The mapping.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }
    /// The value under `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }
    /// Python's name of the type, for messages.
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "NoneType",
            Kind::Bool(_) => "bool",
            Kind::Int(_) | Kind::BigInt(_) => "int",
            Kind::Float(_) => "float",
            Kind::Str(_) => "str",
            Kind::Date(_) => "date",
            Kind::Seq(_) => "list",
            Kind::Map(_) => "dict",
        }
    }

    /// As JSON, with keys as Python's `json.dumps` writes them (`1` is `"1"`, `true` is `"true"`, null is
    /// `"null"`). Infinity and not-a-number, which JSON lacks, become null; tags are dropped.
    pub fn to_json(&self) -> Json {
        match &self.kind {
            Kind::Null => Json::Null,
            Kind::Bool(b) => Json::Bool(*b),
            Kind::Int(i) => Json::from(*i),
            Kind::BigInt(s) => match s.parse::<u64>() {
                Ok(u) => Json::from(u),
                Err(_) => s.parse().ok().and_then(Number::from_f64).map_or(Json::Null, Json::Number),
            },
            Kind::Float(f) => Number::from_f64(*f).map_or(Json::Null, Json::Number),
            Kind::Str(s) | Kind::Date(s) => Json::String(s.clone()),
            Kind::Seq(items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Kind::Map(map) => {
                let mut out = JsonMap::new();
                for (k, v) in map.iter() {
                    out.insert(k.to_key(), v.to_json());
                }
                Json::Object(out)
            }
        }
    }

    /// As the key of a JSON object.
    pub fn to_key(&self) -> String {
        match &self.kind {
            Kind::Null => "null".into(),
            Kind::Bool(b) => b.to_string(),
            Kind::Int(i) => i.to_string(),
            Kind::Float(f) => python_float(*f),
            Kind::BigInt(s) | Kind::Str(s) | Kind::Date(s) => s.clone(),
            Kind::Seq(_) | Kind::Map(_) => self.to_json().to_string(),
        }
    }
}

/// A float as Python's `repr` writes it.
pub(crate) fn python_float(f: f64) -> String {
    if f.is_nan() {
        "NaN".into()
    } else if f.is_infinite() {
        if f > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if f == f.trunc() && f.abs() < 1e16 {
        format!("{f:.1}")
    } else {
        f.to_string()
    }
}

impl From<&Value> for Json {
    fn from(v: &Value) -> Json {
        v.to_json()
    }
}
