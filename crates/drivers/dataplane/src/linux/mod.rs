//! Tenant networks of the kernel's own parts.
//!
//! ```text
//!   <state-dir>/netns/<network>   a namespace:  bridge ── tap ── tap …      (nftables: who may send what)
//!                                   └ service addresses, 169.254.169.254: DHCP, DNS, RA, metadata,
//!                                     served by the daemon on sockets opened in there
//! ```
//! The host's own namespace has no part in it, so tenants' ranges may overlap. A restarted daemon finds
//! the namespaces, opens the sockets again, and disturbs no guest.

mod dhcp;
mod dns;
mod firewall;
mod host;
mod link;
mod metadata;
mod netns;
mod ra;
mod table;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use pileus_base::{
    Error, InstanceId, Result,
    ids::{NetworkId, PortId},
};
use table::Table;
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    task::AbortHandle,
};

pub use netns::path as netns_path;

use crate::{BoxFuture, Dataplane, Metadata, NetworkSpec, PortSpec};

/// How long a connection into a network may take to open.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The driver.
pub struct Linux {
    state_dir: PathBuf,
    instance: InstanceId,
    metadata: Arc<dyn Metadata>,
    networks: Mutex<HashMap<NetworkId, Arc<Network>>>,
    host: host::Host,
}

/// A network that is being served.
struct Network {
    busy: tokio::sync::Mutex<()>,
    table: RwLock<Option<Arc<RwLock<Table>>>>,
    servers: Mutex<Vec<AbortHandle>>,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.servers.lock().iter().for_each(AbortHandle::abort);
    }
}

struct Sockets {
    dhcp: std::net::UdpSocket,
    dns4: std::net::UdpSocket,
    dns6: Option<std::net::UdpSocket>,
    metadata: std::net::TcpListener,
    ra: Option<OwnedFd>,
}

impl Linux {
    /// Opens the driver. Networks are served once they have been ensured.
    ///
    /// # Errors
    /// 500 where the state directory can't be used.
    pub fn open(state_dir: &Path, instance: InstanceId, metadata: Arc<dyn Metadata>) -> Result<Self> {
        let dir = state_dir.join("netns");
        std::fs::create_dir_all(&dir)
            .map_err(|e| Error::wrap(format!("failed to make `{}`", dir.display()), e))?;
        let host = host::Host::open(state_dir, instance.clone());
        Ok(Self { state_dir: state_dir.to_owned(), instance, metadata, networks: Mutex::default(), host })
    }

    fn network(&self, id: NetworkId) -> Arc<Network> {
        let new = || {
            Arc::new(Network {
                busy: tokio::sync::Mutex::default(),
                table: RwLock::default(),
                servers: Mutex::default(),
            })
        };
        self.networks.lock().entry(id).or_insert_with(new).clone()
    }

    fn path(&self, id: NetworkId) -> PathBuf {
        netns::path(&self.state_dir, id)
    }

    fn bridge(&self, id: NetworkId) -> String {
        self.instance.link('b', id.0)
    }

    fn tap(&self, id: PortId) -> String {
        self.instance.link('t', id.0)
    }

    async fn ensure(&self, spec: &NetworkSpec) -> Result<()> {
        let network = self.network(spec.id);
        let _busy = network.busy.lock().await;
        let path = self.path(spec.id);
        let stands = netns::pinned(&path);
        if !stands {
            netns::create(path.clone()).await?;
        }
        let (bridge, wanted) = (self.bridge(spec.id), spec.clone());
        let known = network.table.read().clone().filter(|_| stands);
        let serve = known.is_none();
        let name = bridge.clone();
        let sockets = netns::run(path, move || {
            link::ensure_bridge(&name, &wanted)?;
            if serve { open(&name).map(Some) } else { Ok(None) }
        });
        let sockets = sockets.await?;
        match (known, sockets) {
            (Some(table), _) => table.write().network = spec.clone(),
            (None, Some(sockets)) => {
                let table = Arc::new(RwLock::new(Table { network: spec.clone(), ports: HashMap::new() }));
                self.serve(&network, spec.id, sockets, &table)?;
                *network.table.write() = Some(table);
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn serve(&self, network: &Network, id: NetworkId, s: Sockets, table: &Arc<RwLock<Table>>) -> Result<()> {
        let failed = |e| Error::wrap("failed to serve a network", e);
        let mut servers = network.servers.lock();
        servers.drain(..).for_each(|h| h.abort());
        let mut start = |task: tokio::task::JoinHandle<()>| servers.push(task.abort_handle());
        start(tokio::spawn(dhcp::serve(UdpSocket::from_std(s.dhcp).map_err(failed)?, table.clone())));
        start(tokio::spawn(dns::serve(UdpSocket::from_std(s.dns4).map_err(failed)?, table.clone())));
        if let Some(dns6) = s.dns6 {
            start(tokio::spawn(dns::serve(UdpSocket::from_std(dns6).map_err(failed)?, table.clone())));
        }
        if let Some(ra) = s.ra {
            start(tokio::spawn(ra::serve(ra, table.clone())));
        }
        let listener = TcpListener::from_std(s.metadata).map_err(failed)?;
        start(tokio::spawn(metadata::serve(listener, id, self.metadata.clone())));
        Ok(())
    }

    fn table(&self, id: NetworkId) -> Result<Arc<RwLock<Table>>> {
        let known = self.networks.lock().get(&id).and_then(|n| n.table.read().clone());
        known.ok_or_else(|| Error::conflict(format!("the network {id} is not there")))
    }

    /// Applies a change of the ports to the table and the rules.
    async fn change(
        &self,
        network: NetworkId,
        change: impl FnOnce(&mut Table),
        links: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let table = self.table(network)?;
        let held = self.network(network);
        let _busy = held.busy.lock().await;
        change(&mut table.write());
        let ports: Vec<_> = table.read().ports.values().map(|p| (self.tap(p.id), p.clone())).collect();
        netns::run(self.path(network), move || {
            links()?;
            firewall::load(ports.iter().map(|(tap, port)| (tap.clone(), port)))
        })
        .await
    }
}

/// Opens a network's sockets in this thread's namespace.
fn open(bridge: &str) -> Result<Sockets> {
    let failed = |what: &'static str| {
        move |e: std::io::Error| Error::wrap(format!("failed to open the {what} socket"), e)
    };
    let udp = |at: SocketAddr, what| -> Result<std::net::UdpSocket> {
        let socket = std::net::UdpSocket::bind(at).map_err(failed(what))?;
        socket.set_nonblocking(true).map_err(failed(what))?;
        Ok(socket)
    };
    let dhcp = udp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 67)), "DHCP")?;
    dhcp.set_broadcast(true).map_err(failed("DHCP"))?;
    rustix::net::sockopt::set_socket_reuseaddr(&dhcp, true).map_err(|e| failed("DHCP")(e.into()))?;
    // Broadcasts have no route to say where they go: the device does.
    bind_device(&dhcp, bridge).map_err(failed("DHCP"))?;
    let dns4 = udp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 53)), "DNS")?;
    let dns6 = dns6().ok();
    let at = SocketAddr::from((Ipv4Addr::new(169, 254, 169, 254), 80));
    let metadata = std::net::TcpListener::bind(at).map_err(failed("metadata"))?;
    metadata.set_nonblocking(true).map_err(failed("metadata"))?;
    Ok(Sockets { dhcp, dns4, dns6, metadata, ra: ra::socket(bridge).ok() })
}

