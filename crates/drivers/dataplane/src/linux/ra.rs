//! Router advertisements (RFC 4861): guests make IPv6 addresses of the prefixes that a network advertises.

use std::{
    net::{IpAddr, Ipv6Addr},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use parking_lot::RwLock;
use pileus_base::{Error, Result};
use tokio::io::unix::AsyncFd;

use super::table::Table;

/// How often an advertisement goes out unasked.
const EVERY: Duration = Duration::from_secs(30);
/// How long guests may keep what it says, in seconds.
const LIFETIME_S: u32 = 86_400;
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;

/// A raw ICMPv6 socket on `bridge`, in this thread's namespace, that hears solicitations.
pub fn socket(bridge: &str) -> Result<OwnedFd> {
    let failed =
        || Error::wrap("failed to open a socket for router advertisements", std::io::Error::last_os_error());
    // SAFETY: plain socket calls; each option's pointer and length are those of a value that lives through
    // the call; the descriptor is owned from the moment it is known to be one.
    unsafe {
        let raw = libc::socket(
            libc::AF_INET6,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            libc::IPPROTO_ICMPV6,
        );
        if raw < 0 {
            return Err(failed());
        }
        let fd = OwnedFd::from_raw_fd(raw);
        let set = |level: libc::c_int, name: libc::c_int, value: *const libc::c_void, len: usize| {
            let len = libc::socklen_t::try_from(len).unwrap_or(0);
            if libc::setsockopt(raw, level, name, value, len) < 0 { Err(failed()) } else { Ok(()) }
        };
        set(libc::SOL_SOCKET, libc::SO_BINDTODEVICE, bridge.as_ptr().cast(), bridge.len())?;
        let hops: libc::c_int = 255;
        let size = std::mem::size_of::<libc::c_int>();
        set(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, (&raw const hops).cast(), size)?;
        set(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, (&raw const hops).cast(), size)?;
        let name = std::ffi::CString::new(bridge).map_err(|e| Error::wrap("a bridge's name has a NUL", e))?;
        let group = libc::ipv6_mreq {
            ipv6mr_multiaddr: libc::in6_addr { s6_addr: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2).octets() },
            ipv6mr_interface: libc::if_nametoindex(name.as_ptr()),
        };
        set(
            libc::IPPROTO_IPV6,
            libc::IPV6_ADD_MEMBERSHIP,
            (&raw const group).cast(),
            std::mem::size_of_val(&group),
        )?;
        Ok(fd)
    }
}

/// Advertises until the task is ended.
pub async fn serve(fd: OwnedFd, table: Arc<RwLock<Table>>) {
    // SAFETY: an OwnedFd stays the same open descriptor for as long as it lives.
    let Ok(fd) = (unsafe { AsyncFd::register(fd) }) else { return };
    loop {
        advertise(fd.get_ref(), &table);
        let heard = async {
            loop {
                let Ok(mut ready) = fd.readable().await else { return std::future::pending().await };
                let mut buffer = [0u8; 1500];
                let got = ready.try_io(|fd| rustix::io::read(fd, &mut buffer).map_err(Into::into));
                if matches!(got, Ok(Ok(n)) if n > 0 && buffer[0] == SOLICITATION) {
                    return;
                }
            }
        };
        // Either a guest asks or it is time; both end in an advertisement.
        let _ = tokio::time::timeout(EVERY, heard).await;
    }
}

fn advertise(fd: &OwnedFd, table: &RwLock<Table>) {
    let Some(packet) = packet(&table.read()) else { return };
    // SAFETY: the address is a plain value of the length given; the buffer lives through the call.
    unsafe {
        let mut to: libc::sockaddr_in6 = std::mem::zeroed();
        to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
        to.sin6_addr.s6_addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets();
        let len = libc::socklen_t::try_from(std::mem::size_of_val(&to)).unwrap_or(0);
        libc::sendto(fd.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0, (&raw const to).cast(), len);
    }
}

/// The advertisement; `None` where no subnet is advertised. The kernel fills in the checksum.
fn packet(table: &Table) -> Option<Vec<u8>> {
    let advertised: Vec<_> = table.network.subnets.iter().filter(|s| s.advertise || s.managed).collect();
    if advertised.is_empty() {
        return None;
    }
    let managed = advertised.iter().any(|s| s.managed);
    let flags = if managed { 0xc0 } else { 0 };
    // No default route through us (lifetime 0): a router's own advertisement gives that.
    let mut out = vec![ADVERTISEMENT, 0, 0, 0, 64, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    out.extend([1, 1]);
    out.extend(table.network.service_mac.0);
    out.extend([5, 1, 0, 0]);
    out.extend(table.network.mtu.to_be_bytes());
    for subnet in &advertised {
        let IpNet::V6(prefix) = subnet.cidr else { continue };
        // On-link, and autonomous where guests are to make their own addresses.
        let flags = if subnet.advertise && !subnet.managed { 0xc0 } else { 0x80 };
        out.extend([3, 4, prefix.prefix_len(), flags]);
        out.extend(LIFETIME_S.to_be_bytes());
        out.extend(LIFETIME_S.to_be_bytes());
        out.extend([0; 4]);
        out.extend(prefix.network().octets());
        for dns in subnet.dns.iter().chain(&subnet.service_ip) {
            if let IpAddr::V6(dns) = dns {
                out.extend([25, 3, 0, 0]);
                out.extend(LIFETIME_S.to_be_bytes());
                out.extend(dns.octets());
            }
        }
    }
    Some(out)
}
