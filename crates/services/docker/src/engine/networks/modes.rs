//! Options of drivers: read once when a network is made, and again when the host is asked for it.
//!
//! Sources: Docker's documentation of the drivers bridge, macvlan and ipvlan.

use std::{collections::BTreeMap, net::IpAddr};

use pileus_base::{Error, Result};
use pileus_host::{Gateway, IpvlanMode, MacvlanMode, Plug};

use super::parent;
use crate::Network;

const GATEWAY_MODE: &str = "com.docker.network.bridge.gateway_mode_ipv";
/// The host's address at which ports of a network's containers are published.
pub(crate) const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
const MTU: &str = "com.docker.network.driver.mtu";

/// How containers of a bridge are reached, for IPv4 (4) and IPv6 (6).
///
/// # Errors
/// 400 for a mode that isn't known.
pub(crate) fn gateway(options: &BTreeMap<String, String>, family: u8) -> Result<Gateway> {
    Ok(match options.get(&format!("{GATEWAY_MODE}{family}")).map_or("", String::as_str) {
        "" | "nat" => Gateway::Nat,
        "nat-unprotected" => Gateway::Unprotected,
        "routed" => Gateway::Routed,
        "isolated" => Gateway::Isolated,
        other => return Err(Error::bad_request(format!("unknown gateway mode {other}"))),
    })
}

fn macvlan(options: &BTreeMap<String, String>) -> Result<MacvlanMode> {
    Ok(match options.get("macvlan_mode").map_or("", String::as_str) {
        "" | "bridge" => MacvlanMode::Bridge,
        "private" => MacvlanMode::Private,
        "vepa" => MacvlanMode::Vepa,
        "passthru" => MacvlanMode::Passthru,
        other => {
            return Err(Error::bad_request(format!(
                "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"
            )));
        }
    })
}

fn ipvlan(options: &BTreeMap<String, String>) -> Result<IpvlanMode> {
    Ok(match options.get("ipvlan_mode").map_or("", String::as_str) {
        "" | "l2" => IpvlanMode::L2,
        "l3" => IpvlanMode::L3,
        "l3s" => IpvlanMode::L3s,
        other => {
            return Err(Error::bad_request(format!(
                "requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"
            )));
        }
    })
}

/// What a container on a macvlan or ipvlan network is plugged into.
///
/// # Errors
/// 400 for a mode that isn't known.
pub(crate) fn plug(network: &Network) -> Result<Plug> {
    let own = parent::named(network).is_none();
    let parent = if own { Some(network.link.clone()) } else { network.options.get("parent").cloned() };
    let parent = parent.unwrap_or_default();
    Ok(match network.driver.as_str() {
        "ipvlan" => Plug::Ipvlan(parent, ipvlan(&network.options)?),
        _ => Plug::Macvlan(parent, macvlan(&network.options)?),
    })
}

/// Whether a link of that name is in this process's namespace.
pub(super) fn there(link: &str) -> bool {
    !link.contains('/') && std::path::Path::new("/proc/sys/net/ipv4/conf").join(link).exists()
}

/// Checks a new network's options against its driver and the other networks.
///
/// # Errors
/// 400 and 403 in the reference's words.
pub(crate) fn check(network: &mut Network, others: &[&Network]) -> Result<()> {
    match network.driver.as_str() {
        "bridge" => bridge(network, others),
        "macvlan" | "ipvlan" => {
            plug(network)?;
            let driver = &network.driver;
            let Some(parent) = parent::named(network) else { return Ok(()) };
            if parent == "lo" {
                return Err(Error::bad_request(format!(
                    "loopback interface is not a valid {driver} parent link"
                )));
            }
            match others.iter().find(|n| n.driver == *driver && parent::named(n) == Some(parent)) {
                Some(other) => Err(Error::forbidden(format!(
                    "network {} is already using parent interface {parent}",
                    other.id.get(..12).map_or_else(|| other.id.clone(), |id| format!("dm-{id}"))
                ))),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn bridge(network: &mut Network, others: &[&Network]) -> Result<()> {
    for family in [4, 6] {
        if gateway(&network.options, family)? == Gateway::Isolated && !network.internal {
            return Err(Error::bad_request(
                "gateway mode 'isolated' can only be used for an internal network",
            ));
        }
    }
    if let Some(mtu) = network.options.get(MTU)
        && mtu.parse::<u32>().map_or(true, |m| m > 65_535)
    {
        return Err(Error::bad_request(format!("invalid MTU number: {mtu}")));
    }
    if let Some(ip) = network.options.get(HOST_BINDING).filter(|ip| !ip.is_empty())
        && !ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
    {
        return Err(Error::bad_request(format!("failed to parse {HOST_BINDING} value: \"{ip}\"")));
    }
    for name in ["enable_icc", "enable_ip_masquerade"] {
        let key = format!("com.docker.network.bridge.{name}");
        let value = network.options.get(&key).map_or("true", String::as_str);
        if !matches!(
            value,
            "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False"
        ) {
            return Err(Error::bad_request(format!(
                "failed to parse {key} value: \"{value}\" (strconv.ParseBool: parsing \"{value}\": invalid syntax)"
            )));
        }
    }
    let Some(link) = network.options.get("com.docker.network.bridge.name").filter(|l| !l.is_empty()) else {
        return Ok(());
    };
    let fits = link.len() < 16
        && link != "."
        && link != ".."
        && link.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !fits {
        return Err(Error::bad_request(format!("invalid bridge name: {link}")));
    }
    if let Some(other) = others.iter().find(|n| n.link == *link) {
        return Err(Error::forbidden(format!(
            "cannot create network {} ({link}): conflicts with network {} ({link}): networks have same bridge name",
            network.id, other.id
        )));
    }
    if there(link) {
        return Err(Error::forbidden(format!("a link of the name {link} exists already")));
    }
    network.link = link.clone();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        let of = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(
            gateway(&of("com.docker.network.bridge.gateway_mode_ipv6", "routed"), 6).unwrap(),
            Gateway::Routed
        );
        assert_eq!(gateway(&BTreeMap::new(), 4).unwrap(), Gateway::Nat);
        assert!(gateway(&of("com.docker.network.bridge.gateway_mode_ipv4", "x"), 4).is_err());
        assert_eq!(ipvlan(&of("ipvlan_mode", "l3s")).unwrap(), IpvlanMode::L3s);
        let refused = macvlan(&of("macvlan_mode", "l2")).unwrap_err();
        assert_eq!(
            refused.message(),
            "requested macvlan mode 'l2' is not valid, 'bridge' mode is the macvlan driver default"
        );
    }
}
