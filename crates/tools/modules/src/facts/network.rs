//! Interfaces, their addresses, the default routes.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde_json::{Value, json};

use super::netlink::{self, Address};
use super::{Facts, entries, link_name, output, read};
use crate::cx::Cx;

/// An address in the outside world, by which the default interface is found (nothing is sent there).
const OUTSIDE: [&str; 2] = ["8.8.8.8", "2404:6800:400a:800::1012"];

/// interfaces, one fact each, all addresses, default_ipv4 and default_ipv6.
pub fn collect(cx: &mut Cx<'_>, facts: &mut Facts) {
    let addresses = netlink::addresses();
    let mut defaults = [default(OUTSIDE[0]), default(OUTSIDE[1])];
    let mut interfaces: Vec<(String, Facts)> = Vec::new();
    let (mut all_v4, mut all_v6) = (Vec::new(), Vec::new());
    for device in entries("/sys/class/net") {
        let dir = format!("/sys/class/net/{device}");
        if !Path::new(&dir).is_dir() {
            continue;
        }
        let index: u32 = read(&format!("{dir}/ifindex")).and_then(|t| t.parse().ok()).unwrap_or(0);
        let facts = interface(&device, &dir);
        interfaces.push((device.clone(), facts));
        for address in addresses.iter().filter(|a| a.index == index) {
            note(&mut interfaces, &mut defaults, &device, address);
            match address.address {
                IpAddr::V4(_) => {
                    let own = address.local.unwrap_or(address.address);
                    if !own.to_string().starts_with("127.") {
                        all_v4.push(own.to_string());
                    }
                }
                IpAddr::V6(v6) if !v6.is_loopback() => all_v6.push(v6.to_string()),
                IpAddr::V6(_) => {}
            }
        }
        let ethtool = ethtool(cx, &device);
        if let Some((_, facts)) = interfaces.iter_mut().find(|(name, _)| *name == device) {
            facts.extend(ethtool);
        }
    }
    let mut names = Vec::new();
    for (name, facts_of) in interfaces {
        facts.insert(name.replace(['-', ':', '.'], "_"), Value::Object(facts_of));
        names.push(name);
    }
    facts.insert("interfaces".into(), names.into());
    let [v4, v6] = defaults;
    facts.insert("default_ipv4".into(), Value::Object(v4));
    facts.insert("default_ipv6".into(), Value::Object(v6));
    facts.insert("all_ipv4_addresses".into(), all_v4.into());
    facts.insert("all_ipv6_addresses".into(), all_v6.into());
    facts.insert(
        "locally_reachable_ips".into(),
        json!({"ipv4": reachable(libc::AF_INET), "ipv6": reachable(libc::AF_INET6)}),
    );
}

/// Interface, address and gateway of the way out.
fn default(to: &str) -> Facts {
    let mut facts = Facts::new();
    let Some(route) = to.parse().ok().and_then(netlink::route_to) else { return facts };
    let name = route.interface.and_then(name_of);
    // Only a unicast route leads out: an unreachable one has no interface worth naming.
    if let (Some(name), Some(source), 1) = (name, route.source, route.kind) {
        facts.insert("interface".into(), name.into());
        facts.insert("address".into(), source.to_string().into());
        if let Some(gateway) = route.gateway {
            facts.insert("gateway".into(), gateway.to_string().into());
        }
    }
    facts
}

fn name_of(index: u32) -> Option<String> {
    let wanted = index.to_string();
    entries("/sys/class/net")
        .into_iter()
        .find(|name| read(&format!("/sys/class/net/{name}/ifindex")).as_deref() == Some(&wanted))
}

