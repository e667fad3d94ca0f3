//! The value of templates: Python's data model, cheap to clone.
//!
//! `List` and `Dict` are shared and can be changed in place (`.append` on a literal is seen by everyone who
//! holds it); text knows whether it is trusted as a template and where it was written. What has behaviour of
//! its own (hostvars, macros, `range`, dates, encrypted strings) is an [`Object`].

pub(crate) mod compare;
mod convert;
mod dict;
mod list;
mod number;
mod object;
mod repr;
mod text;
mod undefined;

use std::sync::Arc;

pub(crate) use compare::sort_by_key;
pub use dict::{Dict, Key};
pub use list::List;
pub use num_bigint::BigInt;
pub use number::{add, floor_div, modulo, mul, neg, pos, pow, sub, true_div};
pub use object::{Object, ValueIter};
pub use repr::{repr_float, repr_str};
pub use text::{Origin, Str, looks_like_template};
pub use undefined::Undefined;

use crate::Error;

/// A value.
#[derive(Clone, Default)]
pub enum Value {
    /// Something absent, or an error kept until it is used.
    Undefined(Arc<Undefined>),
    /// `None`.
    #[default]
    None,
    /// `True`, `False`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer beyond 64 bits (never one that would fit).
    BigInt(Arc<BigInt>),
    /// A float.
    Float(f64),
    /// Text.
    Str(Str),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A list, shared.
    List(List),
    /// A tuple.
    Tuple(Arc<[Value]>),
    /// A dict, shared.
    Dict(Dict),
    /// Something with behaviour of its own.
    Object(Arc<dyn Object>),
}

/// How many items a list that is made of something else (`range`) may have.
const MAX_ITEMS: usize = 50_000_000;

impl Value {
    /// Untrusted text.
    pub fn str(s: impl Into<Str>) -> Self {
        Self::Str(s.into())
    }
    /// A new list.
    pub fn list(items: Vec<Value>) -> Self {
        Self::List(List::new(items))
    }
    /// A tuple.
    pub fn tuple(items: Vec<Value>) -> Self {
        Self::Tuple(items.into())
    }
    /// A new dict of pairs.
    pub fn dict<K: Into<Value>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Dict(pairs.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }
    /// An object.
    pub fn object(o: impl Object + 'static) -> Self {
        Self::Object(Arc::new(o))
    }
    /// An integer, in 64 bits where it fits.
    pub fn big(i: BigInt) -> Self {
        match i64::try_from(&i) {
            Ok(i) => Self::Int(i),
            Err(_) => Self::BigInt(Arc::new(i)),
        }
    }
    /// The undefined variable `name`.
    pub fn undefined(name: &str) -> Self {
        Self::Undefined(Arc::new(Undefined::name(name)))
    }
    /// Undefined, explained by `hint`.
    pub fn undefined_hint(hint: impl Into<String>) -> Self {
        Self::Undefined(Arc::new(Undefined::hint(hint)))
    }
    /// An error, to be raised when the value is used.
    pub fn captured(error: Error) -> Self {
        Self::Undefined(Arc::new(Undefined::error(error)))
    }

