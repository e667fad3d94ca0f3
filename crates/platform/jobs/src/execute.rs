//! One claimed job, from where it stands to its end or its next wait.
//!
//! Every change is journaled under the fencing token of the claim: a daemon that lost its lease finds a
//! higher one and stops. The task is cut off only when the daemon dies; the step at the cursor is then run
//! again by whoever claims the job next.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use pileus_base::{Error, Result, Scope, Time};
use pileus_store::Tx;

use crate::{
    End, Fault, JobError, Moment, Outcome, Point, State,
    handler::{Handler, Pending, Planned},
    queue,
    record::{Journaled, Record},
    runner::Shared,
};

/// How often a journal entry is tried before the job is given up to another daemon.
const JOURNAL_TRIES: u32 = 6;
const JOURNAL_PAUSE: Duration = Duration::from_millis(50);

/// Why a task ends before the job does.
enum Gone {
    /// Another daemon has the job, or the store can't be written: leave it as it is.
    Lost,
    /// A test's dying daemon.
    Killed,
    /// The transaction of the end failed again and again.
    Unendable(Error),
}

pub(crate) struct Execution {
    shared: Arc<Shared>,
    record: Record,
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.shared.held.lock().remove(&self.record.id);
    }
}

impl Execution {
    pub fn new(shared: Arc<Shared>, record: Record) -> Self {
        Self { shared, record }
    }

    pub async fn run(mut self) {
        let end = match self.plan() {
            Ok((handler, steps)) => self.work(&handler, &steps).await,
            Err(e) => self.stick(&e).await,
        };
        let end = match end {
            Err(Gone::Unendable(e)) => self.stick(&e).await,
            other => other,
        };
        if let Err(Gone::Lost) = end {
            tracing::warn!(job_id = %self.record.id, kind = self.record.kind, "gave a job up to another daemon");
        }
    }

    /// The steps, if they are those that the journal was begun with.
    fn plan(&self) -> Result<(Arc<dyn Handler>, Vec<Planned>)> {
        let unknown = || Error::internal(format!("no handler for jobs of kind {}", self.record.kind));
        let handler = self.shared.handlers.get(&*self.record.kind).cloned().ok_or_else(unknown)?;
        let steps = handler.plan(&self.record.input)?;
        let same = self.record.outputs.iter().enumerate();
        if !same.clone().all(|(n, j)| steps.get(n).is_some_and(|s| s.name == j.step)) {
            return Err(Error::internal("the job's steps have changed since it was begun"));
        }
        Ok((handler, steps))
    }

    async fn work(&mut self, handler: &Arc<dyn Handler>, steps: &[Planned]) -> Result<(), Gone> {
        loop {
            match self.record.state {
                State::Running => self.forward(handler, steps).await?,
                State::Unwinding => self.backward(handler, steps).await?,
                _ => return Ok(()),
            }
            if self.record.lease.is_none() {
                return Ok(());
            }
            if self.shared.stopping() {
                return self.journal(None, |r| r.lease = None).await;
            }
        }
    }

    async fn forward(&mut self, handler: &Arc<dyn Handler>, steps: &[Planned]) -> Result<(), Gone> {
        let total = steps.len();
        if self.record.cancelled {
            // The step at the cursor may have been done without a word in the journal, unless this is the
            // job's first claim.
            let untouched = self.record.epoch == 1 && self.record.cursor == 0;
            return self
                .journal(Some(handler), move |r| {
                    if untouched {
                        finish(r, State::Cancelled);
                    } else {
                        unwind(r, r.cursor.min(total.saturating_sub(1)));
                    }
                })
                .await;
        }
        let Some(step) = steps.get(self.record.cursor) else {
            return self.journal(Some(handler), |r| finish(r, State::Done)).await;
        };
        match self.effect(step, false).await? {
            Ok(Outcome::Done(value)) => {
                let output = Journaled { step: step.name.clone(), value };
                self.journal(Some(handler), move |r| {
                    r.outputs.push(output.clone());
                    r.attempt = 0;
                    match r.cursor + 1 {
                        _ if r.cancelled => unwind(r, r.cursor),
                        next if next == total => finish(r, State::Done),
                        next => r.cursor = next,
                    }
                })
                .await
            }
            Ok(Outcome::Later(pause)) => self.journal(None, move |r| pause_for(r, pause)).await,
            Err(e) => {
                tracing::info!(job_id = %self.record.id, kind = self.record.kind, step = step.name, error = e.chain(), "a step failed");
                let (error, retries) = (JobError::new(&e, &step.name), step.retries);
                let pause = self.backoff();
                self.journal(None, move |r| {
                    if r.attempt < retries && !r.cancelled {
                        r.attempt += 1;
                        pause_for(r, pause);
                    } else {
                        r.error = Some(error.clone());
                        unwind(r, r.cursor);
                    }
                })
                .await
            }
        }
    }

    async fn backward(&mut self, handler: &Arc<dyn Handler>, steps: &[Planned]) -> Result<(), Gone> {
        let ended = if self.record.error.is_some() { State::Undone } else { State::Cancelled };
        let Some(step) = steps.get(self.record.cursor) else {
            return self.journal(Some(handler), move |r| finish(r, ended)).await;
        };
        let undone = match step.undo {
            Some(_) => self.effect(step, true).await?.map(drop),
            None => Ok(()),
        };
        match undone {
            Ok(()) => {
                self.journal(Some(handler), move |r| {
                    r.attempt = 0;
                    r.outputs.truncate(r.cursor);
                    match r.cursor.checked_sub(1) {
                        Some(earlier) => r.cursor = earlier,
                        None => finish(r, ended),
                    }
                })
                .await
            }
            Err(e) => {
                tracing::warn!(job_id = %self.record.id, kind = self.record.kind, step = step.name, error = e.chain(), "an undo failed");
                if self.record.attempt + 1 >= self.shared.config.undo_tries {
                    return self.stick(&e).await;
                }
                let pause = self.backoff();
                self.journal(None, move |r| {
                    r.attempt += 1;
                    r.woken = false;
                    pause_for(r, pause);
                })
                .await
            }
        }
    }

