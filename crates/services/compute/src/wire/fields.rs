//! Reads request objects field by field, with the messages that Nova's JSON schemas give.

use pileus_base::{Error, Result};
use serde_json::{Map, Value};

/// An object being read. Fields that nobody asked for are refused at [`Fields::finish`].
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    name: &'a str,
    seen: Vec<&'a str>,
}

/// A value as Python prints it, which is what the messages quote.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(s) => {
            format!("'{}'", s.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Value::Array(all) => format!("[{}]", all.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(all) => {
            let pairs: Vec<_> = all.iter().map(|(k, v)| format!("'{k}': {}", repr(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Number(n) => n.to_string(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => repr(other),
    }
}

/// Nova's 400 for a field of the wrong shape.
pub fn invalid(field: &str, value: &Value, why: &str) -> Error {
    Error::bad_request(format!(
        "Invalid input for field/attribute {field}. Value: {}. {} {why}",
        plain(value),
        repr(value)
    ))
}

impl<'a> Fields<'a> {
    /// The object under `name` in the body, which holds nothing else but `others`.
    ///
    /// # Errors
    /// 400 where it is missing or something else stands beside it.
    pub fn body(body: &'a Value, name: &'a str, others: &[&str]) -> Result<Self> {
        let outer = body.as_object().ok_or_else(|| {
            // Without a path, the schema's own words stand alone.
            Error::bad_request(format!("{} is not of type 'object'", repr(body)))
        })?;
        if let Some(extra) = outer.keys().find(|k| *k != name && !others.contains(&k.as_str())) {
            return Err(Error::bad_request(format!(
                "Additional properties are not allowed ('{extra}' was unexpected)"
            )));
        }
        let missing = || Error::bad_request(format!("'{name}' is a required property"));
        Self::of(outer.get(name).ok_or_else(missing)?, name)
    }

    /// `value` as an object called `name`.
    ///
    /// # Errors
    /// 400 where it is none.
    pub fn of(value: &'a Value, name: &'a str) -> Result<Self> {
        let map = value.as_object().ok_or_else(|| invalid(name, value, "is not of type 'object'"))?;
        Ok(Self { map, name, seen: Vec::new() })
    }

    /// The field as it stands.
    pub fn value(&mut self, field: &'a str) -> Option<&'a Value> {
        self.seen.push(field);
        self.map.get(field)
    }

    /// Refuses what nobody asked for.
    ///
    /// # Errors
    /// 400 that names the first such field.
    pub fn finish(self) -> Result<()> {
        match self.map.keys().find(|k| !self.seen.contains(&k.as_str())) {
            None => Ok(()),
            Some(extra) => Err(Error::bad_request(format!(
                "Invalid input for field/attribute {}. Value: {}. Additional properties are not allowed ('{extra}' was unexpected)",
                self.name,
                repr(&Value::Object(self.map.clone())),
            ))),
        }
    }

    /// A text of `min` to `max` characters; null counts as absent.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn text(&mut self, field: &'a str, min: usize, max: usize) -> Result<Option<&'a str>> {
        let Some(value) = self.value(field).filter(|v| !v.is_null()) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| invalid(field, value, "is not of type 'string'"))?;
        let length = text.chars().count();
        if length < min {
            return Err(invalid(field, value, "is too short"));
        }
        if length > max {
            return Err(invalid(field, value, "is too long"));
        }
        Ok(Some(text))
    }

    /// Nova's 400 for a field that isn't there.
    pub fn missing(&self, field: &str) -> Error {
        Error::bad_request(format!(
            "Invalid input for field/attribute {}. Value: {}. '{field}' is a required property",
            self.name,
            repr(&Value::Object(self.map.clone())),
        ))
    }

    /// A name: 1 to 255 characters, printable, not blank at either end.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn name(&mut self, field: &'a str) -> Result<Option<&'a str>> {
        let Some(name) = self.text(field, 1, 255)? else {
            return match self.map.get(field) {
                Some(null) => Err(invalid(field, null, "is not of type 'string'")),
                None => Ok(None),
            };
        };
        if name.trim() != name || name.chars().any(char::is_control) {
            return Err(Error::bad_request(format!(
                "An invalid '{field}' value was provided. The {field} must be: printable characters. \
                 Can not start or end with whitespace."
            )));
        }
        Ok(Some(name))
    }

    /// A required name.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn required_name(&mut self, field: &'a str) -> Result<&'a str> {
        self.name(field)?.ok_or_else(|| self.missing(field))
    }

    /// An integer from `min` to `max`, also as text.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn int(&mut self, field: &'a str, min: i64, max: i64) -> Result<Option<i64>> {
        let Some(value) = self.value(field).filter(|v| !v.is_null()) else { return Ok(None) };
        let pattern = if min < 0 { "^-?[0-9]+$" } else { "^[0-9]*$" };
        let number = match value {
            Value::String(s) => s
                .parse()
                .ok()
                .filter(|n| min < 0 || *n >= 0)
                .ok_or_else(|| invalid(field, value, &format!("does not match '{pattern}'")))?,
            other => {
                other.as_i64().ok_or_else(|| invalid(field, value, "is not of type 'integer', 'string'"))?
            }
        };
        if number < min {
            return Err(invalid(field, value, &format!("is less than the minimum of {min}")));
        }
        if number > max {
            return Err(invalid(field, value, &format!("is greater than the maximum of {max}")));
        }
        Ok(Some(number))
    }

    /// A required integer from `min` to `max`, also as text.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn required_int(&mut self, field: &'a str, min: i64, max: i64) -> Result<i64> {
        self.int(field, min, max)?.ok_or_else(|| self.missing(field))
    }

    /// A boolean, also as the words that Nova takes.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn flag(&mut self, field: &'a str) -> Result<Option<bool>> {
        let Some(value) = self.value(field).filter(|v| !v.is_null()) else { return Ok(None) };
        let word = value.as_str().map(str::to_ascii_lowercase);
        match (value.as_bool(), word.as_deref()) {
            (Some(flag), _) => Ok(Some(flag)),
            (None, Some("true" | "1" | "on" | "yes" | "t" | "y")) => Ok(Some(true)),
            (None, Some("false" | "0" | "off" | "no" | "f" | "n" | "")) => Ok(Some(false)),
            _ => Err(invalid(field, value, "is not one of [True, 'True', 'TRUE', …, False, 'False', …]")),
        }
    }
}

/// Key-value pairs with keys of 1–255 and values of at most 255 characters.
///
/// # Errors
/// 400 that names the field or key.
pub fn pairs(field: &str, value: &Value) -> Result<std::collections::BTreeMap<String, String>> {
    let map = value.as_object().ok_or_else(|| invalid(field, value, "is not of type 'object'"))?;
    let mut out = std::collections::BTreeMap::new();
    for (key, value) in map {
        if key.is_empty() || key.chars().count() > 255 {
            return Err(Error::bad_request(format!(
                "Invalid input for field/attribute {field}. Additional properties are not allowed ('{key}' was unexpected)"
            )));
        }
        let text = value.as_str().ok_or_else(|| invalid(key, value, "is not of type 'string'"))?;
        if text.chars().count() > 255 {
            return Err(invalid(key, value, "is too long"));
        }
        out.insert(key.clone(), text.to_owned());
    }
    Ok(out)
}