/// What /sys says of an interface.
fn interface(device: &str, dir: &str) -> Facts {
    let file = |name: &str| read(&format!("{dir}/{name}")).filter(|t| !t.is_empty());
    let there = |name: &str| Path::new(&format!("{dir}/{name}")).exists();
    let mut facts = Facts::new();
    facts.insert("device".into(), device.into());
    if let Some(address) = file("address").filter(|a| a != "00:00:00:00:00:00") {
        facts.insert("macaddress".into(), address.into());
    }
    if let Some(mtu) = file("mtu").and_then(|t| t.parse::<i64>().ok()) {
        facts.insert("mtu".into(), mtu.into());
    }
    if let Some(state) = file("operstate") {
        facts.insert("active".into(), (state != "down").into());
    }
    if let Some(module) = link_name(&format!("{dir}/device/driver/module")) {
        facts.insert("module".into(), module.into());
    }
    let kind = match file("type").as_deref() {
        Some("1") => Some("ether"),
        Some("32") => Some("infiniband"),
        Some("512") => Some("ppp"),
        Some("772") => Some("loopback"),
        Some("65534") => Some("tunnel"),
        Some(_) => Some("unknown"),
        None => None,
    };
    if let Some(kind) = kind {
        facts.insert("type".into(), kind.into());
    }
    if there("bridge") {
        facts.insert("type".into(), "bridge".into());
        facts.insert("interfaces".into(), entries(&format!("{dir}/brif")).into());
        if let Some(id) = file("bridge/bridge_id") {
            facts.insert("id".into(), id.into());
        }
        if let Some(stp) = file("bridge/stp_state") {
            facts.insert("stp".into(), (stp == "1").into());
        }
    }
    if there("bonding") {
        facts.insert("type".into(), "bonding".into());
        let slaves: Vec<String> =
            file("bonding/slaves").unwrap_or_default().split_whitespace().map(str::to_string).collect();
        facts.insert("slaves".into(), slaves.into());
        let first = |name: &str| file(name).and_then(|t| t.split_whitespace().next().map(str::to_string));
        facts.insert("mode".into(), first("bonding/mode").unwrap_or_default().into());
        facts.insert("miimon".into(), first("bonding/miimon").unwrap_or_default().into());
        facts.insert("lacp_rate".into(), first("bonding/lacp_rate").unwrap_or_default().into());
        if let Some(primary) = file("bonding/primary") {
            facts.insert("primary".into(), primary.into());
            facts.insert(
                "all_slaves_active".into(),
                (file("bonding/all_slaves_active").as_deref() == Some("1")).into(),
            );
        }
    }
    if there("bonding_slave")
        && let Some(address) = file("bonding_slave/perm_hwaddr")
    {
        facts.insert("perm_macaddress".into(), address.into());
    }
    if there("device")
        && let Some(id) = link_name(&format!("{dir}/device"))
    {
        facts.insert("pciid".into(), id.into());
    }
    if let Some(speed) = file("speed").and_then(|t| t.parse::<i64>().ok()) {
        facts.insert("speed".into(), speed.into());
    }
    if let Some(flags) = file("flags").and_then(|t| i64::from_str_radix(t.trim_start_matches("0x"), 16).ok())
    {
        facts.insert("promisc".into(), (flags & 0x100 != 0).into());
    }
    facts
}

fn scope(scope: u8) -> &'static str {
    match scope {
        253 => "link",
        254 => "host",
        200 => "site",
        _ => "global",
    }
}

