//! Python's equality, hash and order.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{BigInt, Value};
use crate::Error;

pub(super) fn hash_str<H: Hasher>(s: &str, state: &mut H) {
    state.write_u8(1);
    s.hash(state);
}

fn big_of_float(f: f64) -> Option<BigInt> {
    if f.is_finite() && f == f.trunc() { format!("{f:.0}").parse().ok() } else { None }
}

/// `a` and `b` as numbers, compared exactly; `None` where one is no number, or not-a-number.
fn numbers(a: &Value, b: &Value) -> Option<Ordering> {
    use Value::{BigInt as Big, Bool, Float, Int};
    fn int_float(i: i64, f: f64) -> Option<Ordering> {
        if f.is_nan() {
            return None;
        }
        if i.unsigned_abs() <= 1 << 53 || f.is_infinite() {
            return (i as f64).partial_cmp(&f);
        }
        match big_of_float(f.trunc()) {
            Some(big) => Some(match BigInt::from(i).cmp(&big) {
                Ordering::Equal => 0.0.partial_cmp(&f.fract()).unwrap_or(Ordering::Equal),
                other => other,
            }),
            None => (i as f64).partial_cmp(&f),
        }
    }
    match (a, b) {
        (Bool(x), _) => numbers(&Int(i64::from(*x)), b),
        (_, Bool(y)) => numbers(a, &Int(i64::from(*y))),
        (Int(x), Int(y)) => Some(x.cmp(y)),
        (Float(x), Float(y)) => x.partial_cmp(y),
        (Int(x), Float(y)) => int_float(*x, *y),
        (Float(x), Int(y)) => int_float(*y, *x).map(Ordering::reverse),
        (Big(x), Big(y)) => Some(x.cmp(y)),
        (Big(x), Int(y)) => Some(x.as_ref().cmp(&BigInt::from(*y))),
        (Int(x), Big(y)) => Some(BigInt::from(*x).cmp(y.as_ref())),
        (Big(x), Float(y)) => match big_of_float(y.trunc()) {
            Some(big) => Some(x.as_ref().cmp(&big)),
            None => 0.0.partial_cmp(y),
        },
        (Float(_), Big(_)) => numbers(b, a).map(Ordering::reverse),
        _ => None,
    }
}

fn is_number(v: &Value) -> bool {
    matches!(v, Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_))
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        use Value::{Bytes, Dict, List, None, Object, Str, Tuple, Undefined};
        match (self, other) {
            (Str(a), Str(b)) => a.as_str() == b.as_str(),
            (None, None) => true,
            (a, b) if is_number(a) && is_number(b) => numbers(a, b) == Some(Ordering::Equal),
            (Bytes(a), Bytes(b)) => a == b,
            (List(a), List(b)) => a.same(b) || (a.len() == b.len() && a.items() == b.items()),
            (Tuple(a), Tuple(b)) => a == b,
            (Dict(a), Dict(b)) => {
                a.same(b)
                    || (a.len() == b.len()
                        && a.items().iter().all(|(k, v)| b.get_value(k).is_some_and(|w| *v == w)))
            }
            (Undefined(a), Undefined(b)) => Arc::ptr_eq(a, b),
            (Object(a), b) => match a.equals(b) {
                Some(eq) => eq,
                Option::None => match b {
                    Object(b) => b.equals(self).unwrap_or_else(|| Arc::ptr_eq(a, b)),
                    _ => false,
                },
            },
            (a, Object(b)) => b.equals(a).unwrap_or(false),
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Str(s) => hash_str(s, state),
            Self::None => state.write_u8(0),
            Self::Bool(b) => hash_int(i64::from(*b), state),
            Self::Int(i) => hash_int(*i, state),
            Self::BigInt(b) => {
                state.write_u8(2);
                b.hash(state);
            }
            Self::Float(f) => {
                if *f == f.trunc() && f.abs() < 9.2e18 {
                    hash_int(*f as i64, state);
                } else if let Some(big) = big_of_float(*f) {
                    state.write_u8(2);
                    big.hash(state);
                } else {
                    state.write_u8(3);
                    f.to_bits().hash(state);
                }
            }
            Self::Bytes(b) => {
                state.write_u8(4);
                b.hash(state);
            }
            Self::Tuple(t) => {
                state.write_u8(5);
                t.hash(state);
            }
            // unhashable in Python: refused before it comes to this
            Self::List(_) => state.write_u8(6),
            Self::Dict(_) => state.write_u8(7),
            Self::Undefined(_) => state.write_u8(8),
            Self::Object(o) => {
                state.write_u8(9);
                if let Some(k) = o.hash_key() {
                    k.hash(state);
                }
            }
        }
    }
}

