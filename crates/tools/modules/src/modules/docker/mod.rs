//! The modules of `community.docker` that need the engine's API only: over its Unix socket, or TCP without TLS.
//!
//! ```text
//! module ──► client (which engine, which version, errors) ──► http (one connection for each request)
//! ```
//!
//! The documentation of community.docker 4 is the specification. What isn't here or isn't covered (TLS, ssh, builds,
//! swarm) runs with the target's Python.

pub mod client;
pub mod container;
mod credentials;
mod diff;
pub mod exec;
pub mod http;
pub mod image_pull;
pub mod info;
mod names;
pub mod network;
mod output;
pub mod volume;
