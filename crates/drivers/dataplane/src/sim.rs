//! Networks that only exist by name: for simulated servers. They are forgotten with the program and
//! ensured again by who wants them.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    os::fd::OwnedFd,
};

use parking_lot::Mutex;
use pileus_base::{
    Error, Result,
    ids::{NetworkId, PortId},
};
use tokio::net::TcpStream;

use crate::{BoxFuture, Dataplane, NetworkSpec, PortSpec};

/// The simulator.
#[derive(Default)]
pub struct Sim(Mutex<HashMap<NetworkId, HashSet<PortId>>>);

impl Dataplane for Sim {
    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<()>> {
        self.0.lock().entry(spec.id).or_default();
        Box::pin(async { Ok(()) })
    }
    fn remove_network(&self, id: NetworkId) -> BoxFuture<'_, Result<()>> {
        self.0.lock().remove(&id);
        Box::pin(async { Ok(()) })
    }
    fn networks(&self) -> BoxFuture<'_, Result<Vec<NetworkId>>> {
        let all = self.0.lock().keys().copied().collect();
        Box::pin(async move { Ok(all) })
    }
    fn ensure_port<'a>(&'a self, spec: &'a PortSpec) -> BoxFuture<'a, Result<()>> {
        let done = match self.0.lock().get_mut(&spec.network) {
            Some(ports) => {
                ports.insert(spec.id);
                Ok(())
            }
            None => Err(Error::conflict(format!("the network {} is not there", spec.network))),
        };
        Box::pin(async move { done })
    }
    fn remove_port(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<()>> {
        if let Some(ports) = self.0.lock().get_mut(&network) {
            ports.remove(&port);
        }
        Box::pin(async { Ok(()) })
    }
    fn ports(&self, network: NetworkId) -> BoxFuture<'_, Result<Vec<PortId>>> {
        let all = self.0.lock().get(&network).map(|p| p.iter().copied().collect()).unwrap_or_default();
        Box::pin(async move { Ok(all) })
    }
    fn open_tap(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<Option<OwnedFd>>> {
        let there = self.0.lock().get(&network).is_some_and(|p| p.contains(&port));
        Box::pin(async move {
            if there { Ok(None) } else { Err(Error::not_found(format!("the port {port} is not there"))) }
        })
    }
    fn dial(&self, _: NetworkId, to: IpAddr, _: u16) -> BoxFuture<'_, Result<TcpStream>> {
        Box::pin(async move {
            Err(Error::unavailable(format!("{to} is a simulated server: nothing answers there")))
        })
    }
}