fn hash_int<H: Hasher>(i: i64, state: &mut H) {
    state.write_u8(10);
    i.hash(state);
}

impl Value {
    /// Python's `==`, where undefined values raise.
    ///
    /// # Errors
    /// Where a side is undefined.
    pub fn equals(&self, other: &Self) -> Result<bool, Error> {
        for v in [self, other] {
            if let Self::Undefined(u) = v {
                return Err(u.to_error());
            }
        }
        Ok(self == other)
    }

    /// Whether it may be a key of a dict.
    ///
    /// # Errors
    /// `unhashable type: 'list'`.
    pub fn check_hashable(&self) -> Result<(), Error> {
        match self {
            Self::List(_) | Self::Dict(_) => {
                Err(Error::type_error(format!("unhashable type: '{}'", self.type_name())))
            }
            Self::Undefined(u) => Err(u.to_error()),
            Self::Tuple(t) => t.iter().try_for_each(Value::check_hashable),
            _ => Ok(()),
        }
    }

    /// Python's order; `op` is the operator, for the message. `None` is "neither" (not-a-number).
    ///
    /// # Errors
    /// Where the two have no order.
    pub fn order(&self, other: &Self, op: &str) -> Result<Option<Ordering>, Error> {
        use Value::{Bytes, List, Object, Str, Tuple, Undefined};
        Ok(match (self, other) {
            (Undefined(u), _) | (_, Undefined(u)) => return Err(u.to_error()),
            (Str(a), Str(b)) => Some(a.as_str().cmp(b.as_str())),
            (a, b) if is_number(a) && is_number(b) => numbers(a, b),
            (Bytes(a), Bytes(b)) => Some(a.cmp(b)),
            (List(a), List(b)) => return sequences(&a.items(), &b.items(), op),
            (Tuple(a), Tuple(b)) => return sequences(a, b, op),
            (Object(a), b) => match a.compare(b) {
                Some(o) => Some(o),
                None => return Err(self.no_order(other, op)),
            },
            (a, Object(b)) => match b.compare(a) {
                Some(o) => Some(o.reverse()),
                None => return Err(self.no_order(other, op)),
            },
            _ => return Err(self.no_order(other, op)),
        })
    }

    fn no_order(&self, other: &Self, op: &str) -> Error {
        if self.type_name() == "datetime" && other.type_name() == "datetime" {
            return Error::type_error("can't compare offset-naive and offset-aware datetimes");
        }
        Error::type_error(format!(
            "'{op}' not supported between instances of '{}' and '{}'",
            self.type_name(),
            other.type_name()
        ))
    }

    /// `self < other`, for sorting.
    ///
    /// # Errors
    /// Where the two have no order.
    pub fn less(&self, other: &Self) -> Result<bool, Error> {
        Ok(self.order(other, "<")? == Some(Ordering::Less))
    }
}

fn sequences(a: &[Value], b: &[Value], op: &str) -> Result<Option<Ordering>, Error> {
    for (x, y) in a.iter().zip(b) {
        if x != y {
            return x.order(y, op);
        }
    }
    Ok(Some(a.len().cmp(&b.len())))
}

/// Sorts as Python's `sorted` does: stable, by `<` only, the first error wins.
///
/// # Errors
/// Where two values have no order.
pub(crate) fn sort_by_key(items: &mut [(Value, Value)], reverse: bool) -> Result<(), Error> {
    let mut error = None;
    items.sort_by(|(a, _), (b, _)| {
        if error.is_some() {
            return Ordering::Equal;
        }
        // Python compares the later one with the earlier one first
        let order = match b.less(a) {
            Ok(true) => Ok(Ordering::Greater),
            Ok(false) => a.less(b).map(|l| if l { Ordering::Less } else { Ordering::Equal }),
            Err(e) => Err(e),
        };
        match order {
            Ok(o) if reverse => o.reverse(),
            Ok(o) => o,
            Err(e) => {
                error = Some(e);
                Ordering::Equal
            }
        }
    });
    error.map_or(Ok(()), Err)
}