/// DNS over IPv6 beside the IPv4 socket; a kernel without IPv6 has none.
fn dns6() -> std::io::Result<std::net::UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(AddressFamily::INET6, SocketType::DGRAM, flags, None)?;
    sockopt::set_ipv6_v6only(&fd, true)?;
    bind(&fd, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, 53)))?;
    Ok(fd.into())
}

fn bind_device(socket: &std::net::UdpSocket, device: &str) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    let len = libc::socklen_t::try_from(device.len()).unwrap_or(0);
    // SAFETY: the name lives through the call and is as long as said.
    let rc = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            device.as_ptr().cast(),
            len,
        )
    };
    if rc < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

impl Dataplane for Linux {
    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.ensure(spec))
    }

    fn remove_network(&self, id: NetworkId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let network = self.network(id);
            let _busy = network.busy.lock().await;
            network.servers.lock().drain(..).for_each(|h| h.abort());
            network.table.write().take();
            let path = self.path(id);
            if netns::pinned(&path) {
                // The namespace may live on in a process that holds it; its links shall not.
                let bridge = self.bridge(id);
                let emptied = netns::run(path.clone(), move || link::ip(&format!("link del dev {bridge}\n")));
                if let Err(e) = emptied.await {
                    tracing::debug!(error = e.chain(), "a bridge was gone already");
                }
            }
            netns::remove(&path)?;
            self.networks.lock().remove(&id);
            Ok(())
        })
    }

    fn networks(&self) -> BoxFuture<'_, Result<Vec<NetworkId>>> {
        Box::pin(async move {
            let dir = self.state_dir.join("netns");
            let failed = |e| Error::wrap(format!("failed to read `{}`", dir.display()), e);
            let entries = std::fs::read_dir(&dir).map_err(failed)?.flatten();
            let standing = entries.filter(|e| netns::pinned(&e.path()));
            Ok(standing.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
        })
    }

    fn ensure_port<'a>(&'a self, spec: &'a PortSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (bridge, tap) = (self.bridge(spec.network), self.tap(spec.id));
            let mtu = self.table(spec.network)?.read().network.mtu;
            let (up, port) = (spec.admin_up, spec.clone());
            self.change(
                spec.network,
                |table| {
                    table.ports.insert(port.id, port);
                },
                move || link::ensure_tap(&bridge, &tap, mtu, up),
            )
            .await
        })
    }

    fn remove_port(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if !netns::pinned(&self.path(network)) {
                return Ok(());
            }
            let tap = self.tap(port);
            if self.table(network).is_err() {
                // Not served since the daemon started: there is nothing but the tap.
                return netns::run(self.path(network), move || link::remove_tap(&tap)).await;
            }
            let removed = |table: &mut Table| {
                table.ports.remove(&port);
            };
            self.change(network, removed, move || link::remove_tap(&tap)).await
        })
    }

    fn ports(&self, network: NetworkId) -> BoxFuture<'_, Result<Vec<PortId>>> {
        let known = self.table(network).map(|t| t.read().ports.keys().copied().collect()).unwrap_or_default();
        Box::pin(async move { Ok(known) })
    }

    fn open_tap(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<Option<OwnedFd>>> {
        let tap = self.tap(port);
        Box::pin(async move { netns::run(self.path(network), move || link::open_tap(&tap).map(Some)).await })
    }

    fn dial(&self, network: NetworkId, to: IpAddr, port: u16) -> BoxFuture<'_, Result<TcpStream>> {
        Box::pin(async move {
            let stream = netns::run(self.path(network), move || {
                let failed = |e| Error::unavailable(format!("{to}:{port} does not answer")).caused_by(e);
                let stream =
                    std::net::TcpStream::connect_timeout(&(to, port).into(), DIAL_TIMEOUT).map_err(failed)?;
                stream.set_nonblocking(true).map_err(failed)?;
                Ok(stream)
            });
            let stream = stream.await?;
            TcpStream::from_std(stream).map_err(|e| Error::wrap("failed to use a connection", e))
        })
    }
}
