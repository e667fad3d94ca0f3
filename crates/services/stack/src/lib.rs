//! Orchestration (Heat v1): templates become stacks, stacks become resources of the other services.
//!
//! ```text
//!   api ─► engine::begin ─► tx { stack, items, run, job }                     an action, asked for
//!   jobs::action ─► a job per step of the run ─► types::Kind ─► other services
//!   model: templates, parameters, functions, graphs, plans (pure)
//! ```
//!
//! A stack acts on behalf of whoever made it. [`types`] is what it can be made of; the engine knows none of
//! them by name.

#![forbid(unsafe_code)]

mod api;
mod engine;
mod jobs;
pub mod model;
mod rules;
mod store;
mod tasks;
pub mod types;
mod wire;

use std::{sync::Arc, time::Duration};

use pileus_base::Result;
use pileus_compute::Compute;
use pileus_identity::Identity;
use pileus_image::Images;
use pileus_jobs::Jobs;
use pileus_network::Networks;
use pileus_reconcile::Reconcilers;
use pileus_store::Store;

pub use jobs::{action::StackAction, resource::ResourceJob};
pub use store::{resources::Item, stacks::Stack};

/// The orchestration service.
pub struct Stacks {
    pub(crate) store: Store,
    pub(crate) registry: types::Registry,
}

impl Stacks {
    /// Opens the service over the others.
    ///
    /// # Errors
    /// None yet.
    pub async fn open(
        store: Store,
        compute: Arc<Compute>,
        images: Arc<Images>,
        _networks: Arc<Networks>,
        _identity: Arc<Identity>,
    ) -> Result<Arc<Self>> {
        Self::with_types(store, types::Registry::cloud(&compute, &images))
    }

    /// A service whose stacks are made of what `registry` knows.
    ///
    /// # Errors
    /// None yet.
    pub fn with_types(store: Store, registry: types::Registry) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { store, registry }))
    }

    /// The route table.
    pub fn service(self: &Arc<Self>) -> pileus_http::Service {
        api::service(self.clone())
    }

    /// Registers the jobs.
    pub fn jobs(self: &Arc<Self>, jobs: Jobs) -> Jobs {
        jobs.register(StackAction::new(self.clone())).register(ResourceJob::new(self.clone()))
    }

    /// Registers what must stay true.
    pub fn reconcilers(self: &Arc<Self>, reconcilers: Reconcilers) -> Reconcilers {
        reconcilers
            .register(tasks::Waker(self.clone()), Duration::from_secs(5))
            .register(tasks::Purge(self.clone()), Duration::from_secs(600))
    }
}
