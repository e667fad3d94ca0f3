//! What queries and bodies have in common: booleans as Docker reads them, filters, JSON streams.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use serde_json::Value;

use super::Call;

impl super::Flags for Call {
    fn flag(&self, name: &str) -> bool {
        let value = self.query.get(name).unwrap_or("").trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }
    fn text(&self, name: &str) -> String {
        self.query.get(name).unwrap_or("").to_owned()
    }
    fn filters(&self) -> Result<Filters> {
        Filters::read(self.query.get("filters").unwrap_or(""))
    }
}

/// The `filters` of a list: what each name may be. Both of Docker's forms are read, `{"a":["b"]}` and
/// `{"a":{"b":true}}`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Filters(pub BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads them.
    ///
    /// # Errors
    /// 400 where it is no JSON of that form.
    pub fn read(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let bad = || Error::bad_request("invalid filter");
        let value: Value = serde_json::from_str(text).map_err(|_| bad())?;
        let mut all = BTreeMap::new();
        for (name, values) in value.as_object().ok_or_else(bad)? {
            let values = match values {
                Value::Array(list) => {
                    list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect()
                }
                Value::Object(map) => {
                    // A value stands there whatever it is set to.
                    map.keys().cloned().collect()
                }
                _ => return Err(bad()),
            };
            all.insert(name.clone(), values);
        }
        Ok(Self(all))
    }
    /// Refuses names that a list doesn't know.
    ///
    /// # Errors
    /// 400, `invalid filter 'x'`.
    pub fn allow(&self, names: &[&str]) -> Result<()> {
        match self.0.keys().find(|k| !names.contains(&k.as_str())) {
            Some(name) => Err(Error::bad_request(format!("invalid filter '{name}'"))),
            None => Ok(()),
        }
    }
    /// What `name` may be; empty where it isn't asked.
    pub fn of(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
    /// Whether `value` passes `name`: nothing asked, or one of them equal.
    pub fn passes(&self, name: &str, value: &str) -> bool {
        let asked = self.of(name);
        asked.is_empty() || asked.iter().any(|a| a == value)
    }
    /// Whether labels pass all of `label` (`key` or `key=value`) and none of `label!`.
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |asked: &String| match asked.split_once('=') {
            Some((k, v)) => labels.get(k).is_some_and(|have| have == v),
            None => labels.contains_key(asked),
        };
        self.of("label").iter().all(has) && !self.of("label!").iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_come_in_two_forms() {
        let a = Filters::read(r#"{"label":["x=1"]}"#).unwrap();
        assert_eq!(a, Filters::read(r#"{"label":{"x=1":true}}"#).unwrap());
        assert!(a.labels(&BTreeMap::from([("x".into(), "1".into())])));
        assert!(!a.labels(&BTreeMap::new()));
        assert!(a.allow(&["name"]).is_err());
        assert!(Filters::read("[]").is_err() && Filters::read(r#"{"label":"x"}"#).is_err());
    }
}
