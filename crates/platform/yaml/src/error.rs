//! What went wrong and where, worded as PyYAML words it.

use std::fmt;

use crate::{Span, Value, parser::Failure};

/// Why a text could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What was under way (`while parsing a block mapping`), and where it began if known.
    pub context: Option<(String, Option<Span>)>,
    /// What is wrong.
    pub problem: String,
    /// Where; `None` where the whole text is meant.
    pub at: Option<Span>,
    /// The offending line of the text.
    pub snippet: Option<String>,
}

impl Error {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { context: None, problem: problem.into(), at: None, snippet: None }
    }

    pub(crate) fn at(mut self, span: Span, text: &str) -> Self {
        self.at = Some(span);
        self.snippet = snippet(text, span);
        self
    }

    pub(crate) fn during(mut self, doing: &str, since: Option<Span>) -> Self {
        self.context = Some((doing.to_owned(), since));
        self
    }

    /// From the parser below: libyaml's words.
    pub(crate) fn parse(e: Failure, text: &str) -> Self {
        let mut error = Error::new(e.problem);
        if let Some((doing, since)) = e.context {
            error = error.during(&doing, Some(since));
        }
        match e.at {
            Some(at) => error.at(at, text),
            None => error,
        }
    }
}

fn snippet(text: &str, span: Span) -> Option<String> {
    let line = text.lines().nth(span.line.checked_sub(1)?)?;
    let column = span.column.saturating_sub(1);
    let from = column.saturating_sub(36);
    let shown: String = line.chars().skip(from).take(72).collect();
    Some(format!("    {}\n    {}^", shown.trim_end(), " ".repeat(column - from)))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |s: &Span| format!("  in \"<unicode string>\", line {}, column {}", s.line, s.column);
        if let Some((doing, since)) = &self.context {
            writeln!(f, "{doing}")?;
            if let Some(since) = since {
                writeln!(f, "{}", place(since))?;
            }
        }
        f.write_str(&self.problem)?;
        if let Some(at) = &self.at {
            write!(f, "\n{}", place(at))?;
            if let Some(snippet) = &self.snippet {
                write!(f, ":\n{snippet}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<Error> for pileus_base::Error {
    fn from(e: Error) -> Self {
        pileus_base::Error::bad_request(e.to_string())
    }
}

/// Something odd that was accepted: a key given twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// What.
    pub message: String,
    /// The key.
    pub key: Value,
    /// Where.
    pub at: Span,
}
