//! The store's conformance suite, run on SQLite and on PostgreSQL.

mod conformance;
mod engines;
