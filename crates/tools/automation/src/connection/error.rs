//! What goes wrong between the controller and a host.

/// A failure of the connection, not of what ran over it. The text is the reference's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The host can't be reached (or was lost): the task is `unreachable`.
    #[error("{0}")]
    Unreachable(String),
    /// The host refuses who we are: `unreachable` too.
    #[error("{0}")]
    Authentication(String),
    /// The task fails: a wrong become password, a missing program, a file that isn't there.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Whether the task's result is `unreachable` rather than `failed`.
    pub fn is_unreachable(&self) -> bool {
        !matches!(self, Error::Failed(_))
    }

    /// A failure of a transfer or a command, said with what was being done.
    pub fn failed(what: impl Into<String>) -> Self {
        Error::Failed(what.into())
    }
}
