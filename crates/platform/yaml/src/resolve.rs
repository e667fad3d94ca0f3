//! What a plain scalar means in YAML 1.1, by the patterns of PyYAML's resolver.
//!
//! Written by hand rather than as regular expressions: it runs on every scalar of every playbook.

/// What a plain scalar turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Null.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer beyond 64 bits, in decimal.
    BigInt(String),
    /// A float.
    Float(f64),
    /// A date or time.
    Date,
    /// `<<`.
    Merge,
    /// Text.
    Str,
}

/// Resolves the plain scalar `s`.
pub fn plain(s: &str) -> Scalar {
    match s {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        "<<" => return Scalar::Merge,
        _ => {}
    }
    match s.as_bytes()[0] {
        b'-' | b'+' | b'.' | b'0'..=b'9' => {}
        _ => return Scalar::Str,
    }
    if let Some(f) = float(s) {
        return Scalar::Float(f);
    }
    if let Some(i) = int(s) {
        return i;
    }
    if is_timestamp(s) {
        return Scalar::Date;
    }
    Scalar::Str
}

fn sign(s: &str) -> (bool, &str) {
    match s.as_bytes().first() {
        Some(b'-') => (true, &s[1..]),
        Some(b'+') => (false, &s[1..]),
        _ => (false, s),
    }
}

fn all(s: &str, ok: impl Fn(u8) -> bool) -> bool {
    !s.is_empty() && s.bytes().all(ok)
}

fn digits(s: &str) -> bool {
    all(s, |b| b.is_ascii_digit() || b == b'_')
}

/// `[0-9][0-9_]*`
fn number(s: &str) -> bool {
    s.starts_with(|c: char| c.is_ascii_digit()) && digits(s)
}

/// `[0-5]?[0-9]`
fn sixty(s: &str) -> bool {
    match s.as_bytes() {
        [a] => a.is_ascii_digit(),
        [a, b] => (b'0'..=b'5').contains(a) && b.is_ascii_digit(),
        _ => false,
    }
}

/// The text as a float, if it reads as one; `!!float` on other texts asks this, then [`int`].
pub(crate) fn float(s: &str) -> Option<f64> {
    let (negative, body) = sign(s);
    let signed = body.len() != s.len();
    let apply = |f: f64| Some(if negative { -f } else { f });
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return apply(f64::INFINITY);
    }
    if !signed && matches!(body, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    let (whole, rest) = body.split_once('.')?;
    if whole.contains(':') {
        let mut parts = whole.split(':');
        let first = parts.next().filter(|p| number(p))?;
        if !rest.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
            return None;
        }
        let mut value: f64 = strip(first).parse().ok()?;
        for part in parts {
            if !sixty(part) {
                return None;
            }
            value = value * 60.0 + part.parse::<f64>().ok()?;
        }
        let fraction: f64 = format!("0.{}", strip(rest)).parse().unwrap_or(0.0);
        return apply(value + fraction);
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => {
            let exponent = &rest[at + 1..];
            let signed = exponent.starts_with(['+', '-']);
            if !signed || !all(&exponent[1..], |b| b.is_ascii_digit()) {
                return None;
            }
            (&rest[..at], exponent)
        }
        None => (rest, ""),
    };
    let fits = if whole.is_empty() {
        !signed && number(fraction)
    } else {
        number(whole) && (fraction.is_empty() || digits(fraction))
    };
    if !fits {
        return None;
    }
    let mut text = format!("{}.{}", strip(whole), strip(fraction));
    if text.starts_with('.') {
        text.insert(0, '0');
    }
    if text.ends_with('.') {
        text.push('0');
    }
    if !exponent.is_empty() {
        text.push('e');
        text.push_str(exponent);
    }
    apply(text.parse().ok()?)
}

/// The text as an integer, if it reads as one.
pub(crate) fn int(s: &str) -> Option<Scalar> {
    let (negative, body) = sign(s);
    if body == "0" {
        return Some(Scalar::Int(0));
    }
    if let Some(bits) = body.strip_prefix("0b") {
        return all(bits, |b| matches!(b, b'0' | b'1' | b'_'))
            .then(|| radix(&strip(bits), 2, negative))
            .flatten();
    }
    if let Some(hex) = body.strip_prefix("0x") {
        return all(hex, |b| b.is_ascii_hexdigit() || b == b'_')
            .then(|| radix(&strip(hex), 16, negative))
            .flatten();
    }
    if let Some(octal) = body.strip_prefix('0') {
        let fits = all(octal, |b| matches!(b, b'0'..=b'7' | b'_'));
        return fits.then(|| radix(&format!("0{}", strip(octal)), 8, negative)).flatten();
    }
    if body.contains(':') {
        let mut parts = body.split(':');
        let first = parts.next().filter(|p| number(p))?;
        let mut value: i64 = strip(first).parse().ok()?;
        for part in parts {
            if !sixty(part) {
                return None;
            }
            value = value.checked_mul(60)?.checked_add(part.parse().ok()?)?;
        }
        return Some(Scalar::Int(if negative { -value } else { value }));
    }
    number(body).then(|| radix(&strip(body), 10, negative)).flatten()
}

fn strip(s: &str) -> String {
    s.chars().filter(|c| *c != '_').collect()
}

fn radix(digits: &str, radix: u32, negative: bool) -> Option<Scalar> {
    if digits.is_empty() {
        return None;
    }
    let signed = if negative { format!("-{digits}") } else { digits.to_owned() };
    if let Ok(i) = i64::from_str_radix(&signed, radix) {
        return Some(Scalar::Int(i));
    }
    if let Ok(i) = i128::from_str_radix(&signed, radix) {
        return Some(Scalar::BigInt(i.to_string()));
    }
    // Beyond 128 bits only the decimal form can be kept as it stands; nobody writes the others that long.
    (radix == 10).then_some(Scalar::BigInt(signed))
}

fn is_timestamp(s: &str) -> bool {
    let b = s.as_bytes();
    let mut at = 0;
    let run = |min: usize, max: usize, at: &mut usize| {
        let from = *at;
        while *at < b.len() && *at - from < max && b[*at].is_ascii_digit() {
            *at += 1;
        }
        *at - from >= min
    };
    let lit = |c: u8, at: &mut usize| {
        let hit = b.get(*at) == Some(&c);
        *at += usize::from(hit);
        hit
    };
    if !(run(4, 4, &mut at)
        && lit(b'-', &mut at)
        && run(1, 2, &mut at)
        && lit(b'-', &mut at)
        && run(1, 2, &mut at))
    {
        return false;
    }
    if at == b.len() {
        return b.len() == 10;
    }
    let blanks = |at: &mut usize| {
        let from = *at;
        while matches!(b.get(*at), Some(b' ' | b'\t')) {
            *at += 1;
        }
        *at > from
    };
    if !(lit(b'T', &mut at) || lit(b't', &mut at) || blanks(&mut at)) {
        return false;
    }
    if !(run(1, 2, &mut at)
        && lit(b':', &mut at)
        && run(2, 2, &mut at)
        && lit(b':', &mut at)
        && run(2, 2, &mut at))
    {
        return false;
    }
    if lit(b'.', &mut at) {
        run(0, usize::MAX, &mut at);
    }
    if at == b.len() {
        return true;
    }
    blanks(&mut at);
    if lit(b'Z', &mut at) {
        return at == b.len();
    }
    if !(lit(b'+', &mut at) || lit(b'-', &mut at)) || !run(1, 2, &mut at) {
        return false;
    }
    if lit(b':', &mut at) && !run(2, 2, &mut at) {
        return false;
    }
    at == b.len()
}
