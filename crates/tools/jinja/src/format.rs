//! Python's `%` on text ("printf-style String Formatting").

use crate::value::repr_float;
use crate::{BigInt, Error, Value};

/// Characters past which a width or precision is refused.
const MAX_WIDTH: usize = 1 << 20;

#[derive(Default)]
struct Spec {
    alternate: bool,
    zero: bool,
    left: bool,
    space: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// The arguments on the right of `%`.
struct Given<'a> {
    tuple: Option<&'a [Value]>,
    one: &'a Value,
    next: usize,
}

impl Given<'_> {
    fn take(&mut self) -> Result<Value, Error> {
        let v = match self.tuple {
            Some(t) => t.get(self.next).cloned(),
            None if self.next == 0 => Some(self.one.clone()),
            None => None,
        };
        self.next += 1;
        v.ok_or_else(|| Error::type_error("not enough arguments for format string"))
    }
}

/// `format % with`.
///
/// # Errors
/// As Python words them.
pub(crate) fn percent(format: &str, with: &Value) -> Result<String, Error> {
    let tuple = match with {
        Value::Tuple(t) => Some(&**t),
        _ => None,
    };
    let mut given = Given { tuple, one: with, next: 0 };
    let mut named = false;
    let mut out = String::with_capacity(format.len() + 16);
    let mut chars = format.chars().peekable();
    let incomplete = || Error::value_error("incomplete format");
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut key = None;
        if chars.next_if_eq(&'(').is_some() {
            let (mut name, mut depth) = (String::new(), 1);
            for c in chars.by_ref() {
                depth += i32::from(c == '(') - i32::from(c == ')');
                if depth == 0 {
                    break;
                }
                name.push(c);
            }
            if depth != 0 {
                return Err(Error::value_error("incomplete format key"));
            }
            if !with.is_mapping() {
                return Err(Error::type_error("format requires a mapping"));
            }
            key = Some(name);
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| "#0- +".contains(*c)) {
            match flag {
                '#' => spec.alternate = true,
                '0' => spec.zero = true,
                '-' => spec.left = true,
                ' ' => spec.space = true,
                _ => spec.plus = true,
            }
        }
        let star =
            |given: &mut Given<'_>| given.take()?.as_int().ok_or_else(|| Error::type_error("* wants int"));
        if chars.next_if_eq(&'*').is_some() {
            let w = star(&mut given)?;
            spec.left |= w < 0;
            spec.width = usize::try_from(w.unsigned_abs()).unwrap_or(usize::MAX);
        } else {
            let mut digits = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                digits.push(d);
            }
            if !digits.is_empty() {
                spec.width = digits.parse().map_err(|_| Error::value_error("width too big"))?;
            }
        }
        if chars.next_if_eq(&'.').is_some() {
            if chars.next_if_eq(&'*').is_some() {
                spec.precision = Some(usize::try_from(star(&mut given)?).unwrap_or(0));
            } else {
                let mut digits = String::new();
                while let Some(d) = chars.next_if(char::is_ascii_digit) {
                    digits.push(d);
                }
                spec.precision = Some(if digits.is_empty() {
                    0
                } else {
                    digits.parse().map_err(|_| Error::value_error("precision too big"))?
                });
            }
        }
        if spec.width > MAX_WIDTH || spec.precision.is_some_and(|p| p > MAX_WIDTH) {
            return Err(Error::limit("the text would be too long"));
        }
        while chars.next_if(|c| "hlL".contains(*c)).is_some() {}
        let Some(kind) = chars.next() else { return Err(incomplete()) };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let v = match &key {
            Some(k) => {
                named = true;
                with.get(k).ok_or_else(|| Error::value_error(crate::value::repr_str(k)))?
            }
            None => given.take()?,
        };
        let at = format.chars().count() - chars.clone().count() - 1;
        convert(&mut out, kind, &v, &spec, at)?;
    }
    let unused = match tuple {
        Some(t) => given.next < t.len(),
        None => given.next == 0 && !named && !with.is_mapping() && !matches!(with, Value::List(_)),
    };
    if unused && !named {
        return Err(Error::type_error("not all arguments converted during string formatting"));
    }
    Ok(out)
}

