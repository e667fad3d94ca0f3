//! What services and operators do to jobs inside their own transactions: enqueue, cancel, wake, look, resume.

use std::{
    fmt::Display,
    sync::atomic::{AtomicI64, Ordering},
};

use pileus_base::{Error, Result, Scope, Time, ids::JobId};
use pileus_store::{Query, Read, Stored, Tx};

use crate::{
    Job, JobView, State,
    record::{Record, SUBJECT_KEY},
};

/// Adds a job in the caller's transaction. It starts when that commits, or when the jobs enqueued before it
/// for the same subject have ended.
///
/// # Errors
/// 500 where the input can't be written; those of the store.
pub fn enqueue<J: Job>(tx: &mut Tx<'_>, subject: impl Display, input: &J::Input) -> Result<JobId> {
    add::<J>(tx, None, subject.to_string(), input)
}

/// Adds a job whose end wakes `parent`. Asked twice for the same kind, subject and input it gives the job
/// that is there, so a step may run again.
///
/// # Errors
/// As [`enqueue`].
pub fn enqueue_child<J: Job>(
    tx: &mut Tx<'_>,
    parent: JobId,
    subject: impl Display,
    input: &J::Input,
) -> Result<JobId> {
    let (subject, wanted) = (subject.to_string(), to_value::<J>(input)?);
    let there = tx.list::<Record>(&Scope::All, &Query::by("parent", parent).eq("subject", &subject))?;
    match there.iter().find(|r| r.kind == J::KIND && r.input == wanted) {
        Some(child) => Ok(child.id),
        None => add::<J>(tx, Some(parent), subject, input),
    }
}

fn to_value<J: Job>(input: &J::Input) -> Result<serde_json::Value> {
    serde_json::to_value(input).map_err(|e| Error::wrap(format!("failed to write a {} job", J::KIND), e))
}

fn add<J: Job>(tx: &mut Tx<'_>, parent: Option<JobId>, subject: String, input: &J::Input) -> Result<JobId> {
    let busy = tx.holder(SUBJECT_KEY, &subject)?.is_some();
    let record = Record {
        id: JobId::new(),
        kind: J::KIND.to_owned(),
        subject,
        parent,
        input: to_value::<J>(input)?,
        state: if busy { State::Queued } else { State::Running },
        cursor: 0,
        unwinding: false,
        outputs: Vec::new(),
        attempt: 0,
        error: None,
        cancelled: false,
        woken: false,
        wake_at: Time::now(),
        lease: None,
        epoch: 0,
        created_at: tick(),
        ended_at: None,
    };
    tx.insert(&record)?;
    Ok(record.id)
}

/// The clock, but never the same twice: what is enqueued later sorts later.
fn tick() -> Time {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = Time::now().0;
    let last = LAST
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)))
        .unwrap_or_else(|last| last);
    Time(now.max(last + 1))
}

/// Asks the jobs of `subject`, the active one and those queued, to unwind; whether there was any. A step that
/// runs is finished first; a wait ends at once. What is enqueued afterwards is not concerned.
///
/// # Errors
/// Those of the store.
pub fn cancel(tx: &mut Tx<'_>, subject: impl Display) -> Result<bool> {
    let subject = subject.to_string();
    let mut found = queued(tx, &subject)?;
    found.extend(current(tx, &subject)?);
    for doc in &mut found {
        ask_to_unwind(tx, doc)?;
    }
    Ok(!found.is_empty())
}

/// Asks every child of `parent` that has not ended to unwind; how many there were.
///
/// # Errors
/// Those of the store.
pub fn cancel_children(tx: &mut Tx<'_>, parent: JobId) -> Result<usize> {
    let mut found = tx.list::<Record>(&Scope::All, &Query::by("parent", parent))?;
    found.retain(|r| !r.state.ended());
    for doc in &mut found {
        ask_to_unwind(tx, doc)?;
    }
    Ok(found.len())
}

fn ask_to_unwind(tx: &mut Tx<'_>, doc: &mut Stored<Record>) -> Result<()> {
    if doc.cancelled {
        return Ok(());
    }
    doc.value.cancelled = true;
    // An unwinding job keeps its own pace: waking it would only shorten the pause before a failing undo.
    if !doc.unwinding {
        doc.value.wake();
    }
    tx.put(doc)
}

