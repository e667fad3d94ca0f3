//! Ports.

use std::net::IpAddr;

use ipnet::IpNet;
use pileus_base::{
    Error, Result,
    ids::{NetworkId, PortId, ProjectId, SecurityGroupId, SubnetId},
};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};

use super::Standard;

/// An address of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    /// Its subnet.
    pub subnet_id: SubnetId,
    /// The address.
    pub ip: IpAddr,
}

/// A further sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    /// The port's own where `None`.
    pub mac: Option<String>,
    /// The range.
    pub ip: IpNet,
}

/// An extra DHCP option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraOption {
    /// Its name or number.
    pub name: String,
    /// Its value.
    pub value: String,
    /// 4 or 6.
    pub ip_version: u8,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// The id.
    pub id: PortId,
    /// The owner.
    pub project_id: ProjectId,
    /// The network.
    pub network_id: NetworkId,
    /// The name.
    pub name: String,
    /// `fa:16:3e:…`
    pub mac: String,
    /// The addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// Whether it is plugged in and carries traffic.
    pub active: bool,
    /// Whether it may carry traffic.
    pub admin_up: bool,
    /// What it is plugged into; empty for nothing.
    pub device_id: String,
    /// `compute:nova`, `network:dhcp`, …
    pub device_owner: String,
    /// The host it is bound to.
    pub host: Option<String>,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroupId>,
    /// Whether senders are checked.
    pub port_security: bool,
    /// Further senders.
    pub allowed_address_pairs: Vec<AddressPair>,
    /// Extra DHCP options.
    pub extra_dhcp_opts: Vec<ExtraOption>,
    /// Its name in DNS.
    pub dns_name: String,
    /// `normal`, `direct`, …: kept.
    pub vnic_type: String,
    /// The rest.
    pub standard: Standard,
}

impl Port {
    /// Makes sure of what every port must be, whoever made or changed it.
    ///
    /// # Errors
    /// 400 and 409 in Neutron's words.
    pub fn check(&mut self) -> Result<()> {
        self.mac = self.mac.to_lowercase().replace('-', ":");
        let parts: Vec<_> = self.mac.split(':').collect();
        let hex = |p: &&str| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit());
        if parts.len() != 6 || !parts.iter().all(hex) {
            return Err(Error::bad_request(format!(
                "Invalid input for mac_address. Reason: '{}' is not a valid MAC address.",
                self.mac
            ))
            .code("HTTPBadRequest"));
        }
        if !is_host_name(&self.dns_name) {
            return Err(Error::bad_request(format!(
                "Invalid input for dns_name. Reason: '{}' not a valid PQDN or FQDN.",
                self.dns_name
            ))
            .code("HTTPBadRequest"));
        }
        if !self.port_security && !self.security_groups.is_empty() {
            return Err(Error::conflict(
                "Port security must be enabled on the port in order to have a security group.",
            )
            .code("PortSecurityAndIPRequiredForSecurityGroups"));
        }
        if !self.port_security && !self.allowed_address_pairs.is_empty() {
            return Err(Error::conflict(
                "Port Security must be enabled in order to have allowed address pairs on a self.",
            )
            .code("AddressPairAndPortSecurityRequired"));
        }
        Ok(())
    }
}

/// A name that guests and the network's DNS can take, or none.
fn is_host_name(name: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.is_empty() || name.strip_suffix('.').unwrap_or(name).split('.').all(label)
}

impl Resource for Port {
    const KIND: &'static str = "network.port";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        ix.add("network_id", self.network_id);
        ix.text("device_id", &self.device_id);
        ix.text("device_owner", &self.device_owner);
        // Plugged in: a host that was only named by hand has nothing to carry yet.
        let bound = self.host.is_some() && !self.device_id.is_empty();
        ix.text("bound", if bound { "1" } else { "0" });
        self.fixed_ips.iter().for_each(|f| ix.add("subnet_id", f.subnet_id));
        self.fixed_ips.iter().for_each(|f| ix.text("address", format!("{}/{}", self.network_id, f.ip)));
        self.security_groups.iter().for_each(|g| ix.add("security_group", g));
    }
    fn unique(&self, unique: &mut Unique) {
        unique.claim("mac", format!("{}/{}", self.network_id, self.mac));
        for f in &self.fixed_ips {
            unique.claim("ip", format!("{}/{}", f.subnet_id, f.ip));
        }
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Port {id} could not be found.")).code("PortNotFound")
    }
}
