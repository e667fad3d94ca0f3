//! Images through real HTTP, over a host that only examines.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod access;
mod bench;
mod data;
mod import;
mod limits;
mod metadefs;
mod patch;
mod site;
