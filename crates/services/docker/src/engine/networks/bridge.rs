//! Bridges: their links, their ranges, what the host is asked for.

use ipnet::IpNet;
use pileus_base::{Error, Result};
use pileus_host::{BridgeSpec, Gateway};
use pileus_store::Stored;

use super::{gateways, modes};
use crate::{
    Network,
    model::pools::{self, Pool, overlap},
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
    let on = |key: &str| {
        let value = network.options.get(key).map_or("true", String::as_str);
        !matches!(value, "0" | "f" | "F" | "false" | "FALSE" | "False")
    };
    let gateway = |family| modes::gateway(&network.options, family).unwrap_or_default();
    let (gateway4, gateway6) = (gateway(4), gateway(6));
    let mut gateways = gateways(&network.subnets);
    gateways.retain(|g| (if g.addr().is_ipv4() { gateway4 } else { gateway6 }) != Gateway::Isolated);
    Some(BridgeSpec {
        network: network.id.clone(),
        link: network.link.clone(),
        gateways,
        internal: network.internal,
        icc: on("com.docker.network.bridge.enable_icc"),
        masquerade: on("com.docker.network.bridge.enable_ip_masquerade"),
        mtu: mtu(network),
        gateway4,
        gateway6,
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
pub(super) fn range(
    network: &mut Network,
    others: &[Stored<Network>],
    routed: &[IpNet],
    from: &[Pool],
) -> Result<()> {
    if !matches!(&*network.driver, "bridge" | "macvlan" | "ipvlan") {
        return Ok(());
    }
    let used: Vec<IpNet> = others
        .iter()
        .filter(|n| n.driver != "pileus" && !n.config_only)
        .flat_map(|n| n.subnets.iter().map(|s| s.subnet))
        .collect();
    let clash = |net: &IpNet| used.iter().any(|u| overlap(u, net));
    if network.subnets.iter().any(|s| clash(&s.subnet)) {
        return Err(Error::forbidden("Pool overlaps with other one on this address space"));
    }
    let taken: Vec<IpNet> = used.iter().chain(routed).copied().collect();
    if network.ipv4 && !network.subnets.iter().any(|s| s.subnet.addr().is_ipv4()) {
        let none = || {
            Error::bad_request(
                "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
            )
        };
        let subnet = pools::free(from, true, &taken).ok_or_else(none)?;
        let gateway = pools::nth(&subnet, 1).ok_or_else(none)?;
        network.subnets.insert(
            0,
            Subnet { subnet, ip_range: None, gateway, auxiliary: std::collections::BTreeMap::new() },
        );
    }
    if network.ipv6 && !network.subnets.iter().any(|s| s.subnet.addr().is_ipv6()) {
        // Of the pools, or else a unique local range of the network's own.
        let part = |a: usize| u16::from_str_radix(network.id.get(a..a + 4).unwrap_or("0"), 16).unwrap_or(0);
        let base = std::net::Ipv6Addr::new(0xfd00 | (part(0) & 0xff), part(4), part(8), part(12), 0, 0, 0, 0);
        let own = IpNet::new(base.into(), 64).map_err(|e| Error::wrap("failed to make a range", e))?;
        let subnet = pools::free(from, false, &taken).unwrap_or(own);
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
