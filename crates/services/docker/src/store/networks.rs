//! A network's document.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use pileus_base::{
    Error,
    ids::{NetworkId, ProjectId},
};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};

/// A range of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// The range.
    pub subnet: IpNet,
    /// The part of it that addresses are given from.
    pub ip_range: Option<IpNet>,
    /// The host's own address in it.
    pub gateway: IpAddr,
    /// Addresses kept for other use, by name.
    pub auxiliary: BTreeMap<String, IpAddr>,
}

fn yes() -> bool {
    true
}

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The project of the engine.
    pub project: ProjectId,
    /// Nanoseconds since the epoch.
    pub created_ns: i64,
    /// `bridge`, `host`, `null` (what is only a configuration too), `macvlan`, `ipvlan`, `pileus`.
    pub driver: String,
    /// Whether it has IPv4.
    #[serde(default = "yes")]
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Nothing leaves it.
    pub internal: bool,
    /// Whether containers may be plugged in by hand.
    pub attachable: bool,
    /// Its ranges.
    pub subnets: Vec<Subnet>,
    /// Whether the ranges were asked for.
    pub subnets_asked: bool,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Options of the address pools, as they were asked for.
    #[serde(default)]
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is only a configuration, which others are made from.
    #[serde(default)]
    pub config_only: bool,
    /// The network that is its configuration; empty where it has its own.
    #[serde(default)]
    pub config_from: String,
    /// The link on the host that was made for it: a bridge, or what macvlans and ipvlans hang from.
    pub link: String,
    /// The tenant's network, of the driver `pileus`.
    pub tenant: Option<NetworkId>,
    /// Addresses given out, and to which endpoint.
    pub addresses: BTreeMap<IpAddr, String>,
}

impl Resource for Network {
    const KIND: &'static str = "docker.network";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
    }
    fn unique(&self, unique: &mut Unique) {
        unique.claim("docker.network.name", &self.name);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("network {id} not found"))
    }
}
