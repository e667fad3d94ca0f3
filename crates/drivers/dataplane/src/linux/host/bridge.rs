//! Bridges of the host itself, and the ranges it routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pileus_base::Result;

use super::{Host, blocking, check_link, failed, netlink::Netlink};
use crate::{Mac, bridges::BridgeSpec};

/// Whether a link of that name is in this process's namespace.
pub fn exists(link: &str) -> bool {
    std::fs::exists(format!("/proc/sys/net/ipv4/conf/{link}")).unwrap_or(false)
}

/// A bridge's MAC: its own, so that it doesn't change with the ports it has.
fn mac(network: &str) -> Mac {
    let digit = |at: usize| network.get(at..at + 2).and_then(|d| u8::from_str_radix(d, 16).ok()).unwrap_or(0);
    Mac([0x02, 0x42, digit(0), digit(2), digit(4), digit(6)])
}

impl Host {
    /// Switches a sysctl, and notes what it was for who purges this cloud.
    fn switch(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/{name}");
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        if before.trim() == value {
            return;
        }
        if let Err(e) = std::fs::write(&path, value) {
            tracing::warn!(path, error = %e, "a sysctl was not set");
            return;
        }
        let notes = self.state_dir.join("sysctls");
        let mut text = std::fs::read_to_string(&notes).unwrap_or_default();
        if !text.lines().any(|l| l.split(' ').next() == Some(name)) {
            text += &format!("{name} {}\n", before.trim());
            if let Err(e) = std::fs::write(&notes, text) {
                tracing::warn!(path = %notes.display(), error = %e, "a former sysctl was not noted");
            }
        }
    }

    pub(super) async fn ensure_bridge(&self, spec: &BridgeSpec) -> Result<()> {
        check_link(&spec.link)?;
        let mut loaded = self.loaded.lock().await;
        self.switch("net/ipv4/ip_forward", "1");
        if spec.gateways.iter().any(|g| g.addr().is_ipv6()) {
            self.switch("net/ipv6/conf/all/forwarding", "1");
        }
        let wanted = spec.clone();
        let made = blocking(move || {
            let failed = failed("failed to make a bridge");
            let mut netlink = Netlink::open().map_err(&failed)?;
            netlink.bridge(&wanted.link, mac(&wanted.network), wanted.mtu).map_err(&failed)?;
            let gone = || failed(std::io::ErrorKind::NotFound.into());
            let index = netlink.index(&wanted.link).map_err(&failed)?.ok_or_else(gone)?;
            netlink.up(index, Some(wanted.mtu)).map_err(&failed)?;
            for gateway in &wanted.gateways {
                netlink.address(index, *gateway).map_err(&failed)?;
            }
            // A published port is reached from 127.0.0.1 too.
            std::fs::write(format!("/proc/sys/net/ipv4/conf/{}/route_localnet", wanted.link), "1")
                .map_err(&failed)
        });
        made.await?;
        self.known.lock().bridges.insert(spec.network.clone(), spec.clone());
        self.apply(&mut loaded).await
    }

    pub(super) async fn remove_bridge(&self, network: &str, link: &str) -> Result<()> {
        check_link(link)?;
        let mut loaded = self.loaded.lock().await;
        let name = link.to_owned();
        let gone = blocking(move || {
            let failed = failed("failed to remove a bridge");
            Netlink::open().and_then(|mut n| n.remove(&name)).map_err(failed)
        });
        gone.await?;
        self.known.lock().bridges.remove(network);
        self.apply(&mut loaded).await
    }

    /// The bridge of a network that has been ensured.
    pub(super) fn bridge(&self, network: &str) -> Option<BridgeSpec> {
        self.known.lock().bridges.get(network).cloned()
    }
}

/// Ranges in the main tables of this process's namespace, but the default routes and what every link has.
pub fn routed() -> Vec<IpNet> {
    let v4 = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let mut all: Vec<IpNet> = v4.lines().filter_map(range4).chain(v6.lines().filter_map(range6)).collect();
    all.sort();
    all.dedup();
    all
}

/// `eth0 0000000A 00000000 0001 0 0 0 00FFFFFF …`
fn range4(line: &str) -> Option<IpNet> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ip = |at: usize| Some(Ipv4Addr::from(u32::from_str_radix(words.get(at)?, 16).ok()?.swap_bytes()));
    let range = IpNet::with_netmask(ip(1)?.into(), IpAddr::V4(ip(7)?)).ok()?;
    (range.prefix_len() > 0).then_some(range)
}

/// `fd000000000000000000000000000000 40 … eth0`
fn range6(line: &str) -> Option<IpNet> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ip = Ipv6Addr::from(u128::from_str_radix(words.first()?, 16).ok()?);
    let range = IpNet::new(ip.into(), u8::from_str_radix(words.get(1)?, 16).ok()?).ok()?;
    let every = ip.is_unicast_link_local() || ip.is_multicast() || words.last() == Some(&"lo");
    (range.prefix_len() > 0 && !every).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let line = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        assert_eq!(range4(line), Some("192.168.1.0/24".parse().unwrap()));
        assert_eq!(range4("eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"), None);
        let line = "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 x 0 0 1 eth0";
        assert_eq!(range6(line), Some("fd00::/64".parse().unwrap()));
    }
}