    /// Python's name of its type.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Object(o) => o.type_name(),
        }
    }
    /// Whether it is undefined.
    pub fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }
    /// Whether it is something absent; a kept failure is an error.
    ///
    /// # Errors
    /// The failure that it stands for.
    pub fn is_absent(&self) -> Result<bool, Error> {
        match self {
            Self::Undefined(u) if u.is_absent() => Ok(true),
            Self::Undefined(u) => Err(u.to_error()),
            _ => Ok(false),
        }
    }
    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
    /// Whether it is a dict or a mapping object.
    pub fn is_mapping(&self) -> bool {
        match self {
            Self::Dict(_) => true,
            Self::Object(o) => o.is_mapping(),
            _ => false,
        }
    }
    /// Whether it is a list, a tuple or a sequence object; text is not.
    pub fn is_sequence(&self) -> bool {
        match self {
            Self::List(_) | Self::Tuple(_) => true,
            Self::Object(o) => o.is_sequence(),
            _ => false,
        }
    }
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s.as_str()),
            _ => None,
        }
    }
    /// The truth value of a bool.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }
    /// The integer of an int or a bool, where it fits 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            Self::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }
    /// A number as a float.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(f) => Some(*f),
            Self::Int(i) => Some(*i as f64),
            Self::Bool(b) => Some(f64::from(u8::from(*b))),
            Self::BigInt(b) => b.to_string().parse().ok(),
            _ => None,
        }
    }
    /// The list.
    pub fn as_list(&self) -> Option<&List> {
        match self {
            Self::List(l) => Some(l),
            _ => None,
        }
    }
    /// The dict.
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Self::Dict(d) => Some(d),
            _ => None,
        }
    }
    /// Where it was written, if known.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        match self {
            Self::Str(s) => s.origin(),
            Self::List(l) => l.origin(),
            Self::Dict(d) => d.origin(),
            _ => None,
        }
    }
    /// The vault's text that it was decrypted from, or that could not be decrypted.
    pub fn ciphertext(&self) -> Option<&Arc<str>> {
        match self {
            Self::Str(s) => s.origin().and_then(|o| o.sealed.as_ref()),
            Self::Undefined(u) => {
                u.error.as_ref().and_then(|e| e.origins().iter().find_map(|o| o.sealed.as_ref()))
            }
            _ => None,
        }
    }
    /// The member `key` of a dict or mapping object, unrendered.
    pub fn get(&self, key: &str) -> Option<Value> {
        match self {
            Self::Dict(d) => d.get(key),
            Self::Object(o) => o.item(&Value::str(key)).ok().flatten(),
            _ => None,
        }
    }

    /// Python's `bool()`.
    ///
    /// # Errors
    /// Where it is undefined.
    pub fn truth(&self) -> Result<bool, Error> {
        Ok(match self {
            Self::Undefined(u) if u.lenient => false,
            Self::Undefined(u) => return Err(u.to_error()),
            Self::None => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::BigInt(_) => true,
            Self::Float(f) => *f != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::Bytes(b) => !b.is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Tuple(t) => !t.is_empty(),
            Self::Dict(d) => !d.is_empty(),
            Self::Object(o) => o.truth()?,
        })
    }

    /// Python's `len()`.
    ///
    /// # Errors
    /// Where it has no length.
    #[expect(clippy::len_without_is_empty, reason = "whether it is empty is its truth value")]
    pub fn len(&self) -> Result<usize, Error> {
        match self {
            Self::Undefined(u) => return Err(u.to_error()),
            Self::Str(s) => return Ok(s.chars_len()),
            Self::Bytes(b) => return Ok(b.len()),
            Self::List(l) => return Ok(l.len()),
            Self::Tuple(t) => return Ok(t.len()),
            Self::Dict(d) => return Ok(d.len()),
            Self::Object(o) => {
                if let Some(n) = o.len() {
                    return Ok(n);
                }
            }
            _ => {}
        }
        Err(Error::type_error(format!("object of type '{}' has no len()", self.type_name())))
    }

    /// The values that a `for` over it gives, unrendered: characters of text, keys of a dict.
    ///
    /// # Errors
    /// Where it cannot be iterated.
    pub fn iter(&self) -> Result<ValueIter, Error> {
        Ok(match self {
            Self::Undefined(u) => return Err(u.to_error()),
            Self::Str(s) => {
                let chars: Vec<Value> = s.chars().map(|c| Value::str(c.to_string())).collect();
                Box::new(chars.into_iter())
            }
            Self::Bytes(b) => {
                let bytes: Vec<Value> = b.iter().map(|b| Value::Int(i64::from(*b))).collect();
                Box::new(bytes.into_iter())
            }
            Self::List(l) => Box::new(l.iter_live()),
            Self::Tuple(t) => {
                let t = t.clone();
                Box::new((0..t.len()).map(move |i| t[i].clone()))
            }
            Self::Dict(d) => Box::new(d.keys().into_iter()),
            Self::Object(o) => match o.iter() {
                Some(it) => it?,
                None => return Err(self.not_iterable()),
            },
            _ => return Err(self.not_iterable()),
        })
    }

    /// [`Value::iter`] gathered.
    ///
    /// # Errors
    /// Where it cannot be iterated.
    pub fn to_vec(&self) -> Result<Vec<Value>, Error> {
        match self {
            Self::List(l) => Ok(l.items()),
            Self::Tuple(t) => Ok(t.to_vec()),
            other => {
                let items = other.iter()?;
                if items.size_hint().0 > MAX_ITEMS {
                    return Err(Error::limit("the list is too long"));
                }
                Ok(items.collect())
            }
        }
    }

    fn not_iterable(&self) -> Error {
        Error::type_error(format!("'{}' object is not iterable", self.type_name()))
    }
}
