//! Python's `repr()` and `str()`.

use std::fmt;
use std::fmt::Write as _;

use super::Value;
use crate::Error;

/// Levels of nesting past which `…` is written: a list may hold itself.
const MAX_DEPTH: usize = 100;

/// A float as Python's `repr` writes it: `1.0`, `1e+16`, `1e-05`, `inf`, `nan`.
pub fn repr_float(f: f64) -> String {
    if f.is_nan() {
        return "nan".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let sci = format!("{f:e}");
    let (mantissa, exp) = sci.split_once('e').unwrap_or((&sci, "0"));
    let exp: i32 = exp.parse().unwrap_or(0);
    if (-4..16).contains(&exp) {
        let plain = f.to_string();
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        format!("{mantissa}e{}{:02}", if exp < 0 { '-' } else { '+' }, exp.abs())
    }
}

/// Whether Python's `repr` writes `c` as it is.
fn printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !(c.is_control()
        || matches!(c as u32, 0xa0 | 0xad | 0x1680 | 0x180e | 0x2000..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f
            | 0x3000 | 0xd800..=0xf8ff | 0xfeff | 0xfff0..=0xfffb | 0xfffe | 0xffff | 0xe0000..=0xe0fff | 0xf0000..=0x10ffff))
}

/// Text as Python's `repr` writes it.
pub fn repr_str(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    write_str(&mut out, s);
    out
}

fn write_str(out: &mut String, s: &str) {
    let quote = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in s.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if printable(c) => out.push(c),
            c => {
                let n = c as u32;
                let _ = match n {
                    0..=0xff => write!(out, "\\x{n:02x}"),
                    0x100..=0xffff => write!(out, "\\u{n:04x}"),
                    _ => write!(out, "\\U{n:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

fn write_bytes(out: &mut String, bytes: &[u8]) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    out.push('b');
    out.push(quote as char);
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b if b == quote => {
                out.push('\\');
                out.push(b as char);
            }
            0x20..=0x7e => out.push(b as char),
            b => {
                let _ = write!(out, "\\x{b:02x}");
            }
        }
    }
    out.push(quote as char);
}

impl Value {
    /// Python's `repr()`. An undefined value is written as its message.
    pub fn repr(&self) -> String {
        let mut out = String::new();
        self.write_repr(&mut out, 0);
        out
    }

    fn write_repr(&self, out: &mut String, depth: usize) {
        if depth > MAX_DEPTH {
            out.push_str("...");
            return;
        }
        match self {
            Self::Undefined(u) => {
                let _ = write!(out, "Undefined({})", u.message());
            }
            Self::None => out.push_str("None"),
            Self::Bool(b) => out.push_str(if *b { "True" } else { "False" }),
            Self::Int(i) => {
                let _ = write!(out, "{i}");
            }
            Self::BigInt(i) => {
                let _ = write!(out, "{i}");
            }
            Self::Float(f) => out.push_str(&repr_float(*f)),
            Self::Str(s) => write_str(out, s),
            Self::Bytes(b) => write_bytes(out, b),
            Self::List(l) => write_seq(out, &l.items(), depth, '[', ']'),
            Self::Tuple(t) => {
                write_seq(out, t, depth, '(', ')');
                if t.len() == 1 {
                    out.truncate(out.len() - 1);
                    out.push_str(",)");
                }
            }
            Self::Dict(d) => {
                out.push('{');
                for (i, (k, v)) in d.items().iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    k.write_repr(out, depth + 1);
                    out.push_str(": ");
                    v.write_repr(out, depth + 1);
                }
                out.push('}');
            }
            Self::Object(o) => out.push_str(&o.repr()),
        }
    }

    /// Python's `str()`.
    ///
    /// # Errors
    /// Where it is undefined, or holds something undefined.
    pub fn to_text(&self) -> Result<String, Error> {
        let mut out = String::new();
        self.write_text(&mut out)?;
        Ok(out)
    }

    /// Appends Python's `str()` to `out`.
    ///
    /// # Errors
    /// Where it is undefined.
    pub fn write_text(&self, out: &mut String) -> Result<(), Error> {
        match self {
            Self::Undefined(u) => return Err(u.to_error()),
            Self::Str(s) => out.push_str(s),
            Self::Object(o) => match o.resolve() {
                Some(plain) => plain?.write_text(out)?,
                None => o.write_text(out)?,
            },
            other => other.write_repr(out, 0),
        }
        Ok(())
    }
}

fn write_seq(out: &mut String, items: &[Value], depth: usize, open: char, close: char) {
    out.push(open);
    for (i, v) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        v.write_repr(out, depth + 1);
    }
    out.push(close);
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr())
    }
}
