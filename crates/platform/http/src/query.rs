//! A query string's parameters, in order, names repeated where the client repeats them.

use pileus_base::{Error, Result};

/// Decoded parameters.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string by the rules of HTML forms.
    ///
    /// # Errors
    /// 400 where a value holds NUL, which no API takes.
    pub fn parse(query: Option<&str>) -> Result<Self> {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.unwrap_or("").as_bytes()).into_owned().collect();
        if pairs.iter().any(|(k, v)| k.contains('\0') || v.contains('\0')) {
            return Err(Error::bad_request("The query string contains a NUL character."));
        }
        Ok(Self(pairs))
    }
    /// The last value of `name`: as Python's web frameworks do.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }
    /// Whether `name` is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
    /// Whether `name` is set to something true (`1 t true on y yes`, any case), as oslo's strutils reads it.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?.to_ascii_lowercase();
        match &*value {
            "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
            "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
            _ => None,
        }
    }
    /// All pairs, as sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
    /// The pairs as a query string, with `name` set to `value` (for links to a next page).
    pub fn with(&self, name: &str, value: &str) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (k, v) in self.iter().filter(|(k, _)| *k != name) {
            out.append_pair(k, v);
        }
        out.append_pair(name, value);
        out.finish()
    }
}
