//! The arguments of a call, and binding them to a signature with Python's messages.

use std::sync::Arc;

use crate::{Error, Value};

/// The arguments of a call. For a filter or test, the piped value is the first.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// By position.
    pub pos: Vec<Value>,
    /// By name.
    pub kw: Vec<(Arc<str>, Value)>,
}

impl From<Vec<Value>> for Args {
    fn from(pos: Vec<Value>) -> Self {
        Self { pos, kw: Vec::new() }
    }
}

/// Arguments bound to a signature: by index of the parameter.
#[derive(Debug)]
pub struct Bound(Vec<Option<Value>>);

impl Args {
    /// The first argument; undefined where there is none.
    pub fn first(&self) -> Value {
        self.pos.first().cloned().unwrap_or_else(|| Value::undefined("value"))
    }
    /// The argument named `name`.
    pub fn named(&self, name: &str) -> Option<&Value> {
        self.kw.iter().find(|(k, _)| &**k == name).map(|(_, v)| v)
    }
    /// Takes the argument named `name` out.
    pub fn take_named(&mut self, name: &str) -> Option<Value> {
        let i = self.kw.iter().position(|(k, _)| &**k == name)?;
        Some(self.kw.remove(i).1)
    }

    /// Binds to `function(names…)`, of which the first `required` must be given.
    ///
    /// # Errors
    /// As Python words them: missing, unexpected, too many, given twice.
    pub fn bind(self, function: &str, names: &[&str], required: usize) -> Result<Bound, Error> {
        let given = self.pos.len();
        if given > names.len() {
            let takes = if required == names.len() {
                format!("{required} positional argument{}", if required == 1 { "" } else { "s" })
            } else {
                format!("from {required} to {} positional arguments", names.len())
            };
            return Err(Error::type_error(format!(
                "{function}() takes {takes} but {given} {} given",
                if given == 1 { "was" } else { "were" }
            )));
        }
        let mut out: Vec<Option<Value>> = self.pos.into_iter().map(Some).collect();
        out.resize(names.len(), None);
        for (k, v) in self.kw {
            match names.iter().position(|n| *n == &*k) {
                Some(i) if out[i].is_none() => out[i] = Some(v),
                Some(_) => {
                    return Err(Error::type_error(format!(
                        "{function}() got multiple values for argument '{k}'"
                    )));
                }
                None => {
                    return Err(Error::type_error(format!(
                        "{function}() got an unexpected keyword argument '{k}'"
                    )));
                }
            }
        }
        let missing: Vec<String> = names[..required]
            .iter()
            .zip(&out)
            .filter(|(_, v)| v.is_none())
            .map(|(n, _)| format!("'{n}'"))
            .collect();
        if !missing.is_empty() {
            let list = match missing.as_slice() {
                [one] => one.clone(),
                [a, b] => format!("{a} and {b}"),
                [head @ .., last] => format!("{}, and {last}", head.join(", ")),
                [] => String::new(),
            };
            return Err(Error::type_error(format!(
                "{function}() missing {} required positional argument{}: {list}",
                missing.len(),
                if missing.len() == 1 { "" } else { "s" }
            )));
        }
        Ok(Bound(out))
    }
}

impl Bound {
    /// The argument at `i`, if given.
    pub fn opt(&self, i: usize) -> Option<&Value> {
        self.0.get(i).and_then(Option::as_ref)
    }
    /// The argument at `i`, `None` where it was not given.
    pub fn get(&self, i: usize) -> Value {
        self.opt(i).cloned().unwrap_or_default()
    }
    /// The argument at `i`, or `default`.
    pub fn or(&self, i: usize, default: impl Into<Value>) -> Value {
        self.opt(i).cloned().unwrap_or_else(|| default.into())
    }
    /// The truth of the argument at `i`, or `default`.
    ///
    /// # Errors
    /// Where it is undefined.
    pub fn truth(&self, i: usize, default: bool) -> Result<bool, Error> {
        self.opt(i).map_or(Ok(default), Value::truth)
    }
    /// The integer at `i`, or `default`.
    ///
    /// # Errors
    /// Where it is no integer.
    pub fn int(&self, i: usize, default: i64) -> Result<i64, Error> {
        match self.opt(i) {
            None => Ok(default),
            Some(v) => v.as_int().ok_or_else(|| {
                Error::type_error(format!("'{}' object cannot be interpreted as an integer", v.type_name()))
            }),
        }
    }
    /// The text of the argument at `i` (Python's `str()` of it), or `default`.
    ///
    /// # Errors
    /// Where it is undefined.
    pub fn text(&self, i: usize, default: &str) -> Result<String, Error> {
        self.opt(i).map_or_else(|| Ok(default.to_owned()), Value::to_text)
    }
}
