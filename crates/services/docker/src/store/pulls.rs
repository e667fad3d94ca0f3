//! A pull under way: what it has fetched is kept until it ends, or for a day.

use pileus_base::ids::ProjectId;
use pileus_store::Resource;
use serde::{Deserialize, Serialize};

/// A pull that has not ended well yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// What is pulled, normalised.
    pub name: String,
    /// The blobs that it needs.
    pub blobs: Vec<String>,
    /// Nanoseconds since the epoch: when it was last tried.
    pub at_ns: i64,
}

impl Resource for Pull {
    const KIND: &'static str = "docker.pull";
    fn id(&self) -> String {
        self.name.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
}
