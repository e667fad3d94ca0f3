//! The rules of the host's own namespace: who is forwarded where, whose address is hidden, and which ports
//! lead to containers. One table of ours: its chains are replaced whole in one transaction where bridges
//! change, published ports are elements of its maps. Every chain accepts by default, so that only what
//! concerns our bridges is ever dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    net::IpAddr,
};

use pileus_base::{Error, Result};
use serde::{Deserialize, Serialize};

use super::nfnetlink::Element;
use crate::{
    bridges::{BridgeSpec, Gateway, PublishedPort},
    linux::link::feed,
};

/// What the rules are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// By Docker's network id.
    pub bridges: BTreeMap<String, BridgeSpec>,
    /// By container.
    pub ports: BTreeMap<String, Vec<PublishedPort>>,
}

/// Loads a script of [`frame`].
pub fn load(script: &str) -> Result<()> {
    let said = feed("nft", &["-f", "-"], "nftables", script)?;
    match said.lines().find(|l| l.contains("rror:")) {
        None => Ok(()),
        Some(line) => Err(Error::internal(format!("nft: {line}"))),
    }
}

/// The script that replaces the table by what `known` asks for, without its maps' elements: those of
/// [`elements`] come and go by themselves.
pub fn frame(table: &str, known: &Known) -> String {
    let mut script = format!("table inet {table}\ndelete table inet {table}\n");
    if known.bridges.is_empty() && known.ports.values().all(Vec::is_empty) {
        return script;
    }
    let (mut raw, mut forward, mut nat) = (String::new(), String::new(), String::new());
    for bridge in known.bridges.values() {
        let link = &bridge.link;
        // route_localnet lets loopback addresses out to containers, never in from them.
        let _ = writeln!(raw, "    iifname \"{link}\" ip daddr 127.0.0.0/8 drop");
        if bridge.internal {
            let _ = writeln!(forward, "    iifname \"{link}\" oifname != \"{link}\" drop");
            let _ = writeln!(forward, "    oifname \"{link}\" iifname != \"{link}\" drop");
        }
        let _ = writeln!(nat, "    oifname \"{link}\" ip saddr 127.0.0.0/8 masquerade");
        for gateway in &bridge.gateways {
            let range = gateway.trunc();
            let v4 = range.addr().is_ipv4();
            let ip = if v4 { "ip" } else { "ip6" };
            // By a published port back to the same bridge: the answer must come by us.
            let _ = writeln!(nat, "    oifname \"{link}\" {ip} saddr {range} ct status dnat masquerade");
            let hidden = !matches!(mode(bridge, v4), Gateway::Routed | Gateway::Isolated);
            if bridge.masquerade && !bridge.internal && hidden {
                let _ = writeln!(nat, "    oifname != \"{link}\" {ip} saddr {range} masquerade");
            }
        }
    }
    forward += "    ct state established,related accept\n    ct status dnat accept\n";
    for bridge in known.bridges.values().filter(|b| !b.internal) {
        let link = &bridge.link;
        for (v4, family, ping) in [(true, "ipv4", "icmp"), (false, "ipv6", "icmpv6")] {
            let to = format!("oifname \"{link}\" iifname != \"{link}\" meta nfproto {family}");
            match mode(bridge, v4) {
                Gateway::Unprotected => continue,
                // What is published is reached at the containers' own addresses.
                Gateway::Routed => {
                    let (ip, map) = if v4 { ("ip", "open4") } else { ("ip6", "open6") };
                    let _ = writeln!(forward, "    {to} meta l4proto {ping} accept");
                    let _ = writeln!(forward, "    {to} {ip} daddr . meta l4proto . th dport vmap @{map}");
                }
                Gateway::Nat | Gateway::Isolated => {}
            }
            // From elsewhere, another bridge included, only published ports are reached.
            let _ = writeln!(forward, "    {to} drop");
        }
    }
    let _ = write!(
        script,
        "table inet {table} {{\n\
         \x20 map any4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}\n\
         \x20 map at4 {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}\n\
         \x20 map any6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}\n\
         \x20 map at6 {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }}\n\
         \x20 map open4 {{ type ipv4_addr . inet_proto . inet_service : verdict;{} }}\n\
         \x20 map open6 {{ type ipv6_addr . inet_proto . inet_service : verdict;{} }}\n\
         \x20 chain raw {{\n    type filter hook prerouting priority -300; policy accept;\n{raw}  }}\n\
         \x20 chain forward {{\n    type filter hook forward priority 0; policy accept;\n{forward}  }}\n\
         \x20 chain ports4 {{\n    dnat ip to ip daddr . meta l4proto . th dport map @at4\n\
         \x20   dnat ip to meta l4proto . th dport map @any4\n  }}\n\
         \x20 chain ports6 {{\n    dnat ip6 to ip6 daddr . meta l4proto . th dport map @at6\n\
         \x20   dnat ip6 to meta l4proto . th dport map @any6\n  }}\n\
         \x20 chain prerouting {{\n    type nat hook prerouting priority -100; policy accept;\n\
         \x20   meta nfproto ipv4 fib daddr type local jump ports4\n\
         \x20   meta nfproto ipv6 fib daddr type local jump ports6\n  }}\n\
         \x20 chain output {{\n    type nat hook output priority -100; policy accept;\n\
         \x20   meta nfproto ipv4 fib daddr type local jump ports4\n  }}\n\
         \x20 chain postrouting {{\n    type nat hook postrouting priority 100; policy accept;\n{nat}  }}\n}}\n",
        open(known, true),
        open(known, false),
    );
    script
}

fn mode(bridge: &BridgeSpec, v4: bool) -> Gateway {
    if v4 { bridge.gateway4 } else { bridge.gateway6 }
}

