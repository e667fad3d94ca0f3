//! The simulated host, with consoles that answer: what is written to them comes back, behind a greeting.

use std::{net::IpAddr, path::Path, sync::Arc};

use pileus_agent::Agent;
use pileus_base::{
    Result,
    ids::{NetworkId, PortId, ServerId},
};
use pileus_host::{
    BoxFuture, DiskSpec, Host, HostEvent, HostFacts, ImageFacts, ImageFile, NetworkSpec, PortSpec,
    ServerSpec, ServerStatus, Stop, Stream,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::broadcast,
};

/// Passes everything on but the consoles.
pub struct Echoing(pub Arc<Agent>);

/// What a console says first.
pub const SERIAL: &[u8] = b"login: \xff";
/// RFB's own greeting.
pub const SCREEN: &[u8] = b"RFB 003.008\n";

fn console(greeting: &'static [u8]) -> BoxFuture<'static, Result<Box<dyn Stream>>> {
    Box::pin(async move {
        let (ours, mut theirs) = tokio::io::duplex(64);
        tokio::spawn(async move {
            theirs.write_all(greeting).await.unwrap();
            let mut buffer = [0; 512];
            while let Ok(n @ 1..) = theirs.read(&mut buffer).await {
                if buffer[..n].contains(&b'!') || theirs.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        });
        Ok(Box::new(ours) as Box<dyn Stream>)
    })
}

#[rustfmt::skip]
impl Host for Echoing {
    fn serial(&self, _: ServerId) -> BoxFuture<'_, Result<Box<dyn Stream>>> { console(SERIAL) }
    fn vnc(&self, _: ServerId) -> BoxFuture<'_, Result<Box<dyn Stream>>> { console(SCREEN) }

    fn facts(&self) -> BoxFuture<'_, Result<HostFacts>> { self.0.facts() }
    fn inspect_image<'a>(&'a self, p: &'a Path, f: &'a str) -> BoxFuture<'a, Result<ImageFacts>> { self.0.inspect_image(p, f) }
    fn ensure_disk<'a>(&'a self, spec: &'a DiskSpec) -> BoxFuture<'a, Result<()>> { self.0.ensure_disk(spec) }
    fn remove_disks(&self, server: ServerId) -> BoxFuture<'_, Result<()>> { self.0.remove_disks(server) }
    fn disk_owners(&self) -> BoxFuture<'_, Result<Vec<ServerId>>> { self.0.disk_owners() }
    fn prune_images<'a>(&'a self, keep: &'a [ImageFile]) -> BoxFuture<'a, Result<()>> { self.0.prune_images(keep) }
    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<()>> { self.0.ensure_network(spec) }
    fn remove_network(&self, network: NetworkId) -> BoxFuture<'_, Result<()>> { self.0.remove_network(network) }
    fn networks(&self) -> BoxFuture<'_, Result<Vec<NetworkId>>> { self.0.networks() }
    fn ensure_port<'a>(&'a self, spec: &'a PortSpec) -> BoxFuture<'a, Result<()>> { self.0.ensure_port(spec) }
    fn remove_port(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<()>> { self.0.remove_port(network, port) }
    fn ports(&self, network: NetworkId) -> BoxFuture<'_, Result<Vec<PortId>>> { self.0.ports(network) }
    fn dial(&self, n: NetworkId, to: IpAddr, port: u16) -> BoxFuture<'_, Result<Box<dyn Stream>>> { self.0.dial(n, to, port) }
    fn ensure_server<'a>(&'a self, spec: &'a ServerSpec) -> BoxFuture<'a, Result<()>> { self.0.ensure_server(spec) }
    fn stop_server(&self, server: ServerId, how: Stop) -> BoxFuture<'_, Result<()>> { self.0.stop_server(server, how) }
    fn reset_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> { self.0.reset_server(server) }
    fn pause_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> { self.0.pause_server(server) }
    fn unpause_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> { self.0.unpause_server(server) }
    fn suspend_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> { self.0.suspend_server(server) }
    fn resume_server<'a>(&'a self, spec: &'a ServerSpec) -> BoxFuture<'a, Result<()>> { self.0.resume_server(spec) }
    fn remove_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> { self.0.remove_server(server) }
    fn server(&self, server: ServerId) -> BoxFuture<'_, Result<ServerStatus>> { self.0.server(server) }
    fn servers(&self) -> BoxFuture<'_, Result<Vec<(ServerId, ServerStatus)>>> { self.0.servers() }
    fn console_log(&self, server: ServerId, lines: Option<usize>) -> BoxFuture<'_, Result<Vec<u8>>> { self.0.console_log(server, lines) }
    fn events(&self) -> broadcast::Receiver<HostEvent> { self.0.events() }
}
