//! Container networks: bridges of the host itself, the namespaces of containers, and ports published.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use pileus_base::{
    Result,
    ids::{NetworkId, PortId},
};
use serde::{Deserialize, Serialize};

use crate::BoxFuture;

/// How what is elsewhere reaches a bridge's containers (`com.docker.network.bridge.gateway_mode_ipv4`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gateway {
    /// By published ports only; what leaves bears the host's address.
    #[default]
    Nat,
    /// As above, and directly too.
    Unprotected,
    /// Directly, at published ports only; addresses are kept.
    Routed,
    /// Not at all: the host has no address there.
    Isolated,
}

/// A bridge on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeSpec {
    /// Docker's network id, 64 hex digits.
    pub network: String,
    /// The link's name, at most 15 characters.
    pub link: String,
    /// The host's own addresses on it, with the length of the prefix.
    pub gateways: Vec<IpNet>,
    /// Nothing leaves it.
    pub internal: bool,
    /// Whether containers on it reach each other.
    pub icc: bool,
    /// Whether what leaves it bears the host's address.
    pub masquerade: bool,
    /// In bytes.
    pub mtu: u32,
    /// For IPv4.
    #[serde(default)]
    pub gateway4: Gateway,
    /// For IPv6.
    #[serde(default)]
    pub gateway6: Gateway,
}

/// What a container is plugged into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plug {
    /// A bridge of this Docker network, which must have been ensured.
    Bridge(String),
    /// A port of a tenant's network, which must have been ensured.
    Port(NetworkId, PortId),
    /// A macvlan over this link of the host.
    Macvlan(String, MacvlanMode),
    /// An ipvlan over this link of the host.
    Ipvlan(String, IpvlanMode),
}

/// How macvlans of one link reach each other (`macvlan_mode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MacvlanMode {
    /// Not.
    Private,
    /// By the switch outside.
    Vepa,
    /// Directly.
    #[default]
    Bridge,
    /// There is but one.
    Passthru,
}

/// What an ipvlan hands on (`ipvlan_mode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpvlanMode {
    /// Frames.
    #[default]
    L2,
    /// Packets, routed by the host's link.
    L3,
    /// As above, through the host's rules.
    L3s,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// Names it: 64 hex digits.
    pub id: String,
    /// The container.
    pub container: String,
    /// What it is plugged into.
    pub plug: Plug,
    /// `eth0`, …
    pub name: String,
    /// Its MAC.
    pub mac: String,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// Where the rest goes; IPv4 and IPv6.
    pub gateways: Vec<IpAddr>,
    /// In bytes.
    pub mtu: u32,
}

/// A port of the host that leads to a container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
    /// The host's address; unspecified for all.
    pub host_ip: IpAddr,
    /// The host's port.
    pub host_port: u16,
    /// The container's address.
    pub to: IpAddr,
    /// The container's port.
    pub port: u16,
}

/// What a container's resolver at 127.0.0.11 answers with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Names (lower case) and their addresses; several are given in turn.
    pub names: Vec<(String, Vec<IpAddr>)>,
    /// Where to ask for the rest.
    pub upstream: Vec<IpAddr>,
}

/// Container networks.
pub trait Bridges: Send + Sync + 'static {
    /// Brings a bridge about.
    fn ensure_bridge<'a>(&'a self, spec: &'a BridgeSpec) -> BoxFuture<'a, Result<()>>;
    /// Takes a bridge away.
    fn remove_bridge<'a>(&'a self, network: &'a str, link: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Makes the link that containers of a macvlan or ipvlan network hang from; its name. Without `parent` it is
    /// one of its own that leads nowhere else, else the VLAN that `parent` (`eth0.10`) says.
    ///
    /// # Errors
    /// 400 and 500 in the reference's words.
    fn ensure_parent<'a>(
        &'a self,
        network: &'a str,
        parent: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String>>;
    /// Takes such a link away.
    fn remove_parent<'a>(&'a self, link: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Ranges that the host routes already.
    fn routed(&self) -> BoxFuture<'_, Result<Vec<IpNet>>>;
    /// A network namespace for a container, with `lo` up; its path.
    fn ensure_sandbox<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>>;
    /// Takes it away with its endpoints, ports and resolver.
    fn remove_sandbox<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Containers with a namespace here.
    fn sandboxes(&self) -> BoxFuture<'_, Result<Vec<String>>>;
    /// Plugs a container in.
    fn ensure_endpoint<'a>(&'a self, spec: &'a EndpointSpec) -> BoxFuture<'a, Result<()>>;
    /// Unplugs it.
    fn remove_endpoint<'a>(&'a self, spec: &'a EndpointSpec) -> BoxFuture<'a, Result<()>>;
    /// The ports that lead to a container, all of them; a host port of 0 is chosen (32768 and up). Those
    /// that hold, with their numbers.
    ///
    /// # Errors
    /// 409, `Bind for 0.0.0.0:80 failed: port is already allocated`.
    fn publish<'a>(
        &'a self,
        container: &'a str,
        ports: &'a [PublishedPort],
    ) -> BoxFuture<'a, Result<Vec<PublishedPort>>>;
    /// Serves 127.0.0.11 in a container's namespace, or changes what it answers.
    fn serve_names<'a>(&'a self, container: &'a str, names: &'a Names) -> BoxFuture<'a, Result<()>>;
    /// The namespace's path of a container's sandbox.
    fn sandbox_path(&self, container: &str) -> PathBuf;
    /// The host's resolvers, of its `resolv.conf`, loopback ones left out; where none is left, those that
    /// its own resolver asks.
    fn host_resolvers(&self) -> (Vec<IpAddr>, Vec<String>) {
        let (servers, search) = resolvers(Path::new("/etc/resolv.conf"));
        match servers.is_empty() {
            true => (resolvers(Path::new("/run/systemd/resolve/resolv.conf")).0, search),
            false => (servers, search),
        }
    }
    /// The host's resolvers on its loopback: a container's resolver asks them in the host's own namespace.
    fn own_resolvers(&self) -> Vec<IpAddr> {
        servers(Path::new("/etc/resolv.conf")).into_iter().filter(IpAddr::is_loopback).collect()
    }
    /// What other programs' rules would drop of packets that the host forwards: a line each.
    fn forward_drops(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// All name servers of a `resolv.conf`.
fn servers(path: &Path) -> Vec<IpAddr> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let named = text.lines().filter_map(|l| l.trim().strip_prefix("nameserver"));
    named.filter_map(|n| n.trim().parse().ok()).collect()
}

/// Name servers (but those on loopback) and search domains of a `resolv.conf`.
pub fn resolvers(path: &Path) -> (Vec<IpAddr>, Vec<String>) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (mut servers, mut search) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                servers.extend(words.filter_map(|w| w.parse::<IpAddr>().ok()).filter(|ip| !ip.is_loopback()));
            }
            Some("search") => search = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    (servers, search)
}
