//! Counts what the quota counters should say, and reports and mends a drift.

use std::{collections::BTreeMap, sync::Arc};

use pileus_base::{Result, Scope, ids::ProjectId};
use pileus_reconcile::{Reconciler, Report};
use pileus_store::Query;

use crate::{
    Compute,
    model::{quotas::Usage, servers::Server},
};

/// The reconciler.
pub struct UsageCount(pub Arc<Compute>);

impl Reconciler for UsageCount {
    const NAME: &'static str = "compute.usage_count";

    async fn reconcile(&self) -> Result<Report> {
        let drift = self.0.store.write(|tx| {
            let mut real: BTreeMap<(ProjectId, &'static str), i64> = BTreeMap::new();
            for server in tx.list::<Server>(&Scope::All, &Query::all())? {
                for (_, counter, amount) in Usage::of(&server.flavor, 1).parts() {
                    *real.entry((server.project_id.clone(), counter)).or_default() += amount;
                }
            }
            let mut drift = 0;
            for ((project, counter), real) in real {
                let off = real - tx.counter(counter, &project)?;
                if off != 0 {
                    tracing::warn!(%project, counter, off, "a quota counter had drifted");
                    tx.add(counter, &project, off)?;
                    drift += 1;
                }
            }
            Ok(drift)
        });
        Ok(Report { changed: drift.await?, ..Report::default() })
    }
}
