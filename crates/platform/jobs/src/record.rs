//! The document of a job, its states, and how others see it.
//!
//! ```text
//!   queued ─► running ─► done
//!                │ failed, cancelled
//!                ▼
//!            unwinding ─► undone | cancelled
//!                └─► stuck ─(resume)─► where it was
//! ```
//! The index `due` says when a runner may next take the job: at `wake_at`, or where one holds it, when that
//! lease ends. Ended jobs leave it, so that looking for work costs the same however many there were.

use pileus_base::{Error, Kind, Time, ids::JobId, ids::ProjectId};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The store's kind of every job's document, for watches.
pub const KIND: &str = "job";
/// The unique key that the one active job of a subject holds.
pub(crate) const SUBJECT_KEY: &str = "job.subject";

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Behind another job of its subject.
    Queued,
    /// Doing its steps, or waiting to.
    Running,
    /// Undoing them.
    Unwinding,
    /// An operator must look, and then resume it.
    Stuck,
    /// All steps done.
    Done,
    /// A step failed and all is undone.
    Undone,
    /// Unwound when asked to.
    Cancelled,
}

impl State {
    /// Whether nothing more will happen.
    pub fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Cancelled)
    }
    /// The state in one lower-case word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Unwinding => "unwinding",
            Self::Stuck => "stuck",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a job was undone or is stuck.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobError {
    /// What a caller may read.
    pub message: String,
    /// What the error means.
    #[serde(with = "kind_word")]
    pub kind: Kind,
    /// The step that failed.
    pub step: String,
}

impl JobError {
    pub(crate) fn new(error: &Error, step: &str) -> Self {
        Self { message: error.message().to_owned(), kind: error.kind(), step: step.to_owned() }
    }
}

/// What a step left in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journaled {
    pub step: String,
    pub value: Value,
}

/// Who holds a job, and until when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub owner: String,
    pub until: Time,
}

/// A job as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub id: JobId,
    pub kind: String,
    pub subject: String,
    pub parent: Option<JobId>,
    pub input: Value,
    pub state: State,
    /// The step to run or undo next.
    pub cursor: usize,
    pub unwinding: bool,
    pub outputs: Vec<Journaled>,
    /// Failures of the step at the cursor.
    pub attempt: u32,
    pub error: Option<JobError>,
    pub cancelled: bool,
    /// Somebody woke it while it was running: a wait ends at once.
    pub woken: bool,
    pub wake_at: Time,
    pub lease: Option<Lease>,
    /// The fencing token: raised by every claim.
    pub epoch: u64,
    /// Unique in one process and close to the clock: the order of enqueueing.
    pub created_at: Time,
    pub ended_at: Option<Time>,
}

impl Record {
    /// When a runner may take it; `None` where none may.
    pub fn due(&self) -> Option<Time> {
        matches!(self.state, State::Running | State::Unwinding)
            .then(|| self.lease.as_ref().map_or(self.wake_at, |l| l.until))
    }
    /// Ends a wait, now or as soon as the running step asks for one.
    pub fn wake(&mut self) {
        self.woken = true;
        self.wake_at = self.wake_at.min(Time::now());
    }
}

impl Resource for Record {
    const KIND: &'static str = KIND;
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("state", self.state.word());
        ix.text("subject", &self.subject);
        if let Some(parent) = self.parent {
            ix.add("parent", parent);
        }
        if self.state == State::Queued {
            ix.text("queue", &self.subject);
        }
        if let Some(at) = self.due() {
            ix.time("due", at);
        }
        if let Some(at) = self.ended_at {
            ix.time("ended", at);
        }
    }
    fn unique(&self, unique: &mut Unique) {
        if !self.state.ended() && self.state != State::Queued {
            unique.claim(SUBJECT_KEY, &self.subject);
        }
    }
}

/// A job as services and operators see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// The job.
    pub id: JobId,
    /// Its [`Job::KIND`](crate::Job::KIND).
    pub kind: String,
    /// What it works on.
    pub subject: String,
    /// The job that waits for it.
    pub parent: Option<JobId>,
    /// Where it is.
    pub state: State,
    /// The steps that are done (and not undone), in order.
    pub steps_done: Vec<String>,
    /// Failures of the present step.
    pub attempt: u32,
    /// Why it unwinds, was undone or is stuck.
    pub error: Option<JobError>,
    /// Whether it was asked to unwind.
    pub cancelled: bool,
    /// When it goes on, where it waits.
    pub wake_at: Time,
    /// Who runs it just now.
    pub owner: Option<String>,
    /// When it was enqueued.
    pub created_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

impl From<Record> for JobView {
    fn from(r: Record) -> Self {
        Self {
            id: r.id,
            kind: r.kind,
            subject: r.subject,
            parent: r.parent,
            state: r.state,
            steps_done: r.outputs.into_iter().map(|j| j.step).collect(),
            attempt: r.attempt,
            error: r.error,
            cancelled: r.cancelled,
            wake_at: r.wake_at,
            owner: r.lease.map(|l| l.owner),
            created_at: r.created_at,
            ended_at: r.ended_at,
        }
    }
}

/// Writes a [`Kind`] as its name.
mod kind_word {
    use pileus_base::Kind;
    use serde::{Deserialize, Deserializer, Serializer};

    const ALL: [Kind; 17] = [
        Kind::BadRequest,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::NotAcceptable,
        Kind::Conflict,
        Kind::Gone,
        Kind::PreconditionFailed,
        Kind::TooLarge,
        Kind::UnsupportedMedia,
        Kind::Unprocessable,
        Kind::OverQuota,
        Kind::TooMany,
        Kind::Internal,
        Kind::NotImplemented,
        Kind::Unavailable,
    ];

    pub fn serialize<S: Serializer>(kind: &Kind, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format!("{kind:?}"))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Kind, D::Error> {
        let word = String::deserialize(d)?;
        // A kind that this program does not know is still an error.
        Ok(ALL.into_iter().find(|k| format!("{k:?}") == word).unwrap_or(Kind::Internal))
    }
}
