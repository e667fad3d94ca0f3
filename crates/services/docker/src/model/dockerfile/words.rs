//! Words: quotes, escapes, variables, as the reference's shell lexer treats them.

use pileus_base::{Error, Result};

/// What variables there are.
pub(crate) type Vars<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `text` with quotes taken away and variables replaced: one word.
///
/// # Errors
/// 400 for a substitution that is unsupported or not closed.
pub(crate) fn expand(text: &str, escape: char, vars: Vars<'_>) -> Result<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut out = String::new();
    let mut double = false;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            '\'' if !double => {
                let end = chars[at..].iter().position(|&c| c == '\'').ok_or_else(|| {
                    Error::bad_request(format!(
                        "failed to process \"{text}\": unexpected end of statement while looking for matching single-quote"
                    ))
                })?;
                out.extend(&chars[at..at + end]);
                at += end + 1;
            }
            '"' => double = !double,
            '$' => dollar(text, &chars, &mut at, escape, vars, &mut out)?,
            c if c == escape => match chars.get(at) {
                None => out.push(c),
                Some(&next) => {
                    if double && !matches!(next, '"' | '$') && next != escape {
                        out.push(c);
                    }
                    out.push(next);
                    at += 1;
                }
            },
            c => out.push(c),
        }
    }
    if double {
        return Err(Error::bad_request(format!(
            "failed to process \"{text}\": unexpected end of statement while looking for matching double-quote"
        )));
    }
    Ok(out)
}

fn name(chars: &[char], at: &mut usize) -> String {
    let mut name = String::new();
    while let Some(&c) = chars.get(*at)
        && (c.is_ascii_alphanumeric() || c == '_')
    {
        name.push(c);
        *at += 1;
        if name.len() == 1 && c.is_ascii_digit() {
            break;
        }
    }
    name
}

fn dollar(
    text: &str,
    chars: &[char],
    at: &mut usize,
    escape: char,
    vars: Vars<'_>,
    out: &mut String,
) -> Result<()> {
    if chars.get(*at) != Some(&'{') {
        let name = name(chars, at);
        if name.is_empty() {
            out.push('$');
        } else {
            out.push_str(&vars(&name).unwrap_or_default());
        }
        return Ok(());
    }
    let fault = |why: &str| Error::bad_request(format!("failed to process \"{text}\": {why}"));
    *at += 1;
    let name = name(chars, at);
    if name.is_empty() {
        return Err(fault("unsupported modifier in substitution"));
    }
    let colon = chars.get(*at) == Some(&':');
    if colon {
        *at += 1;
    }
    let Some(&operator) = chars.get(*at) else {
        return Err(fault("syntax error: missing '}'"));
    };
    *at += 1;
    if operator == '}' && !colon {
        out.push_str(&vars(&name).unwrap_or_default());
        return Ok(());
    }
    let begin = *at;
    let mut depth = 1;
    while depth > 0 {
        match chars.get(*at) {
            None => return Err(fault("syntax error: missing '}'")),
            Some(&c) if c == escape => *at += 1,
            Some('{') => depth += 1,
            Some('}') => depth -= 1,
            Some(_) => {}
        }
        *at += 1;
    }
    let end = (*at - 1).min(chars.len());
    let word = expand(&chars[begin..end].iter().collect::<String>(), escape, vars)?;
    let value = vars(&name).filter(|v| !colon || !v.is_empty());
    match operator {
        '-' => out.push_str(&value.unwrap_or(word)),
        '+' => out.push_str(&value.map(|_| word).unwrap_or_default()),
        '?' => match value {
            Some(value) => out.push_str(&value),
            None if word.is_empty() => return Err(fault(&format!("{name}: not allowed to be unset"))),
            None => return Err(fault(&format!("{name}: {word}"))),
        },
        other => return Err(fault(&format!("unsupported modifier ({other}) in substitution"))),
    }
    Ok(())
}

/// Splits at white space outside of quotes; quotes and escapes stay.
pub(crate) fn split_words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(q) if c == q => quote = None,
            _ => {}
        }
        word.push(c);
        if c == escape
            && quote != Some('\'')
            && let Some(next) = chars.next()
        {
            word.push(next);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let vars = |n: &str| match n {
            "a" => Some("1".into()),
            "e" => Some(String::new()),
            _ => None,
        };
        for (text, want) in [
            ("$a/${a}", "1/1"),
            ("${x:-y}", "y"),
            ("${e:-y}${e-y}", "y"),
            ("${a:+y}${x:+z}", "y"),
            ("${x:-${a}b}", "1b"),
            ("\\$a '$a' \"$a\"", "$a $a 1"),
            ("$ab$", "$"),
        ] {
            assert_eq!(expand(text, '\\', &vars).unwrap(), want, "{text}");
        }
        assert!(expand("${a", '\\', &vars).is_err());
        assert!(expand("${x:?no}", '\\', &vars).is_err());
        assert!(expand("\"a", '\\', &vars).is_err());
    }

    #[test]
    fn words_keep_their_quotes() {
        assert_eq!(split_words(r#"a="b c" d=e\ f"#, '\\'), [r#"a="b c""#, r"d=e\ f"]);
    }
}
