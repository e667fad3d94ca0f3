//! The `diff` of the Docker modules: two objects, what was and what is.

use serde_json::{Value, json};

use crate::result::Map;

/// Before and after, option by option.
#[derive(Debug, Default)]
pub struct Diff {
    before: Map,
    after: Map,
}

impl Diff {
    /// One thing that changes.
    pub fn add(&mut self, name: &str, after: Value, before: Value) {
        self.before.insert(name.into(), before);
        self.after.insert(name.into(), after);
    }

    /// All that changes there changes here.
    pub fn extend(&mut self, other: Diff) {
        self.before.extend(other.before);
        self.after.extend(other.after);
    }

    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.after.is_empty()
    }

    /// The result's `diff`.
    pub fn into_value(self) -> Value {
        json!({"before": self.before, "after": self.after})
    }
}
