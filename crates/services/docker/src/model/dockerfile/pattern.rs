//! Patterns of the shell in substitutions: `${x#a*}`, `${x%%.*}`, `${x/a/b}`.

use regex::Regex;

/// A pattern as a regular expression. The shortest match counts unless `greedy`.
fn regex(pattern: &str, greedy: bool, anchored: bool) -> Result<Regex, String> {
    let bad = |why: String| format!("invalid pattern ({pattern}) in substitution: {why}");
    let mut out = if anchored { "(?s)^".to_owned() } else { String::new() };
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(if greedy { ".*" } else { ".*?" }),
            '?' => out.push('.'),
            // These need an escape only to stay in the braces.
            '\\' if matches!(chars.peek(), Some('}' | '/')) => {}
            '\\' => match chars.next() {
                Some(next @ ('*' | '?' | '\\')) => {
                    out.push('\\');
                    out.push(next);
                }
                next => {
                    return Err(bad(format!(
                        "invalid escape '\\{}'",
                        next.map(String::from).unwrap_or_default()
                    )));
                }
            },
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    Regex::new(&out).map_err(|e| bad(e.to_string()))
}

/// Takes away what matches at the front, or at the `end`; the longest where the pattern repeats its sign.
pub(super) fn trim(value: &str, word: &str, end: bool) -> Result<String, String> {
    let sign = if end { '%' } else { '#' };
    let (greedy, word) = word.strip_prefix(sign).map_or((false, word), |rest| (true, rest));
    let turn = |text: &str| text.chars().rev().collect::<String>();
    // The shortest match at the end is the shortest at the front of all turned round.
    let (value, word) =
        if end { (turn(value), turn_pattern(word)) } else { (value.to_owned(), word.to_owned()) };
    let rest = match regex(&word, greedy, true)?.find(&value) {
        Some(found) => value[found.end()..].to_owned(),
        None => value,
    };
    Ok(if end { turn(&rest) } else { rest })
}

fn turn_pattern(word: &str) -> String {
    let mut parts = Vec::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        parts.push(match (c, chars.clone().next()) {
            ('\\', Some(next)) => {
                chars.next();
                format!("\\{next}")
            }
            (c, _) => c.to_string(),
        });
    }
    parts.into_iter().rev().collect()
}

/// Puts `with` in the place of what matches: the first, or all.
pub(super) fn replace(value: &str, what: &str, with: &str, all: bool) -> Result<String, String> {
    let regex = regex(what, true, false)?;
    let with = regex::NoExpand(with);
    Ok(if all { regex.replace_all(value, with) } else { regex.replace(value, with) }.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_turn_with_their_characters() {
        assert_eq!(turn_pattern(r"a\*c"), r"c\*a");
        assert_eq!(trim("x*y", r"\*y", true).unwrap(), "x");
        assert_eq!(trim("aab", "a*", false).unwrap(), "ab");
        assert_eq!(trim("aab", "#a*", false).unwrap(), "");
        assert_eq!(replace("a.b.c", ".", "-", false).unwrap(), "a-b.c");
        assert!(regex(r"\x", false, true).is_err());
    }
}
