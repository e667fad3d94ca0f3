//! Networks: Neutron's API, and what it wants of the host.
//!
//! Rows are changed in one transaction each; the host follows: a port that a server is given is brought
//! about by [`Networks::ensure_port`], and [`tasks`] keeps the host's networks and ports as the rows say.

#![forbid(unsafe_code)]

mod api;
mod model;
mod rules;
mod specs;
mod store;
mod tasks;

use std::{collections::HashMap, sync::Arc, time::Duration};

use pileus_base::{
    Result, Scope,
    ids::{NetworkId, PortId},
};
use pileus_host::{Host, NetworkSpec, PortSpec};
use pileus_reconcile::Reconcilers;
use pileus_store::Store;
use tokio::sync::Mutex;

pub use api::FAMILY;
pub use store::{networks, ports, security_groups, subnets};

/// The reconciler to wake when the host tells of a network.
pub const HOST_SYNC: &str = "network.host_sync";

/// What may be configured.
#[derive(Debug, Clone)]
pub struct Options {
    /// The MTU of new networks, in bytes.
    pub mtu: u32,
    /// What guests' names end in, without dots at either end.
    pub dns_domain: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { mtu: 1500, dns_domain: "openstacklocal".into() }
    }
}

/// What has been applied to the host, so that what hasn't changed isn't applied again.
#[derive(Default)]
struct Applied {
    networks: HashMap<NetworkId, NetworkSpec>,
    ports: HashMap<PortId, PortSpec>,
}

/// The service.
pub struct Networks {
    pub(crate) store: Store,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) options: Options,
    applied: Mutex<Applied>,
}

impl Networks {
    /// Opens the service.
    ///
    /// # Errors
    /// None as yet.
    pub async fn open(store: Store, host: Arc<dyn Host>, options: Options) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { store, host, options, applied: Mutex::default() }))
    }

    /// The route table.
    pub fn service(self: &Arc<Self>) -> pileus_http::Service {
        api::routes(self.clone())
    }

    /// Registers the reconcilers.
    pub fn reconcilers(self: &Arc<Self>, reconcilers: Reconcilers) -> Reconcilers {
        reconcilers.register(tasks::HostSync(self.clone()), Duration::from_secs(15))
    }

    /// Brings a port and its network about on the host. Done twice, nothing.
    ///
    /// # Errors
    /// 404 where the port is gone; those of the host.
    pub async fn ensure_port(&self, id: PortId) -> Result<()> {
        let domain = self.options.dns_domain.clone();
        let read = self.store.read(move |rd| {
            let port = ports::get(rd, &Scope::All, id)?;
            let network = specs::network(rd, port.network_id, &domain)?;
            Ok((network, specs::port(&port)))
        });
        let (network, port) = read.await?;
        let mut applied = self.applied.lock().await;
        self.apply(&mut applied, network, port).await
    }

    async fn apply(&self, applied: &mut Applied, network: NetworkSpec, port: PortSpec) -> Result<()> {
        if applied.networks.get(&network.id) != Some(&network) {
            self.host.ensure_network(&network).await?;
            applied.networks.insert(network.id, network);
        }
        if applied.ports.get(&port.id) != Some(&port) {
            self.host.ensure_port(&port).await?;
            applied.ports.insert(port.id, port);
        }
        Ok(())
    }

    /// Takes a port off the host. Done twice, nothing.
    ///
    /// # Errors
    /// Those of the host.
    pub async fn remove_port(&self, network: NetworkId, port: PortId) -> Result<()> {
        let mut applied = self.applied.lock().await;
        applied.ports.remove(&port);
        self.host.remove_port(network, port).await
    }
}
