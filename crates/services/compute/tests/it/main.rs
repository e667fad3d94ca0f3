//! Servers over real HTTP, on a simulated host.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod access;
mod actions;
mod bad_input;
mod bench;
mod consoles;
mod flavors;
mod host;
mod keypairs;
mod lists;
mod metadata;
mod rebuild;
mod servers;
mod services;
