//! Networks over real HTTP, on a host that only takes notes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod access;
mod bad_input;
mod bench;
mod lists;
mod ports;
