//! What must stay true: states follow the host, servers follow a reboot, counters follow the rows.

pub mod power_sync;
mod usage;

use std::{sync::Arc, time::Duration};

use pileus_reconcile::Reconcilers;

use crate::Compute;

/// Registers every reconciler of this service.
pub fn register(compute: &Arc<Compute>, reconcilers: Reconcilers) -> Reconcilers {
    reconcilers
        .register(power_sync::PowerSync::new(compute.clone()), Duration::from_secs(30))
        .register(usage::UsageCount(compute.clone()), Duration::from_secs(600))
}
