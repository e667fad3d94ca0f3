//! Filters on numbers, and human-readable sizes.

use super::Plain;
use crate::value::add;
use crate::{Args, Error, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("abs", abs),
    ("int", int),
    ("float", float),
    ("round", round),
    ("sum", sum),
    ("log", log),
    ("pow", pow),
    ("root", root),
    ("human_readable", human_readable),
    ("human_to_bytes", human_to_bytes),
];

fn number(v: &Value, what: &str) -> Result<f64, Error> {
    v.as_float().ok_or_else(|| {
        Error::type_error(format!(
            "{what}() can only be used on numbers: must be real number, not {}",
            v.type_name()
        ))
    })
}

fn abs(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(match a.first() {
        Value::Int(i) => i.checked_abs().map_or_else(|| Value::Float(-(i as f64)), Value::Int),
        Value::Bool(b) => Value::Int(i64::from(b)),
        Value::Float(f) => Value::Float(f.abs()),
        Value::BigInt(b) => Value::big(num_bigint::BigInt::from(b.magnitude().clone())),
        v => return Err(Error::type_error(format!("bad operand type for abs(): '{}'", v.type_name()))),
    })
}

/// Jinja's `int`: what cannot be converted is the default.
fn int(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_int", &["value", "default", "base"], 1)?;
    let (default, base) = (b.or(1, 0), b.int(2, 10)?);
    Ok(match b.get(0) {
        Value::Str(s) => parse_int(&s, u32::try_from(base).unwrap_or(10))
            .or_else(|| {
                let f: f64 = s.trim().replace('_', "").parse().ok()?;
                f.is_finite().then(|| truncated(f))
            })
            .unwrap_or(default),
        v @ (Value::Int(_) | Value::BigInt(_)) => v,
        Value::Bool(b) => Value::Int(i64::from(b)),
        Value::Float(f) if f.is_finite() => truncated(f),
        _ => default,
    })
}

fn truncated(f: f64) -> Value {
    let f = f.trunc();
    if f.abs() < 9.0e18 {
        Value::Int(f as i64)
    } else {
        Value::big(format!("{f:.0}").parse().unwrap_or_default())
    }
}

/// Python's `int(text, base)`.
pub(crate) fn parse_int(s: &str, base: u32) -> Option<Value> {
    let t = s.trim();
    let (negative, t) = match t.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, t.strip_prefix('+').unwrap_or(t)),
    };
    let lower = t.to_lowercase();
    let (base, digits) = match (base, lower.get(..2)) {
        (16 | 0, Some("0x")) => (16, &lower[2..]),
        (8 | 0, Some("0o")) => (8, &lower[2..]),
        (2 | 0, Some("0b")) => (2, &lower[2..]),
        (0, _) => (10, lower.as_str()),
        (b, _) => (b, lower.as_str()),
    };
    if !(2..=36).contains(&base)
        || digits.is_empty()
        || digits.starts_with('_') && base == 10
        || digits.ends_with('_')
        || digits.contains("__")
    {
        return None;
    }
    let digits = digits.replace('_', "");
    let n = num_bigint::BigInt::parse_bytes(digits.as_bytes(), base)?;
    if digits.starts_with(['-', '+']) {
        return None;
    }
    Some(Value::big(if negative { -n } else { n }))
}

fn float(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_float", &["value", "default"], 1)?;
    Ok(match b.get(0) {
        Value::Str(s) => match s.trim().to_lowercase().as_str() {
            "inf" | "+inf" | "infinity" => Value::Float(f64::INFINITY),
            "-inf" => Value::Float(f64::NEG_INFINITY),
            "nan" => Value::Float(f64::NAN),
            t => t.replace('_', "").parse().map_or_else(|_| b.or(1, 0.0), Value::Float),
        },
        v => v.as_float().map_or_else(|| b.or(1, 0.0), Value::Float),
    })
}

/// Python's `round`: halves go to the even neighbour; `ceil` and `floor` on request.
fn round(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_round", &["value", "precision", "method"], 1)?;
    let (precision, method) = (b.int(1, 0)?, b.text(2, "common")?);
    let v = b.get(0);
    if let (Value::Int(_) | Value::BigInt(_), "common", true) = (&v, method.as_str(), precision >= 0) {
        return Ok(v);
    }
    let f = number(&v, "round")?;
    let scale = 10f64.powi(i32::try_from(precision).unwrap_or(0));
    Ok(Value::Float(match method.as_str() {
        "common" if precision >= 0 => {
            format!("{f:.*}", usize::try_from(precision).unwrap_or(0)).parse().unwrap_or(f)
        }
        "common" => (f * scale).round_ties_even() / scale,
        "ceil" => (f * scale).ceil() / scale,
        "floor" => (f * scale).floor() / scale,
        _ => return Err(Error::runtime("method must be common, ceil or floor")),
    }))
}

