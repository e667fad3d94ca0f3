//! Reading names, attributes, items and slices.

use std::sync::Arc;

use super::objects::BoundMethod;
use crate::methods;
use crate::value::{Undefined, repr_str};
use crate::{Dict, Error, List, State, Value};

/// A copy of all lists and dicts in `v`.
fn deep_copy(v: Value, depth: u32) -> Value {
    match v {
        Value::List(l) if depth < 100 => Value::List(List::with_origin(
            l.items().into_iter().map(|v| deep_copy(v, depth + 1)).collect(),
            l.origin().cloned(),
        )),
        Value::Dict(d) if depth < 100 => Value::Dict(Dict::with_origin(
            d.items().into_iter().map(|(k, v)| (k, deep_copy(v, depth + 1))).collect(),
            d.origin().cloned(),
        )),
        other => other,
    }
}

impl State<'_> {
    /// The variable `name` of the template, the scope or the globals, rendered.
    pub(crate) fn name(&self, name: &str) -> Option<Value> {
        if let Some(v) = self.frame.get(name) {
            return Some(v);
        }
        if !self.context.isolated {
            if self.context.template.mutates
                && let Some(v) = self.context.copies.lock().get(name)
            {
                return Some(v.clone());
            }
            if let Some(v) = self.scope.get(name) {
                let v = self.read(v);
                if self.context.template.mutates && matches!(v, Value::List(_) | Value::Dict(_)) {
                    let v = deep_copy(v, 0);
                    self.context.copies.lock().insert(name.into(), v.clone());
                    return Some(v);
                }
                return Some(v);
            }
        }
        self.engine.globals.get(name).cloned()
    }

    fn missing(&self, v: &Value, key: &str) -> Value {
        Value::Undefined(Arc::new(Undefined::member(v.type_name(), key)))
    }

    /// `v.name`: an attribute or method, else an item.
    ///
    /// # Errors
    /// Where reading it fails.
    pub fn attr(&self, v: &Value, name: &str) -> Result<Value, Error> {
        let unsafe_name = name.starts_with("__") && name.ends_with("__");
        match v {
            Value::Undefined(u) if u.lenient => return Err(u.to_error()),
            Value::Undefined(_) => return Ok(v.clone()),
            Value::Object(o) => {
                if !name.starts_with('_')
                    && let Some(found) = o.attr(name)?
                {
                    return Ok(self.read(found));
                }
                if let Some(found) = o.item(&Value::str(name))? {
                    return Ok(self.read(found));
                }
            }
            _ => {
                if !unsafe_name && methods::exists(v, name) {
                    return Ok(Value::object(BoundMethod { this: v.clone(), name: name.into() }));
                }
                if let Some(found) = methods::attribute(v, name) {
                    return Ok(found);
                }
                if let Value::Dict(d) = v
                    && let Some(found) = d.get(name)
                {
                    return Ok(self.read(found));
                }
            }
        }
        if unsafe_name && methods::is_dunder(v, name) {
            let m =
                format!("access to attribute {} of '{}' object is unsafe.", repr_str(name), v.type_name());
            return Ok(Value::undefined_hint(m));
        }
        Ok(self.missing(v, &repr_str(name)))
    }

    /// `v[key]`: an item, else an attribute.
    ///
    /// # Errors
    /// Where reading it fails.
    pub fn item(&self, v: &Value, key: &Value) -> Result<Value, Error> {
        if let Value::Undefined(u) = v {
            return if u.lenient { Err(u.to_error()) } else { Ok(v.clone()) };
        }
        if let Value::Undefined(u) = key {
            return Err(u.to_error());
        }
        let found = match (v, key) {
            (Value::Dict(d), key) => match key.check_hashable() {
                Ok(()) => d.get_value(key),
                Err(_) => None,
            },
            (Value::Object(o), key) => o.item(key)?,
            (Value::List(l), key) => key.as_int().and_then(|i| index(i, l.len())).and_then(|i| l.get(i)),
            (Value::Tuple(t), key) => {
                key.as_int().and_then(|i| index(i, t.len())).and_then(|i| t.get(i).cloned())
            }
            (Value::Str(s), key) => key.as_int().and_then(|i| {
                let i = index(i, s.chars_len())?;
                if s.is_ascii() {
                    s.get(i..=i).map(Value::from)
                } else {
                    s.chars().nth(i).map(|c| Value::str(c.to_string()))
                }
            }),
            (Value::Bytes(b), key) => {
                key.as_int().and_then(|i| index(i, b.len())).map(|i| Value::Int(i64::from(b[i])))
            }
            _ => None,
        };
        match (found, key) {
            (Some(found), _) => Ok(self.read(found)),
            (None, Value::Str(name)) => self.attr(v, name),
            (None, key) => Ok(self.missing(v, &key.repr())),
        }
    }

    /// `v[start:stop:step]`.
    pub(crate) fn slice(&self, v: &Value, parts: [Option<Value>; 3]) -> Result<Value, Error> {
        if v.is_undefined() {
            return Ok(v.clone());
        }
        let mut bounds = [None, None, None];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            *bound = match part {
                None | Some(Value::None) => None,
                Some(Value::Undefined(u)) => return Err(u.to_error()),
                Some(v) => match v.as_int() {
                    Some(i) => Some(i),
                    None => {
                        return Err(Error::type_error(
                            "slice indices must be integers or None or have an __index__ method",
                        ));
                    }
                },
            };
        }
        if bounds[2] == Some(0) {
            return Err(Error::value_error("slice step cannot be zero"));
        }
        let pick = |n: usize| slice_indices(n, bounds[0], bounds[1], bounds[2].unwrap_or(1));
        Ok(match v {
            Value::Str(s) => {
                let chars: Vec<char> = s.chars().collect();
                Value::str(pick(chars.len()).into_iter().map(|i| chars[i]).collect::<String>())
            }
            Value::Bytes(b) => Value::Bytes(pick(b.len()).into_iter().map(|i| b[i]).collect()),
            Value::List(l) => {
                let items = l.items();
                Value::list(pick(items.len()).into_iter().map(|i| items[i].clone()).collect())
            }
            Value::Tuple(t) => Value::tuple(pick(t.len()).into_iter().map(|i| t[i].clone()).collect()),
            Value::Object(o) if o.is_sequence() => {
                let items = v.to_vec()?;
                Value::list(pick(items.len()).into_iter().map(|i| items[i].clone()).collect())
            }
            _ => self.missing(v, "slice(None, None, None)"),
        })
    }

    /// Whether `item` is in `container`.
    ///
    /// # Errors
    /// Where the types do not allow it.
    pub fn contains(&self, container: &Value, item: &Value) -> Result<bool, Error> {
        if let Value::Undefined(u) = item {
            return Err(u.to_error());
        }
        match container {
            Value::Undefined(u) => Err(u.to_error()),
            Value::Str(s) => match item {
                Value::Str(i) => Ok(s.contains(i.as_str())),
                other => Err(Error::type_error(format!(
                    "'in <string>' requires string as left operand, not {}",
                    other.type_name()
                ))),
            },
            Value::Dict(d) => {
                item.check_hashable()?;
                Ok(d.get_value(item).is_some())
            }
            Value::List(_) | Value::Tuple(_) => {
                for v in container.to_vec()? {
                    if self.read(v).equals(item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Object(o) if o.is_mapping() => Ok(o.item(item)?.is_some()),
            Value::Object(_) | Value::Bytes(_) => {
                for v in container.iter().map_err(|_| not_container(container))? {
                    if self.read(v).equals(item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Err(not_container(container)),
        }
    }

    /// The items that a `for` over `v` gives, rendered.
    ///
    /// # Errors
    /// Where it cannot be iterated.
    pub fn items(&self, v: &Value) -> Result<Vec<Value>, Error> {
        Ok(v.to_vec()?.into_iter().map(|v| self.read(v)).collect())
    }
}

fn not_container(v: &Value) -> Error {
    Error::type_error(format!("argument of type '{}' is not iterable", v.type_name()))
}

/// Python's index `i` into `n` items.
pub(crate) fn index(i: i64, n: usize) -> Option<usize> {
    let n = i64::try_from(n).ok()?;
    let i = if i < 0 { i + n } else { i };
    if (0..n).contains(&i) { usize::try_from(i).ok() } else { None }
}

/// The indices that a slice of `n` items picks, in order.
pub(crate) fn slice_indices(n: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<usize> {
    let len = i64::try_from(n).unwrap_or(i64::MAX);
    let (low, high) = if step < 0 { (-1, len - 1) } else { (0, len) };
    let clamp = |i: i64| if i < 0 { (i.saturating_add(len)).max(low) } else { i.min(high) };
    let start = start.map_or(if step < 0 { high } else { low }, clamp);
    let stop = stop.map_or(if step < 0 { low } else { high }, clamp);
    let mut out = Vec::new();
    let mut i = start;
    while if step < 0 { i > stop } else { i < stop } {
        if let Ok(u) = usize::try_from(i) {
            out.push(u);
        }
        i = i.saturating_add(step);
    }
    out
}
