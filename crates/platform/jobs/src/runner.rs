//! The runner: claims jobs that are due, runs each in a task of its own, renews leases, sweeps what ended.
//!
//! ```text
//!   a commit that touched a job ┐
//!   the earliest `due`          ├─► claim as many as there are free slots (one write) ─► a task each
//!   a task that ended           ┘
//! ```
//! Dropping the [`Runner`] is what a dying daemon does: tasks are cut off and their leases stay. A runner
//! that starts takes back at once what its own `owner` held, so an owner names one daemon, never two.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use pileus_base::{Error, Result, Scope, Time};
use pileus_store::{Query, Store, Watch};
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{
    Faults, Job, JobId, JobView, State,
    execute::Execution,
    handler::{Handlers, Typed},
    record::{KIND, Lease, Record},
};

/// How long the runner sleeps where nothing is due; only a clock that jumps makes it matter.
const IDLE_WAIT: Duration = Duration::from_secs(60);
/// How long it waits before it asks again a store that could not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Ended jobs deleted in one transaction.
const SWEEP_BATCH: usize = 200;

/// How a runner works.
#[derive(Clone)]
pub struct RunnerConfig {
    /// Jobs at work at once.
    pub concurrency: usize,
    /// How long a job stays claimed by a daemon that is not heard of.
    pub lease: Duration,
    /// Names this daemon, the same after a restart and different from every other.
    pub owner: String,
    /// How long ended jobs are kept.
    pub keep: Duration,
    /// How often an undo is tried before the job is stuck.
    pub undo_tries: u32,
    /// The pause after a first failure; it doubles with each further one, up to [`Self::backoff_max`].
    pub backoff: Duration,
    /// The longest pause between tries.
    pub backoff_max: Duration,
    /// What goes wrong, in tests.
    pub faults: Option<Arc<dyn Faults>>,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            concurrency: 32,
            lease: Duration::from_secs(30),
            owner: "pileus".into(),
            keep: Duration::from_secs(3600),
            undo_tries: 8,
            backoff: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            faults: None,
        }
    }
}

/// The job kinds that a daemon knows.
#[derive(Clone)]
pub struct Jobs {
    store: Store,
    handlers: Handlers,
}

impl Jobs {
    /// None yet, over `store`.
    pub fn new(store: Store) -> Self {
        Self { store, handlers: Handlers::default() }
    }

    /// Adds the handler of a kind, in place of an earlier one of that kind.
    pub fn register<J: Job>(self, handler: J) -> Self {
        self.register_shared(Arc::new(handler))
    }

    /// As [`Jobs::register`], for a handler that others hold too.
    pub fn register_shared<J: Job>(mut self, handler: Arc<J>) -> Self {
        Arc::make_mut(&mut self.handlers).insert(J::KIND, Arc::new(Typed(handler)));
        self
    }

    /// Starts running jobs. Call it within a tokio runtime.
    pub fn start(self, config: RunnerConfig) -> Runner {
        let watch = self.store.watch(&[KIND]);
        let shared = Arc::new(Shared {
            store: self.store,
            handlers: self.handlers,
            config,
            nudge: Notify::new(),
            progress: Notify::new(),
            stopping: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            held: Mutex::default(),
        });
        let work = tokio::spawn(run(shared.clone(), watch));
        Runner { abort: work.abort_handle(), work: Mutex::new(Some(work)), shared }
    }
}

/// A running runner. Dropping it cuts every job off where it is; see [`Runner::stop`].
pub struct Runner {
    shared: Arc<Shared>,
    work: Mutex<Option<JoinHandle<()>>>,
    abort: AbortHandle,
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

impl Runner {
    /// Looks for work now. Needed only where something other than this process's store wrote a job.
    pub fn nudge(&self) {
        self.shared.nudge.notify_one();
    }

    /// Takes no more jobs, lets every running step finish and journal, and gives the jobs back.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.nudge.notify_one();
        let work = self.work.lock().take();
        if let Some(work) = work {
            // An error here is a panic of the loop, which tokio has reported.
            let _ = work.await;
        }
    }

    /// Cuts every job off where it is, as a dying daemon would, and returns when nothing of it is left. For
    /// tests of recovery.
    pub async fn kill(self) {
        self.shared.killed.store(true, Ordering::Relaxed);
        self.stop().await;
    }

