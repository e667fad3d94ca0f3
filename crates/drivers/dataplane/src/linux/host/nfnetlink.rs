//! Netfilter netlink: elements of maps put in and taken out in one transaction, and entries of the connection
//! table taken away. Running `nft` for the same takes 20 ms; chains change seldom and are left to it.
//!
//! Sources: linux/netfilter/nf_tables.h, nfnetlink.h, nfnetlink_conntrack.h.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::NETFILTER, recv, send, socket_with,
};

use super::netlink::{Body, NESTED};

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NFNL_SUBSYS_NFTABLES`, and its messages.
pub const NFTABLES: u16 = 10;
const NEW_SET_ELEM: u16 = NFTABLES << 8 | 12;
const DEL_SET_ELEM: u16 = NFTABLES << 8 | 14;
/// `NFPROTO_INET`: tables of both families.
const INET: u8 = 1;
const SET_ELEM_LIST_TABLE: u16 = 1;
const SET_ELEM_LIST_SET: u16 = 2;
const SET_ELEM_LIST_ELEMENTS: u16 = 3;
const LIST_ELEM: u16 = 1;
const SET_ELEM_KEY: u16 = 1;
const SET_ELEM_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
/// `NFNL_SUBSYS_CTNETLINK`, and its messages.
const CT_NEW: u16 = 1 << 8;
const CT_GET: u16 = 1 << 8 | 1;
const CT_DELETE: u16 = 1 << 8 | 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
/// `NLM_F_CREATE`
pub const CREATE: u16 = 0x400;
/// Bytes of elements in one message: an attribute's length has 16 bits.
const CHUNK: usize = 256;

/// An element of a map: its key and what it leads to, as the kernel's registers hold them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// The map.
    pub map: &'static str,
    /// The key, each part padded to four bytes.
    pub key: Vec<u8>,
    /// The value, likewise.
    pub value: Vec<u8>,
}

/// `struct nfgenmsg`.
pub fn generic(family: u8, resource: u16) -> Body {
    let mut body = vec![family, 0];
    body.extend(resource.to_be_bytes());
    Body(body)
}

fn message(into: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: &Body) {
    into.extend(((body.0.len() + 16) as u32).to_ne_bytes());
    into.extend(kind.to_ne_bytes());
    into.extend((REQUEST | flags).to_ne_bytes());
    into.extend(sequence.to_ne_bytes());
    into.extend([0; 4]);
    into.extend(&body.0);
    into.resize(into.len().next_multiple_of(4), 0);
}

fn elements(table: &str, map: &str, all: &[&Element], values: bool) -> Body {
    let mut list = Body::default();
    for element in all {
        let mut one =
            Body::default().nest(SET_ELEM_KEY | NESTED, Body::default().attr(DATA_VALUE, &element.key));
        if values {
            one = one.nest(SET_ELEM_DATA | NESTED, Body::default().attr(DATA_VALUE, &element.value));
        }
        list = list.nest(LIST_ELEM | NESTED, one);
    }
    generic(INET, 0)
        .text(SET_ELEM_LIST_TABLE, table)
        .text(SET_ELEM_LIST_SET, map)
        .nest(SET_ELEM_LIST_ELEMENTS | NESTED, list)
}

fn chunks<'a>(all: &'a [&'a Element]) -> impl Iterator<Item = &'a [&'a Element]> {
    all.chunk_by(|a, b| a.map == b.map).flat_map(|of| of.chunks(CHUNK))
}

/// Takes elements out of maps of `table` and puts others in, all or nothing.
///
/// # Errors
/// The kernel's: `ENOENT` where the table, a map or an element isn't there.
pub fn change(socket: &OwnedFd, table: &str, gone: &[&Element], come: &[&Element]) -> io::Result<()> {
    let gone = chunks(gone).map(|of| (DEL_SET_ELEM, 0, elements(table, of[0].map, of, false)));
    let come = chunks(come).map(|of| (NEW_SET_ELEM, CREATE, elements(table, of[0].map, of, true)));
    transact(socket, &gone.chain(come).collect::<Vec<_>>())
}

/// Sends messages (kind, flags, body) to nftables as one transaction. After a failure the socket holds more
/// answers, and is to be closed. (The kernel waits in that for what was removed to be gone: 10 ms.)
///
/// # Errors
/// The kernel's; nothing has changed then.
pub fn transact(socket: &OwnedFd, messages: &[(u16, u16, Body)]) -> io::Result<()> {
    let (mut batch, mut asked) = (Vec::new(), 1u32);
    message(&mut batch, BATCH_BEGIN, 0, 0, &generic(0, NFTABLES));
    for (kind, flags, body) in messages {
        message(&mut batch, *kind, ACK | flags, asked, body);
        asked += 1;
    }
    message(&mut batch, BATCH_END, 0, asked, &generic(0, NFTABLES));
    send(socket, &batch, SendFlags::empty())?;
    let mut left = messages.len();
    while left > 0 {
        each(socket, |kind, body| {
            if kind == 2 {
                left = left.saturating_sub(1);
                acknowledged(body)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Takes the entries of UDP flows away that `which` picks, by the original destination's port and by who
/// answers: a flow goes on to where it went at first, whatever the rules say by now.
///
/// # Errors
/// The kernel's.
pub fn forget_flows(v6: bool, which: impl Fn(u16, IpAddr) -> bool) -> io::Result<usize> {
    let family = (if v6 { libc::AF_INET6 } else { libc::AF_INET }) as u8;
    let socket = open()?;
    let mut ask = Vec::new();
    message(&mut ask, CT_GET, DUMP, 1, &generic(family, 0));
    send(&socket, &ask, SendFlags::empty())?;
    let (mut found, mut done) = (Vec::new(), false);
    while !done {
        each(&socket, |kind, body| {
            match kind {
                3 => done = true,
                2 => {
                    done = true;
                    acknowledged(body)?;
                }
                CT_NEW => found.extend(flow(body.get(4..).unwrap_or_default(), &which)),
                _ => {}
            }
            Ok(())
        })?;
    }
    for entry in &found {
        let mut ask = Vec::new();
        let body = Body([generic(family, 0).0, entry.clone()].concat());
        message(&mut ask, CT_DELETE, ACK, 2, &body);
        send(&socket, &ask, SendFlags::empty())?;
        each(&socket, |kind, body| if kind == 2 { acknowledged(body) } else { Ok(()) }).or_else(|e| {
            // It went by itself.
            if e.raw_os_error() == Some(libc::ENOENT) { Ok(()) } else { Err(e) }
        })?;
    }
    Ok(found.len())
}

/// What names an entry to the kernel, where it is picked.
fn flow(body: &[u8], which: &impl Fn(u16, IpAddr) -> bool) -> Option<Vec<u8>> {
    let tuple = find(body, CTA_TUPLE_ORIG)?;
    let protocol = find(tuple, CTA_TUPLE_PROTO)?;
    if find(protocol, CTA_PROTO_NUM)? != [libc::IPPROTO_UDP as u8] {
        return None;
    }
    let port: [u8; 2] = find(protocol, CTA_PROTO_DST_PORT)?.try_into().ok()?;
    // Of the answers' addresses the source comes first: CTA_IP_V4_SRC 1, CTA_IP_V6_SRC 3.
    let reply = find(find(body, CTA_TUPLE_REPLY)?, CTA_TUPLE_IP)?;
    let answers: IpAddr = match find(reply, 1) {
        Some(ip) => Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?).into(),
        None => Ipv6Addr::from(<[u8; 16]>::try_from(find(reply, 3)?).ok()?).into(),
    };
    which(u16::from_be_bytes(port), answers).then(|| {
        let named = Body::default().attr(CTA_TUPLE_ORIG | NESTED, tuple);
        find(body, CTA_ID)
            .map_or_else(|| Body(named.0.clone()), |id| Body(named.0.clone()).attr(CTA_ID, id))
            .0
    })
}

/// An attribute's value.
fn find(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    while attributes.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]]));
        let found = u16::from_ne_bytes([attributes[2], attributes[3]]) & 0x3fff;
        let value = attributes.get(4..len)?;
        if found == kind {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
    None
}

fn acknowledged(body: &[u8]) -> io::Result<()> {
    match body.get(..4).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]])) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Opens a socket to netfilter in this thread's namespace.
pub fn open() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?)
}

/// Receives once, and hands on each message's kind and body.
fn each(socket: &OwnedFd, mut take: impl FnMut(u16, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0u8; 64 * 1024];
    let (n, _) = recv(socket, &mut buffer[..], RecvFlags::empty())?;
    let mut rest = &buffer[..n];
    while rest.len() >= 16 {
        let len = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let len = len.clamp(16, rest.len());
        take(u16::from_ne_bytes([rest[4], rest[5]]), &rest[16..len])?;
        rest = &rest[len.next_multiple_of(4).min(rest.len())..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found() {
        let body = Body::default().attr(7, &[1, 2, 3]).nest(9 | NESTED, Body::default().attr(1, &[5]));
        assert_eq!(find(&body.0, 7), Some(&[1, 2, 3][..]));
        assert_eq!(find(find(&body.0, 9).unwrap(), 1), Some(&[5][..]));
        assert_eq!(find(&body.0, 8), None);
        assert_eq!(find(&[4, 0, 1], 1), None);
    }

    #[test]
    fn elements_of_one_map_share_a_message() {
        let of = |map: &'static str| Element { map, key: vec![1], value: vec![2] };
        let all = [of("a"), of("a"), of("b")];
        let all: Vec<&Element> = all.iter().collect();
        assert_eq!(chunks(&all).map(<[_]>::len).collect::<Vec<_>>(), [2, 1]);
    }
}
