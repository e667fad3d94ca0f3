//! The error of the automation engine: a message in the reference's words, where it arose, help, and one cause.
//!
//! ```text
//! [ERROR]: YAML parsing failed: …            brief(): the messages of the chain, joined by ": "
//! Origin: /site/vars.yml:3:2
//!
//! 2 b: [1, 2
//! 3 c: 3
//!    ^ column 2
//! ```

use std::fmt;
use std::sync::Arc;

use pileus_jinja::Origin;

use crate::source::excerpt;

/// What sort of error: it decides the exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Anything (exit code 1).
    Generic,
    /// Wrong options or settings (5).
    Options,
    /// Something that cannot be read (4).
    Parser,
    /// A file that is not there (1).
    NotFound,
}

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    origin: Option<Arc<Origin>>,
    redacted: bool,
    help: Option<String>,
    cause: Option<Error>,
}

/// An error.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

impl Error {
    fn with(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            origin: None,
            redacted: false,
            help: None,
            cause: None,
        }))
    }
    /// An error of no particular kind.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with(ErrorKind::Generic, message)
    }
    /// Wrong options or settings.
    pub fn options(message: impl Into<String>) -> Self {
        Self::with(ErrorKind::Options, message)
    }
    /// Something that cannot be read.
    pub fn parser(message: impl Into<String>) -> Self {
        Self::with(ErrorKind::Parser, message)
    }
    /// A file that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::with(ErrorKind::NotFound, message)
    }
    /// The same error, written at `origin`, unless it has a place already.
    #[must_use]
    pub fn at(mut self, origin: Option<Arc<Origin>>) -> Self {
        if self.0.origin.is_none() {
            self.0.origin = origin;
        }
        self
    }
    /// The same error, without the source text around its origin.
    #[must_use]
    pub fn redact(mut self) -> Self {
        self.0.redacted = true;
        self
    }
    /// The same error with help.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.0.help = Some(text.into());
        self
    }
    /// The same error, caused by `cause`.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Error>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }
    /// What sort of error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// The exit code that the reference's programs end with.
    pub fn exit_code(&self) -> i32 {
        match self.0.kind {
            ErrorKind::Generic | ErrorKind::NotFound => 1,
            ErrorKind::Options => 5,
            ErrorKind::Parser => 4,
        }
    }
    /// Its own message.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// Where it arose.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.0.origin.as_ref()
    }
    /// What caused it.
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_ref()
    }

    /// The messages of the chain in one line: `Failed to parse inventory: why`.
    pub fn brief(&self) -> String {
        match self.cause() {
            None => self.0.message.clone(),
            Some(cause) => join(&self.0.message, &cause.brief()),
        }
    }

    /// The whole text: the brief message, then each error of the chain with its place and help.
    pub fn details(&self) -> String {
        let mut out = self.brief();
        // errors of one place are told together
        let mut parts: Vec<(String, &Error)> = Vec::new();
        let mut next = Some(self);
        while let Some(e) = next {
            match parts.last_mut() {
                Some((text, at))
                    if at.0.help.is_none()
                        && e.0.help.is_none()
                        && (e.0.origin.is_none() || e.0.origin == at.0.origin)
                        && at.0.origin.is_some() =>
                {
                    *text = join(text, &e.0.message);
                }
                _ => parts.push((e.0.message.clone(), e)),
            }
            next = e.cause();
        }
        if let [(_, only)] = parts.as_slice() {
            only.write_place(&mut out);
        } else {
            for (i, (text, part)) in parts.iter().enumerate() {
                out.push_str(if i == 0 { "\n\n" } else { "\n\n<<< caused by >>>\n\n" });
                out.push_str(text);
                part.write_place(&mut out);
            }
        }
        if out.contains('\n') {
            out.push('\n');
        }
        out
    }

    fn write_place(&self, out: &mut String) {
        if let Some(origin) = &self.0.origin {
            out.push('\n');
            out.push_str(&excerpt::around(origin, self.0.redacted));
        }
        if let Some(help) = &self.0.help {
            out.push_str("\n\n");
            out.push_str(help.trim());
        }
    }
}

/// `left: right`, once where `left` says `right` already.
fn join(left: &str, right: &str) -> String {
    if left.ends_with(right) {
        return left.to_owned();
    }
    let left = left.trim_end_matches(['.', ' ', '\n']);
    if left.is_empty() { right.to_owned() } else { format!("{left}: {right}") }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.brief())
    }
}

impl std::error::Error for Error {}

impl From<pileus_jinja::Error> for Error {
    fn from(e: pileus_jinja::Error) -> Self {
        let origin = e.origins().first().cloned();
        let new = Error::new(e.to_string()).at(origin);
        match e.help_text() {
            Some(help) => new.help(help),
            None => new,
        }
    }
}

/// The words of Python's exception for an error of the operating system: `[Errno 2] No such file …: 'path'`.
pub fn os_error(e: &std::io::Error, path: &str) -> Error {
    let code = e.raw_os_error().unwrap_or(0);
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    Error::new(format!("[Errno {code}] {text}: {}", pileus_jinja::value::repr_str(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_joined_once() {
        let e = Error::parser("Failed to parse inventory.").because(Error::new("no host"));
        assert_eq!(e.brief(), "Failed to parse inventory: no host");
        assert_eq!(e.exit_code(), 4);
        assert_eq!(
            e.details(),
            "Failed to parse inventory: no host\n\nFailed to parse inventory.\n\n<<< caused by >>>\n\nno host\n"
        );
        assert_eq!(Error::new("a: b").because(Error::new("b")).brief(), "a: b");
        assert_eq!(Error::options("x").details(), "x");
    }
}