    /// Runs or undoes a step, and what a test makes of it. A panic is a failure of the step.
    async fn effect(&self, step: &Planned, undo: bool) -> Result<Result<Outcome>, Gone> {
        let (before, after) = if undo {
            (Moment::BeforeUndo, Moment::AfterUndo)
        } else {
            (Moment::BeforeRun, Moment::AfterRun)
        };
        match self.fault(step, before) {
            Some(Fault::Kill) => return Err(Gone::Killed),
            Some(Fault::Fail) => return Ok(Err(injected())),
            _ => {}
        }
        let once = || guarded(async { self.start(step, undo).await });
        let mut done = once().await;
        if matches!(done, Ok(Outcome::Done(_))) {
            match self.fault(step, after) {
                Some(Fault::Kill) => return Err(Gone::Killed),
                Some(Fault::Fail) => done = Err(injected()),
                Some(Fault::Again) => done = once().await,
                None => {}
            }
        }
        Ok(done)
    }

    fn start(&self, step: &Planned, undo: bool) -> Pending<Outcome> {
        let (record, store) = (&self.record, &self.shared.store);
        match &step.undo {
            Some(effect) if undo => {
                let undone = effect(record, store);
                Box::pin(async move { undone.await.map(|()| Outcome::nothing()) })
            }
            _ => (step.run)(record, store),
        }
    }

    fn fault(&self, step: &Planned, moment: Moment) -> Option<Fault> {
        let faults = self.shared.config.faults.as_ref()?;
        let (kind, step) = (self.record.kind.clone(), step.name.clone());
        faults.at(&Point { kind, index: self.record.cursor, step, moment })
    }

    fn backoff(&self) -> Duration {
        let config = &self.shared.config;
        config.backoff.saturating_mul(1 << self.record.attempt.min(16)).min(config.backoff_max)
    }

    async fn stick(&mut self, error: &Error) -> Result<(), Gone> {
        tracing::error!(
            job_id = %self.record.id, kind = self.record.kind, subject = self.record.subject,
            error = error.chain(), "a job is stuck; see `pileus jobs`"
        );
        let step = if self.record.unwinding { "undo" } else { "run" };
        let error = JobError::new(error, step);
        self.journal(None, move |r| {
            r.state = State::Stuck;
            r.lease = None;
            // The failure that made it unwind says more than that of the undo.
            r.error.get_or_insert(error.clone());
        })
        .await
    }

    /// Writes `change` if the job is still ours; with a handler, also what follows from an end.
    async fn journal<F>(&mut self, handler: Option<&Arc<dyn Handler>>, change: F) -> Result<(), Gone>
    where
        F: Fn(&mut Record) + Send + Sync + 'static,
    {
        let (id, epoch, change) = (self.record.id, self.record.epoch, Arc::new(change));
        let mut tries = 0;
        loop {
            let (handler, change) = (handler.cloned(), change.clone());
            let written = self.shared.store.write(move |tx| {
                let Some(mut doc) = tx.find::<Record>(&Scope::All, id)? else { return Ok(None) };
                if doc.epoch != epoch || doc.lease.is_none() {
                    return Ok(None);
                }
                change(&mut doc.value);
                tx.put(&doc)?;
                if let Some(handler) = handler.as_ref().filter(|_| doc.state.ended()) {
                    close(tx, &doc.value, &**handler)?;
                }
                Ok(Some(doc.value))
            });
            match written.await {
                Ok(Some(record)) => {
                    self.record = record;
                    return Ok(());
                }
                Ok(None) => return Err(Gone::Lost),
                Err(e) if tries + 1 == JOURNAL_TRIES => {
                    tracing::error!(job_id = %id, error = e.chain(), "failed to journal a job");
                    return Err(Gone::Unendable(e));
                }
                Err(e) => tracing::warn!(job_id = %id, error = e.chain(), "journaling a job again"),
            }
            tries += 1;
            tokio::time::sleep(JOURNAL_PAUSE * tries).await;
        }
    }
}

/// What follows from an end, in its transaction.
fn close(tx: &mut Tx<'_>, record: &Record, handler: &dyn Handler) -> Result<()> {
    let end = match (record.state, &record.error) {
        (State::Done, _) => End::Done,
        (State::Undone, Some(error)) => End::Undone(error.clone()),
        _ => End::Cancelled,
    };
    queue::follow(tx, record)?;
    handler.ended(tx, &record.input, &end)
}

fn finish(r: &mut Record, state: State) {
    r.state = state;
    r.lease = None;
    r.ended_at = Some(Time::now());
}

/// Turns round: the step `from` is undone first.
fn unwind(r: &mut Record, from: usize) {
    r.state = State::Unwinding;
    r.unwinding = true;
    r.cursor = from;
    r.attempt = 0;
}

/// Gives the job back until later; at once where somebody woke it meanwhile.
fn pause_for(r: &mut Record, pause: Duration) {
    let ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    r.wake_at = Time::now();
    if !r.woken {
        r.wake_at = r.wake_at.plus_millis(ms);
    }
    r.lease = None;
}

async fn guarded(effect: impl Future<Output = Result<Outcome>>) -> Result<Outcome> {
    match AssertUnwindSafe(effect).catch_unwind().await {
        Ok(done) => done,
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Error::internal("a step panicked").caused_by(std::io::Error::other(said)))
        }
    }
}

fn injected() -> Error {
    Error::internal("a fault of the test")
}
