//! The store's conformance suite, run on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod conformance;
mod engines;
