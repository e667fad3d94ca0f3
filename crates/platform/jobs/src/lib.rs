//! Jobs: work that finishes. Linear steps, each with its undo, journaled next to the resource they serve.
//!
//! ```text
//!   service:  tx { insert(server); enqueue::<ServerCreate>(tx, server_id, &input) }      one transaction
//!   runner:   claim ─► run step 0 ─► journal ─► run step 1 ─► journal … ─► ended(tx)     one write a step
//!                         │ fails, or was cancelled
//!                         ▼
//!                      undo it, then the earlier ones in reverse ─► ended(tx)            or `stuck`
//! ```
//!
//! A step's output is written after its effect, so a crash between the two runs the step again: effects are
//! `ensure_x` / `remove_x` pairs which succeed when done twice. A failed step is undone too. One job runs per
//! subject; others of that subject queue behind it. A runner holds a job by a lease with a fencing epoch: one
//! that lost it can't write any more. Waiting is [`Outcome::Later`], never sleeping in a step.
//!
//! What must stay true for ever is a reconciler (`pileus-reconcile`), not a job.

#![forbid(unsafe_code)]

mod execute;
mod faults;
mod handler;
mod queue;
mod record;
mod runner;
mod step;
pub mod torture;

use pileus_base::Result;
use pileus_store::Tx;
use serde::{Serialize, de::DeserializeOwned};

pub use faults::{Fault, Faults, Moment, Point};
pub use pileus_base::ids::JobId;
pub use queue::{
    Filter, active, cancel, cancel_children, children, enqueue, enqueue_child, find, list, resume, wake,
};
pub use record::{JobError, JobView, KIND, State};
pub use runner::{Jobs, Runner, RunnerConfig};
pub use step::{Outcome, Run, Step};

/// A kind of job. The value is its handler: it holds what the steps need of the service.
pub trait Job: Send + Sync + 'static {
    /// `service.what`, as in `compute.server_create`.
    const KIND: &'static str;
    /// What the job is asked to do; kept with it.
    type Input: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    /// The steps, in order: a pure function of the input, since it is called again after a restart. Names
    /// are unique within the job.
    fn steps(&self, input: &Self::Input) -> Vec<Step<Self>>
    where
        Self: Sized;

    /// Called in the transaction that ends the job. Where it fails, the job becomes [`State::Stuck`].
    ///
    /// # Errors
    /// Those of the service.
    fn ended(&self, _tx: &mut Tx<'_>, _input: &Self::Input, _end: &End) -> Result<()> {
        Ok(())
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Every step is done.
    Done,
    /// A step failed; it and those before it are undone.
    Undone(JobError),
    /// Asked to unwind ([`cancel`]), and undone.
    Cancelled,
}