fn sum(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("sync_do_sum", &["iterable", "attribute", "start"], 1)?;
    let mut total = b.or(2, 0);
    for v in state.items(&b.get(0))? {
        let v = match b.opt(1) {
            None | Some(Value::None) => v,
            Some(by) => super::select::attribute(state, &v, by, None)?,
        };
        total = add(&total, &v)?;
    }
    Ok(total)
}

fn log(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("logarithm", &["x", "base"], 1)?;
    let x = number(&b.get(0), "log")?;
    if x <= 0.0 {
        return Err(Error::value_error("math domain error"));
    }
    Ok(Value::Float(match b.opt(1).and_then(Value::as_float) {
        None => x.ln(),
        Some(10.0) => x.log10(),
        Some(base) => x.ln() / base.ln(),
    }))
}

fn pow(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("power", &["x", "y"], 2)?;
    Ok(Value::Float(number(&b.get(0), "pow")?.powf(number(&b.get(1), "pow")?)))
}

fn root(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("inversepower", &["x", "base"], 1)?;
    let (x, n) = (number(&b.get(0), "root")?, b.or(1, 2).as_float().unwrap_or(2.0));
    Ok(Value::Float(if n == 2.0 { x.sqrt() } else { x.powf(1.0 / n) }))
}

const UNITS: [(char, f64); 9] = [
    ('Y', 1_208_925_819_614_629_174_706_176.0),
    ('Z', 1_180_591_620_717_411_303_424.0),
    ('E', 1_152_921_504_606_846_976.0),
    ('P', 1_125_899_906_842_624.0),
    ('T', 1_099_511_627_776.0),
    ('G', 1_073_741_824.0),
    ('M', 1_048_576.0),
    ('K', 1024.0),
    ('B', 1.0),
];

fn human_readable(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("human_readable", &["size", "isbits", "unit"], 1)?;
    let size = number(&b.get(0), "human_readable").map_err(|_| {
        Error::new(
            crate::ErrorKind::Plugin,
            format!("human_readable() failed on bad input: {}", b.get(0).repr()),
        )
    })?;
    let base = if b.truth(1, false)? { "bits" } else { "Bytes" };
    let unit = b.opt(2).filter(|v| !v.is_none()).map(Value::to_text).transpose()?.map(|u| u.to_uppercase());
    for (suffix, limit) in UNITS {
        let here = match &unit {
            None => size >= limit,
            Some(u) => u.starts_with(suffix),
        };
        if here {
            let name = if limit == 1.0 {
                base.to_owned()
            } else {
                format!("{suffix}{}", if base == "bits" { "b" } else { "B" })
            };
            return Ok(Value::str(format!("{:.2} {name}", size / limit)));
        }
    }
    Ok(Value::str(format!("{size:.2} {base}")))
}

fn human_to_bytes(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("human_to_bytes", &["size", "default_unit", "isbits"], 1)?;
    let text = b.text(0, "")?;
    let bad = || Error::value_error(format!("human_to_bytes() can't interpret following string: {text}"));
    let t = text.trim();
    let end = t.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(t.len());
    let n: f64 = t[..end].parse().map_err(|_| bad())?;
    let unit = match t[end..].trim() {
        "" => b.opt(1).filter(|v| !v.is_none()).map(Value::to_text).transpose()?.unwrap_or_default(),
        u => u.to_owned(),
    };
    let Some(first) = unit.chars().next() else { return Ok(Value::Int(n.round_ties_even() as i64)) };
    let up = first.to_ascii_uppercase();
    let Some((_, limit)) = UNITS.iter().find(|(c, _)| *c == up) else {
        return Err(Error::value_error(format!(
            "human_to_bytes() failed to convert {text} (unit = {unit}). The suffix must be one of Y, Z, E, P, T, G, M, K, B"
        )));
    };
    Ok(Value::Int((n * limit).round_ties_even() as i64))
}
