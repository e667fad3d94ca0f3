//! Security groups and their rules.

use ipnet::IpNet;
use pileus_base::{
    Error,
    ids::{ProjectId, SecurityGroupId},
};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Standard;

/// A security group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// The id.
    pub id: SecurityGroupId,
    /// The owner.
    pub project_id: ProjectId,
    /// The name; only `default` is unique in a project.
    pub name: String,
    /// Whether replies pass by themselves.
    pub stateful: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// The rest.
    pub standard: Standard,
}

/// What may pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The id.
    pub id: Uuid,
    /// `ingress` or `egress`.
    pub direction: String,
    /// `IPv4` or `IPv6`.
    pub ethertype: String,
    /// A name or number; any where `None`.
    pub protocol: Option<String>,
    /// First port, or ICMP's type.
    pub port_range_min: Option<i64>,
    /// Last port, or ICMP's code.
    pub port_range_max: Option<i64>,
    /// From or to these addresses.
    pub remote_ip_prefix: Option<IpNet>,
    /// From or to members of this group.
    pub remote_group_id: Option<SecurityGroupId>,
    /// The rest.
    pub standard: Standard,
}

impl Rule {
    /// Whether it says the same as another.
    pub fn same(&self, other: &Self) -> bool {
        (&self.direction, &self.ethertype, &self.protocol, self.port_range_min, self.port_range_max)
            == (
                &other.direction,
                &other.ethertype,
                &other.protocol,
                other.port_range_min,
                other.port_range_max,
            )
            && self.remote_ip_prefix == other.remote_ip_prefix
            && self.remote_group_id == other.remote_group_id
    }

    /// One that lets everything of a family pass.
    pub fn open(direction: &str, ethertype: &str, from: Option<SecurityGroupId>) -> Self {
        Self {
            id: Uuid::new_v4(),
            direction: direction.into(),
            ethertype: ethertype.into(),
            protocol: None,
            port_range_min: None,
            port_range_max: None,
            remote_ip_prefix: None,
            remote_group_id: from,
            standard: Standard::new(""),
        }
    }
}

impl Resource for SecurityGroup {
    const KIND: &'static str = "network.security_group";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        self.rules.iter().for_each(|r| ix.add("rule", r.id));
        self.rules.iter().filter_map(|r| r.remote_group_id).for_each(|g| ix.add("remote_group", g));
    }
    fn unique(&self, unique: &mut Unique) {
        if self.name == "default" {
            unique.claim("default-security-group", &self.project_id);
        }
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Security group {id} does not exist")).code("SecurityGroupNotFound")
    }
}
