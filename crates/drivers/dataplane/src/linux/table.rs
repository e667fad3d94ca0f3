//! What the services of one network know: the network and its ports, by MAC and by name.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
};

use pileus_base::ids::PortId;

use crate::{Mac, NetworkSpec, PortSpec, SubnetSpec};

/// Shared by a network's servers; replaced as a whole is never needed, it is changed in place.
#[derive(Debug)]
pub struct Table {
    /// The network.
    pub network: NetworkSpec,
    /// Its ports.
    pub ports: HashMap<PortId, PortSpec>,
}

impl Table {
    /// The port with this MAC.
    pub fn by_mac(&self, mac: Mac) -> Option<&PortSpec> {
        self.ports.values().find(|p| p.mac == mac)
    }

    /// The port's first address that DHCP hands out, and its subnet.
    pub fn lease(&self, port: &PortSpec) -> Option<(Ipv4Addr, &SubnetSpec)> {
        port.ips.iter().find_map(|ip| match ip {
            IpAddr::V4(v4) => {
                let subnet = self.network.subnets.iter().find(|s| s.dhcp && s.cidr.contains(ip))?;
                Some((*v4, subnet))
            }
            IpAddr::V6(_) => None,
        })
    }

    /// `host-10-0-0-5`, the name of an address whose port has none.
    fn plain_name(ip: &IpAddr) -> String {
        format!("host-{}", ip.to_string().replace(['.', ':'], "-"))
    }

    /// The name of a port at an address, without the domain.
    pub fn name_of(&self, ip: IpAddr) -> Option<String> {
        let port = self.ports.values().find(|p| p.ips.contains(&ip))?;
        Some(port.hostname.clone().unwrap_or_else(|| Self::plain_name(&ip)))
    }

    /// Addresses of a name; `None` where it is no name of this network's.
    pub fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let domain = &self.network.dns_domain;
        let short = match name.strip_suffix(domain.as_str()).and_then(|n| n.strip_suffix('.')) {
            Some(short) if !domain.is_empty() => short,
            _ if !name.contains('.') => &name,
            _ => return None,
        };
        let named = |p: &&PortSpec| p.hostname.as_deref().is_some_and(|h| h.eq_ignore_ascii_case(short));
        let mut found: Vec<IpAddr> = self.ports.values().filter(named).flat_map(|p| p.ips.clone()).collect();
        if found.is_empty() {
            let all = self.ports.values().flat_map(|p| &p.ips);
            found = all.filter(|ip| Self::plain_name(ip) == short).copied().collect();
        }
        found.sort();
        Some(found)
    }
}