/// Ends the wait of the active job of `subject`; whether there is one.
///
/// # Errors
/// Those of the store.
pub fn wake(tx: &mut Tx<'_>, subject: impl Display) -> Result<bool> {
    match current(tx, &subject.to_string())? {
        Some(doc) => wake_doc(tx, doc).map(|()| true),
        None => Ok(false),
    }
}

fn wake_doc(tx: &mut Tx<'_>, mut doc: Stored<Record>) -> Result<()> {
    if doc.state != State::Running {
        return Ok(());
    }
    doc.value.wake();
    tx.put(&doc)
}

/// Lets a stuck job go on where it stopped.
///
/// # Errors
/// 404 where there is no such job, 409 where it is not stuck.
pub fn resume(tx: &mut Tx<'_>, id: JobId) -> Result<()> {
    tx.update::<Record>(&Scope::All, id, |r| {
        if r.state != State::Stuck {
            return Err(Error::conflict(format!("Job {id} is {}, not stuck.", r.state.word())));
        }
        r.state = if r.unwinding { State::Unwinding } else { State::Running };
        r.attempt = 0;
        r.wake_at = Time::now();
        if !r.unwinding {
            r.error = None;
        }
        Ok(())
    })
    .map(drop)
}

/// The job `id`, while it is kept.
///
/// # Errors
/// Those of the store.
pub fn find(rd: &mut Read<'_>, id: JobId) -> Result<Option<JobView>> {
    Ok(rd.find::<Record>(&Scope::All, id)?.map(|r| r.value.into()))
}

/// The jobs enqueued as children of `parent`, oldest first.
///
/// # Errors
/// Those of the store.
pub fn children(rd: &mut Read<'_>, parent: JobId) -> Result<Vec<JobView>> {
    views(rd, &Query::by("parent", parent))
}

/// The job that `subject` is busy with: running, unwinding or stuck.
///
/// # Errors
/// Those of the store.
pub fn active(rd: &mut Read<'_>, subject: impl Display) -> Result<Option<JobView>> {
    Ok(current(rd, &subject.to_string())?.map(|r| r.value.into()))
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in one of these states; all where empty.
    pub states: Vec<State>,
    /// Only those of this subject.
    pub subject: Option<String>,
}

/// The jobs that `filter` selects, oldest first.
///
/// # Errors
/// Those of the store.
pub fn list(rd: &mut Read<'_>, filter: &Filter) -> Result<Vec<JobView>> {
    let mut query = Query::all();
    if let Some(subject) = &filter.subject {
        query = query.eq("subject", subject);
    }
    if !filter.states.is_empty() {
        query = query.any("state", filter.states.iter().map(|s| s.word()));
    }
    views(rd, &query)
}

fn views(rd: &mut Read<'_>, query: &Query) -> Result<Vec<JobView>> {
    let mut found: Vec<JobView> =
        rd.list::<Record>(&Scope::All, query)?.into_iter().map(|r| r.value.into()).collect();
    found.sort_by_key(|j| (j.created_at, j.id));
    Ok(found)
}

fn current(rd: &mut Read<'_>, subject: &str) -> Result<Option<Stored<Record>>> {
    match rd.holder(SUBJECT_KEY, subject)? {
        Some((_, id)) => rd.find(&Scope::All, id),
        None => Ok(None),
    }
}

fn queued(rd: &mut Read<'_>, subject: &str) -> Result<Vec<Stored<Record>>> {
    rd.list(&Scope::All, &Query::by("queue", subject))
}

/// After the job `ended`: starts the next of its subject and wakes its parent.
pub(crate) fn follow(tx: &mut Tx<'_>, ended: &Record) -> Result<()> {
    let next = queued(tx, &ended.subject)?.into_iter().min_by_key(|r| (r.created_at, r.id));
    if let Some(mut next) = next {
        next.value.state = State::Running;
        next.value.wake_at = Time::now();
        tx.put(&next)?;
    }
    let Some(parent) = ended.parent else { return Ok(()) };
    match tx.find::<Record>(&Scope::All, parent)? {
        Some(parent) => wake_doc(tx, parent),
        None => Ok(()),
    }
}
