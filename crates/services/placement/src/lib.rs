//! Placement: what there is of processors, memory and disk, and who has claimed how much.
//!
//! A claim is made in the transaction that makes the server: use is a counter a provider and class, so
//! two claims can't both have the last of something.

#![forbid(unsafe_code)]

pub mod allocations;
mod api;
mod candidates;
mod model;
mod rules;

use std::sync::Arc;

use pileus_base::{Result, Scope, ids::ProviderId};
use pileus_host::HostFacts;
use pileus_store::{Query, Store};

pub use api::FAMILY;
pub use model::{Inventory, Provider};

/// The service.
pub struct Placement {
    pub(crate) store: Store,
}

impl Placement {
    /// Opens the service.
    ///
    /// # Errors
    /// None as yet.
    pub async fn open(store: Store) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { store }))
    }

    /// The provider that stands for a host, with its present inventory. `ratios` are those of processors,
    /// memory and disk.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ensure_host(&self, facts: &HostFacts, ratios: (f64, f64, f64)) -> Result<ProviderId> {
        let facts = facts.clone();
        let write = self.store.write(move |tx| {
            let inventories = [
                ("VCPU", Inventory::of(u64::from(facts.vcpus), ratios.0)),
                ("MEMORY_MB", Inventory::of(facts.ram_mib, ratios.1)),
                ("DISK_GB", Inventory::of(facts.disk_gib, ratios.2)),
            ];
            let inventories = inventories.map(|(n, i)| (n.to_owned(), i)).into();
            let query = Query::by("name", &facts.hostname);
            match tx.first::<Provider>(&Scope::All, query)? {
                Some(mut known) => {
                    let id = known.id;
                    if known.inventories != inventories {
                        known.inventories = inventories;
                        known.generation += 1;
                        tx.put(&known)?;
                    }
                    Ok(id)
                }
                None => {
                    let mut provider = Provider::new(ProviderId::new(), &facts.hostname);
                    provider.inventories = inventories;
                    provider.traits = ["COMPUTE_NODE", "COMPUTE_TRUSTED_CERTS", "HW_CPU_X86_SSE2"]
                        .map(str::to_owned)
                        .into();
                    tx.insert(&provider)?;
                    Ok(provider.id)
                }
            }
        });
        write.await
    }

    /// The route table.
    pub fn service(self: &Arc<Self>) -> pileus_http::Service {
        api::routes(self.clone())
    }
}
