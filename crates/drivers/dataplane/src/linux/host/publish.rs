//! Published ports: each is held by a socket of the daemon, so that no other program takes it, while the
//! rules lead packets past that socket. An IPv4 socket never listens. An IPv6 one does: what comes from
//! `::1`, or is for a container without IPv6, is carried over by the daemon (datagrams: `datagrams.rs`).

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
};

use pileus_base::{Error, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};
use tokio::{net::TcpListener, task::AbortHandle};

use super::{Host, blocking, datagrams, failed, nfnetlink::forget_flows, rules};
use crate::bridges::PublishedPort;

/// Where ports that are chosen begin.
const FIRST: u16 = 32768;
/// And end.
const LAST: u16 = 60999;

/// A port that is held.
pub struct Held {
    port: PublishedPort,
    _socket: Option<OwnedFd>,
    proxy: Option<AbortHandle>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(proxy) = &self.proxy {
            proxy.abort();
        }
    }
}

/// Whether two would take the same packets.
fn collide(a: &PublishedPort, b: &PublishedPort) -> bool {
    a.protocol == b.protocol
        && a.host_port == b.host_port
        && a.host_ip.is_ipv4() == b.host_ip.is_ipv4()
        && (a.host_ip == b.host_ip || a.host_ip.is_unspecified() || b.host_ip.is_unspecified())
}

fn external(why: &str) -> String {
    format!("driver failed programming external connectivity on endpoint: {why}")
}

/// Whether the kernel doesn't know the protocol: SCTP is not everywhere.
fn lacks(e: &std::io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT))
}

/// As the reference says it, whose proxy finds out.
fn unsupported() -> Error {
    Error::internal(external("Error starting userland proxy: protocol not supported"))
}

impl Host {
    pub(super) async fn publish(
        &self,
        container: &str,
        wanted: &[PublishedPort],
    ) -> Result<Vec<PublishedPort>> {
        for port in wanted {
            if !matches!(port.protocol.as_str(), "tcp" | "udp" | "sctp") {
                return Err(Error::bad_request(format!("invalid proto: {}", port.protocol)));
            }
        }
        let mut loaded = self.loaded.lock().await;
        let mut former = self.held.lock().remove(container).unwrap_or_default();
        let mut held: Vec<Held> = Vec::new();
        for port in wanted {
            let same = |h: &Held| {
                let chosen = port.host_port == 0 || h.port.host_port == port.host_port;
                chosen
                    && PublishedPort { host_port: 0, ..h.port.clone() }
                        == PublishedPort { host_port: 0, ..port.clone() }
            };
            let found = match former.iter().position(same) {
                Some(at) => Ok(former.swap_remove(at)),
                None => {
                    // What this container held under that number before is let go of first.
                    former.retain(|h| !collide(&h.port, port));
                    self.hold(container, port, &held)
                }
            };
            match found {
                Ok(one) => held.push(one),
                Err(e) => {
                    // All or nothing: what held before is published still.
                    held.retain(|h| self.published(container, &h.port));
                    held.extend(former);
                    self.held.lock().insert(container.to_owned(), held);
                    return Err(e);
                }
            }
        }
        let before: Vec<PublishedPort> = former.into_iter().map(|h| h.port.clone()).collect();
        let ports: Vec<PublishedPort> = held.iter().map(|h| h.port.clone()).collect();
        {
            let mut known = self.known.lock();
            match ports.is_empty() {
                true => known.ports.remove(container),
                false => known.ports.insert(container.to_owned(), ports.clone()),
            };
        }
        self.held.lock().insert(container.to_owned(), held);
        if let Err(e) = self.apply(&mut loaded).await {
            self.held.lock().remove(container);
            self.known.lock().ports.remove(container);
            return Err(e);
        }
        // A flow that began before the port was published would go on past it.
        forget(before.iter().chain(&ports).filter(|p| p.protocol == "udp").cloned().collect()).await;
        Ok(ports)
    }

    pub(super) async fn unpublish(&self, container: &str) -> Result<()> {
        let mut loaded = self.loaded.lock().await;
        self.held.lock().remove(container);
        let gone = self.known.lock().ports.remove(container);
        if let Some(ports) = gone {
            self.apply(&mut loaded).await?;
            forget(ports.into_iter().filter(|p| p.protocol == "udp").collect()).await;
        }
        Ok(())
    }

    fn published(&self, container: &str, port: &PublishedPort) -> bool {
        self.known.lock().ports.get(container).is_some_and(|all| all.contains(port))
    }

    /// Whether another container, or this one just now, has the port.
    fn taken(&self, container: &str, port: &PublishedPort, now: &[Held]) -> bool {
        let known = self.known.lock();
        let others = known.ports.iter().filter(|(c, _)| *c != container).flat_map(|(_, ports)| ports);
        others.chain(now.iter().map(|h| &h.port)).any(|p| p.host_port != 0 && collide(p, port))
    }

