//! Networks, subnets, ports, security groups as they are kept. Pure.

pub mod networks;
pub mod ports;
pub mod quotas;
pub mod security_groups;
pub mod subnets;

use pileus_base::Time;
use serde::{Deserialize, Serialize};

/// What Neutron keeps of everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standard {
    /// Free text.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Rises with every change.
    pub revision: u64,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl Standard {
    /// Of something new.
    pub fn new(description: &str) -> Self {
        let now = Time::now();
        Self { description: description.into(), tags: vec![], revision: 0, created_at: now, updated_at: now }
    }
    /// Notes a change.
    pub fn touch(&mut self) {
        self.revision += 1;
        self.updated_at = Time::now();
    }
}
