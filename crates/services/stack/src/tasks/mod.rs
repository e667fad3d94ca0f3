//! What must stay true: who waits for another service's thing is woken when it changes, and removed stacks
//! are forgotten in time.

use std::sync::Arc;

use pileus_base::{Result, Scope, Time};
use pileus_reconcile::{Reconciler, Report};
use pileus_store::Query;

use crate::{
    Stacks,
    store::{events::Event, resources::Item, stacks::Stack},
};

/// How long a removed stack can still be looked at, in seconds.
const KEEP_S: i64 = 3_600;

/// Wakes the jobs that wait for servers.
pub struct Waker(pub Arc<Stacks>);

impl Reconciler for Waker {
    const NAME: &'static str = "stack.waker";

    fn kinds(&self) -> &'static [&'static str] {
        &["compute.server"]
    }

    async fn reconcile(&self) -> Result<Report> {
        let waiting = |rd: &mut pileus_store::Read<'_>| {
            rd.list::<Item>(&Scope::All, &Query::by("waiting", "OS::Nova::Server"))
        };
        let seen = self.0.store.read(move |rd| Ok(waiting(rd)?.len())).await?;
        if seen > 0 {
            let wake = move |tx: &mut pileus_store::Tx<'_>| {
                for item in waiting(tx)? {
                    pileus_jobs::wake(tx, Item::subject(item.id))?;
                }
                Ok(())
            };
            self.0.store.write(wake).await?;
        }
        Ok(Report { seen, ..Report::default() })
    }
}

/// Forgets removed stacks and their events.
pub struct Purge(pub Arc<Stacks>);

impl Reconciler for Purge {
    const NAME: &'static str = "stack.purge";

    async fn reconcile(&self) -> Result<Report> {
        let before = Time::now().plus_secs(-KEEP_S);
        let purge = move |tx: &mut pileus_store::Tx<'_>| {
            let gone = tx.list::<Stack>(&Scope::All, &Query::by("life", "deleted"))?;
            let mut report = Report { seen: gone.len(), ..Report::default() };
            for stack in gone.iter().filter(|s| s.deleted_at.is_some_and(|at| at < before)) {
                for event in tx.list::<Event>(&Scope::All, &Query::by("stack", stack.id))? {
                    tx.delete::<Event>(event.id)?;
                }
                tx.delete::<Stack>(stack.id)?;
                report.changed += 1;
            }
            Ok(report)
        };
        self.0.store.write(purge).await
    }
}
