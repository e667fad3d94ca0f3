//! Tenant networks and their ports, as a host needs to know them.

use std::net::IpAddr;

use ipnet::IpNet;
use pileus_base::ids::{NetworkId, PortId, SubnetId};
use serde::{Deserialize, Serialize};

/// A tenant network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The network.
    pub id: NetworkId,
    /// In bytes.
    pub mtu: u32,
    /// What guests' names end in, without dots at either end.
    pub dns_domain: String,
    /// The MAC of the `network:dhcp` port, at which the host serves the network.
    pub service_mac: String,
    /// Its subnets.
    pub subnets: Vec<SubnetSpec>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetSpec {
    /// The subnet.
    pub id: SubnetId,
    /// Its range.
    pub cidr: IpNet,
    /// Where guests send what is for elsewhere.
    pub gateway: Option<IpAddr>,
    /// Whether the host hands out addresses.
    pub dhcp: bool,
    /// The address of the `network:dhcp` port in this subnet.
    pub service_ip: Option<IpAddr>,
    /// Name servers to announce; the service address where empty.
    pub dns: Vec<IpAddr>,
    /// Further routes to announce.
    pub host_routes: Vec<(IpNet, IpAddr)>,
    /// How IPv6 guests get their address.
    pub ipv6_mode: Option<Ipv6Mode>,
}

/// Neutron's `ipv6_address_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Mode {
    /// By router advertisement.
    Slaac,
    /// By DHCPv6.
    Dhcpv6Stateful,
    /// By router advertisement, the rest by DHCPv6.
    Dhcpv6Stateless,
}

/// An extra option for one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOption {
    /// dnsmasq's name of it, or its number.
    pub name: String,
    /// The value.
    pub value: String,
    /// 4 or 6.
    pub ip_version: u8,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// The port.
    pub id: PortId,
    /// Its network.
    pub network: NetworkId,
    /// Its MAC, `fa:16:3e:…`.
    pub mac: String,
    /// Its addresses.
    pub fixed_ips: Vec<(SubnetId, IpAddr)>,
    /// Further senders it may use: a MAC (its own where `None`) and a range.
    pub allowed_pairs: Vec<(Option<String>, IpNet)>,
    /// Whether senders are checked at all.
    pub port_security: bool,
    /// The name that DHCP and DNS give it.
    pub hostname: Option<String>,
    /// Whether it carries traffic.
    pub admin_up: bool,
    /// Extra DHCP options.
    pub dhcp_options: Vec<DhcpOption>,
}