/// The frame with its maps filled, as one transaction.
pub fn script(table: &str, frame: &str, elements: &BTreeSet<Element>) -> String {
    let mut script = frame.to_owned();
    for element in elements {
        let _ = writeln!(script, "add element inet {table} {} {{ {} }}", element.map, spell(element));
    }
    script
}

/// An element in `nft`'s words.
fn spell(element: &Element) -> String {
    let address = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
        Ok(v4) => IpAddr::from(v4).to_string(),
        Err(_) => <[u8; 16]>::try_from(bytes).map(|v6| IpAddr::from(v6).to_string()).unwrap_or_default(),
    };
    let port = |bytes: &[u8]| bytes.first_chunk::<2>().map_or(0, |b| u16::from_be_bytes(*b));
    let (host, what) = element.key.split_at(element.key.len().saturating_sub(8));
    let (protocol, number) = what.split_at(4.min(what.len()));
    let (to, inner) = element.value.split_at(element.value.len().saturating_sub(4));
    let host = if host.is_empty() { String::new() } else { format!("{} . ", address(host)) };
    let protocol = protocol.first().copied().unwrap_or(0);
    format!("{host}{protocol} . {} : {} . {}", port(number), address(to), port(inner))
}

/// Whether a container's address is routed to, not translated.
pub fn routed(known: &Known, to: IpAddr) -> bool {
    known
        .bridges
        .values()
        .any(|b| mode(b, to.is_ipv4()) == Gateway::Routed && b.gateways.iter().any(|g| g.contains(&to)))
}

/// Ports of containers that are routed to, as elements of a script.
fn open(known: &Known, v4: bool) -> String {
    let ports = known.ports.values().flatten().filter(|p| p.to.is_ipv4() == v4 && routed(known, p.to));
    let mut all: Vec<String> =
        ports.map(|p| format!("{} . {} . {} : accept", p.to, protocol(p).0, p.port)).collect();
    all.sort();
    all.dedup();
    if all.is_empty() { String::new() } else { format!(" elements = {{ {} }};", all.join(", ")) }
}

fn protocol(port: &PublishedPort) -> (&'static str, i32) {
    match port.protocol.as_str() {
        "udp" => ("udp", libc::IPPROTO_UDP),
        "sctp" => ("sctp", libc::IPPROTO_SCTP),
        _ => ("tcp", libc::IPPROTO_TCP),
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The maps' elements: where each published port leads. Across families the daemon itself carries it.
pub fn elements(known: &Known) -> BTreeSet<Element> {
    let ports = known.ports.values().flatten();
    ports
        .filter(|p| p.host_port != 0 && p.host_ip.is_ipv4() == p.to.is_ipv4() && !routed(known, p.to))
        .map(|p| {
            let service = |port: u16| [port.to_be_bytes(), [0; 2]].concat();
            let what = [vec![protocol(p).1 as u8, 0, 0, 0], service(p.host_port)].concat();
            let value = [octets(p.to), service(p.port)].concat();
            let (map, key) = match (p.host_ip.is_unspecified(), p.host_ip.is_ipv4()) {
                (true, true) => ("any4", what),
                (true, false) => ("any6", what),
                (false, true) => ("at4", [octets(p.host_ip), what].concat()),
                (false, false) => ("at6", [octets(p.host_ip), what].concat()),
            };
            Element { map, key, value }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_ip: &str, to: &str) -> PublishedPort {
        let (host_ip, to) = (host_ip.parse().unwrap(), to.parse().unwrap());
        PublishedPort { protocol: "udp".into(), host_ip, host_port: 53, to, port: 5353 }
    }

    #[test]
    fn nothing_known_leaves_no_table() {
        assert_eq!(frame("t", &Known::default()), "table inet t\ndelete table inet t\n");
    }

    #[test]
    fn a_published_port_leads_to_its_container() {
        let ports = vec![port("10.1.1.1", "172.18.0.2"), port("::", "172.18.0.2")];
        let known = Known { ports: [("c".into(), ports)].into(), ..Known::default() };
        let found = elements(&known);
        let key = vec![10, 1, 1, 1, 17, 0, 0, 0, 0, 53, 0, 0];
        let value = vec![172, 18, 0, 2, 0x14, 0xe9, 0, 0];
        assert_eq!(found, BTreeSet::from([Element { map: "at4", key, value }]), "the other is carried");
    }

    #[test]
    fn elements_are_spelled() {
        let ports = vec![port("fd00::1", "fd01::2"), port("0.0.0.0", "172.18.0.2")];
        let known = Known { ports: [("c".into(), ports)].into(), ..Known::default() };
        let text = script("t", "", &elements(&known));
        assert!(text.contains("inet t any4 { 17 . 53 : 172.18.0.2 . 5353 }"), "{text}");
        assert!(text.contains("inet t at6 { fd00::1 . 17 . 53 : fd01::2 . 5353 }"), "{text}");
    }

    #[test]
    fn what_is_routed_is_opened_and_not_translated() {
        let bridge = BridgeSpec {
            network: "n".into(),
            link: "br".into(),
            gateways: vec!["172.18.0.1/24".parse().unwrap()],
            internal: false,
            icc: true,
            masquerade: true,
            mtu: 1500,
            gateway4: Gateway::Routed,
            gateway6: Gateway::Nat,
        };
        let known = Known {
            bridges: [("n".into(), bridge)].into(),
            ports: [("c".into(), vec![port("0.0.0.0", "172.18.0.2")])].into(),
        };
        let script = frame("t", &known);
        assert!(script.contains("172.18.0.2 . udp . 5353 : accept"), "{script}");
        assert!(!script.contains("oifname != \"br\" ip saddr 172.18.0.0/24 masquerade"), "{script}");
        assert!(elements(&known).is_empty());
    }
}
