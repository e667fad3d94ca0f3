//! What follows an instruction, cut into parts: each instruction has its own way. This is the parser's work,
//! whose faults name the whole file.

use serde_json::Value;

use super::words::split_words;

/// Parts of a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parts {
    /// The words; of ENV and LABEL names and values in turn.
    pub words: Vec<String>,
    /// Whether they were written as JSON.
    pub json: bool,
}

/// White space within a line, as the reference's parser knows it.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// The first word, and what follows it.
pub(super) fn first(text: &str) -> (&str, &str) {
    match text.find(is_space) {
        Some(at) => (&text[..at], text[at..].trim_start_matches(is_space)),
        None => (text, ""),
    }
}

/// Cuts what follows `keyword`.
///
/// # Errors
/// In the reference's words.
pub(super) fn cut(keyword: &str, rest: &str, escape: char) -> Result<Parts, String> {
    let plain = |words: Vec<String>| Parts { words, json: false };
    let one = |text: &str| plain(if text.is_empty() { vec![] } else { vec![text.to_owned()] });
    let spaced = || plain(rest.split(is_space).filter(|w| !w.is_empty()).map(str::to_owned).collect());
    Ok(match keyword {
        "ADD" | "COPY" | "VOLUME" => json(rest)?.unwrap_or_else(spaced),
        "CMD" | "ENTRYPOINT" | "RUN" | "SHELL" => json(rest)?.unwrap_or_else(|| one(rest)),
        "ARG" => plain(split_words(rest, escape)),
        "ENV" | "LABEL" => plain(pairs(keyword, rest, escape)?),
        "EXPOSE" | "FROM" => spaced(),
        "HEALTHCHECK" => {
            let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let mut parts = json(command.trim_start())?.unwrap_or_else(|| one(command.trim_start()));
            if !kind.is_empty() {
                parts.words.insert(0, kind.to_owned());
            }
            parts
        }
        "MAINTAINER" | "STOPSIGNAL" | "USER" | "WORKDIR" => one(rest),
        _ => Parts::default(),
    })
}

fn json(rest: &str) -> Result<Option<Parts>, String> {
    let rest = rest.trim_start();
    if !rest.starts_with('[') {
        return Ok(None);
    }
    let Ok(list) = serde_json::from_str::<Vec<Value>>(rest) else { return Ok(None) };
    let words: Option<Vec<String>> = list.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    let words = words.ok_or("when using JSON array syntax, arrays must be comprised of strings only")?;
    Ok(Some(Parts { words, json: true }))
}

/// `a=b c=d`, or the old form `a b`.
fn pairs(keyword: &str, rest: &str, escape: char) -> Result<Vec<String>, String> {
    let words = split_words(rest, escape);
    let Some(head) = words.first() else { return Ok(Vec::new()) };
    if !head.contains('=') {
        let (name, value) = first(rest);
        if name.len() == rest.len() {
            return Err(format!("{keyword} must have two arguments"));
        }
        return Ok(vec![name.to_owned(), value.to_owned()]);
    }
    let mut out = Vec::new();
    for word in &words {
        let (name, value) = word.split_once('=').ok_or_else(|| {
            format!("Syntax error - can't find = in {}. Must be of the form: name=value", super::quote(word))
        })?;
        out.extend([name.to_owned(), value.to_owned()]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instruction_has_its_way() {
        let words = |k: &str, r: &str| cut(k, r, '\\').unwrap().words;
        assert_eq!(words("COPY", "a  b\tc"), ["a", "b", "c"]);
        assert_eq!(words("RUN", "a  b"), ["a  b"]);
        assert_eq!(words("ENV", "a b  c"), ["a", "b  c"]);
        assert_eq!(words("ENV", "a=b c=\"d e\""), ["a", "b", "c", "\"d e\""]);
        assert_eq!(words("HEALTHCHECK", "CMD [\"a\"]"), ["CMD", "a"]);
        assert!(cut("CMD", "[\"a\"]", '\\').unwrap().json && !cut("CMD", "[a]", '\\').unwrap().json);
        assert!(cut("CMD", "[1]", '\\').unwrap_err().contains("strings only"));
        assert_eq!(
            cut("ENV", "a=b c", '\\').unwrap_err(),
            "Syntax error - can't find = in \"c\". Must be of the form: name=value"
        );
        assert_eq!(cut("ENV", "a", '\\').unwrap_err(), "ENV must have two arguments");
    }
}
