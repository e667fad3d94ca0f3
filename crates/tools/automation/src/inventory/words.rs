//! A line split into words as Python's `shlex.split(line, comments=True)` does.

use std::borrow::Cow;

/// The words of `line`.
///
/// # Errors
/// `No closing quotation`, `No escaped character`.
pub fn split(line: &str) -> Result<Vec<Cow<'_, str>>, &'static str> {
    if !line.contains(['"', '\'', '\\', '#']) {
        return Ok(line.split_ascii_whitespace().map(Cow::Borrowed).collect());
    }
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => out.extend(word.take().map(Cow::Owned)),
            '#' => {
                // a comment ends the word it stands in, too
                break;
            }
            '\'' => {
                let w = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => w.push(c),
                        None => return Err("No closing quotation"),
                    }
                }
            }
            '"' => {
                let w = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\')) => w.push(c),
                            Some(c) => w.extend(['\\', c]),
                            None => return Err("No escaped character"),
                        },
                        Some(c) => w.push(c),
                        None => return Err("No closing quotation"),
                    }
                }
            }
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("No escaped character"),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word.map(Cow::Owned));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_shlex() {
        assert_eq!(split("a b=1  c").unwrap(), ["a", "b=1", "c"]);
        assert_eq!(split("a x=\"1 2\" y='#' z=\\ q # c").unwrap(), ["a", "x=1 2", "y=#", "z= q"]);
        assert_eq!(split("a ''").unwrap(), ["a", ""]);
        assert_eq!(split("a 'b"), Err("No closing quotation"));
        assert_eq!(split("a#b c").unwrap(), ["a"]);
    }
}
