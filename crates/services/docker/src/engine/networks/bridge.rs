//! Bridges: their links, their ranges, what the host is asked for.

use ipnet::IpNet;
use pileus_base::{Error, Result};
use pileus_host::BridgeSpec;
use pileus_store::Stored;

use super::gateways;
use crate::{
    Network,
    model::pools::{self, overlap},
    store::Subnet,
};

/// The link of a network.
pub(crate) fn link(id: &str) -> String {
    format!("pd{}", id.get(..8).unwrap_or(id))
}

/// What the host is asked for; `None` where the network is no bridge.
pub(crate) fn spec(network: &Network) -> Option<BridgeSpec> {
    if network.driver != "bridge" {
        return None;
    }
    let on = |key: &str| network.options.get(key).is_none_or(|v| v != "false" && v != "0");
    Some(BridgeSpec {
        network: network.id.clone(),
        link: network.link.clone(),
        gateways: gateways(&network.subnets),
        internal: network.internal,
        icc: on("com.docker.network.bridge.enable_icc"),
        masquerade: on("com.docker.network.bridge.enable_ip_masquerade"),
        mtu: mtu(network),
    })
}

/// The size of its packets.
pub(crate) fn mtu(network: &Network) -> u32 {
    network.options.get("com.docker.network.driver.mtu").and_then(|m| m.parse().ok()).unwrap_or(1500)
}

/// Checks the ranges of a new network against all others, and gives it one where it has none.
///
/// # Errors
/// 403 for ranges that overlap; 400 where the pools are used up.
pub(super) fn range(network: &mut Network, others: &[Stored<Network>], routed: &[IpNet]) -> Result<()> {
    if !matches!(&*network.driver, "bridge" | "macvlan" | "ipvlan") {
        return Ok(());
    }
    let used: Vec<IpNet> = others
        .iter()
        .filter(|n| n.driver != "pileus")
        .flat_map(|n| n.subnets.iter().map(|s| s.subnet))
        .collect();
    let clash = |net: &IpNet| used.iter().any(|u| overlap(u, net));
    if network.subnets.iter().any(|s| clash(&s.subnet)) {
        return Err(Error::forbidden("Pool overlaps with other one on this address space"));
    }
    if !network.subnets.iter().any(|s| s.subnet.addr().is_ipv4()) {
        let taken: Vec<IpNet> =
            used.iter().chain(routed.iter().filter(|r| r.prefix_len() > 0)).copied().collect();
        let none = || {
            Error::bad_request(
                "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
            )
        };
        let subnet = pools::free(&taken).ok_or_else(none)?;
        let gateway = pools::nth(&subnet, 1).ok_or_else(none)?;
        network.subnets.insert(
            0,
            Subnet { subnet, ip_range: None, gateway, auxiliary: std::collections::BTreeMap::new() },
        );
    }
    if network.ipv6 && !network.subnets.iter().any(|s| s.subnet.addr().is_ipv6()) {
        // A unique local range of the network's own.
        let part = |a: usize| u16::from_str_radix(network.id.get(a..a + 4).unwrap_or("0"), 16).unwrap_or(0);
        let base = std::net::Ipv6Addr::new(0xfd00 | (part(0) & 0xff), part(4), part(8), part(12), 0, 0, 0, 0);
        let subnet = IpNet::new(base.into(), 64).map_err(|e| Error::wrap("failed to make a range", e))?;
        let gateway = pools::nth(&subnet, 1).unwrap_or(subnet.addr());
        network.subnets.push(Subnet {
            subnet,
            ip_range: None,
            gateway,
            auxiliary: std::collections::BTreeMap::new(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn links_fit() {
        assert_eq!(super::link("0123456789abcdef"), "pd01234567");
    }
}
