//! Reconcilers: what must stay true. Each reads what is wanted and what is, and acts; it takes no input.
//!
//! ```text
//!   a commit that touched one of its kinds ┐
//!   nudge(name)                            ├─► reconcile() ─► Report, or an error and a growing pause
//!   its timer                              ┘
//! ```
//! `reconcile` is never interrupted: what wakes it while it works makes it run once more afterwards. It
//! must bear being run twice, and being cut off by the daemon's death. Work that finishes is a job
//! (`pileus-jobs`).

#![forbid(unsafe_code)]

mod work;

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use pileus_base::{Result, Time};
use pileus_store::Store;
use serde::Serialize;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::work::{Erased, Worker};

/// Something that must stay true.
pub trait Reconciler: Send + Sync + 'static {
    /// `service.what`, as in `network.dhcp`.
    const NAME: &'static str;

    /// The store's kinds whose changes wake it.
    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    /// Makes it true.
    ///
    /// # Errors
    /// Whatever keeps it from being so; it is tried again after a pause.
    fn reconcile(&self) -> impl Future<Output = Result<Report>> + Send;
}

/// What one run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Things looked at.
    pub seen: usize,
    /// Things that had to be changed.
    pub changed: usize,
    /// Anything an operator may want to know.
    pub note: String,
}

/// A reconciler as an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: &'static str,
    /// Whether it works just now.
    pub working: bool,
    /// How often it has run.
    pub runs: u64,
    /// How many of the last runs failed, in a row.
    pub failures: u32,
    /// When the last run ended.
    pub last_run: Option<Time>,
    /// What the last run did, where it succeeded.
    pub last_report: Option<Report>,
    /// What went wrong in the last run.
    pub last_error: Option<String>,
}

impl Status {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            working: false,
            runs: 0,
            failures: 0,
            last_run: None,
            last_report: None,
            last_error: None,
        }
    }
}

/// The reconcilers of a daemon, before they start.
pub struct Reconcilers {
    store: Store,
    waiting: Vec<(Arc<dyn Erased>, Duration)>,
}

impl Reconcilers {
    /// None yet, over `store`.
    pub fn new(store: Store) -> Self {
        Self { store, waiting: Vec::new() }
    }

    /// Adds one that also runs `every` so often.
    pub fn register<R: Reconciler>(mut self, reconciler: R, every: Duration) -> Self {
        self.waiting.push((Arc::new(reconciler), every));
        self
    }

    /// Starts them; each runs once at once. Call it within a tokio runtime.
    pub fn start(self) -> Running {
        let (stop, stopped) = watch::channel(false);
        let (mut nudges, mut tasks) = (BTreeMap::new(), Vec::new());
        let statuses: Arc<Mutex<BTreeMap<_, _>>> = Arc::default();
        for (reconciler, every) in self.waiting {
            let (name, nudge) = (reconciler.name(), Arc::new(Notify::new()));
            nudges.insert(name, nudge.clone());
            statuses.lock().insert(name, Status::new(name));
            let worker = Worker {
                changes: self.store.watch(reconciler.kinds()),
                reconciler,
                every,
                nudge,
                statuses: statuses.clone(),
                stopped: stopped.clone(),
            };
            tasks.push(tokio::spawn(worker.run()));
        }
        Running { nudges, statuses, stop, tasks: Mutex::new(tasks) }
    }
}

/// The reconcilers at work. Dropping it ends each after its present run.
pub struct Running {
    nudges: BTreeMap<&'static str, Arc<Notify>>,
    statuses: Arc<Mutex<BTreeMap<&'static str, Status>>>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Running {
    /// Wakes the reconciler `name`; whether there is one.
    pub fn nudge(&self, name: &str) -> bool {
        self.nudges.get(name).map(|n| n.notify_one()).is_some()
    }

    /// How each is doing, by name.
    pub fn statuses(&self) -> Vec<Status> {
        self.statuses.lock().values().cloned().collect()
    }

    /// Ends each after its present run.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // An error here is a panic outside of any reconciler, which tokio has reported.
            let _ = task.await;
        }
    }
}
