//! One reconciler's loop: wait (always interruptible), work (never), note how it went.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use parking_lot::Mutex;
use pileus_base::{Error, Result, Time};
use pileus_store::Watch;
use tokio::sync::{Notify, watch};

use crate::{Reconciler, Report, Status};

/// The pause after a first failure; it doubles with each further one in a row.
const BACKOFF: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// A reconciler without its type.
pub(crate) trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn kinds(&self) -> &'static [&'static str];
    fn reconcile(&self) -> Pin<Box<dyn Future<Output = Result<Report>> + Send + '_>>;
}

impl<R: Reconciler> Erased for R {
    fn name(&self) -> &'static str {
        R::NAME
    }
    fn kinds(&self) -> &'static [&'static str] {
        Reconciler::kinds(self)
    }
    fn reconcile(&self) -> Pin<Box<dyn Future<Output = Result<Report>> + Send + '_>> {
        Box::pin(Reconciler::reconcile(self))
    }
}

pub(crate) struct Worker {
    pub reconciler: Arc<dyn Erased>,
    pub every: Duration,
    pub changes: Watch,
    pub nudge: Arc<Notify>,
    pub statuses: Arc<Mutex<BTreeMap<&'static str, Status>>>,
    pub stopped: watch::Receiver<bool>,
}

impl Worker {
    pub async fn run(mut self) {
        let name = self.reconciler.name();
        loop {
            self.note(|s| s.working = true);
            let work = AssertUnwindSafe(self.reconciler.reconcile()).catch_unwind().await;
            let end = work.unwrap_or_else(|_| Err(Error::internal("the reconciler panicked")));
            if let Err(e) = &end {
                tracing::warn!(reconciler = name, error = e.chain(), "a reconciler failed");
            }
            let failures = self.note(|s| {
                s.working = false;
                s.runs += 1;
                s.last_run = Some(Time::now());
                s.failures = if end.is_ok() { 0 } else { s.failures + 1 };
                match end {
                    Ok(report) => (s.last_report, s.last_error) = (Some(report), None),
                    Err(e) => s.last_error = Some(e.chain()),
                }
                s.failures
            });
            // Dropping the sender stops too.
            if *self.stopped.borrow() || self.stopped.has_changed().is_err() {
                return;
            }
            if failures == 0 {
                tokio::select! {
                    () = self.changes.changed() => {}
                    () = self.nudge.notified() => {}
                    () = tokio::time::sleep(self.every) => {}
                    _ = self.stopped.changed() => return,
                }
            } else {
                // A change must not shorten the pause: the failing run itself may have made it.
                let pause = BACKOFF.saturating_mul(1 << (failures - 1).min(16)).min(BACKOFF_MAX);
                tokio::select! {
                    () = self.nudge.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                    _ = self.stopped.changed() => return,
                }
            }
        }
    }

    fn note<T>(&self, f: impl FnOnce(&mut Status) -> T) -> T {
        let mut all = self.statuses.lock();
        let name = self.reconciler.name();
        f(all.entry(name).or_insert_with(|| Status::new(name)))
    }
}
