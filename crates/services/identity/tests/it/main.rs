//! Identity through real HTTP.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod bench;
mod resources;
mod tokens;