    /// Returns when no job is due or at work: all have ended, are stuck, or wait for a later time.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn idle(&self) -> Result<()> {
        loop {
            let progress = self.shared.progress.notified();
            let busy = self.shared.store.read(|rd| {
                let live = rd.list::<Record>(&Scope::All, &Query::all().sort("due"))?;
                // Taken after the snapshot: what it holds was written before now.
                let now = Time::now();
                Ok(live.iter().any(|r| r.lease.is_some() || r.wake_at <= now))
            });
            if !busy.await? {
                return Ok(());
            }
            // Other daemons make progress that is not heard of here.
            let _ = tokio::time::timeout(Duration::from_millis(20), progress).await;
        }
    }

    /// Waits until the job has ended or is stuck.
    ///
    /// # Errors
    /// 404 where there is no such job; those of the store.
    pub async fn ended(&self, id: JobId) -> Result<JobView> {
        ended(&self.shared.store, id).await
    }
}

pub(crate) async fn ended(store: &Store, id: JobId) -> Result<JobView> {
    let watch = store.watch(&[KIND]);
    loop {
        let job = store.read(move |rd| rd.get::<Record>(&Scope::All, id)).await?.value;
        if job.state.ended() || job.state == State::Stuck {
            return Ok(job.into());
        }
        let _ = tokio::time::timeout(STORE_PAUSE, watch.changed()).await;
    }
}

/// What the loop and the tasks share.
pub(crate) struct Shared {
    pub store: Store,
    pub handlers: Handlers,
    pub config: RunnerConfig,
    pub nudge: Notify,
    pub progress: Notify,
    pub stopping: AtomicBool,
    killed: AtomicBool,
    /// The jobs at work here, with their fencing tokens.
    pub held: Mutex<HashMap<JobId, u64>>,
}

impl Shared {
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
    fn lease(&self) -> Lease {
        let ms = i64::try_from(self.config.lease.as_millis()).unwrap_or(i64::MAX);
        Lease { owner: self.config.owner.clone(), until: Time::now().plus_millis(ms) }
    }
}

async fn run(shared: Arc<Shared>, watch: Watch) {
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut recovered = false;
    let beat = (shared.config.lease / 3).max(Duration::from_millis(5));
    let sweep = (shared.config.keep / 4).clamp(Duration::from_millis(10), Duration::from_secs(60));
    let (mut next_beat, mut next_sweep) = (Instant::now() + beat, Instant::now() + sweep);
    while !shared.stopping() {
        let mut wait = IDLE_WAIT;
        let free = shared.config.concurrency.max(1).saturating_sub(tasks.len());
        if free > 0 {
            match look(&shared, free, !recovered).await {
                Ok((claimed, next)) => {
                    recovered = true;
                    wait = next;
                    for record in claimed {
                        tasks.spawn(Execution::new(shared.clone(), record).run());
                    }
                }
                Err(e) => {
                    tracing::warn!(error = e.chain(), "failed to look for jobs");
                    wait = STORE_PAUSE;
                }
            }
        }
        shared.progress.notify_waiters();
        let full = tasks.len() >= shared.config.concurrency.max(1);
        let due = Instant::now() + wait;
        tokio::select! {
            () = shared.nudge.notified() => {}
            () = watch.changed(), if !full => {}
            Some(_) = tasks.join_next(), if !tasks.is_empty() => while tasks.try_join_next().is_some() {},
            () = sleep_until(due), if !full => {}
            () = sleep_until(next_beat) => {}
            () = sleep_until(next_sweep) => {}
        }
        if Instant::now() >= next_beat {
            renew(&shared).await;
            next_beat = Instant::now() + beat;
        }
        if Instant::now() >= next_sweep {
            if let Err(e) = sweep_ended(&shared).await {
                tracing::warn!(error = e.chain(), "failed to sweep ended jobs");
            }
            next_sweep = Instant::now() + sweep;
        }
    }
    if shared.killed.load(Ordering::Relaxed) {
        tasks.shutdown().await;
    }
    while !tasks.is_empty() {
        tokio::select! {
            _ = tasks.join_next() => {}
            () = tokio::time::sleep(beat) => renew(&shared).await,
        }
    }
    shared.progress.notify_waiters();
}

