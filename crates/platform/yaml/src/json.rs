//! A text that opens with `{` is read as JSON first, as Heat does: tabs and all.

use serde_json::Value as Json;

use crate::{
    Error, Options,
    value::{Kind, Map, Span, Value},
};

pub(crate) fn first(text: &str, options: &Options) -> Result<Option<Value>, Error> {
    if !options.json_first || !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    crate::compose::check_size(text, options)?;
    // serde_json refuses to nest deeper than 128 by itself.
    let Ok(json) = serde_json::from_str::<Json>(text) else { return Ok(None) };
    Ok(Some(Value::from(json)))
}

impl From<Json> for Value {
    fn from(json: Json) -> Value {
        let kind = match json {
            Json::Null => Kind::Null,
            Json::Bool(b) => Kind::Bool(b),
            Json::Number(n) => match n.as_i64() {
                Some(i) => Kind::Int(i),
                None if n.is_u64() => Kind::BigInt(n.to_string()),
                None => Kind::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(s) => Kind::Str(s),
            Json::Array(items) => Kind::Seq(items.into_iter().map(Value::from).collect()),
            Json::Object(map) => Kind::Map(Map(map
                .into_iter()
                .map(|(k, v)| (Value::new(Kind::Str(k), Span::default()), Value::from(v)))
                .collect())),
        };
        Value::new(kind, Span::default())
    }
}
