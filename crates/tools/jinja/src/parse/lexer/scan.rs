//! Strings and numbers.

use super::super::token::Tok;
use super::*;
use crate::Error;

impl Lexer<'_> {
    pub(super) fn string(&mut self, quote: char, kind: Inside) -> Result<(), Error> {
        let rest = self.rest();
        let mut end = None;
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                end = Some(i);
                break;
            }
        }
        let Some(end) = end else {
            return Err(Error::syntax(
                format!(
                    "unexpected char {} at {}",
                    crate::value::repr_str(&quote.to_string()),
                    self.char_pos()
                ),
                self.line,
            ));
        };
        let raw = &rest[1..end];
        let text = if kind == Inside::Variable && self.syntax.escape_backslashes || !raw.contains('\\') {
            raw.to_owned()
        } else {
            unescape(raw).map_err(|e| Error::syntax(e, self.line))?
        };
        self.push(Tok::Str(text));
        self.advance(end + 1);
        Ok(())
    }

    /// Takes a number, if it is one (a name may begin with a digit, though none can use it).
    pub(super) fn number(&mut self) -> Result<bool, Error> {
        let rest = self.rest();
        let b = rest.as_bytes();
        let after_dot = self.src[..self.pos].ends_with('.');
        for (prefix, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] {
            if rest.get(..2).is_some_and(|p| p.eq_ignore_ascii_case(prefix)) {
                let n = digits(&rest[2..], radix);
                if n > 0 {
                    let text = rest[2..2 + n].replace('_', "");
                    let value = num_bigint::BigInt::parse_bytes(text.as_bytes(), radix).unwrap_or_default();
                    self.push(Tok::Int(value.to_string()));
                    self.pos += 2 + n;
                    return Ok(true);
                }
            }
        }
        let whole = digits(rest, 10);
        if whole == 0 {
            return Ok(false);
        }
        let mut n = whole;
        let mut float = false;
        if !after_dot {
            if b.get(n) == Some(&b'.') {
                let f = digits(&rest[n + 1..], 10);
                if f > 0 && b[n + 1] != b'_' {
                    n += 1 + f;
                    float = true;
                }
            }
            if matches!(b.get(n), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(b.get(n + 1), Some(b'+' | b'-')));
                let e = rest.get(n + 1 + sign..).map_or(0, |s| digits(s, 10));
                if e > 0 {
                    n += 1 + sign + e;
                    float = true;
                }
            }
        }
        let text = rest[..n].replace('_', "");
        let tok = if float {
            Tok::Float(text.parse().unwrap_or(f64::NAN))
        } else {
            let n_zero = text.bytes().take_while(|b| *b == b'0').count();
            if n_zero > 0 && n_zero < text.len() {
                // `012`: two integers in Jinja, never valid
                self.push(Tok::Int("0".into()));
                self.pos += n_zero;
                return Ok(true);
            }
            Tok::Int(text)
        };
        self.push(tok);
        self.pos += n;
        Ok(true)
    }
}

/// How long a run of digits with single underscores between is.
pub(super) fn digits(s: &str, radix: u32) -> usize {
    let mut n = 0;
    let mut last_digit = 0;
    for c in s.chars() {
        if c.is_digit(radix) {
            n += 1;
            last_digit = n;
        } else if c == '_' && n > 0 && last_digit == n || c == '_' && radix != 10 && n == 0 {
            n += 1;
        } else {
            break;
        }
    }
    last_digit
}

/// Undoes Python's escapes; unknown ones stay.
pub(super) fn unescape(raw: &str) -> Result<String, String> {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some((_, e)) = chars.next() else {
            out.push('\\');
            break;
        };
        let mut hex = |n: usize, kind: &str| -> Result<char, String> {
            let text: String = chars.clone().take(n).map(|(_, c)| c).collect();
            let bad = || {
                format!(
                    "(unicode error) 'unicodeescape' codec can't decode bytes in position {at}-{}: truncated {kind} escape",
                    at + 1 + text.len()
                )
            };
            if text.len() != n {
                return Err(bad());
            }
            let code = u32::from_str_radix(&text, 16).map_err(|_| bad())?;
            for _ in 0..n {
                chars.next();
            }
            Ok(char::from_u32(code).unwrap_or('\u{fffd}'))
        };
        match e {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(e),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            'x' => out.push(hex(2, "\\xXX")?),
            'u' => out.push(hex(4, "\\uXXXX")?),
            'U' => out.push(hex(8, "\\UXXXXXXXX")?),
            '0'..='7' => {
                let mut code = e.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    match chars.peek().and_then(|(_, c)| c.to_digit(8)) {
                        Some(d) => {
                            code = code * 8 + d;
                            chars.next();
                        }
                        None => break,
                    }
                }
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Ok(out)
}
