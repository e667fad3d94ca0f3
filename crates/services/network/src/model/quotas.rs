//! What a project may have.

use std::collections::BTreeMap;

use pileus_base::ids::ProjectId;
use pileus_store::Resource;
use serde::{Deserialize, Serialize};

/// Neutron's resources and default limits; -1 is no limit.
pub const DEFAULTS: [(&str, i64); 5] =
    [("network", 100), ("subnet", 100), ("port", 500), ("security_group", 10), ("security_group_rule", 100)];

/// A project's own limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    /// The project.
    pub project_id: ProjectId,
    /// Limits that differ from the default.
    pub limits: BTreeMap<String, i64>,
}

impl Resource for Quota {
    const KIND: &'static str = "network.quota";
    fn id(&self) -> String {
        self.project_id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
}
