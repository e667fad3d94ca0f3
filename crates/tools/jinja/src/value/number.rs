//! Python's arithmetic.

use num_bigint::{BigInt, Sign};

use super::{List, Value};
use crate::Error;

/// Bits past which a power or a product of integers is refused.
const MAX_BITS: u64 = 1 << 20;
/// Items or bytes past which a repetition is refused.
const MAX_REPEAT: usize = 64 << 20;

fn unsupported(op: &str, a: &Value, b: &Value) -> Error {
    Error::type_error(format!(
        "unsupported operand type(s) for {op}: '{}' and '{}'",
        a.type_name(),
        b.type_name()
    ))
}

enum Pair {
    Int(i64, i64),
    Big(BigInt, BigInt),
    Float(f64, f64),
}

fn big(v: &Value) -> Option<BigInt> {
    match v {
        Value::Bool(b) => Some(BigInt::from(i32::from(*b))),
        Value::Int(i) => Some(BigInt::from(*i)),
        Value::BigInt(b) => Some((**b).clone()),
        _ => None,
    }
}

fn pair(a: &Value, b: &Value) -> Option<Pair> {
    if let (Some(x), Some(y)) = (a.as_int(), b.as_int()) {
        return Some(Pair::Int(x, y));
    }
    if matches!(a, Value::Float(_)) || matches!(b, Value::Float(_)) {
        return Some(Pair::Float(a.as_float()?, b.as_float()?));
    }
    Some(Pair::Big(big(a)?, big(b)?))
}

fn defined(a: &Value, b: &Value) -> Result<(), Error> {
    for v in [a, b] {
        if let Value::Undefined(u) = v {
            return Err(u.to_error());
        }
    }
    Ok(())
}

fn objects(op: &str, a: &Value, b: &Value) -> Option<Result<Value, Error>> {
    if let Value::Object(o) = a
        && let Some(r) = o.binary(op, b, false)
    {
        return Some(r);
    }
    if let Value::Object(o) = b
        && let Some(r) = o.binary(op, a, true)
    {
        return Some(r);
    }
    None
}

macro_rules! arith {
    ($name:ident, $op:literal, $checked:ident, $sym:tt, $special:ident) => {
        #[doc = concat!("`a ", $op, " b`.")]
        ///
        /// # Errors
        /// Where the types do not allow it.
        pub fn $name(a: &Value, b: &Value) -> Result<Value, Error> {
            defined(a, b)?;
            match pair(a, b) {
                Some(Pair::Int(x, y)) => Ok(match x.$checked(y) {
                    Some(i) => Value::Int(i),
                    None => Value::big(BigInt::from(x) $sym BigInt::from(y)),
                }),
                Some(Pair::Big(x, y)) => Ok(Value::big(x $sym y)),
                Some(Pair::Float(x, y)) => Ok(Value::Float(x $sym y)),
                None => match objects($op, a, b) {
                    Some(r) => r,
                    None => $special(a, b),
                },
            }
        }
    };
}

arith!(add, "+", checked_add, +, add_other);
arith!(sub, "-", checked_sub, -, sub_other);
arith!(mul, "*", checked_mul, *, mul_other);

fn add_other(a: &Value, b: &Value) -> Result<Value, Error> {
    Ok(match (a, b) {
        (Value::Str(x), Value::Str(y)) => {
            let mut s = String::with_capacity(x.len() + y.len());
            s.push_str(x);
            s.push_str(y);
            Value::str(s)
        }
        (Value::List(x), Value::List(y)) => {
            let mut items = x.items();
            items.extend(y.items());
            Value::List(List::new(items))
        }
        (Value::Tuple(x), Value::Tuple(y)) => Value::tuple(x.iter().chain(y.iter()).cloned().collect()),
        (Value::Bytes(x), Value::Bytes(y)) => Value::Bytes([&**x, &**y].concat().into()),
        (Value::Str(_) | Value::List(_) | Value::Tuple(_), _) => {
            let t = a.type_name();
            return Err(Error::type_error(format!(
                "can only concatenate {t} (not \"{}\") to {t}",
                b.type_name()
            )));
        }
        _ => return Err(unsupported("+", a, b)),
    })
}

