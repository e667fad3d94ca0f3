//! Anti-spoofing: what a port may send. The whole rule set of a namespace is replaced at once.

use std::fmt::Write;

use ipnet::IpNet;
use pileus_base::{Error, Result};

use super::link::feed;
use crate::{Mac, PortSpec};

/// Who asks for an address has none yet; link-local ones are made, not given.
const ALWAYS: [&str; 3] = ["0.0.0.0/32", "::/128", "fe80::/10"];

/// Loads the rules for these ports (tap, port) into this thread's namespace.
pub fn load<'a>(ports: impl Iterator<Item = (String, &'a PortSpec)>) -> Result<()> {
    let said = feed("nft", &["-f", "-"], "nftables", &rules(ports))?;
    match said.lines().find(|l| l.contains("Error") || l.contains("rror:")) {
        None => Ok(()),
        Some(line) => Err(Error::internal(format!("nft: {line}"))),
    }
}

fn rules<'a>(ports: impl Iterator<Item = (String, &'a PortSpec)>) -> String {
    let (mut chains, mut jumps) = (String::new(), Vec::new());
    for (tap, port) in ports.filter(|(_, p)| p.port_security) {
        jumps.push(format!("\"{tap}\" : jump g_{tap}"));
        let macs: Vec<Mac> =
            std::iter::once(port.mac).chain(port.allowed_pairs.iter().filter_map(|p| p.0)).collect();
        let macs = list(macs.iter());
        let own = port.ips.iter().map(|ip| IpNet::from(*ip)).chain(port.allowed_pairs.iter().map(|p| p.1));
        // Overlapping ranges are merged: nft takes none in one set.
        let senders = IpNet::aggregate(&own.chain(ALWAYS.iter().filter_map(|a| a.parse().ok())).collect());
        let v4 = list(senders.iter().filter(|n| n.addr().is_ipv4()));
        let v6 = list(senders.iter().filter(|n| n.addr().is_ipv6()));
        let _ = write!(
            chains,
            "  chain g_{tap} {{\n\
             \x20   ether saddr != {macs} drop\n\
             \x20   ether type arp arp saddr ether != {macs} drop\n\
             \x20   ether type arp arp saddr ip != {v4} drop\n\
             \x20   ether type ip udp sport 67 drop\n\
             \x20   ether type ip ip saddr 0.0.0.0 udp dport != 67 drop\n\
             \x20   ether type ip ip saddr != {v4} drop\n\
             \x20   ether type ip6 icmpv6 type nd-router-advert drop\n\
             \x20   ether type ip6 udp sport 547 drop\n\
             \x20   ether type ip6 ip6 saddr != {v6} drop\n\
             \x20   ether type != {{ ip, arp, ip6 }} drop\n\
             \x20 }}\n"
        );
    }
    let dispatch = match jumps.is_empty() {
        true => String::new(),
        false => format!("    iifname vmap {{ {} }}\n", jumps.join(", ")),
    };
    format!(
        "table bridge pileus\ndelete table bridge pileus\ntable bridge pileus {{\n{chains}\
         \x20 chain guests {{\n    type filter hook prerouting priority -250; policy accept;\n{dispatch}  }}\n}}\n"
    )
}

fn list<T: ToString>(all: impl Iterator<Item = T>) -> String {
    let mut all: Vec<String> = all.map(|t| t.to_string()).collect();
    all.sort();
    all.dedup();
    format!("{{ {} }}", all.join(", "))
}
