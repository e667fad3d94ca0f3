//! What a project may use.

use std::collections::BTreeMap;

use pileus_base::ids::ProjectId;
use pileus_store::Resource;
use serde::{Deserialize, Serialize};

/// Nova's resources and default limits; -1 is no limit.
pub const DEFAULTS: [(&str, i64); 7] = [
    ("cores", 20),
    ("instances", 10),
    ("key_pairs", 100),
    ("metadata_items", 128),
    ("ram", 51_200),
    ("server_group_members", 10),
    ("server_groups", 10),
];

/// Resources of old, still shown below 2.57, with their defaults.
pub const INJECTED: [(&str, i64); 3] =
    [("injected_file_content_bytes", 10_240), ("injected_file_path_bytes", 255), ("injected_files", 5)];

/// Resources of the network service, shown below 2.36.
pub const NETWORK: [(&str, i64); 4] =
    [("fixed_ips", -1), ("floating_ips", -1), ("security_group_rules", -1), ("security_groups", -1)];

/// A project's own limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    /// The project; `default` (no project's id) for everybody's.
    pub project_id: ProjectId,
    /// Limits that differ from the default.
    pub limits: BTreeMap<String, i64>,
}

impl Resource for Quota {
    const KIND: &'static str = "compute.quota";
    fn id(&self) -> String {
        self.project_id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
}

/// What a server uses of the quota.
pub struct Usage {
    /// Servers.
    pub instances: i64,
    /// Processors.
    pub cores: i64,
    /// Memory in MiB.
    pub ram: i64,
}

impl Usage {
    /// Of `n` servers of a flavor.
    pub fn of(flavor: &super::flavors::Flavor, n: u32) -> Self {
        let n = i64::from(n);
        let ram = i64::try_from(flavor.ram_mib).unwrap_or(i64::MAX / 1024);
        Self { instances: n, cores: n * i64::from(flavor.vcpus), ram: n * ram }
    }
    /// The counters and amounts.
    pub fn parts(&self) -> [(&'static str, &'static str, i64); 3] {
        [
            ("instances", "compute.instances", self.instances),
            ("cores", "compute.cores", self.cores),
            ("ram", "compute.ram", self.ram),
        ]
    }
}