fn sub_other(a: &Value, b: &Value) -> Result<Value, Error> {
    Err(unsupported("-", a, b))
}

fn mul_other(a: &Value, b: &Value) -> Result<Value, Error> {
    let (seq, n) = match (a, b) {
        (seq @ (Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_)), n) => (seq, n),
        (n, seq @ (Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_))) => (seq, n),
        _ => return Err(unsupported("*", a, b)),
    };
    let Some(n) = n.as_int() else {
        return Err(Error::type_error(format!(
            "can't multiply sequence by non-int of type '{}'",
            n.type_name()
        )));
    };
    let n = usize::try_from(n).unwrap_or(0);
    let size = match seq {
        Value::Str(s) => s.len(),
        other => other.len()?,
    };
    if size.saturating_mul(n) > MAX_REPEAT {
        return Err(Error::limit("the repetition is too long"));
    }
    Ok(match seq {
        Value::Str(s) => Value::str(s.repeat(n)),
        Value::Bytes(x) => Value::Bytes(x.repeat(n).into()),
        Value::Tuple(t) => Value::tuple(std::iter::repeat_n(&**t, n).flatten().cloned().collect()),
        Value::List(l) => Value::list(std::iter::repeat_n(l.items(), n).flatten().collect()),
        _ => return Err(unsupported("*", a, b)),
    })
}

/// `a / b`.
///
/// # Errors
/// Where the types do not allow it, or `b` is zero.
pub fn true_div(a: &Value, b: &Value) -> Result<Value, Error> {
    defined(a, b)?;
    let Some(p) = pair(a, b) else {
        return objects("/", a, b).unwrap_or_else(|| Err(unsupported("/", a, b)));
    };
    let (x, y, float) = match p {
        Pair::Int(x, y) => (x as f64, y as f64, false),
        Pair::Float(x, y) => (x, y, true),
        Pair::Big(..) => (a.as_float().unwrap_or(f64::NAN), b.as_float().unwrap_or(f64::NAN), false),
    };
    if y == 0.0 {
        return Err(Error::value_error(if float { "float division by zero" } else { "division by zero" }));
    }
    Ok(Value::Float(x / y))
}

fn big_div_mod(x: &BigInt, y: &BigInt) -> (BigInt, BigInt) {
    let (mut q, mut r) = (x / y, x % y);
    if r.sign() != Sign::NoSign && (r.sign() == Sign::Minus) != (y.sign() == Sign::Minus) {
        q -= 1;
        r += y;
    }
    (q, r)
}

fn float_mod(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r != 0.0 && (r < 0.0) != (y < 0.0) {
        r + y
    } else if r == 0.0 {
        0.0f64.copysign(y)
    } else {
        r
    }
}

/// `a // b`.
///
/// # Errors
/// Where the types do not allow it, or `b` is zero.
pub fn floor_div(a: &Value, b: &Value) -> Result<Value, Error> {
    defined(a, b)?;
    match pair(a, b) {
        Some(Pair::Int(_, 0)) => Err(Error::value_error("integer division or modulo by zero")),
        Some(Pair::Int(x, y)) if y != -1 => {
            Ok(Value::Int(x.div_euclid(y) - i64::from(y < 0 && x.rem_euclid(y) != 0)))
        }
        Some(Pair::Int(x, y)) => Ok(Value::big(big_div_mod(&x.into(), &y.into()).0)),
        Some(Pair::Big(_, y)) if y.sign() == Sign::NoSign => {
            Err(Error::value_error("integer division or modulo by zero"))
        }
        Some(Pair::Big(x, y)) => Ok(Value::big(big_div_mod(&x, &y).0)),
        Some(Pair::Float(_, 0.0)) => Err(Error::value_error("float floor division by zero")),
        Some(Pair::Float(x, y)) => Ok(Value::Float(((x - float_mod(x, y)) / y).round())),
        None => objects("//", a, b).unwrap_or_else(|| Err(unsupported("//", a, b))),
    }
}

