//! What follows a container's end.

/// A container whose end is awaited.
#[derive(Debug)]
pub struct Watched;
