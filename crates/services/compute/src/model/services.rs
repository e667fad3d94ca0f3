//! What administrators have said of Nova's services.

use pileus_base::ids::ProjectId;
use pileus_store::Resource;
use serde::{Deserialize, Serialize};

/// The one that servers run on.
pub const COMPUTE: &str = "nova-compute";

/// One service, once something has been said of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// `nova-compute`.
    pub binary: String,
    /// Takes no new servers.
    pub disabled: bool,
    /// Why.
    pub reason: Option<String>,
    /// Counts as down, whatever it says of itself (since 2.11).
    pub forced_down: bool,
}

impl Service {
    /// Whether new servers may be placed on its host.
    pub fn takes_servers(&self) -> bool {
        !self.disabled && !self.forced_down
    }
    /// `enabled` or `disabled`.
    pub fn status(&self) -> &'static str {
        if self.disabled { "disabled" } else { "enabled" }
    }
    /// `up` or `down`.
    pub fn state(&self) -> &'static str {
        if self.forced_down { "down" } else { "up" }
    }
}

impl Resource for Service {
    const KIND: &'static str = "compute.service";
    fn id(&self) -> String {
        self.binary.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
}