/// Adds an address to its interface (or the alias it is labelled with) and to the default it is of.
fn note(interfaces: &mut Vec<(String, Facts)>, defaults: &mut [Facts; 2], device: &str, address: &Address) {
    let at = |interfaces: &mut Vec<(String, Facts)>, name: &str| {
        interfaces.iter().position(|(n, _)| n == name).unwrap_or_else(|| {
            interfaces.push((name.to_string(), Facts::new()));
            interfaces.len() - 1
        })
    };
    let device_at = at(interfaces, device);
    let hardware: Vec<(String, Value)> = ["macaddress", "mtu", "type"]
        .iter()
        .filter_map(|key| Some(((*key).to_string(), interfaces[device_at].1.get(*key)?.clone())))
        .collect();
    match address.address {
        IpAddr::V4(_) => {
            let own = address.local.unwrap_or(address.address);
            let IpAddr::V4(v4) = own else { return };
            let mask = u32::MAX.checked_shl(32 - u32::from(address.prefix)).unwrap_or(0);
            let peer = address.local.is_some_and(|l| l != address.address);
            let prefix = if peer { 32 } else { address.prefix };
            let mask = if peer { u32::MAX } else { mask };
            let fields = json!({
                "address": v4.to_string(),
                "broadcast": address.broadcast.map(|b| b.to_string()).unwrap_or_default(),
                "netmask": Ipv4Addr::from(mask).to_string(),
                "network": Ipv4Addr::from(u32::from(v4) & mask).to_string(),
                "prefix": prefix.to_string(),
            });
            let label = address.label.clone().unwrap_or_else(|| device.to_string());
            let here = at(interfaces, &label);
            let facts = &mut interfaces[here].1;
            let secondary = address.flags & libc::IFA_F_SECONDARY != 0;
            if !secondary && !facts.contains_key("ipv4") {
                facts.insert("ipv4".into(), fields.clone());
            } else {
                push(facts, "ipv4_secondaries", fields.clone());
            }
            // A labelled secondary is listed with its device too.
            if secondary && label != device {
                push(&mut interfaces[device_at].1, "ipv4_secondaries", fields.clone());
            }
            if defaults[0].get("address").and_then(Value::as_str) == Some(&v4.to_string()) {
                for key in ["broadcast", "netmask", "network", "prefix"] {
                    defaults[0].insert(key.into(), fields[key].clone());
                }
                defaults[0].extend(hardware);
                defaults[0].insert("alias".into(), label.into());
            }
        }
        IpAddr::V6(v6) => {
            let fields = json!({"address": v6.to_string(), "prefix": address.prefix.to_string(), "scope": scope(address.scope)});
            push(&mut interfaces[device_at].1, "ipv6", fields.clone());
            if defaults[1].get("address").and_then(Value::as_str) == Some(&v6.to_string()) {
                for key in ["prefix", "scope"] {
                    defaults[1].insert(key.into(), fields[key].clone());
                }
                defaults[1].extend(hardware);
            }
        }
    }
}

fn push(facts: &mut Facts, key: &str, value: Value) {
    if let Value::Array(list) = facts.entry(key).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

/// Addresses that packets from this machine reach on this machine: its table `local`.
fn reachable(family: i32) -> Vec<String> {
    let full = if family == libc::AF_INET { 32 } else { 128 };
    let mut found: Vec<String> = netlink::routes(family)
        .into_iter()
        .filter(|r| r.table == 255 && r.kind == 2)
        .filter_map(|r| {
            let address = r.destination?;
            Some(if r.prefix == full { address.to_string() } else { format!("{address}/{}", r.prefix) })
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    found.retain(|text| seen.insert(text.clone()));
    found
}

/// What `ethtool` tells of a device's features and time stamps, where it is installed.
fn ethtool(cx: &mut Cx<'_>, device: &str) -> Facts {
    let mut facts = Facts::new();
    let Some(program) = cx.find_bin("ethtool") else { return facts };
    if let Some(text) = output(cx, &[&program, "-k", device]) {
        let features: Facts = text
            .lines()
            .filter(|line| !line.is_empty() && !line.trim_end().ends_with(':'))
            .filter_map(|line| {
                let (key, value) = line.split_once(':')?;
                Some((key.trim().replace('-', "_"), value.trim().into()))
            })
            .collect();
        facts.insert("features".into(), Value::Object(features));
    }
    if let Some(text) = output(cx, &[&program, "-T", device]) {
        let words = |from: &str| -> Vec<String> {
            let rest = text.split_once(from).map_or("", |(_, r)| r);
            rest.lines()
                .skip(1)
                .take_while(|l| l.starts_with(['\t', ' ']))
                .filter_map(|l| l.split_whitespace().next().map(str::to_lowercase))
                .collect()
        };
        if text.contains("Capabilities:") {
            let stamps: Vec<String> = words("Capabilities:")
                .iter()
                .map(|w| w.trim_start_matches("sof_timestamping_").to_string())
                .collect();
            facts.insert("timestamping".into(), stamps.into());
        }
        if text.contains("Hardware Receive Filter Modes:") {
            let filters: Vec<String> = words("Hardware Receive Filter Modes:")
                .iter()
                .map(|w| w.trim_start_matches("hwtstamp_filter_").to_string())
                .collect();
            facts.insert("hw_timestamp_filters".into(), filters.into());
        }
        let clock =
            text.lines().find_map(|l| l.strip_prefix("PTP Hardware Clock:")?.trim().parse::<i64>().ok());
        if let Some(clock) = clock {
            facts.insert("phc_index".into(), clock.into());
        }
    }
    facts
}
