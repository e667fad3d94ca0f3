//! Orchestration through real HTTP, with real jobs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod bench;
mod faults;
mod lifecycle;
