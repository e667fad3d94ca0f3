//! How a host is reached: local, ssh, docker; and how privileges are raised there.
//!
//! ```text
//!  Pool::get(&Options) ──► Connection ──┬─ module()  in this process (local), else by the host's helper
//!                                       ├─ exec()    a shell command (raw, script, Python modules)
//!                                       ├─ put(), get()
//!                                       └─ helper()  pushed once per host, cached there by its hash
//!                          Transport: starts one command on the host, with its streams
//!                           ├─ local   fork and exec
//!                           ├─ ssh     russh; the `ssh` program where the user's options need it
//!                           └─ docker  the engine's socket
//! ```
//!
//! All calls block the calling thread; a connection is shared by threads. Each (host, user after become) has a helper of
//! its own over one channel for the whole run, with many requests in flight.

mod r#become;
mod bootstrap;
mod docker;
mod error;
pub mod fetch;
mod helper;
mod local;
mod options;
mod permit;
mod pool;
mod run;
mod spawn;
mod ssh;

pub use r#become::Become;
pub use error::Error;
pub use helper::Helper;
pub use options::{Options, Settings};
pub use pool::Pool;
pub use run::{Connection, Job, ModuleCall, Output};
pub use spawn::quote;
pub use ssh::private_key_of;