    fn hold(&self, container: &str, port: &PublishedPort, now: &[Held]) -> Result<Held> {
        if rules::routed(&self.known.lock(), port.to) {
            // Reached at the container's own address: the host has no port for it.
            let port = PublishedPort { host_port: 0, ..port.clone() };
            return Ok(Held { port, _socket: None, proxy: None });
        }
        if port.host_port != 0 {
            let at = SocketAddr::new(port.host_ip, port.host_port);
            if self.taken(container, port, now) {
                let why = format!("Bind for {at} failed: port is already allocated");
                return Err(Error::conflict(external(&why)));
            }
            return reserve(port).map_err(|e| {
                if lacks(&e) {
                    return unsupported();
                }
                let to = SocketAddr::new(port.to, port.port);
                let reason = match e.raw_os_error() {
                    Some(libc::EADDRINUSE) => "address already in use".to_owned(),
                    Some(libc::EADDRNOTAVAIL) => "cannot assign requested address".to_owned(),
                    _ => e.to_string(),
                };
                let protocol = &port.protocol;
                let why = format!("failed to bind host port for {at}:{to}/{protocol}: {reason}");
                Error::conflict(external(&why)).caused_by(e)
            });
        }
        // The other family's port for the same purpose is tried first: both then bear one number.
        let twin = now.iter().map(|h| &h.port).filter(|p| p.protocol == port.protocol && p.port == port.port);
        for number in twin.map(|p| p.host_port).chain(FIRST..=LAST) {
            let tried = PublishedPort { host_port: number, ..port.clone() };
            if self.taken(container, &tried, now) {
                continue;
            }
            match reserve(&tried) {
                Ok(held) => return Ok(held),
                Err(e) if e.raw_os_error() == Some(libc::EADDRINUSE) => {}
                Err(e) if lacks(&e) => return Err(unsupported()),
                Err(e) => {
                    let why = format!("failed to bind host port for {}: {e}", port.host_ip);
                    return Err(Error::conflict(external(&why)).caused_by(e));
                }
            }
        }
        Err(Error::conflict(external("all ports are allocated")))
    }
}

/// Ends the UDP flows of these ports: the kernel keeps each on its former way as long as packets come.
async fn forget(ports: Vec<PublishedPort>) {
    if ports.is_empty() {
        return;
    }
    let done = blocking(move || {
        for v6 in [false, true] {
            let of: Vec<&PublishedPort> = ports.iter().filter(|p| p.host_ip.is_ipv6() == v6).collect();
            if of.is_empty() {
                continue;
            }
            let picked = |port: u16, answers: IpAddr| {
                of.iter().any(|p| {
                    let ours = answers == p.to || answers == p.host_ip || p.host_ip.is_unspecified();
                    port == p.host_port && ours
                })
            };
            forget_flows(v6, picked).map_err(failed("failed to end flows of a port"))?;
        }
        Ok(())
    });
    if let Err(e) = done.await {
        tracing::debug!(error = e.chain(), "flows of a port go on");
    }
}

fn reserve(port: &PublishedPort) -> std::io::Result<Held> {
    let kind = match port.protocol.as_str() {
        "tcp" => SocketType::STREAM,
        "udp" => SocketType::DGRAM,
        _ => SocketType::STREAM,
    };
    let sctp = port.protocol == "sctp";
    let v6 = port.host_ip.is_ipv6();
    let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let protocol = sctp.then_some(ipproto::SCTP);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, protocol)?;
    let carried = v6 || port.to.is_ipv6();
    if v6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if carried && kind == SocketType::STREAM {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddr::new(port.host_ip, port.host_port))?;
    // SCTP has no carrier: its associations know both ends' addresses.
    if !carried || sctp {
        return Ok(Held { port: port.clone(), _socket: Some(socket), proxy: None });
    }
    if kind == SocketType::DGRAM {
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        let task = tokio::spawn(datagrams::carry(socket, SocketAddr::new(port.to, port.port)));
        return Ok(Held { port: port.clone(), _socket: None, proxy: Some(task.abort_handle()) });
    }
    listen(&socket, 128)?;
    let listener = TcpListener::from_std(socket.into())?;
    let task = tokio::spawn(carry(listener, port.to, port.port));
    Ok(Held { port: port.clone(), _socket: None, proxy: Some(task.abort_handle()) })
}

/// Carries connections to a container until the task is ended; those that are open go on.
async fn carry(listener: TcpListener, to: IpAddr, port: u16) {
    loop {
        let Ok((mut from, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(async move {
            if let Ok(mut stream) = tokio::net::TcpStream::connect((to, port)).await {
                // Either side may end it at any time.
                let _ = tokio::io::copy_bidirectional(&mut from, &mut stream).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_collide_by_address_and_family() {
        let port = |ip: &str, n| PublishedPort {
            protocol: "tcp".into(),
            host_ip: ip.parse().unwrap(),
            host_port: n,
            to: "172.18.0.2".parse().unwrap(),
            port: 80,
        };
        assert!(collide(&port("0.0.0.0", 80), &port("127.0.0.1", 80)));
        assert!(!collide(&port("127.0.0.2", 80), &port("127.0.0.1", 80)));
        assert!(!collide(&port("::", 80), &port("0.0.0.0", 80)));
        assert!(!collide(&port("0.0.0.0", 81), &port("0.0.0.0", 80)));
    }
}
