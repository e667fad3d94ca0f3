//! What all of Keystone's resources share: their names on the wire, the checks of a body, the view.
//!
//! A body is checked field by field against [`Entity::FIELDS`]; unknown fields are kept, as Keystone keeps
//! them. Fields whose name begins with `_` are ours: never read from a client, never shown.

use pileus_base::{Error, Result};
use pileus_store::Resource;
use serde_json::{Map, Value, json};

/// A JSON object.
pub type Object = Map<String, Value>;

/// What a field of a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// Text of 1 to 255 characters, not only blanks.
    Name,
    /// Text of 1 to 64 characters, not only blanks (domains, projects).
    ShortName,
    /// Text.
    Text,
    /// Text or null.
    TextOrNull,
    /// True or false.
    Bool,
    /// An object.
    Object,
    /// An array.
    List,
    /// A whole number.
    Int,
    /// A whole number or null.
    IntOrNull,
    /// An absolute URL.
    Url,
    /// `public`, `internal` or `admin`.
    Interface,
}

/// A resource of the identity API.
pub trait Entity: Resource + Clone + Sync {
    /// Its key in a body.
    const ONE: &'static str;
    /// Its key in a list.
    const MANY: &'static str;
    /// Its collection's path.
    const PATH: &'static str;
    /// What its fields may be.
    const FIELDS: &'static [(&'static str, Is)];
    /// What a create must name.
    const REQUIRED: &'static [&'static str];
    /// What a list can be narrowed by.
    const FILTERS: &'static [&'static str];
    /// Why a second one of the same key is refused, in Keystone's words.
    fn duplicate(&self) -> String {
        format!("Duplicate ID, {}.", self.id())
    }
}

/// Checks a body's fields; `creating` demands the required ones.
///
/// # Errors
/// 400 that names the field.
pub fn check(fields: &[(&str, Is)], required: &[&str], body: &Object, creating: bool) -> Result<()> {
    if creating && let Some(missing) = required.iter().find(|f| !body.contains_key(**f)) {
        return Err(Error::bad_request(format!("'{missing}' is a required property")));
    }
    for (field, is) in fields {
        if let Some(value) = body.get(*field)
            && let Some(why) = misfit(*is, value)
        {
            return Err(Error::bad_request(format!("Invalid input for field '{field}': {why}")));
        }
    }
    Ok(())
}

fn misfit(is: Is, value: &Value) -> Option<String> {
    let wrong = |kind: &str| Some(format!("{value} is not of type {kind}"));
    let name = |max: usize| match value.as_str() {
        None => wrong("'string'"),
        Some(s) if s.trim().is_empty() => Some(format!("'{s}' does not match '[\\\\S]+'")),
        Some(s) if s.chars().count() > max => Some(format!("'{s}' is too long")),
        Some(_) => None,
    };
    match is {
        Is::Name => name(255),
        Is::ShortName => name(64),
        Is::Text if !value.is_string() => wrong("'string'"),
        Is::TextOrNull if !value.is_string() && !value.is_null() => wrong("'string', 'null'"),
        Is::Bool if !value.is_boolean() => wrong("'boolean'"),
        Is::Object if !value.is_object() => wrong("'object'"),
        Is::List if !value.is_array() => wrong("'array'"),
        Is::Int if !value.is_i64() => wrong("'integer'"),
        Is::IntOrNull if !value.is_i64() && !value.is_null() => wrong("'integer', 'null'"),
        Is::Url => match value.as_str() {
            None => wrong("'string'"),
            Some(s) if s.len() > 225 || !(s.starts_with("http://") || s.starts_with("https://")) => {
                Some(format!("'{s}' is not a valid URL"))
            }
            Some(_) => None,
        },
        Is::Interface => match value.as_str() {
            Some("public" | "internal" | "admin") => None,
            _ => Some(format!("{value} is not one of ['public', 'internal', 'admin']")),
        },
        _ => None,
    }
}

/// Removes from a client's body what is ours alone.
pub fn strip(body: &mut Object) {
    body.retain(|k, _| !k.starts_with('_') && k != "links");
}

/// A document as the API shows it.
///
/// # Errors
/// 500 where it can't be written as JSON.
pub fn view<E: Entity>(entity: &E, base: &str) -> Result<Value> {
    let mut out = object(entity)?;
    out.retain(|k, _| !k.starts_with('_'));
    out.insert("links".into(), json!({"self": format!("{base}{}/{}", E::PATH, entity.id())}));
    Ok(Value::Object(out))
}

/// A document as an object.
///
/// # Errors
/// 500 where it can't be written as JSON.
pub fn object<T: serde::Serialize>(value: &T) -> Result<Object> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::internal("a document is no object")),
        Err(e) => Err(Error::wrap("failed to write a document", e)),
    }
}

/// An object as a document.
///
/// # Errors
/// 400 that names what does not fit.
pub fn parse<T: serde::de::DeserializeOwned>(body: Object) -> Result<T> {
    serde_json::from_value(Value::Object(body)).map_err(|e| Error::bad_request(format!("Invalid input: {e}")))
}

/// Whether a view passes the filters among `query`: `name=x`, `name__contains=x` and its like.
pub fn passes(view: &Value, filters: &[&str], query: &pileus_http::Params) -> bool {
    query.iter().all(|(key, wanted)| {
        let (field, how) = key.split_once("__").unwrap_or((key, "equals"));
        if !filters.contains(&field) {
            return true;
        }
        match &view[field] {
            Value::Bool(have) => *have != matches!(&*wanted.to_ascii_lowercase(), "0" | "false"),
            Value::String(have) => text_passes(have, how, wanted),
            Value::Null => wanted.is_empty() || wanted == "null",
            Value::Number(have) => have.to_string() == wanted,
            _ => false,
        }
    })
}

fn text_passes(have: &str, how: &str, wanted: &str) -> bool {
    let (h, w) = (have.to_lowercase(), wanted.to_lowercase());
    match how {
        "equals" => have == wanted,
        "contains" => have.contains(wanted),
        "icontains" => h.contains(&w),
        "startswith" => have.starts_with(wanted),
        "istartswith" => h.starts_with(&w),
        "endswith" => have.ends_with(wanted),
        "iendswith" => h.ends_with(&w),
        "iexact" => h == w,
        _ => true,
    }
}
