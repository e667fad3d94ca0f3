//! Networks and ports as a driver needs to know them.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use pileus_base::{
    Error,
    ids::{NetworkId, PortId},
};

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
impl FromStr for Mac {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = || Error::bad_request(format!("'{s}' is not a MAC address"));
        let mut bytes = [0; 6];
        let mut parts = s.split(':');
        for byte in &mut bytes {
            *byte = parts.next().and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or_else(bad)?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Self(bytes)) }
    }
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// The network.
    pub id: NetworkId,
    /// In bytes.
    pub mtu: u32,
    /// What guests' names end in.
    pub dns_domain: String,
    /// The MAC at which the network is served.
    pub service_mac: Mac,
    /// Its subnets.
    pub subnets: Vec<SubnetSpec>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetSpec {
    /// Its range.
    pub cidr: IpNet,
    /// Where guests send what is for elsewhere.
    pub gateway: Option<IpAddr>,
    /// Whether addresses are handed out.
    pub dhcp: bool,
    /// The address at which it is served.
    pub service_ip: Option<IpAddr>,
    /// Name servers to announce; the service address where empty.
    pub dns: Vec<IpAddr>,
    /// Further routes to announce.
    pub host_routes: Vec<(IpNet, IpAddr)>,
    /// Whether its prefix is advertised for guests to make addresses of (IPv6).
    pub advertise: bool,
    /// Whether guests are told to use DHCPv6.
    pub managed: bool,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSpec {
    /// The port.
    pub id: PortId,
    /// Its network.
    pub network: NetworkId,
    /// Its MAC.
    pub mac: Mac,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// Further senders it may use.
    pub allowed_pairs: Vec<(Option<Mac>, IpNet)>,
    /// Whether senders are checked.
    pub port_security: bool,
    /// The name that DHCP and DNS give it.
    pub hostname: Option<String>,
    /// Whether it carries traffic.
    pub admin_up: bool,
    /// Extra DHCP options: name or number, value.
    pub dhcp_options: Vec<(String, String)>,
}

/// A guest's metadata request.
#[derive(Debug, Clone)]
pub struct MetadataQuery {
    /// Where it came from.
    pub network: NetworkId,
    /// The sender.
    pub peer: IpAddr,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Its answer.
#[derive(Debug, Clone)]
pub struct MetadataAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    pub media: String,
    /// The body.
    pub body: Vec<u8>,
}
