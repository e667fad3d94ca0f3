//! Rows as the host needs to know them.

use pileus_base::{Result, Scope, ids::NetworkId};
use pileus_host::{DhcpOption, Ipv6Mode, NetworkSpec, PortSpec, SubnetSpec};
use pileus_store::{Query, Read, Stored};

use crate::model::{networks::Network, ports::Port};

/// A network with its subnets and its service port. `domain` is the cloud's.
pub fn network(rd: &mut Read<'_>, id: NetworkId, domain: &str) -> Result<NetworkSpec> {
    let network: Stored<Network> = rd.get(&Scope::All, id)?;
    let own =
        rd.first::<Port>(&Scope::All, Query::by("network_id", id).eq("device_owner", "network:dhcp"))?;
    let mut subnets = Vec::new();
    for subnet in network.subnets(rd)? {
        let service_ip = own.as_ref().and_then(|p| p.fixed_ips.iter().find(|f| f.subnet_id == subnet.id));
        subnets.push(SubnetSpec {
            id: subnet.id,
            cidr: subnet.cidr,
            gateway: subnet.gateway_ip,
            dhcp: subnet.enable_dhcp,
            service_ip: service_ip.map(|f| f.ip),
            dns: subnet.dns_nameservers.clone(),
            host_routes: subnet.host_routes.iter().map(|r| (r.destination, r.nexthop)).collect(),
            ipv6_mode: match subnet.ipv6_address_mode.as_deref().or(subnet.ipv6_ra_mode.as_deref()) {
                Some("slaac") => Some(Ipv6Mode::Slaac),
                Some("dhcpv6-stateful") => Some(Ipv6Mode::Dhcpv6Stateful),
                Some("dhcpv6-stateless") => Some(Ipv6Mode::Dhcpv6Stateless),
                _ => None,
            },
        });
    }
    let domain = if network.dns_domain.is_empty() { domain } else { &network.dns_domain };
    Ok(NetworkSpec {
        id,
        mtu: network.mtu,
        dns_domain: domain.trim_matches('.').to_owned(),
        // A network without DHCP has no port of its own; its bridge needs an address all the same.
        service_mac: own.map_or_else(|| "fa:16:3e:ff:ff:fe".into(), |p| p.mac.clone()),
        subnets,
    })
}

/// A port.
pub fn port(port: &Port) -> PortSpec {
    PortSpec {
        id: port.id,
        network: port.network_id,
        mac: port.mac.clone(),
        fixed_ips: port.fixed_ips.iter().map(|f| (f.subnet_id, f.ip)).collect(),
        allowed_pairs: port.allowed_address_pairs.iter().map(|p| (p.mac.clone(), p.ip)).collect(),
        port_security: port.port_security,
        hostname: (!port.dns_name.is_empty()).then(|| port.dns_name.clone()),
        admin_up: port.admin_up,
        dhcp_options: port
            .extra_dhcp_opts
            .iter()
            .map(|o| DhcpOption { name: o.name.clone(), value: o.value.clone(), ip_version: o.ip_version })
            .collect(),
    }
}
