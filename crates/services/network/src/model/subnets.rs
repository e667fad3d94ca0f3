//! Subnets, and the arithmetic of their addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pileus_base::{
    Error,
    ids::{NetworkId, ProjectId, SubnetId},
};
use pileus_store::{Indexes, Resource};
use serde::{Deserialize, Serialize};

use super::Standard;

/// A range of addresses to give out, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The first.
    pub start: IpAddr,
    /// The last.
    pub end: IpAddr,
}

/// A route for guests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: IpNet,
    /// By whom.
    pub nexthop: IpAddr,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// The id.
    pub id: SubnetId,
    /// The owner.
    pub project_id: ProjectId,
    /// The network.
    pub network_id: NetworkId,
    /// The name.
    pub name: String,
    /// The range.
    pub cidr: IpNet,
    /// Where guests send what is for elsewhere.
    pub gateway_ip: Option<IpAddr>,
    /// Addresses to give out.
    pub pools: Vec<Pool>,
    /// Whether they are handed out by DHCP.
    pub enable_dhcp: bool,
    /// Name servers.
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes.
    pub host_routes: Vec<Route>,
    /// `slaac`, `dhcpv6-stateful`, `dhcpv6-stateless`.
    pub ipv6_address_mode: Option<String>,
    /// Likewise.
    pub ipv6_ra_mode: Option<String>,
    /// The rest.
    pub standard: Standard,
}

impl Subnet {
    /// Whether guests make their own addresses.
    pub fn self_addressed(&self) -> bool {
        matches!(self.ipv6_address_mode.as_deref(), Some("slaac" | "dhcpv6-stateless"))
    }
    /// 4 or 6.
    pub fn ip_version(&self) -> u8 {
        if self.cidr.addr().is_ipv4() { 4 } else { 6 }
    }
}

impl Resource for Subnet {
    const KIND: &'static str = "network.subnet";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        ix.add("network_id", self.network_id);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Subnet {id} could not be found.")).code("SubnetNotFound")
    }
}

/// An address as a number.
pub fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// A number as an address of the same family as `like`.
pub fn address(n: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(n).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(n)),
    }
}

/// First and last address that a guest may have.
pub fn usable(cidr: &IpNet) -> (u128, u128) {
    let (first, last) = (number(cidr.network()), number(cidr.broadcast()));
    match cidr {
        IpNet::V4(n) if n.prefix_len() >= 31 => (first, last),
        IpNet::V4(_) => (first + 1, last - 1),
        IpNet::V6(n) if n.prefix_len() >= 127 => (first, last),
        // The all-zeros address is the routers' anycast.
        IpNet::V6(_) => (first + 1, last),
    }
}

/// Everything usable but the gateway.
pub fn default_pools(cidr: &IpNet, gateway: Option<IpAddr>) -> Vec<Pool> {
    let (first, last) = usable(cidr);
    let like = cidr.addr();
    let pool = |from: u128, to: u128| Pool { start: address(from, like), end: address(to, like) };
    match gateway.map(number).filter(|g| (first..=last).contains(g)) {
        None => vec![pool(first, last)],
        Some(g) => {
            let mut pools = Vec::new();
            if g > first {
                pools.push(pool(first, g - 1));
            }
            if g < last {
                pools.push(pool(g + 1, last));
            }
            pools
        }
    }
}

/// The address that a guest with this MAC makes for itself (RFC 4291, EUI-64).
pub fn eui64(cidr: &IpNet, mac: &str) -> Option<IpAddr> {
    let IpNet::V6(net) = cidr else { return None };
    let bytes: Vec<u8> = mac.split(':').filter_map(|p| u8::from_str_radix(p, 16).ok()).collect();
    let [a, b, c, d, e, f] = bytes[..] else { return None };
    let low = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Some(IpAddr::V6(Ipv6Addr::from(u128::from(net.network()) | u128::from(low))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_leave_the_gateway_out() {
        let cidr: IpNet = "10.0.0.0/24".parse().unwrap();
        let pools = default_pools(&cidr, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(pools, [Pool { start: "10.0.0.2".parse().unwrap(), end: "10.0.0.254".parse().unwrap() }]);
        assert_eq!(default_pools(&cidr, Some("10.0.0.100".parse().unwrap())).len(), 2);
        let v6: IpNet = "2001:db8::/64".parse().unwrap();
        assert_eq!(eui64(&v6, "fa:16:3e:00:00:01").unwrap().to_string(), "2001:db8::f816:3eff:fe00:1");
    }
}
