//! The methods of Python's `str`, `list`, `dict`, `int` … that templates may call (Python's library reference,
//! "Built-in Types"; what the sandbox forbids is not there).

mod collections;
mod strings;

pub(crate) use collections::pairs;

use crate::{Args, Error, State, Value};

/// Methods that change a list or dict in place.
const CHANGING: &[&str] = &[
    "append",
    "extend",
    "insert",
    "remove",
    "pop",
    "clear",
    "sort",
    "reverse",
    "update",
    "setdefault",
    "popitem",
    "__setitem__",
];

/// Whether the method `name` may change its list or dict.
pub(crate) fn changes_in_place(name: &str) -> bool {
    CHANGING.contains(&name)
}

/// Whether `v` has the method `name`.
pub(crate) fn exists(v: &Value, name: &str) -> bool {
    match v {
        Value::Str(_) => strings::NAMES.contains(&name),
        Value::List(_) => collections::LIST.contains(&name),
        Value::Tuple(_) => ["count", "index"].contains(&name),
        Value::Dict(_) => collections::DICT.contains(&name),
        Value::Object(o) if o.is_mapping() => ["get", "items", "keys", "values"].contains(&name),
        Value::Bytes(_) => name == "decode",
        Value::Int(_) | Value::Bool(_) | Value::BigInt(_) => {
            ["bit_length", "bit_count", "conjugate"].contains(&name)
        }
        Value::Float(_) => ["is_integer", "hex", "conjugate"].contains(&name),
        _ => false,
    }
}

/// The attribute `name` of a number.
pub(crate) fn attribute(v: &Value, name: &str) -> Option<Value> {
    match (v, name) {
        (Value::Int(_) | Value::BigInt(_), "real" | "numerator") | (Value::Float(_), "real") => {
            Some(v.clone())
        }
        (Value::Bool(b), "real" | "numerator") => Some(Value::Int(i64::from(*b))),
        (Value::Int(_) | Value::BigInt(_) | Value::Bool(_), "imag") => Some(Value::Int(0)),
        (Value::Int(_) | Value::BigInt(_) | Value::Bool(_), "denominator") => Some(Value::Int(1)),
        (Value::Float(_), "imag") => Some(Value::Float(0.0)),
        _ => None,
    }
}

/// Whether every value of that type has the special attribute `name` (`__class__`, …).
pub(crate) fn is_dunder(v: &Value, name: &str) -> bool {
    let everywhere = [
        "__class__",
        "__doc__",
        "__dir__",
        "__init__",
        "__reduce__",
        "__repr__",
        "__str__",
        "__hash__",
        "__eq__",
        "__module__",
        "__subclasshook__",
        "__setattr__",
        "__getattribute__",
    ];
    everywhere.contains(&name)
        || matches!(v, Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_))
            && ["__len__", "__iter__", "__contains__", "__getitem__", "__add__"].contains(&name)
}

/// Calls the method `name` of `this`.
///
/// # Errors
/// As Python words them.
pub(crate) fn call(state: &State<'_>, this: &Value, name: &str, args: Args) -> Result<Value, Error> {
    for v in args.pos.iter().chain(args.kw.iter().map(|(_, v)| v)) {
        if let Value::Undefined(u) = v {
            return Err(u.to_error());
        }
    }
    match this {
        Value::Str(s) => strings::call(state, s, name, args),
        Value::List(l) => collections::list(state, l, name, args),
        Value::Tuple(t) => collections::sequence(t, "tuple", name, args),
        Value::Dict(d) => collections::dict(state, d, name, args),
        Value::Object(_) => collections::mapping(state, this, name, args),
        Value::Bytes(b) if name == "decode" => Ok(Value::str(String::from_utf8_lossy(b).into_owned())),
        Value::Float(f) if name == "is_integer" => Ok(Value::Bool(f.fract() == 0.0 && f.is_finite())),
        Value::Int(i) if name == "bit_length" => {
            Ok(Value::Int(i64::from(64 - i.unsigned_abs().leading_zeros())))
        }
        Value::Int(i) if name == "bit_count" => Ok(Value::Int(i64::from(i.unsigned_abs().count_ones()))),
        v if name == "conjugate" => Ok(v.clone()),
        v => Err(Error::type_error(format!("'{}' object has no method '{name}'", v.type_name()))),
    }
}
