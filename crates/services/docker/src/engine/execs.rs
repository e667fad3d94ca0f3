//! Execs: processes in a container that runs.

/// An exec, known as long as its container runs.
#[derive(Debug, Clone)]
pub struct Exec {
    /// 64 hex digits.
    pub id: String,
}
