//! The pairs that `groupby` gives: a tuple whose members also have names.

use std::sync::Arc;

use crate::value::ValueIter;
use crate::{Error, Object, Value};

/// `(grouper, list)`.
#[derive(Debug)]
struct Group([Value; 2]);

/// The pair of `grouper` and `list`.
pub(super) fn value(grouper: Value, list: Value) -> Value {
    Value::Object(Arc::new(Group([grouper, list])))
}

impl Object for Group {
    fn type_name(&self) -> &str {
        "GroupTuple"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(match name {
            "grouper" => Some(self.0[0].clone()),
            "list" => Some(self.0[1].clone()),
            _ => None,
        })
    }
    fn item(&self, key: &Value) -> Result<Option<Value>, Error> {
        Ok(match key {
            Value::Str(name) => return self.attr(name),
            key => match key.as_int() {
                Some(0 | -2) => Some(self.0[0].clone()),
                Some(1 | -1) => Some(self.0[1].clone()),
                _ => None,
            },
        })
    }
    fn iter(&self) -> Option<Result<ValueIter, Error>> {
        Some(Ok(Box::new(self.0.clone().into_iter())))
    }
    fn len(&self) -> Option<usize> {
        Some(2)
    }
    fn is_sequence(&self) -> bool {
        true
    }
    fn repr(&self) -> String {
        Value::tuple(self.0.to_vec()).repr()
    }
    fn equals(&self, other: &Value) -> Option<bool> {
        Some(match other {
            Value::Tuple(t) => **t == self.0,
            Value::Object(o) => o.downcast::<Group>().is_some_and(|g| g.0 == self.0),
            _ => false,
        })
    }
    fn compare(&self, other: &Value) -> Option<std::cmp::Ordering> {
        let other = other.to_vec().ok()?;
        Value::tuple(self.0.to_vec()).order(&Value::tuple(other), "<").ok().flatten()
    }
}
