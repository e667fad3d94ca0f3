//! A flavor's extra specs.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::{Call, flavors};
use crate::wire::fields::invalid;

fn check(field: &str, value: &Value) -> Result<BTreeMap<String, String>> {
    let map = value.as_object().ok_or_else(|| invalid(field, value, "is not of type 'object'"))?;
    let mut out = BTreeMap::new();
    for (key, value) in map {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | ' ');
        if key.is_empty() || key.len() > 255 || !key.chars().all(plain) {
            return Err(Error::bad_request(format!(
                "Invalid input for field/attribute {field}. Additional properties are not allowed ('{key}' was unexpected)"
            )));
        }
        let text = match value {
            Value::String(s) if s.chars().count() <= 255 => s.clone(),
            Value::Number(n) => n.to_string(),
            other => return Err(invalid(key, other, "is not of type 'string', 'number'")),
        };
        out.insert(key.clone(), text);
    }
    Ok(out)
}

/// `GET …/os-extra_specs`
pub async fn index(call: Call) -> Result<Reply> {
    Reply::ok(&json!({"extra_specs": flavors::specs(&call).await?}))
}

/// `POST …/os-extra_specs`: adds and replaces.
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let specs = check("extra_specs", &body["extra_specs"])?;
    if specs.is_empty() {
        return Err(invalid("extra_specs", &body["extra_specs"], "does not have enough properties"));
    }
    let answer = json!({"extra_specs": specs});
    flavors::change_specs(&call, move |own| {
        own.extend(specs.clone());
        Ok(())
    })
    .await?;
    Reply::ok(&answer)
}

fn unknown(call: &Call, key: &str) -> Error {
    Error::not_found(format!("Flavor {} has no extra specs with key {key}.", call.param("id")))
}

/// `GET …/os-extra_specs/{key}`
pub async fn show(call: Call) -> Result<Reply> {
    let key = call.param("key");
    let specs = flavors::specs(&call).await?;
    let value = specs.get(key).ok_or_else(|| unknown(&call, key))?;
    Reply::ok(&json!({key: value}))
}

/// `PUT …/os-extra_specs/{key}`
pub async fn set(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let key = call.param("key").to_owned();
    let specs = check("extra_specs", &body)?;
    let Some(value) = specs.get(&key).cloned().filter(|_| specs.len() == 1) else {
        return Err(Error::bad_request("Request body and URI mismatch"));
    };
    let answer = json!({key.as_str(): value});
    flavors::change_specs(&call, move |own| {
        own.insert(key.clone(), value.clone());
        Ok(())
    })
    .await?;
    Reply::ok(&answer)
}

/// `DELETE …/os-extra_specs/{key}`
pub async fn delete(call: Call) -> Result<Reply> {
    let key = call.param("key").to_owned();
    let gone = unknown(&call, &key);
    flavors::change_specs(&call, move |own| own.remove(&key).map(drop).ok_or_else(|| gone.clone())).await?;
    Ok(Reply::empty(200))
}
