//! Flavors: what a server may use.

use std::collections::BTreeMap;

use pileus_base::{Error, Time, ids::ProjectId};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};

/// A flavor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flavor {
    /// The id, given or made.
    pub flavorid: String,
    /// The name, unique.
    pub name: String,
    /// Processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub ram_mib: u64,
    /// The root disk in GiB; 0 for the image's own size.
    pub disk_gib: u64,
    /// A second, empty disk in GiB.
    pub ephemeral_gib: u64,
    /// A swap disk in MiB.
    pub swap_mib: u64,
    /// Nova's share of bandwidth; kept, without effect.
    pub rxtx_factor: f64,
    /// Whether everybody sees it.
    pub public: bool,
    /// Who sees it, where not everybody.
    pub access: Vec<ProjectId>,
    /// Free text (since 2.55).
    pub description: Option<String>,
    /// Further wishes.
    pub extra_specs: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Time,
}

impl Flavor {
    /// A public flavor of so much.
    pub fn sized(id: &str, name: &str, ram_mib: u64, disk_gib: u64, vcpus: u32, now: Time) -> Self {
        Self {
            flavorid: id.into(),
            name: name.into(),
            vcpus,
            ram_mib,
            disk_gib,
            ephemeral_gib: 0,
            swap_mib: 0,
            rxtx_factor: 1.0,
            public: true,
            access: Vec::new(),
            description: None,
            extra_specs: BTreeMap::new(),
            created_at: now,
        }
    }

    /// What OpenStack has always come with, the small ones with one processor.
    pub fn defaults(now: Time) -> Vec<Self> {
        [
            ("1", "m1.tiny", 512, 1, 1),
            ("2", "m1.small", 2048, 20, 1),
            ("3", "m1.medium", 4096, 40, 2),
            ("4", "m1.large", 8192, 80, 4),
            ("5", "m1.xlarge", 16384, 160, 8),
        ]
        .map(|(id, name, ram, disk, vcpus)| Self::sized(id, name, ram, disk, vcpus, now))
        .into()
    }

    /// Whether `project` may use it.
    pub fn visible_to(&self, project: Option<&ProjectId>) -> bool {
        self.public || project.is_some_and(|p| self.access.contains(p))
    }
}

impl Resource for Flavor {
    const KIND: &'static str = "compute.flavor";
    fn id(&self) -> String {
        self.flavorid.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
    }
    fn unique(&self, unique: &mut Unique) {
        unique.claim("flavor-name", &self.name);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Flavor {id} could not be found."))
    }
}
