//! Running plays: strategies, the iterator of tasks, results, handlers, loops, delegation.
//!
//! ```text
//! Playbook ─► for each play, each batch: Run
//!    strategy (this thread) ──(host, task)──► workers (at most `forks`) ─── one::run: when, loop, args, action
//!        ▲                                                                     │
//!        └── results: facts, registered, notified, counted, told to callbacks ◄┘
//! ```
//!
//! The state of a play is the strategy thread's alone; workers only read. With one host, or one fork, the work is done
//! on the strategy's own thread.

pub mod fields;
pub mod include;
pub mod iterator;
pub mod meta;
pub mod one;
pub mod plays;
pub mod result;
pub mod run;
pub mod strategy;
pub mod world;

pub use result::TaskResult;
pub use run::Run;
pub use world::{Options, World};
