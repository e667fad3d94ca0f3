//! YAML errors in the reference's words: libyaml's message, unless the line shows a common mistake.

use std::sync::{Arc, OnceLock};

use pileus_yaml::Span;
use regex::Regex;

use super::yaml::origin;
use crate::Error;

const QUOTED_TEMPLATE: &str =
    "For example:\n\n    raw: {{ some_var }}\n\nShould be:\n\n    raw: \"{{ some_var }}\"";
const QUOTED_COLON: &str =
    "For example:\n\n    raw: echo 'name: ansible'\n\nShould be:\n\n    raw: \"echo 'name: ansible'\"";
const HALF_QUOTED: &str =
    "For example:\n\n    raw: \"foo\" in bar\n\nShould be:\n\n    raw: '\"foo\" in bar'";
const QUOTED_TWICE: &str =
    "For example:\n\n    raw: \"foo\" in \"bar\"\n\nShould be:\n\n    raw: '\"foo\" in \"bar\"'";

/// The error of a text that is no YAML.
pub fn of(e: &pileus_yaml::Error, text: &str, file: &Arc<str>) -> Error {
    let message = match &e.context {
        Some((doing, _)) => format!("{doing} {}", e.problem),
        None => e.problem.clone(),
    };
    match e.at {
        Some(at) => marked(&message, at, text, file),
        None => Error::parser(format!("YAML parsing failed: {}", sentence(&message)))
            .at(Some(Arc::new(origin(file, Span { line: 0, column: 0 })))),
    }
}

/// The error of a value that cannot be made.
pub fn constructing(problem: &str, at: Span, text: &str, file: &Arc<str>) -> Error {
    marked(problem, at, text, file)
}

fn marked(message: &str, at: Span, text: &str, file: &Arc<str>) -> Error {
    let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
    let (message, column, help) = match mistake(line) {
        Some((message, column, help)) => (message.to_owned(), column, help),
        None => (sentence(message), at.column, None),
    };
    let place = Arc::new(origin(file, Span { line: at.line, column }));
    let error = Error::parser(format!("YAML parsing failed: {message}")).at(Some(place));
    match help {
        Some(help) => error.help(help),
        None => error,
    }
}

/// `text` in one line, with a capital and a full stop.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut chars = text.chars();
    let mut out: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    out.push_str(chars.as_str());
    if !out.ends_with('.') {
        out.push('.');
    }
    out
}

fn pattern(cell: &'static OnceLock<Option<Regex>>, text: &str) -> Option<&'static Regex> {
    cell.get_or_init(|| Regex::new(text).ok()).as_ref()
}

/// The common mistake that `line` shows: message, column, help.
fn mistake(line: &str) -> Option<(&'static str, usize, Option<&'static str>)> {
    static TEMPLATE: OnceLock<Option<Regex>> = OnceLock::new();
    static VALUE: OnceLock<Option<Regex>> = OnceLock::new();
    static COLON: OnceLock<Option<Regex>> = OnceLock::new();
    static QUOTE: OnceLock<Option<Regex>> = OnceLock::new();
    static WHOLE: OnceLock<Option<Regex>> = OnceLock::new();
    let column = |byte: usize| line[..byte].chars().count() + 1;
    if let Some(at) = line.find('\t') {
        return Some(("Tabs are usually invalid in YAML.", column(at), None));
    }
    let template = pattern(&TEMPLATE, r"^\s*(?:-\s+)*(?:[\w\s]+:\s+)?(?P<value>\{\{.*\}\})")?;
    if let Some(m) = template.captures(line).and_then(|c| c.name("value")) {
        return Some((
            "This may be an issue with missing quotes around a template block.",
            column(m.start()),
            Some(QUOTED_TEMPLATE),
        ));
    }
    if !line.trim_start().starts_with(':')
        && let Some(m) = pattern(&VALUE, r"^\s*(?:-\s+)*(?:[\w\s\[\]{}]+:\s+)?(?P<value>.*)$")?
            .captures(line)
            .and_then(|c| c.name("value"))
    {
        let whole = pattern(&WHOLE, r#"^\s*('[^']*'|"[^"]*")\s*$"#)?;
        let colon = pattern(&COLON, r":($| )")?;
        if !whole.is_match(m.as_str())
            && let Some(c) = colon.find(m.as_str())
        {
            return Some((
                "Colons in unquoted values must be followed by a non-space character.",
                column(m.start() + c.start()),
                Some(QUOTED_COLON),
            ));
        }
    }
    let quote = pattern(&QUOTE, r#"^\s*(?:-\s+)*(?:[\w\s]+:\s+)?(?P<value>["'].*?\s*)$"#)?;
    let m = quote.captures(line)?.name("value")?;
    let (first, last) = (m.as_str().chars().next()?, m.as_str().chars().next_back()?);
    if first != last {
        return Some((
            "Values starting with a quote must end with the same quote.",
            column(m.start()),
            Some(HALF_QUOTED),
        ));
    }
    (line.matches(first).count() > 2).then_some((
        "Values starting with a quote must end with the same quote, and not contain that quote.",
        column(m.start()),
        Some(QUOTED_TWICE),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_seen() {
        assert_eq!(mistake("a:\tb").unwrap().1, 3);
        assert_eq!(mistake("  foo: {{ bar }}").unwrap().1, 8);
        assert_eq!(mistake("- shell: echo a: b").unwrap().1, 16);
        assert_eq!(
            mistake("x: \"foo\" in bar").unwrap().0,
            "Values starting with a quote must end with the same quote."
        );
        assert!(mistake("a: [1, 2").is_none());
        assert!(mistake("a: 'x: y'").is_none());
    }
}