/// `a % b`: of numbers, or of text and what to put into it.
///
/// # Errors
/// Where the types do not allow it, or `b` is zero.
pub fn modulo(a: &Value, b: &Value) -> Result<Value, Error> {
    defined(a, b)?;
    if let Value::Str(s) = a {
        return crate::format::percent(s, b).map(Value::str);
    }
    match pair(a, b) {
        Some(Pair::Int(_, 0)) => Err(Error::value_error("integer modulo by zero")),
        Some(Pair::Int(_, -1)) => Ok(Value::Int(0)),
        Some(Pair::Int(x, y)) => {
            let r = x % y;
            Ok(Value::Int(if r != 0 && (r < 0) != (y < 0) { r + y } else { r }))
        }
        Some(Pair::Big(_, y)) if y.sign() == Sign::NoSign => {
            Err(Error::value_error("integer modulo by zero"))
        }
        Some(Pair::Big(x, y)) => Ok(Value::big(big_div_mod(&x, &y).1)),
        Some(Pair::Float(_, 0.0)) => Err(Error::value_error("float modulo")),
        Some(Pair::Float(x, y)) => Ok(Value::Float(float_mod(x, y))),
        None => objects("%", a, b).unwrap_or_else(|| Err(unsupported("%", a, b))),
    }
}

/// `a ** b`.
///
/// # Errors
/// Where the types do not allow it, or the result is too large.
pub fn pow(a: &Value, b: &Value) -> Result<Value, Error> {
    defined(a, b)?;
    let float = |x: f64, y: f64| {
        if x == 0.0 && y < 0.0 {
            return Err(Error::value_error("0.0 cannot be raised to a negative power"));
        }
        if x < 0.0 && y != y.trunc() {
            return Err(Error::value_error("complex results of ** are not supported"));
        }
        let r = x.powf(y);
        if r.is_infinite() && x.is_finite() && y.is_finite() {
            return Err(Error::value_error("(34, 'Numerical result out of range')"));
        }
        Ok(Value::Float(r))
    };
    match pair(a, b) {
        Some(Pair::Int(x, y)) if y >= 0 => {
            if let Ok(e) = u32::try_from(y)
                && let Some(r) = x.checked_pow(e)
            {
                return Ok(Value::Int(r));
            }
            let base = BigInt::from(x);
            if base.bits().saturating_mul(y.unsigned_abs()) > MAX_BITS {
                return Err(Error::limit("the power is too large"));
            }
            Ok(Value::big(base.pow(u32::try_from(y).unwrap_or(u32::MAX))))
        }
        Some(Pair::Int(x, y)) => float(x as f64, y as f64),
        Some(Pair::Big(x, y)) => match u32::try_from(&y) {
            Ok(e) if x.bits().saturating_mul(u64::from(e)) <= MAX_BITS => Ok(Value::big(x.pow(e))),
            Ok(_) => Err(Error::limit("the power is too large")),
            Err(_) => float(a.as_float().unwrap_or(f64::NAN), b.as_float().unwrap_or(f64::NAN)),
        },
        Some(Pair::Float(x, y)) => float(x, y),
        None => Err(unsupported("** or pow()", a, b)),
    }
}

/// `-v`.
///
/// # Errors
/// Where it is no number.
pub fn neg(v: &Value) -> Result<Value, Error> {
    match v {
        Value::Float(f) => Ok(Value::Float(-f)),
        Value::Undefined(u) => Err(u.to_error()),
        v => match big(v) {
            Some(b) => Ok(Value::big(-b)),
            None => Err(Error::type_error(format!("bad operand type for unary -: '{}'", v.type_name()))),
        },
    }
}

/// `+v`.
///
/// # Errors
/// Where it is no number.
pub fn pos(v: &Value) -> Result<Value, Error> {
    match v {
        Value::Bool(b) => Ok(Value::Int(i64::from(*b))),
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => Ok(v.clone()),
        Value::Undefined(u) => Err(u.to_error()),
        v => Err(Error::type_error(format!("bad operand type for unary +: '{}'", v.type_name()))),
    }
}
