//! Tenant networks: a [`Dataplane`] of a few verbs; `linux` makes them of the kernel's parts, `sim` notes
//! only that they exist.

mod bridges;
pub mod linux;
pub mod sim;
mod spec;

use std::{future::Future, net::IpAddr, os::fd::OwnedFd, pin::Pin};

use pileus_base::{
    Result,
    ids::{NetworkId, PortId},
};
use tokio::net::TcpStream;

pub use bridges::{
    BridgeSpec, Bridges, EndpointSpec, Gateway, IpvlanMode, MacvlanMode, Names, Plug, PublishedPort,
};
pub use spec::{Mac, MetadataAnswer, MetadataQuery, NetworkSpec, PortSpec, SubnetSpec};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who answers guests' metadata requests.
pub trait Metadata: Send + Sync + 'static {
    /// The answer to `query`.
    fn answer(&self, query: MetadataQuery) -> BoxFuture<'_, MetadataAnswer>;
}

/// A driver of tenant networks. Specs say what is wanted, whole, each time.
pub trait Dataplane: Send + Sync + 'static {
    /// Brings a network about, and serves it.
    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<()>>;
    /// Takes a network away, ports and all.
    fn remove_network(&self, id: NetworkId) -> BoxFuture<'_, Result<()>>;
    /// Networks that exist.
    fn networks(&self) -> BoxFuture<'_, Result<Vec<NetworkId>>>;
    /// Brings a port about on its network, which must have been ensured.
    fn ensure_port<'a>(&'a self, spec: &'a PortSpec) -> BoxFuture<'a, Result<()>>;
    /// Takes a port away.
    fn remove_port(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<()>>;
    /// Ports that have been ensured on a network.
    fn ports(&self, network: NetworkId) -> BoxFuture<'_, Result<Vec<PortId>>>;
    /// A port's tap, for a hypervisor. One holder at a time.
    fn open_tap(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<Option<OwnedFd>>>;
    /// A TCP connection inside a network, from its own address.
    fn dial(&self, network: NetworkId, to: IpAddr, port: u16) -> BoxFuture<'_, Result<TcpStream>>;
}
