//! The container engine: Docker's Engine API over the host's containers, layers and bridges.
//!
//! ```text
//!   docker.sock ─► api (routes by version) ─► engine (what takes place) ─► host: containers, layers, bridges
//!                                               └► store (documents: container, image, network, volume)
//! ```
//! The engine belongs to one project of the cloud. A call writes what it intends, does it through idempotent
//! verbs of the host, and writes what came of it; [`tasks`] sets right what a killed daemon left between.

#![forbid(unsafe_code)]
#![recursion_limit = "256"]

pub mod api;
mod engine;
mod events;
mod model;
mod registry;
mod store;
mod tasks;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use pileus_base::{Error, Result, Scope, ids::ProjectId};
use pileus_host::ContainerHost;
use pileus_network::Networks as Neutron;
use pileus_store::{Query, Store};

pub use engine::images::fsck::{Problem, Report};
pub use events::{Event, Events};
pub use model::pools::Pool;
pub(crate) use store::Pull;
pub use store::{Container, Image, Network, Volume};

/// What the engine is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state directory.
    pub state_dir: PathBuf,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Registries asked first for what is on Docker Hub.
    pub mirrors: Vec<String>,
    /// Whether a miss on a mirror is final.
    pub mirrors_authoritative: bool,
    /// Registries spoken to without TLS besides those on loopback.
    pub insecure_registries: Vec<String>,
    /// Where this cloud's own registry is: `http://127.0.0.1:8700`.
    pub registry: String,
    /// Where ports are published by default.
    pub publish_ip: std::net::IpAddr,
    /// Whose subordinate users and groups containers have: `default` or `user[:group]`; the host's own
    /// where `None`.
    pub userns_remap: Option<String>,
    /// What networks' ranges are cut from; empty for the defaults.
    pub address_pools: Vec<Pool>,
    /// The default bridge's own address, with the length of the prefix.
    pub bip: Option<ipnet::IpNet>,
}

/// The engine.
pub struct Docker {
    pub(crate) store: Store,
    pub(crate) host: Arc<dyn ContainerHost>,
    /// The tenant networks' service, for the driver `pileus`.
    pub(crate) neutron: Arc<Neutron>,
    pub(crate) options: Options,
    /// The users and groups of containers.
    pub(crate) remap: Option<model::spec::confine::Remap>,
    pub(crate) events: Events,
    /// What the engine shows to this cloud's own registry.
    pub(crate) own_token: String,
    /// One change of a container at a time: by its id.
    pub(crate) busy: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Execs, which live as long as their container runs.
    pub(crate) execs: Mutex<HashMap<String, engine::execs::Exec>>,
    /// Containers with a namespace of their own, as they were when they joined.
    pub(crate) live: tokio::sync::Mutex<std::collections::BTreeMap<String, Container>>,
    /// Who waits for a log to grow.
    pub(crate) notices: engine::logs::Notices,
    /// Who waits for a log to be rotated.
    pub(crate) rotations: engine::logs::Notices,
    /// Logs that are sent elsewhere.
    pub(crate) shipments: engine::logs::ship::Shipments,
    /// What follows a container's end.
    pub(crate) watching: Mutex<HashMap<String, engine::watch::Watched>>,
    /// Wakes who waits for an exec to have begun.
    pub(crate) exec_started: tokio::sync::Notify,
    /// Set once every container is to end: restart policies no longer hold.
    pub(crate) leaving: std::sync::atomic::AtomicBool,
}

impl Docker {
    /// Opens the engine: makes the default networks, adopts what runs, sets right what was under way.
    ///
    /// # Errors
    /// Those of the store and of the host.
    pub async fn open(
        store: Store,
        host: Arc<dyn ContainerHost>,
        neutron: Arc<Neutron>,
        options: Options,
    ) -> Result<Arc<Self>> {
        let remap = options.userns_remap.as_deref().filter(|r| !r.is_empty());
        let remap = remap.map(|r| model::spec::confine::Remap::read(r, std::path::Path::new("/etc")));
        let remap = remap.transpose()?;
        let mut options = options;
        if options.address_pools.is_empty() {
            options.address_pools = Pool::defaults();
        }
        let docker = Arc::new(Self {
            store,
            host,
            neutron,
            options,
            remap,
            events: Events::default(),
            own_token: new_id(),
            busy: Mutex::default(),
            execs: Mutex::default(),
            live: tokio::sync::Mutex::default(),
            notices: engine::logs::Notices::of_writes(),
            rotations: engine::logs::Notices::of_moves(),
            shipments: engine::logs::ship::Shipments::default(),
            watching: Mutex::default(),
            exec_started: tokio::sync::Notify::new(),
            leaving: std::sync::atomic::AtomicBool::default(),
        });
        docker.open_networks().await?;
        docker.open_images().await?;
        tasks::recover(&docker).await?;
        Ok(docker)
    }

    /// The route table, for the engine's socket.
    pub fn service(self: &Arc<Self>) -> pileus_http::Service {
        api::routes(self.clone())
    }

    /// Ends every container, whatever its restart policy; with `purge`, the bridges go too.
    ///
    /// # Errors
    /// Those of the host.
    pub async fn end(&self, purge: bool) -> Result<()> {
        self.leaving.store(true, std::sync::atomic::Ordering::Relaxed);
        for id in self.host.containers().await? {
            match purge {
                true => self.host.remove_container(&id).await?,
                false => self.host.signal_container(&id, 9).await.or_else(gone)?,
            }
        }
        if !purge {
            return Ok(());
        }
        self.host.leave_containers().await?;
        for sandbox in self.host.sandboxes().await? {
            self.host.remove_sandbox(&sandbox).await?;
        }
        let all = |rd: &mut pileus_store::Read<'_>| rd.list::<Network>(&Scope::All, &Query::all());
        for network in self.store.read(all).await?.into_iter().filter(|n| !n.link.is_empty()) {
            self.remove_link(&network).await?;
        }
        Ok(())
    }

    /// The lock of one container.
    pub(crate) fn lock(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.busy.lock().entry(id.to_owned()).or_default().clone()
    }
}

/// 64 random hex digits: Docker's form of an id.
pub(crate) fn new_id() -> String {
    use rand::RngExt;
    let bytes: [u8; 32] = rand::rng().random();
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A container that doesn't run is no failure of ending it.
fn gone(e: Error) -> Result<()> {
    match e.kind() {
        pileus_base::Kind::NotFound | pileus_base::Kind::Conflict => Ok(()),
        _ => Err(e),
    }
}
