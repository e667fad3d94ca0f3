//! Why a text is no JSON, in the words of Go's decoder, which the reference shows.

use serde_json::error::Category;

/// What Go's decoder would say of `text`, that serde_json refused with `error`.
pub fn reason(text: &[u8], error: &serde_json::Error) -> String {
    if error.classify() == Category::Eof {
        let nothing = text.iter().all(u8::is_ascii_whitespace);
        return if nothing { "EOF" } else { "unexpected EOF" }.to_owned();
    }
    let said = error.to_string();
    let after = match said.as_str() {
        s if s.starts_with("key must be a string") => "looking for beginning of object key string",
        s if s.starts_with("expected `:`") => "after object key",
        s if s.starts_with("expected `,` or `}`") => "after object key:value pair",
        s if s.starts_with("expected `,` or `]`") => "after array element",
        s if s.starts_with("trailing comma") => "looking for beginning of object key string",
        s if s.starts_with("trailing characters") => "after top-level value",
        s if s.starts_with("control character") => "in string literal",
        s if s.starts_with("invalid escape") => "in string escape code",
        s if s.starts_with("expected ident") => return literal(text, error),
        s if s.starts_with("expected value") => "looking for beginning of value",
        _ => return said,
    };
    match at(text, error) {
        Some(c) => format!("invalid character {} {after}", quoted(c)),
        None => "unexpected EOF".to_owned(),
    }
}

/// The character that the error is at.
fn at(text: &[u8], error: &serde_json::Error) -> Option<char> {
    let line = text.split(|b| *b == b'\n').nth(error.line().checked_sub(1)?)?;
    let rest = line.get(error.column().saturating_sub(1)..)?;
    let whole = String::from_utf8_lossy(rest);
    whole.chars().next()
}

/// A word that begins as `true`, `false` or `null` and goes on otherwise.
fn literal(text: &[u8], error: &serde_json::Error) -> String {
    let line = text.split(|b| *b == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let column = error.column().saturating_sub(1).min(line.len());
    let start = line[..column].iter().rposition(|b| !b.is_ascii_lowercase()).map_or(0, |n| n + 1);
    let found = String::from_utf8_lossy(&line[start..]).into_owned();
    for word in ["true", "false", "null"] {
        if !found.starts_with(&word[..1]) {
            continue;
        }
        let differs = word.chars().zip(found.chars()).find(|(wanted, c)| wanted != c);
        if let Some((wanted, c)) = differs {
            return format!(
                "invalid character {} in literal {word} (expecting {})",
                quoted(c),
                quoted(wanted)
            );
        }
    }
    "unexpected EOF".to_owned()
}

fn quoted(c: char) -> String {
    match c {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => format!("'{}'", c.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let e = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
        reason(text.as_bytes(), &e)
    }

    #[test]
    fn the_words_are_those_of_the_reference() {
        assert_eq!(of(""), "EOF");
        assert_eq!(of("{\"a\":"), "unexpected EOF");
        assert_eq!(of("{x"), "invalid character 'x' looking for beginning of object key string");
        assert_eq!(of("x"), "invalid character 'x' looking for beginning of value");
        assert_eq!(of(r#"{"a":"b" "c":1}"#), "invalid character '\"' after object key:value pair");
        assert_eq!(of(r#"{"a" "b"}"#), "invalid character '\"' after object key");
        assert_eq!(of("[1 2]"), "invalid character '2' after array element");
        assert_eq!(of("nope"), "invalid character 'o' in literal null (expecting 'u')");
        assert_eq!(of("{}}"), "invalid character '}' after top-level value");
    }
}
