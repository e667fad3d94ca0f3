//! rtnetlink(7): the kernel's addresses and routes, without a program and without a crate.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of an interface.
#[derive(Debug, Clone)]
pub struct Address {
    pub index: u32,
    pub address: IpAddr,
    /// The address itself, or the other end's on a point-to-point link.
    pub local: Option<IpAddr>,
    pub prefix: u8,
    pub scope: u8,
    pub flags: u32,
    pub broadcast: Option<IpAddr>,
    pub label: Option<String>,
}

/// A route.
#[derive(Debug, Clone, Default)]
pub struct Route {
    pub kind: u8,
    pub prefix: u8,
    pub table: u32,
    pub destination: Option<IpAddr>,
    pub gateway: Option<IpAddr>,
    pub source: Option<IpAddr>,
    pub interface: Option<u32>,
}

const HEADER: usize = 16;

struct Socket(i32);

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and closed once.
        unsafe { libc::close(self.0) };
    }
}

/// Sends one request and gives the messages of that type that answer it.
fn ask(kind: u16, flags: u16, body: &[u8], answer: u16) -> io::Result<Vec<Vec<u8>>> {
    // SAFETY: plain system call.
    let fd =
        unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = Socket(fd);
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
    message.extend([1u8, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(body);
    // SAFETY: the buffer and its length belong together.
    if unsafe { libc::send(socket.0, message.as_ptr().cast(), message.len(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let dump = flags & libc::NLM_F_DUMP as u16 != 0;
    let mut found = Vec::new();
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        // SAFETY: the buffer and its length belong together.
        let got = unsafe { libc::recv(socket.0, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let Ok(got) = usize::try_from(got) else { return Err(io::Error::last_os_error()) };
        let mut rest = &buffer[..got];
        while rest.len() >= HEADER {
            let length = (u32_at(rest, 0) as usize).clamp(HEADER, rest.len());
            let kind = u16::from_ne_bytes([rest[4], rest[5]]);
            if i32::from(kind) == libc::NLMSG_DONE {
                return Ok(found);
            }
            if i32::from(kind) == libc::NLMSG_ERROR {
                let code = u32_at(rest, HEADER) as i32;
                return if code == 0 { Ok(found) } else { Err(io::Error::from_raw_os_error(-code)) };
            }
            if kind == answer {
                found.push(rest[HEADER..length].to_vec());
            }
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
        if !dump {
            return Ok(found);
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// The attributes after a message's fixed part.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let length = (u16::from_ne_bytes([bytes[0], bytes[1]]) as usize).clamp(4, bytes.len());
        found.push((u16::from_ne_bytes([bytes[2], bytes[3]]) & 0x3fff, &bytes[4..length]));
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    found
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}

/// All addresses of the machine.
pub fn addresses() -> Vec<Address> {
    let dump = (libc::NLM_F_ROOT | libc::NLM_F_MATCH) as u16;
    let messages = ask(libc::RTM_GETADDR, dump, &[0; 8], libc::RTM_NEWADDR).unwrap_or_default();
    messages
        .iter()
        .filter(|m| m.len() >= 8)
        .filter_map(|m| {
            let attributes = attributes(&m[8..]);
            let get = |kind: u16| attributes.iter().find(|(k, _)| *k == kind).map(|(_, bytes)| *bytes);
            Some(Address {
                index: u32_at(m, 4),
                prefix: m[1],
                scope: m[3],
                flags: get(libc::IFA_FLAGS).map_or(u32::from(m[2]), |b| u32_at(b, 0)),
                address: get(libc::IFA_ADDRESS).and_then(ip)?,
                local: get(libc::IFA_LOCAL).and_then(ip),
                broadcast: get(libc::IFA_BROADCAST).and_then(ip),
                label: get(libc::IFA_LABEL).map(|b| crate::py::text(b).trim_end_matches('\0').to_string()),
            })
        })
        .collect()
}

fn route(message: &[u8]) -> Option<Route> {
    let size = size_of::<[u8; 12]>();
    if message.len() < size {
        return None;
    }
    let mut route =
        Route { prefix: message[1], table: u32::from(message[4]), kind: message[7], ..Route::default() };
    for (kind, bytes) in attributes(&message[size..]) {
        match kind {
            libc::RTA_DST => route.destination = ip(bytes),
            libc::RTA_GATEWAY => route.gateway = ip(bytes),
            libc::RTA_PREFSRC => route.source = ip(bytes),
            libc::RTA_OIF => route.interface = Some(u32_at(bytes, 0)),
            libc::RTA_TABLE => route.table = u32_at(bytes, 0),
            _ => {}
        }
    }
    Some(route)
}

/// All routes of a family (`AF_INET`, `AF_INET6`).
pub fn routes(family: i32) -> Vec<Route> {
    let mut body = [0u8; 12];
    body[0] = family as u8;
    let dump = (libc::NLM_F_ROOT | libc::NLM_F_MATCH) as u16;
    let messages = ask(libc::RTM_GETROUTE, dump, &body, libc::RTM_NEWROUTE).unwrap_or_default();
    messages.iter().filter_map(|m| route(m)).collect()
}

/// The route packets to that address take.
pub fn route_to(to: IpAddr) -> Option<Route> {
    let (family, octets, bits) = match to {
        IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec(), 32),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec(), 128),
    };
    let mut body = vec![0u8; 12];
    body[0] = family as u8;
    body[1] = bits;
    body.extend((4 + octets.len() as u16).to_ne_bytes());
    body.extend(libc::RTA_DST.to_ne_bytes());
    body.extend(octets);
    let messages = ask(libc::RTM_GETROUTE, 0, &body, libc::RTM_NEWROUTE).ok()?;
    messages.first().and_then(|m| route(m))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_split_and_broken_ones_end() {
        let bytes = [8, 0, 1, 0, 9, 0, 0, 0, 255, 0, 2, 0, 1];
        let found = attributes(&bytes);
        assert_eq!(found[0], (1, &[9u8, 0, 0, 0][..]));
        assert_eq!(found.len(), 2);
        assert_eq!(ip(&[127, 0, 0, 1]), Some(Ipv4Addr::LOCALHOST.into()));
    }
}
