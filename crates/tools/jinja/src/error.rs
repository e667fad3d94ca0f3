//! What goes wrong, in the reference's words.

use std::fmt;
use std::sync::Arc;

use crate::value::Origin;

/// What sort of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The template's text is wrong.
    Syntax,
    /// Something undefined was used.
    Undefined,
    /// An operation on the wrong type.
    Type,
    /// A value out of place.
    Value,
    /// A filter, test or lookup failed; the cause says why.
    Plugin,
    /// A template refers to itself.
    Recursion,
    /// A bound was passed.
    Limit,
    /// A secret that cannot be decrypted.
    Vault,
    /// Anything else while rendering.
    Runtime,
}

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    line: u32,
    origins: Vec<Arc<Origin>>,
    cause: Option<Error>,
    /// Raised by using an undefined value.
    marker: bool,
    /// Has "Error rendering template" before it already.
    wrapped: bool,
    /// What to do about it.
    help: Option<&'static str>,
}

/// An error: one message, its cause, the line in the template, and the places of the templates passed through.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

impl Error {
    /// An error.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            line: 0,
            origins: Vec::new(),
            cause: None,
            marker: false,
            wrapped: false,
            help: None,
        }))
    }
    /// Wrong syntax on `line`.
    pub fn syntax(message: impl Into<String>, line: u32) -> Self {
        let mut e = Self::new(ErrorKind::Syntax, message);
        e.0.line = line;
        e
    }
    /// A wrong type.
    pub fn type_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Type, message)
    }
    /// A wrong value.
    pub fn value_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Value, message)
    }
    /// A bound passed.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Limit, message)
    }
    /// Anything else.
    pub fn runtime(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Runtime, message)
    }
    /// The same error as the cause of `message`.
    #[must_use]
    pub fn context(self, kind: ErrorKind, message: impl Into<String>) -> Self {
        let (line, origins) = (self.0.line, self.0.origins.clone());
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            line,
            origins,
            cause: Some(self),
            marker: false,
            wrapped: false,
            help: None,
        }))
    }
    /// The same error, with what to do about it.
    #[must_use]
    pub fn help(mut self, text: &'static str) -> Self {
        self.0.help = Some(text);
        self
    }
    /// What to do about it.
    pub fn help_text(&self) -> Option<&'static str> {
        self.0.help
    }
    /// The same error, in a template's `line`, unless it has one.
    #[must_use]
    pub fn at_line(mut self, line: u32) -> Self {
        if self.0.line == 0 {
            self.0.line = line;
        }
        self
    }
    /// The same error, having passed through the template written at `origin`.
    #[must_use]
    pub fn through(mut self, origin: Option<&Arc<Origin>>) -> Self {
        if let Some(o) = origin {
            self.0.origins.push(o.clone());
        }
        self
    }
    pub(crate) fn into_marker(mut self) -> Self {
        self.0.marker = true;
        self
    }
    /// Whether it was raised by using an undefined value or a kept error: it is passed on as it is.
    pub fn is_marker(&self) -> bool {
        self.0.marker
    }
    pub(crate) fn wrap(self, what: &str) -> Self {
        if self.0.wrapped {
            return self;
        }
        let kind = self.0.kind;
        let mut e = match kind {
            ErrorKind::Undefined | ErrorKind::Plugin => self,
            ErrorKind::Syntax => self.context(kind, format!("Syntax error in {what}.")),
            ErrorKind::Recursion => self.context(kind, format!("Recursive loop detected in {what}.")),
            _ => self.context(kind, format!("Error rendering {what}.")),
        };
        e.0.wrapped = true;
        e
    }
    /// What sort of error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// Its own message, without the cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// The line in the innermost template; 0 is unknown.
    pub fn line(&self) -> u32 {
        self.0.line
    }
    /// The places of the templates passed through, innermost first.
    pub fn origins(&self) -> &[Arc<Origin>] {
        &self.0.origins
    }
    /// What caused it.
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_ref()
    }
    /// Whether it, or a cause of it, is something undefined.
    pub fn is_undefined(&self) -> bool {
        self.0.kind == ErrorKind::Undefined || self.cause().is_some_and(Error::is_undefined)
    }
}

impl fmt::Display for Error {
    /// The messages of the chain, outermost first: `The filter plugin 'x' failed: why`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Some(cause) => {
                let cause = cause.to_string();
                write!(f, "{}: {cause}", self.0.message.trim_end_matches(['.', ':']))
            }
            None => f.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for Error {}
