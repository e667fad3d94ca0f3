//! Reads request objects attribute by attribute, with Neutron's messages.

use std::net::IpAddr;

use ipnet::IpNet;
use pileus_base::{Error, Result};
use serde_json::{Map, Value};

/// An object being read; what nobody asked for is refused at [`Attrs::finish`].
pub struct Attrs<'a> {
    map: &'a Map<String, Value>,
    seen: Vec<&'a str>,
}

/// Neutron's 400 for a value.
pub fn invalid(name: &str, why: impl std::fmt::Display) -> Error {
    Error::bad_request(format!("Invalid input for {name}. Reason: {why}.")).code("HTTPBadRequest")
}

fn show(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        other => other.to_string(),
    }
}

/// The objects of a body: one under `name`, or several under `plural` (a bulk create).
///
/// # Errors
/// 400 where there is neither.
pub fn objects<'a>(body: &'a Value, name: &str, plural: &str) -> Result<(Vec<&'a Value>, bool)> {
    if let Some(one) = body.get(name) {
        return Ok((vec![one], false));
    }
    match body.get(plural).and_then(Value::as_array) {
        Some(all) if !all.is_empty() => Ok((all.iter().collect(), true)),
        _ => {
            Err(Error::bad_request(format!("Unable to find '{name}' in request body")).code("HTTPBadRequest"))
        }
    }
}

impl<'a> Attrs<'a> {
    /// Begins to read `value`.
    ///
    /// # Errors
    /// 400 where it is no object.
    pub fn of(value: &'a Value) -> Result<Self> {
        let bad = || Error::bad_request("Resource body required").code("HTTPBadRequest");
        Ok(Self { map: value.as_object().ok_or_else(bad)?, seen: Vec::new() })
    }

    /// The attribute as it stands.
    pub fn value(&mut self, name: &'a str) -> Option<&'a Value> {
        self.seen.push(name);
        self.map.get(name)
    }

    /// Reads past attributes that are kept by others.
    pub fn skip(&mut self, names: &[&'a str]) {
        self.seen.extend(names);
    }

    /// Refuses what nobody asked for.
    ///
    /// # Errors
    /// 400 that names them.
    pub fn finish(self) -> Result<()> {
        let unknown: Vec<_> =
            self.map.keys().filter(|k| !self.seen.contains(&k.as_str())).map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Error::bad_request(format!("Unrecognized attribute(s) '{}'", unknown.join(", ")))
            .code("HTTPBadRequest"))
    }

    /// A text of at most `max` characters.
    ///
    /// # Errors
    /// 400 that names the attribute.
    pub fn text(&mut self, name: &'a str, max: usize) -> Result<Option<&'a str>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(s)) if s.chars().count() <= max => Ok(Some(s)),
            Some(Value::String(s)) => Err(invalid(name, format!("'{s}' exceeds maximum length of {max}"))),
            Some(other) => Err(invalid(name, format!("'{}' is not a valid string", show(other)))),
        }
    }

    /// A text of at most 255 characters; null counts as absent.
    ///
    /// # Errors
    /// 400 that names the attribute.
    pub fn text_or_null(&mut self, name: &'a str) -> Result<Option<&'a str>> {
        match self.map.get(name) {
            Some(Value::Null) => {
                self.seen.push(name);
                Ok(None)
            }
            _ => self.text(name, 255),
        }
    }

    /// A boolean, also as Neutron's words.
    ///
    /// # Errors
    /// 400 that names the attribute.
    pub fn flag(&mut self, name: &'a str) -> Result<Option<bool>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let word = show(value).to_lowercase();
        match word.as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(invalid(name, format!("'{}' cannot be converted to boolean", show(value)))),
        }
    }

    /// An integer within bounds, also as text.
    ///
    /// # Errors
    /// 400 that names the attribute.
    pub fn int(&mut self, name: &'a str, min: i64, max: i64) -> Result<Option<i64>> {
        let Some(value) = self.value(name).filter(|v| !v.is_null()) else { return Ok(None) };
        let n = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let n = n.ok_or_else(|| invalid(name, format!("'{}' is not an integer", show(value))))?;
        if n < min {
            return Err(invalid(name, format!("'{n}' is too small - must be at least '{min}'")));
        }
        if n > max {
            return Err(invalid(name, format!("'{n}' is too large - must be no larger than '{max}'")));
        }
        Ok(Some(n))
    }

    /// A UUID; null counts as absent.
    ///
    /// # Errors
    /// 400 that names the attribute.
    pub fn id<T: std::str::FromStr>(&mut self, name: &'a str) -> Result<Option<T>> {
        let Some(value) = self.value(name).filter(|v| !v.is_null()) else { return Ok(None) };
        let id = value.as_str().and_then(|s| s.parse().ok());
        id.map(Some).ok_or_else(|| invalid(name, format!("'{}' is not a valid UUID", show(value))))
    }

    /// The list under `name`; null counts as empty.
    ///
    /// # Errors
    /// 400 that names the attribute.
    pub fn list(&mut self, name: &'a str) -> Result<Option<&'a [Value]>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(&[])),
            Some(Value::Array(all)) => Ok(Some(all)),
            Some(other) => Err(invalid(name, format!("'{}' is not a list", show(other)))),
        }
    }

    /// The project that is meant, under either of its names.
    ///
    /// # Errors
    /// 400 that names the attribute.
    pub fn project(&mut self) -> Result<Option<pileus_base::ids::ProjectId>> {
        let (new, old) = (self.text("project_id", 255)?, self.text("tenant_id", 255)?);
        Ok(new.or(old).map(Into::into))
    }
}

/// An address.
///
/// # Errors
/// 400 that names the attribute.
pub fn ip(name: &str, value: &Value) -> Result<IpAddr> {
    let text = value.as_str().unwrap_or("");
    text.parse().map_err(|_| invalid(name, format!("'{}' is not a valid IP address", show(value))))
}

/// A range, or an address as the range of one.
///
/// # Errors
/// 400 that names the attribute.
pub fn range(name: &str, value: &Value) -> Result<IpNet> {
    let text = value.as_str().unwrap_or("");
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    parsed.ok_or_else(|| invalid(name, format!("'{}' is not a valid IP subnet", show(value))))
}

/// A MAC address in lower case.
///
/// # Errors
/// 400 that names the attribute.
pub fn mac(name: &str, value: &Value) -> Result<String> {
    let text = value.as_str().unwrap_or("").to_lowercase().replace('-', ":");
    let parts: Vec<_> = text.split(':').collect();
    let fits =
        parts.len() == 6 && parts.iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
    if fits { Ok(text) } else { Err(invalid(name, format!("'{}' is not a valid MAC address", show(value)))) }
}