fn convert(out: &mut String, kind: char, v: &Value, spec: &Spec, at: usize) -> Result<(), Error> {
    if let Value::Undefined(u) = v {
        return Err(u.to_error());
    }
    let (sign, prefix, body) = match kind {
        's' | 'r' | 'a' => {
            let text = if kind == 's' { v.to_text()? } else { v.repr() };
            let text = match spec.precision {
                Some(p) => text.chars().take(p).collect(),
                None => text,
            };
            pad(out, "", "", &text, spec, false);
            return Ok(());
        }
        'c' => {
            let c = match v {
                Value::Str(s) if s.chars_len() == 1 => s.to_string(),
                v => match v.as_int() {
                    Some(i) => u32::try_from(i)
                        .ok()
                        .and_then(char::from_u32)
                        .map(String::from)
                        .ok_or_else(|| Error::value_error("%c arg not in range(0x110000)"))?,
                    None => return Err(Error::type_error("%c requires an int or a unicode character")),
                },
            };
            pad(out, "", "", &c, spec, false);
            return Ok(());
        }
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
            let big = whole(v, kind)?;
            let negative = big.sign() == num_bigint::Sign::Minus;
            let magnitude = big.magnitude();
            let (prefix, digits) = match kind {
                'o' => ("0o", magnitude.to_str_radix(8)),
                'x' => ("0x", magnitude.to_str_radix(16)),
                'X' => ("0X", magnitude.to_str_radix(16).to_uppercase()),
                _ => ("", magnitude.to_string()),
            };
            let zeros = spec.precision.unwrap_or(0).saturating_sub(digits.len());
            let digits = "0".repeat(zeros) + &digits;
            (sign(negative, spec), if spec.alternate { prefix } else { "" }, digits)
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let Some(f) = v.as_float() else {
                return Err(Error::type_error(format!("must be real number, not {}", v.type_name())));
            };
            let text = float(f.abs(), kind.to_ascii_lowercase(), spec.precision.unwrap_or(6), spec.alternate);
            let text = if kind.is_ascii_uppercase() { text.to_uppercase() } else { text };
            (sign(f.is_sign_negative() && !f.is_nan(), spec), "", text)
        }
        other => {
            return Err(Error::value_error(format!(
                "unsupported format character {} (0x{:x}) at index {at}",
                crate::value::repr_str(&other.to_string()),
                other as u32
            )));
        }
    };
    pad(out, sign, prefix, &body, spec, true);
    Ok(())
}

fn whole(v: &Value, kind: char) -> Result<BigInt, Error> {
    match v {
        Value::Int(i) => Ok(BigInt::from(*i)),
        Value::Bool(b) => Ok(BigInt::from(i32::from(*b))),
        Value::BigInt(b) => Ok((**b).clone()),
        Value::Float(f) if matches!(kind, 'd' | 'i' | 'u') => {
            if f.is_nan() {
                return Err(Error::value_error("cannot convert float NaN to integer"));
            }
            format!("{:.0}", f.trunc())
                .parse()
                .map_err(|_| Error::value_error("cannot convert float infinity to integer"))
        }
        other => Err(Error::type_error(format!(
            "%{kind} format: {} is required, not {}",
            if matches!(kind, 'd' | 'i' | 'u') { "a real number" } else { "an integer" },
            other.type_name()
        ))),
    }
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

/// A float that is not negative, as C's `%f`, `%e` and `%g` print it.
fn float(f: f64, kind: char, precision: usize, alternate: bool) -> String {
    if f.is_nan() || f.is_infinite() {
        return repr_float(f);
    }
    let exponential = |precision: usize| {
        let text = format!("{f:.precision$e}");
        let (m, e) = text.split_once('e').unwrap_or((&text, "0"));
        let e: i32 = e.parse().unwrap_or(0);
        (m.to_owned(), e)
    };
    let show = |m: &str, e: i32| format!("{m}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs());
    match kind {
        'f' => format!("{f:.precision$}"),
        'e' => {
            let (m, e) = exponential(precision);
            show(&m, e)
        }
        _ => {
            let p = precision.max(1);
            let (m, e) = exponential(p - 1);
            let trim = |s: &str| {
                if alternate || !s.contains('.') {
                    s.to_owned()
                } else {
                    s.trim_end_matches('0').trim_end_matches('.').to_owned()
                }
            };
            if e < -4 || e >= i32::try_from(p).unwrap_or(i32::MAX) {
                show(&trim(&m), e)
            } else {
                let decimals = usize::try_from(i32::try_from(p).unwrap_or(0) - 1 - e).unwrap_or(0);
                trim(&format!("{f:.decimals$}"))
            }
        }
    }
}

fn pad(out: &mut String, sign: &str, prefix: &str, body: &str, spec: &Spec, numeric: bool) {
    let have = sign.len() + prefix.len() + body.chars().count();
    let room = spec.width.saturating_sub(have);
    let (before, zeros, after) = match (spec.left, spec.zero && numeric) {
        (true, _) => (0, 0, room),
        (_, true) => (0, room, 0),
        _ => (room, 0, 0),
    };
    out.extend(std::iter::repeat_n(' ', before));
    out.push_str(sign);
    out.push_str(prefix);
    out.extend(std::iter::repeat_n('0', zeros));
    out.push_str(body);
    out.extend(std::iter::repeat_n(' ', after));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_does() {
        let t = |f: &str, v: Vec<Value>| percent(f, &Value::tuple(v)).unwrap();
        assert_eq!(t("%s-%03d", vec!["a".into(), 5.into()]), "a-005");
        assert_eq!(
            t("%-5s|%5.1f|%x|%#o", vec!["a".into(), 2.25.into(), 255.into(), 8.into()]),
            "a    |  2.2|ff|0o10"
        );
        assert_eq!(t("%g %g %g", vec![1e10.into(), 0.0001.into(), 1e-5.into()]), "1e+10 0.0001 1e-05");
        assert_eq!(percent("%(a)s%%", &Value::dict([("a", Value::Int(1))])).unwrap(), "1%");
        assert_eq!(
            percent("x", &Value::Int(1)).unwrap_err().message(),
            "not all arguments converted during string formatting"
        );
        assert_eq!(
            percent("%d", &"a".into()).unwrap_err().message(),
            "%d format: a real number is required, not str"
        );
    }
}
