//! What a host can be asked.
//!
//! Services see this crate and never the agent or its drivers: in one process a verb is a direct call,
//! over several it becomes an RPC, and nothing above notices. Specs say what is wanted, whole, each time;
//! `ensure_x` brings it about and `remove_x` takes it away, both without complaint when done twice.
//!
//! Crash behaviour: every verb may be cut off at any point and called again.

#![forbid(unsafe_code)]

mod bridges;
mod containers;
mod disks;
mod layers;
mod metadata;
mod networks;
pub mod pipe;
mod servers;

use std::{future::Future, net::IpAddr, path::Path, pin::Pin};

use pileus_base::{
    Result,
    ids::{NetworkId, PortId, ServerId},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::broadcast,
};

pub use bridges::{
    BridgeSpec, Bridges, EndpointSpec, Gateway, IpvlanMode, MacvlanMode, Names, Plug, PublishedPort,
    resolvers,
};
pub use containers::{
    ContainerSpec, ContainerState, ContainerStats, Containers, ExecSpec, LogKind, LogSpec, Rootfs, Wanted,
};
pub use disks::{DiskSource, DiskSpec, ImageFacts, ImageFile};
pub use layers::{AppliedLayer, Change, Layers, PathStat, Reader, Seen, TreeMount};
pub use metadata::{MetadataAnswer, MetadataQuery, MetadataSource};
pub use networks::{DhcpOption, Ipv6Mode, NetworkSpec, PortSpec, SubnetSpec};
pub use servers::{
    DiskAttachment, HostEvent, HostFacts, Machine, NicSpec, Power, ServerEvent, ServerSpec, ServerStatus,
    Stop,
};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A byte stream to something inside the host: a console, a connection into a tenant's network.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One host.
pub trait Host: Send + Sync + 'static {
    /// What it is and has.
    fn facts(&self) -> BoxFuture<'_, Result<HostFacts>>;

    /// Examines an uploaded disk image. It must be of `format`, refer to nothing outside itself, and be
    /// readable by bounded means.
    ///
    /// # Errors
    /// 400 that says what is wrong with it.
    fn inspect_image<'a>(&'a self, path: &'a Path, format: &'a str) -> BoxFuture<'a, Result<ImageFacts>>;
    /// Makes a server's disk.
    fn ensure_disk<'a>(&'a self, spec: &'a DiskSpec) -> BoxFuture<'a, Result<()>>;
    /// Removes all disks of a server.
    fn remove_disks(&self, server: ServerId) -> BoxFuture<'_, Result<()>>;
    /// Servers that have disks here.
    fn disk_owners(&self) -> BoxFuture<'_, Result<Vec<ServerId>>>;
    /// Drops prepared images but those in `keep`.
    fn prune_images<'a>(&'a self, keep: &'a [ImageFile]) -> BoxFuture<'a, Result<()>>;

    /// Brings a tenant network about: its namespace, bridge, DHCP, DNS, metadata.
    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<()>>;
    /// Takes a tenant network away.
    fn remove_network(&self, network: NetworkId) -> BoxFuture<'_, Result<()>>;
    /// Networks that exist here.
    fn networks(&self) -> BoxFuture<'_, Result<Vec<NetworkId>>>;
    /// Brings a port about on its network, which must exist.
    fn ensure_port<'a>(&'a self, spec: &'a PortSpec) -> BoxFuture<'a, Result<()>>;
    /// Takes a port away.
    fn remove_port(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<()>>;
    /// Ports that exist here on `network`.
    fn ports(&self, network: NetworkId) -> BoxFuture<'_, Result<Vec<PortId>>>;
    /// Opens a TCP connection inside a tenant network, from the network's own address.
    fn dial(&self, network: NetworkId, to: IpAddr, port: u16) -> BoxFuture<'_, Result<Box<dyn Stream>>>;

    /// Starts a server, or adopts it where it runs already. Its disks, networks and ports must exist.
    fn ensure_server<'a>(&'a self, spec: &'a ServerSpec) -> BoxFuture<'a, Result<()>>;
    /// Stops a server; done when it is off.
    fn stop_server(&self, server: ServerId, how: Stop) -> BoxFuture<'_, Result<()>>;
    /// Presses the reset button.
    fn reset_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>>;
    /// Freezes the processors.
    fn pause_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>>;
    /// Lets them run again.
    fn unpause_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>>;
    /// Saves memory to disk and frees it.
    fn suspend_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>>;
    /// Starts a suspended server where it left off.
    fn resume_server<'a>(&'a self, spec: &'a ServerSpec) -> BoxFuture<'a, Result<()>>;
    /// Ends a server at once and forgets it; its disks stay.
    fn remove_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>>;
    /// How a server is.
    fn server(&self, server: ServerId) -> BoxFuture<'_, Result<ServerStatus>>;
    /// Every server the host knows.
    fn servers(&self) -> BoxFuture<'_, Result<Vec<(ServerId, ServerStatus)>>>;
    /// The console's output: the last `lines`, or all that is kept.
    fn console_log(&self, server: ServerId, lines: Option<usize>) -> BoxFuture<'_, Result<Vec<u8>>>;
    /// The serial console.
    fn serial(&self, server: ServerId) -> BoxFuture<'_, Result<Box<dyn Stream>>>;
    /// The screen, as VNC.
    fn vnc(&self, server: ServerId) -> BoxFuture<'_, Result<Box<dyn Stream>>>;

    /// What happens by itself. Lossy: a hint to look again, never the truth.
    fn events(&self) -> broadcast::Receiver<HostEvent>;
}

/// A host that runs containers too.
pub trait ContainerHost: Host + Containers + Layers + Bridges {}
impl<T: Host + Containers + Layers + Bridges> ContainerHost for T {}
