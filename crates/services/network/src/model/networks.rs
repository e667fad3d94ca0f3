//! Networks.

use pileus_base::{
    Error, Result, Scope,
    ids::{NetworkId, ProjectId},
};
use pileus_store::{Indexes, Query, Read, Resource, Stored, Unique};
use serde::{Deserialize, Serialize};

use super::{Standard, subnets::Subnet};

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The id.
    pub id: NetworkId,
    /// The owner.
    pub project_id: ProjectId,
    /// The name; need not be unique.
    pub name: String,
    /// Whether it carries traffic.
    pub admin_up: bool,
    /// Whether everybody may use it.
    pub shared: bool,
    /// Whether it leads outside.
    pub external: bool,
    /// In bytes.
    pub mtu: u32,
    /// Whether its ports' senders are checked, unless they say otherwise.
    pub port_security: bool,
    /// What distinguishes it on a wire between hosts.
    pub vni: u32,
    /// What guests' names end in, where not the cloud's.
    pub dns_domain: String,
    /// The rest.
    pub standard: Standard,
}

impl Network {
    /// Its subnets.
    pub fn subnets(&self, rd: &mut Read<'_>) -> Result<Vec<Stored<Subnet>>> {
        rd.list(&Scope::All, &Query::by("network_id", self.id))
    }
}

impl Resource for Network {
    const KIND: &'static str = "network.network";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        ix.text("shared", if self.shared { "1" } else { "0" });
    }
    fn unique(&self, unique: &mut Unique) {
        unique.claim("vni", self.vni);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Network {id} could not be found.")).code("NetworkNotFound")
    }
}
