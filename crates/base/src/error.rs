//! The one error of the product: a [`Kind`] by meaning, a public message, and an internal cause.
//!
//! A service says what went wrong in its API's words; which status and body that becomes is decided in
//! one place per API family (`pileus-http`). The cause is for the log, never for the caller.

use std::{error::Error as StdError, fmt, sync::Arc};

/// The result of almost everything.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error means, whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or its values are invalid (400).
    BadRequest,
    /// No valid credentials (401).
    Unauthorized,
    /// Known, but not allowed (403).
    Forbidden,
    /// No such thing, or not for this caller to know (404).
    NotFound,
    /// The path exists, the method does not (405).
    MethodNotAllowed,
    /// The asked version or representation is not served (406).
    NotAcceptable,
    /// At odds with the present state (409).
    Conflict,
    /// Gone for good (410).
    Gone,
    /// A precondition header did not hold (412).
    PreconditionFailed,
    /// The body is larger than accepted (413).
    TooLarge,
    /// The body's media type is not accepted (415).
    UnsupportedMedia,
    /// Well-formed but not processable (422).
    Unprocessable,
    /// A quota is used up; the family decides the status (403, 409 or 413).
    OverQuota,
    /// Too many attempts (429).
    TooMany,
    /// A defect of ours or of the host (500).
    Internal,
    /// Part of the API, not built (501).
    NotImplemented,
    /// Cannot be served now (503).
    Unavailable,
}

/// An error on its way to a caller and to the log.
#[derive(Clone)]
pub struct Error {
    kind: Kind,
    code: Option<&'static str>,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with the message that the caller sees.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), source: None }
    }
    /// 400 with `message`.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, message)
    }
    /// 401 with `message`.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthorized, message)
    }
    /// 403 with `message`.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }
    /// 404 with `message`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }
    /// 409 with `message`.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }
    /// 501 with `message`.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(Kind::NotImplemented, message)
    }
    /// 503 with `message`.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }
    /// A 500: `doing` says what was being done, to what; it goes to the log, and to the caller only in
    /// families that show it.
    pub fn internal(doing: impl Into<String>) -> Self {
        Self::new(Kind::Internal, doing)
    }
    /// 500 while `doing`, because of `source`.
    pub fn wrap(doing: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::internal(doing).caused_by(source)
    }
    /// The family's own word for it (Neutron's `type`, for one).
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
    /// Attaches the internal cause.
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What it means.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// The family's own word, where one was given.
    pub fn code_word(&self) -> Option<&'static str> {
        self.code
    }
    /// What the caller sees.
    pub fn message(&self) -> &str {
        &self.message
    }
    /// Whether this is [`Kind::NotFound`].
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }
    /// The message and every cause below it, for a log line.
    pub fn chain(&self) -> String {
        let mut out = self.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            out.push_str(": ");
            out.push_str(&cause.to_string());
            next = cause.source();
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let io = std::io::Error::other("disk full");
        let e = Error::wrap("failed to open `a`", Error::wrap("failed to write", io));
        assert_eq!(e.chain(), "failed to open `a`: failed to write: disk full");
        assert_eq!(e.to_string(), "failed to open `a`");
    }
}
