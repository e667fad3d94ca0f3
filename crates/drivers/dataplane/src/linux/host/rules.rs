//! The rules of the host's own namespace: who is forwarded where, whose address is hidden, and which ports
//! lead to containers. One table of ours, replaced whole in one transaction; every chain accepts by
//! default, so that only what concerns our bridges is ever dropped.

use std::{collections::BTreeMap, fmt::Write, net::IpAddr};

use pileus_base::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    bridges::{BridgeSpec, PublishedPort},
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

/// Loads a script of [`text`].
pub fn load(script: &str) -> Result<()> {
    let said = feed("nft", &["-f", "-"], "nftables", script)?;
    match said.lines().find(|l| l.contains("rror:")) {
        None => Ok(()),
        Some(line) => Err(Error::internal(format!("nft: {line}"))),
    }
}

/// The script that replaces the table by what `known` asks for.
pub fn text(table: &str, known: &Known) -> String {
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
            let ip = if range.addr().is_ipv4() { "ip" } else { "ip6" };
            // By a published port back to the same bridge: the answer must come by us.
            let _ = writeln!(nat, "    oifname \"{link}\" {ip} saddr {range} ct status dnat masquerade");
            if bridge.masquerade && !bridge.internal {
                let _ = writeln!(nat, "    oifname != \"{link}\" {ip} saddr {range} masquerade");
            }
        }
    }
    forward += "    ct state established,related accept\n    ct status dnat accept\n";
    for bridge in known.bridges.values().filter(|b| !b.internal) {
        let link = &bridge.link;
        // From elsewhere, another bridge included, only published ports are reached.
        let _ = writeln!(forward, "    oifname \"{link}\" iifname != \"{link}\" drop");
    }
    let (mut ports4, mut ports6) = (String::new(), String::new());
    for port in known.ports.values().flatten() {
        match (port.host_ip, port.to) {
            (IpAddr::V4(_), IpAddr::V4(to)) => {
                let target = format!("dnat ip to {to}:{}", port.port);
                let _ = writeln!(ports4, "    {} {target}", matched("ip", port));
            }
            (IpAddr::V6(_), IpAddr::V6(to)) => {
                let target = format!("dnat ip6 to [{to}]:{}", port.port);
                let _ = writeln!(ports6, "    {} {target}", matched("ip6", port));
            }
            // Across families the daemon itself carries it.
            _ => {}
        }
    }
    let _ = write!(
        script,
        "table inet {table} {{\n\
         \x20 chain raw {{\n    type filter hook prerouting priority -300; policy accept;\n{raw}  }}\n\
         \x20 chain forward {{\n    type filter hook forward priority 0; policy accept;\n{forward}  }}\n\
         \x20 chain ports4 {{\n{ports4}  }}\n\
         \x20 chain ports6 {{\n{ports6}  }}\n\
         \x20 chain prerouting {{\n    type nat hook prerouting priority -100; policy accept;\n\
         \x20   fib daddr type local jump ports4\n    fib daddr type local jump ports6\n  }}\n\
         \x20 chain output {{\n    type nat hook output priority -100; policy accept;\n\
         \x20   fib daddr type local jump ports4\n  }}\n\
         \x20 chain postrouting {{\n    type nat hook postrouting priority 100; policy accept;\n{nat}  }}\n}}\n"
    );
    script
}

fn matched(ip: &str, port: &PublishedPort) -> String {
    let protocol = match port.protocol.as_str() {
        "udp" => "udp",
        "sctp" => "sctp",
        _ => "tcp",
    };
    match port.host_ip.is_unspecified() {
        true => {
            let family = if ip == "ip" { "ipv4" } else { "ipv6" };
            format!("meta nfproto {family} {protocol} dport {}", port.host_port)
        }
        false => format!("{ip} daddr {} {protocol} dport {}", port.host_ip, port.host_port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_leaves_no_table() {
        assert_eq!(text("t", &Known::default()), "table inet t\ndelete table inet t\n");
    }

    #[test]
    fn a_published_port_leads_to_its_container() {
        let port = PublishedPort {
            protocol: "udp".into(),
            host_ip: "10.1.1.1".parse().unwrap(),
            host_port: 53,
            to: "172.18.0.2".parse().unwrap(),
            port: 5353,
        };
        let known = Known { ports: [("c".into(), vec![port])].into(), ..Known::default() };
        assert!(text("t", &known).contains("ip daddr 10.1.1.1 udp dport 53 dnat ip to 172.18.0.2:5353"));
    }
}
