//! JSON of the API's read tolerantly: what is absent, `null` or of another type is empty.

use serde_json::Value;

/// Fields of an object.
pub(super) trait Fields {
    /// A string; empty where there is none.
    fn text(&self, key: &str) -> &str;
    /// A number; 0 where there is none.
    fn number(&self, key: &str) -> i64;
    /// A number, where there is one.
    fn some_number(&self, key: &str) -> Option<i64>;
    /// A truth value; false where there is none.
    fn flag(&self, key: &str) -> bool;
    /// The elements of an array; none where there isn't one.
    fn list(&self, key: &str) -> &[Value];
    /// The strings of an array; a lone string is one.
    fn strings(&self, key: &str) -> Vec<String>;
    /// The keys and string values of an object.
    fn pairs(&self, key: &str) -> Vec<(String, String)>;
    /// Whether it is there and isn't `null`.
    fn has(&self, key: &str) -> bool;
}

impl Fields for Value {
    fn text(&self, key: &str) -> &str {
        self.get(key).and_then(Value::as_str).unwrap_or_default()
    }
    fn number(&self, key: &str) -> i64 {
        self.some_number(key).unwrap_or_default()
    }
    fn some_number(&self, key: &str) -> Option<i64> {
        let value = self.get(key)?;
        value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
    }
    fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or_default()
    }
    fn list(&self, key: &str) -> &[Value] {
        self.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
    fn strings(&self, key: &str) -> Vec<String> {
        match self.get(key) {
            Some(Value::String(one)) => vec![one.clone()],
            _ => self.list(key).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        }
    }
    fn pairs(&self, key: &str) -> Vec<(String, String)> {
        let object = self.get(key).and_then(Value::as_object);
        let pair = |(k, v): (&String, &Value)| (k.clone(), v.as_str().unwrap_or_default().to_owned());
        object.map(|o| o.iter().map(pair).collect()).unwrap_or_default()
    }
    fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| !v.is_null())
    }
}
