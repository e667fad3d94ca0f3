//! Networks that only exist by name: for simulated servers. They are forgotten with the program and
//! ensured again by who wants them.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    os::fd::OwnedFd,
    path::PathBuf,
};

use ipnet::IpNet;
use parking_lot::Mutex;
use pileus_base::{
    Error, Result,
    ids::{NetworkId, PortId},
};
use tokio::net::TcpStream;

use crate::{
    BoxFuture, BridgeSpec, Bridges, Dataplane, EndpointSpec, Names, NetworkSpec, PortSpec, PublishedPort,
};

/// The simulator.
#[derive(Default)]
pub struct Sim(Mutex<HashMap<NetworkId, HashSet<PortId>>>, Mutex<HashSet<String>>);

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

/// Containers' namespaces only exist by name, and their ports by number.
impl Bridges for Sim {
    fn ensure_bridge<'a>(&'a self, _: &'a BridgeSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn remove_bridge<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn ensure_parent<'a>(
        &'a self,
        network: &'a str,
        parent: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String>> {
        let own = || format!("sim-{}", network.chars().take(9).collect::<String>());
        Box::pin(async move { Ok(parent.map_or_else(own, str::to_owned)) })
    }
    fn remove_parent<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn routed(&self) -> BoxFuture<'_, Result<Vec<IpNet>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn ensure_sandbox<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        self.1.lock().insert(container.to_owned());
        Box::pin(async { Ok(self.sandbox_path(container)) })
    }
    fn remove_sandbox<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        self.1.lock().remove(container);
        Box::pin(async { Ok(()) })
    }
    fn sandboxes(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        let all = self.1.lock().iter().cloned().collect();
        Box::pin(async { Ok(all) })
    }
    fn ensure_endpoint<'a>(&'a self, _: &'a EndpointSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn remove_endpoint<'a>(&'a self, _: &'a EndpointSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn publish<'a>(
        &'a self,
        _: &'a str,
        ports: &'a [PublishedPort],
    ) -> BoxFuture<'a, Result<Vec<PublishedPort>>> {
        let mut ports = ports.to_vec();
        for (port, free) in ports.iter_mut().filter(|p| p.host_port == 0).zip(32768..) {
            port.host_port = free;
        }
        Box::pin(async { Ok(ports) })
    }
    fn serve_names<'a>(&'a self, _: &'a str, _: &'a Names) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn sandbox_path(&self, container: &str) -> PathBuf {
        PathBuf::from("/nonexistent/netns").join(container)
    }
}
