//! Values with behaviour of their own.

use std::any::Any;
use std::fmt::Debug;

use super::Value;
use crate::{Args, Error, State};

/// The values of an iteration.
pub type ValueIter = Box<dyn Iterator<Item = Value> + Send>;

/// A value with behaviour of its own: hostvars, macros, `range`, `loop`, dates, encrypted strings.
///
/// Every method but the name has a default: no attributes, no items, not callable, true.
pub trait Object: Any + Debug + Send + Sync {
    /// Python's name of its type.
    fn type_name(&self) -> &str;
    /// The attribute `name`; `None` where there is none (an item is then looked for).
    ///
    /// # Errors
    /// Where reading it fails.
    fn attr(&self, _name: &str) -> Result<Option<Value>, Error> {
        Ok(None)
    }
    /// The item under `key`.
    ///
    /// # Errors
    /// Where reading it fails.
    fn item(&self, _key: &Value) -> Result<Option<Value>, Error> {
        Ok(None)
    }
    /// Sets an attribute (`{% set ns.x = … %}`): only namespaces can.
    ///
    /// # Errors
    /// Where it cannot be set.
    fn set_attr(&self, _name: &str, _value: Value) -> Result<(), Error> {
        Err(Error::runtime("cannot assign attribute on non-namespace object"))
    }
    /// Calls it.
    ///
    /// # Errors
    /// Where it cannot be called, or fails.
    fn call(&self, _state: &State<'_>, _args: Args) -> Result<Value, Error> {
        Err(Error::type_error(format!("'{}' object is not callable", self.type_name())))
    }
    /// Whether it can be called.
    fn is_callable(&self) -> bool {
        false
    }
    /// Whether a call takes undefined arguments; otherwise the first of them is the result.
    fn takes_undefined(&self) -> bool {
        false
    }
    /// Calls the method `name`; `None` where it has no such method.
    ///
    /// # Errors
    /// Where the method fails.
    fn call_method(&self, _state: &State<'_>, _name: &str, _args: &Args) -> Option<Result<Value, Error>> {
        None
    }
    /// Its values, unrendered (a mapping's keys); `None` where it cannot be iterated.
    fn iter(&self) -> Option<Result<ValueIter, Error>> {
        None
    }
    /// Its length, if it has one.
    fn len(&self) -> Option<usize> {
        None
    }
    /// Whether its length is 0.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
    /// Python's `bool()`.
    ///
    /// # Errors
    /// Where it has no truth value.
    fn truth(&self) -> Result<bool, Error> {
        Ok(self.len() != Some(0))
    }
    /// Whether it is a mapping.
    fn is_mapping(&self) -> bool {
        false
    }
    /// Whether it is a sequence.
    fn is_sequence(&self) -> bool {
        false
    }
    /// Whether `{% … %}`-less results may hold it as it is; else it becomes a list or a dict, or is refused.
    fn is_storable(&self) -> bool {
        false
    }
    /// Python's `repr()`.
    fn repr(&self) -> String {
        format!("<{} object>", self.type_name())
    }
    /// Python's `str()`.
    fn text(&self) -> String {
        self.repr()
    }
    /// Appends `str()` of it.
    ///
    /// # Errors
    /// Where something inside cannot be had.
    fn write_text(&self, out: &mut String) -> Result<(), Error> {
        out.push_str(&self.text());
        Ok(())
    }
    /// Its text in JSON.
    fn json(&self) -> String {
        self.text()
    }
    /// The plain value behind it (an encrypted string's text); `None` where it is its own.
    ///
    /// # Errors
    /// Where it cannot be had.
    fn resolve(&self) -> Option<Result<Value, Error>> {
        None
    }
    /// Python's `==`; `None` is by identity.
    fn equals(&self, _other: &Value) -> Option<bool> {
        None
    }
    /// Python's order against `other`; `None` where there is none.
    fn compare(&self, _other: &Value) -> Option<std::cmp::Ordering> {
        None
    }
    /// `self op other` (`-`, `+` …), or with the sides `swapped`; `None` where unsupported.
    fn binary(&self, _op: &str, _other: &Value, _swapped: bool) -> Option<Result<Value, Error>> {
        None
    }
    /// What distinguishes it as a key of a dict; `None` is by identity.
    fn hash_key(&self) -> Option<u64> {
        None
    }
}

impl dyn Object {
    /// The object as a `T`.
    pub fn downcast<T: Object>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}
