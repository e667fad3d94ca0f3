//! Compute: servers, flavors and keypairs, Nova's API over a host.
//!
//! ```text
//!   POST /servers ─► store::servers::create: server + ports + claim + quota + job, one transaction ─► 202
//!   job server_create: disks ─► config drive ─► ports ─► spawn ─► ACTIVE   (each undone where a later fails)
//!   tasks::power_sync: what the host sees ─► what the API shows; after a reboot the other way round
//!   metadata: what a guest asks at 169.254.169.254
//! ```
//!
//! The host is asked only from jobs, tasks, and reads that stream (console, metadata).

#![forbid(unsafe_code)]

pub mod api;
mod jobs;
mod metadata;
pub mod model;
mod neighbours;
pub mod rules;
mod store;
mod tasks;
mod wire;

use std::sync::Arc;

use pileus_base::{Result, Time};
use pileus_host::{Host, HostFacts};
use pileus_image::Images;
use pileus_jobs::Jobs;
use pileus_network::Networks;
use pileus_placement::Placement;
use pileus_reconcile::Reconcilers;
use pileus_store::Store;

pub use model::servers::Server;
pub use store::{flavors, keypairs, servers};
pub use wire::fault::FAMILY;

/// The reconciler to wake when the host tells of a server.
pub const POWER_SYNC: &str = "compute.power_sync";

/// What may be configured.
#[derive(Debug, Clone)]
pub struct Options {
    /// After the host has rebooted, start the servers that ran before.
    pub resume_after_reboot: bool,
    /// What servers' names end in, in metadata.
    pub dns_domain: String,
    /// Servers that may be made by one request.
    pub max_servers_per_request: u32,
    /// Gives every server a config drive.
    pub force_config_drive: bool,
    /// Processors promised for one that is there.
    pub cpu_ratio: f64,
    /// Memory promised for one MiB that is there.
    pub ram_ratio: f64,
    /// Disk promised for one GiB that is there.
    pub disk_ratio: f64,
    /// How long a console's URL can be used, in seconds.
    pub console_ttl_s: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resume_after_reboot: true,
            dns_domain: "novalocal".into(),
            max_servers_per_request: 1000,
            force_config_drive: false,
            cpu_ratio: 16.0,
            ram_ratio: 1.5,
            disk_ratio: 10.0,
            // Nova's `token_ttl`.
            console_ttl_s: 600,
        }
    }
}

/// The service.
pub struct Compute {
    pub(crate) store: Store,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) images: Arc<Images>,
    pub(crate) networks: Arc<Networks>,
    pub(crate) facts: HostFacts,
    pub(crate) options: Options,
    pub(crate) consoles: api::consoles::Tokens,
    /// No network stood when we came: the host has rebooted, or is another.
    pub(crate) found_bare: bool,
}

impl Compute {
    /// Opens the service: default flavors on a new state, the host's inventory at placement.
    ///
    /// # Errors
    /// Those of the store and of the host.
    pub async fn open(
        store: Store,
        host: Arc<dyn Host>,
        images: Arc<Images>,
        networks: Arc<Networks>,
        placement: Arc<Placement>,
        options: Options,
    ) -> Result<Arc<Self>> {
        let facts = host.facts().await?;
        placement.ensure_host(&facts, (options.cpu_ratio, options.ram_ratio, options.disk_ratio)).await?;
        let started_at = Time::now();
        store.write(move |tx| flavors::ensure_defaults(tx, started_at)).await?;
        let consoles = api::consoles::Tokens::default();
        // Now, before a reconciler builds them up again.
        let found_bare = host.networks().await?.is_empty();
        Ok(Arc::new(Self { store, host, images, networks, facts, options, consoles, found_bare }))
    }

    /// The route table.
    pub fn service(self: &Arc<Self>) -> pileus_http::Service {
        api::routes(self.clone())
    }

    /// Registers the jobs.
    pub fn jobs(self: &Arc<Self>, jobs: Jobs) -> Jobs {
        jobs::register(self, jobs)
    }

    /// Registers the reconcilers.
    pub fn reconcilers(self: &Arc<Self>, reconcilers: Reconcilers) -> Reconcilers {
        tasks::register(self, reconcilers)
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }
}
