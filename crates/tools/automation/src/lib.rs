//! The automation engine: what `ansible-playbook` and its sisters do, without Python.
//!
//! ```text
//!  cli ── config, inventory, vault, source ──► playbook (parsed once) ──► execute (per host: vars, action) ──► connection
//!                                                                            └──► callback (what is printed)
//! ```
//!
//! The controller only: modules run in `pileus-modules`, templates in `pileus-jinja`.

pub mod action;
pub mod callback;
pub mod cli;
pub mod config;
pub mod connection;
mod delay;
pub mod display;
mod error;
pub mod execute;
mod interrupt;
pub mod inventory;
pub mod log;
pub mod lookup;
mod openstack;
pub mod playbook;
pub mod python;
pub mod source;
mod terminal;
mod truth;
pub mod vars;
pub mod vault;

pub use error::{Error, ErrorKind, os_error};
