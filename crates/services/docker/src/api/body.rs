//! Bodies of requests: JSON, said to be JSON, with values of the right kinds.

use http::header::CONTENT_TYPE;
use pileus_base::{Error, Result};
use serde_json::Value;

use super::{Call, dialect};
use crate::model::{json, shape};

/// Whether nothing was sent.
const NOTHING: &str = "invalid JSON: got EOF while reading request body";

/// The body as JSON; nothing at all is `null`.
///
/// # Errors
/// 400 for another media type, for what is no JSON, and for values of another kind than `shape`'s.
pub async fn maybe(call: &mut Call, shape: (&str, &[shape::Field])) -> Result<Value> {
    let media = call.headers.get(CONTENT_TYPE).and_then(|t| t.to_str().ok()).map(str::to_owned);
    let bytes = call.bytes().await?;
    let minor = dialect::minor(&call.uri);
    // What logs in was once taken whatever it said it was.
    if !(minor <= dialect::OLD && call.path == "/auth") {
        media_is_json(media.as_deref(), bytes.is_empty(), minor)?;
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| Error::bad_request(format!("invalid JSON: {}", json::reason(&bytes, &e))))?;
    shape::check(&value, shape)?;
    Ok(value)
}

/// The body as JSON.
///
/// # Errors
/// As [`maybe`]; 400 where there is none.
pub async fn needed(call: &mut Call, shape: (&str, &[shape::Field])) -> Result<Value> {
    match maybe(call, shape).await? {
        Value::Null => Err(Error::bad_request(NOTHING)),
        value => Ok(value),
    }
}

fn media_is_json(media: Option<&str>, empty: bool, minor: u32) -> Result<()> {
    let media = media.unwrap_or_default();
    let kind = media.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") || (media.is_empty() && empty) {
        return Ok(());
    }
    let words = match kind {
        _ if minor <= dialect::OLD => {
            format!("Content-Type specified ({media}) must be 'application/json'")
        }
        "" => format!("malformed Content-Type header ({media}): mime: no media type"),
        _ => format!("unsupported Content-Type header ({media}): must be 'application/json'"),
    };
    Err(Error::bad_request(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_taken() {
        assert!(media_is_json(Some("application/json; charset=utf-8"), false, 51).is_ok());
        assert!(media_is_json(None, true, 51).is_ok());
        let e = media_is_json(Some("text/plain"), false, 41).unwrap_err();
        assert_eq!(e.message(), "Content-Type specified (text/plain) must be 'application/json'");
        assert!(media_is_json(None, false, 51).is_err());
    }
}