/// Claims up to `free` jobs that are due; and how long until there may be more.
async fn look(shared: &Arc<Shared>, free: usize, recover: bool) -> Result<(Vec<Record>, Duration)> {
    if recover {
        take_back(shared).await?;
    }
    let soonest = shared
        .store
        .read(|rd| Ok(rd.first::<Record>(&Scope::All, Query::all().sort("due"))?.and_then(|r| r.due())))
        .await?;
    let Some(at) = soonest else { return Ok((Vec::new(), IDLE_WAIT)) };
    if at > Time::now() {
        return Ok((Vec::new(), until(at)));
    }
    let this = shared.clone();
    let (claimed, next) = shared
        .store
        .write(move |tx| {
            let (now, mut claimed) = (Time::now(), Vec::new());
            let docs = tx.list::<Record>(&Scope::All, &Query::all().sort("due").limit(free + 1))?;
            for mut doc in docs {
                match doc.due() {
                    Some(at) if at > now || claimed.len() == free => return Ok((claimed, Some(at))),
                    None => continue,
                    Some(_) => {}
                }
                doc.value.lease = Some(this.lease());
                doc.value.epoch += 1;
                doc.value.woken = false;
                tx.put(&doc)?;
                claimed.push(doc.value);
            }
            Ok((claimed, None))
        })
        .await?;
    shared.held.lock().extend(claimed.iter().map(|r| (r.id, r.epoch)));
    Ok((claimed, next.map_or(IDLE_WAIT, until)))
}

fn until(at: Time) -> Duration {
    Duration::from_micros(u64::try_from(at.0 - Time::now().0).unwrap_or(0)).min(IDLE_WAIT)
}

/// Frees what an earlier life of this daemon held. Others' leases are left to run out.
async fn take_back(shared: &Arc<Shared>) -> Result<()> {
    let owner = shared.config.owner.clone();
    let freed = shared.store.write(move |tx| {
        let mut freed = 0;
        for mut doc in tx.list::<Record>(&Scope::All, &Query::all().sort("due"))? {
            if doc.lease.as_ref().is_some_and(|l| l.owner == owner) {
                doc.value.lease = None;
                doc.value.wake_at = Time::now();
                tx.put(&doc)?;
                freed += 1;
            }
        }
        Ok(freed)
    });
    let freed = freed.await?;
    if freed > 0 {
        tracing::info!(jobs = freed, "resuming jobs that were cut off");
    }
    Ok(())
}

/// Lengthens the leases of what is at work here. One that was lost is left alone: its task finds out when it
/// journals.
async fn renew(shared: &Arc<Shared>) {
    let (held, this) = (shared.held.lock().clone(), shared.clone());
    if held.is_empty() {
        return;
    }
    let renewed = shared.store.write(move |tx| {
        for (id, epoch) in &held {
            let Some(mut doc) = tx.find::<Record>(&Scope::All, id)? else { continue };
            if doc.epoch == *epoch && doc.lease.is_some() {
                doc.value.lease = Some(this.lease());
                tx.put(&doc)?;
            }
        }
        Ok(())
    });
    if let Err(e) = renewed.await {
        tracing::warn!(error = e.chain(), "failed to renew the leases of jobs");
    }
}

/// Deletes jobs that ended long enough ago, but for children whose parent may still ask.
async fn sweep_ended(shared: &Arc<Shared>) -> Result<(), Error> {
    let keep = i64::try_from(shared.config.keep.as_millis()).unwrap_or(i64::MAX);
    shared
        .store
        .write(move |tx| {
            let before = Time::now().plus_millis(-keep);
            let query = Query::all().sort("ended").limit(SWEEP_BATCH);
            for doc in tx.list::<Record>(&Scope::All, &query)? {
                if doc.ended_at.is_none_or(|at| at > before) {
                    break;
                }
                let parent = match doc.parent {
                    Some(parent) => tx.find::<Record>(&Scope::All, parent)?,
                    None => None,
                };
                if parent.is_none_or(|p| p.state.ended()) {
                    tx.delete::<Record>(doc.id)?;
                }
            }
            Ok(())
        })
        .await
}
