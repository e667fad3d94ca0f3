//! Route netlink: the few messages that plug a container in, written by hand. A socket stays in the
//! namespace it was opened in, whichever thread uses it later.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use ipnet::IpNet;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use crate::{
    Mac,
    bridges::{IpvlanMode, MacvlanMode},
};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const REQUEST_ACK: u16 = 0x1 | 0x4;
const REPLACE: u16 = 0x100;
const EXCL: u16 = 0x200;
const CREATE: u16 = 0x400;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const BR_FORWARD_DELAY: u16 = 1;
const BR_STP_STATE: u16 = 5;
const BR_MCAST_SNOOPING: u16 = 23;
const BRPORT_HAIRPIN: u16 = 4;
const BRPORT_ISOLATED: u16 = 33;
const MACVLAN_MODE: u16 = 1;
const VLAN_ID: u16 = 1;
const IPVLAN_MODE: u16 = 1;
const RT_SCOPE_LINK: u8 = 253;
/// An attribute of attributes.
pub const NESTED: u16 = 0x8000;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTNH_F_ONLINK: u32 = 4;
const UP: u32 = 1;

/// A message's body under construction.
#[derive(Default)]
pub struct Body(pub Vec<u8>);

impl Body {
    /// `struct ifinfomsg`.
    fn link(family: u8, index: u32, flags: u32, change: u32) -> Self {
        let mut body = vec![family, 0, 0, 0];
        for word in [index, flags, change] {
            body.extend(word.to_ne_bytes());
        }
        Self(body)
    }
    /// An attribute.
    pub fn attr(mut self, kind: u16, value: &[u8]) -> Self {
        let len = (value.len() + 4) as u16;
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
    fn word(self, kind: u16, value: u32) -> Self {
        self.attr(kind, &value.to_ne_bytes())
    }
    /// One of text, ended by a zero.
    pub fn text(self, kind: u16, value: &str) -> Self {
        self.attr(kind, &[value.as_bytes(), &[0]].concat())
    }
    /// One of attributes.
    pub fn nest(self, kind: u16, inner: Self) -> Self {
        self.attr(kind, &inner.0)
    }
    fn mac(self, mac: Option<Mac>) -> Self {
        match mac {
            Some(mac) => self.attr(IFLA_ADDRESS, &mac.0),
            None => self,
        }
    }
    fn info(self, kind: &str, data: Self) -> Self {
        let info = Self::default().text(INFO_KIND, kind).nest(INFO_DATA, data);
        self.nest(IFLA_LINKINFO, info)
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn family(ip: IpAddr) -> u8 {
    (if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

/// A link to be made in a namespace: its name there, its MAC, its MTU.
pub struct Inside<'a> {
    /// The namespace.
    pub netns: BorrowedFd<'a>,
    /// The link's name.
    pub name: &'a str,
    /// Its MAC; the kernel picks one otherwise.
    pub mac: Option<Mac>,
    /// In bytes.
    pub mtu: u32,
}

/// A socket to the kernel's links.
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens one in this thread's namespace.
    pub fn open() -> io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends a request and waits for the answer's end; the body of what came before it, if anything.
    fn ask(&mut self, kind: u16, flags: u16, body: &Body) -> io::Result<Vec<u8>> {
        self.sequence += 1;
        let mut message = ((body.0.len() + 16) as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend((REQUEST_ACK | flags).to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(&body.0);
        send(&self.socket, &message, SendFlags::empty())?;
        let (mut found, mut buffer) = (Vec::new(), vec![0u8; 32 * 1024]);
        loop {
            let (n, _) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..n];
            while rest.len() >= 16 {
                let word =
                    |at: usize| u32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
                let len = (word(0) as usize).clamp(16, rest.len());
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                if word(8) == self.sequence {
                    if kind == 2 && len >= 20 {
                        return match word(16).cast_signed() {
                            0 => Ok(found),
                            errno => Err(io::Error::from_raw_os_error(-errno)),
                        };
                    }
                    found = rest[16..len].to_vec();
                }
                rest = &rest[len.next_multiple_of(4).min(rest.len())..];
            }
        }
    }

    /// A link's index; `None` where there is none of that name.
    pub fn index(&mut self, name: &str) -> io::Result<Option<u32>> {
        let body = Body::link(0, 0, 0, 0).text(IFLA_IFNAME, name);
        match self.ask(RTM_GETLINK, 0, &body) {
            Ok(found) => Ok(found.get(4..8).map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))),
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Makes a bridge; one that is there is taken as it is.
    pub fn bridge(&mut self, name: &str, mac: Mac, mtu: u32) -> io::Result<()> {
        let data =
            Body::default().word(BR_FORWARD_DELAY, 0).word(BR_STP_STATE, 0).attr(BR_MCAST_SNOOPING, &[0]);
        let body = Body::link(0, 0, 0, 0)
            .text(IFLA_IFNAME, name)
            .mac(Some(mac))
            .word(IFLA_MTU, mtu)
            .info("bridge", data);
        match self.ask(RTM_NEWLINK, CREATE | EXCL, &body) {
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Makes a wire: `name` here, below `master`, and its other end in a namespace.
    pub fn veth(&mut self, name: &str, master: u32, peer: &Inside<'_>) -> io::Result<()> {
        let other = Body::link(0, 0, 0, 0)
            .text(IFLA_IFNAME, peer.name)
            .mac(peer.mac)
            .word(IFLA_MTU, peer.mtu)
            .word(IFLA_NET_NS_FD, peer.netns.as_raw_fd().cast_unsigned());
        let body = Body::link(0, 0, 0, 0)
            .text(IFLA_IFNAME, name)
            .word(IFLA_MTU, peer.mtu)
            .word(IFLA_MASTER, master)
            .info("veth", Body::default().nest(VETH_INFO_PEER, other));
        self.ask(RTM_NEWLINK, CREATE | EXCL, &body).map(drop)
    }

    /// Makes a link that leads nowhere.
    pub fn dummy(&mut self, name: &str) -> io::Result<()> {
        let body = Body::link(0, 0, 0, 0).text(IFLA_IFNAME, name).info("dummy", Body::default());
        self.ask(RTM_NEWLINK, CREATE | EXCL, &body).map(drop)
    }

    /// Makes a wire with both ends here.
    pub fn pair(&mut self, name: &str, peer: &str) -> io::Result<()> {
        let other = Body::link(0, 0, 0, 0).text(IFLA_IFNAME, peer);
        let data = Body::default().nest(VETH_INFO_PEER, other);
        let body = Body::link(0, 0, 0, 0).text(IFLA_IFNAME, name).info("veth", data);
        self.ask(RTM_NEWLINK, CREATE | EXCL, &body).map(drop)
    }

    /// Makes the VLAN `number` of `parent`.
    pub fn vlan(&mut self, parent: u32, name: &str, number: u16) -> io::Result<()> {
        let data = Body::default().attr(VLAN_ID, &number.to_ne_bytes());
        let body = Body::link(0, 0, 0, 0).text(IFLA_IFNAME, name).word(IFLA_LINK, parent).info("vlan", data);
        self.ask(RTM_NEWLINK, CREATE | EXCL, &body).map(drop)
    }

    /// Makes a macvlan of `parent` in a namespace.
    pub fn macvlan(&mut self, parent: u32, mode: MacvlanMode, link: &Inside<'_>) -> io::Result<()> {
        let mode: u32 = match mode {
            MacvlanMode::Private => 1,
            MacvlanMode::Vepa => 2,
            MacvlanMode::Bridge => 4,
            MacvlanMode::Passthru => 8,
        };
        self.child(parent, "macvlan", Body::default().word(MACVLAN_MODE, mode), link)
    }

    /// Makes an ipvlan of `parent` in a namespace; its MAC is the parent's.
    pub fn ipvlan(&mut self, parent: u32, mode: IpvlanMode, link: &Inside<'_>) -> io::Result<()> {
        let mode: u16 = match mode {
            IpvlanMode::L2 => 0,
            IpvlanMode::L3 => 1,
            IpvlanMode::L3s => 2,
        };
        self.child(parent, "ipvlan", Body::default().attr(IPVLAN_MODE, &mode.to_ne_bytes()), link)
    }

    fn child(&mut self, parent: u32, kind: &str, data: Body, link: &Inside<'_>) -> io::Result<()> {
        let body = Body::link(0, 0, 0, 0)
            .text(IFLA_IFNAME, link.name)
            .mac(link.mac)
            .word(IFLA_MTU, link.mtu)
            .word(IFLA_LINK, parent)
            .word(IFLA_NET_NS_FD, link.netns.as_raw_fd().cast_unsigned())
            .info(kind, data);
        self.ask(RTM_NEWLINK, CREATE | EXCL, &body).map(drop)
    }

    /// Sends what is for a range straight out of a link, to no router.
    pub fn device_route(&mut self, index: u32, to: IpNet) -> io::Result<()> {
        let scope = if to.addr().is_ipv4() { RT_SCOPE_LINK } else { 0 };
        let mut body = Body(vec![family(to.addr()), to.prefix_len(), 0, 0, 254, 4, scope, 1, 0, 0, 0, 0]);
        if to.prefix_len() > 0 {
            body = body.attr(RTA_DST, &octets(to.addr()));
        }
        let body = body.word(RTA_OIF, index);
        self.ask(RTM_NEWROUTE, CREATE | REPLACE, &body).map(drop)
    }

    /// Gives a link that is down another name.
    pub fn rename(&mut self, index: u32, name: &str) -> io::Result<()> {
        self.ask(RTM_SETLINK, 0, &Body::link(0, index, 0, 0).text(IFLA_IFNAME, name)).map(drop)
    }

    /// Sets a link up, with an MTU where one is given.
    pub fn up(&mut self, index: u32, mtu: Option<u32>) -> io::Result<()> {
        let mut body = Body::link(0, index, UP, UP);
        if let Some(mtu) = mtu {
            body = body.word(IFLA_MTU, mtu);
        }
        self.ask(RTM_SETLINK, 0, &body).map(drop)
    }

    /// Sets a bridge's port up: what a container sends to itself by way of the host comes back, and
    /// isolated ones are kept from each other.
    pub fn port(&mut self, index: u32, isolated: bool) -> io::Result<()> {
        let port = Body::default().attr(BRPORT_HAIRPIN, &[1]).attr(BRPORT_ISOLATED, &[u8::from(isolated)]);
        let body = Body::link(libc::AF_BRIDGE as u8, index, 0, 0).nest(IFLA_PROTINFO | NESTED, port);
        self.ask(RTM_SETLINK, 0, &body).map(drop)
    }

    /// Removes a link, if it is there.
    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        match self.ask(RTM_DELLINK, 0, &Body::link(0, 0, 0, 0).text(IFLA_IFNAME, name)) {
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Gives a link an address.
    pub fn address(&mut self, index: u32, address: IpNet) -> io::Result<()> {
        let ip = address.addr();
        let flags = if ip.is_ipv6() { IFA_F_NODAD } else { 0 };
        let mut body = Body(vec![family(ip), address.prefix_len(), flags, 0]);
        body.0.extend(index.to_ne_bytes());
        let body = body.attr(IFA_LOCAL, &octets(ip)).attr(IFA_ADDRESS, &octets(ip));
        self.ask(RTM_NEWADDR, CREATE | REPLACE, &body).map(drop)
    }

    /// Sends what is for elsewhere to `gateway`.
    pub fn default_route(&mut self, index: u32, gateway: IpAddr, onlink: bool) -> io::Result<()> {
        // struct rtmsg: the main table, by the administrator, of the universe, unicast.
        let mut body = Body(vec![family(gateway), 0, 0, 0, 254, 4, 0, 1]);
        body.0.extend((if onlink { RTNH_F_ONLINK } else { 0 }).to_ne_bytes());
        let body = body.attr(RTA_GATEWAY, &octets(gateway)).word(RTA_OIF, index);
        self.ask(RTM_NEWROUTE, CREATE | REPLACE, &body).map(drop)
    }
}
