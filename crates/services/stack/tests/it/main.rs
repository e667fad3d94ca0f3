//! Orchestration through real HTTP, with real jobs.

mod bench;
mod faults;
mod lifecycle;
