//! Third-party modules and plugins in Python.
//!
//! ```text
//!  Host ──frames──► python3 host.py (the installed ansible-core; one process, started at the first use)
//!   ├─ modules: builds the bundle (module and the module_utils it imports), which runs with the target's Python
//!   ├─ plugins: filter, test, lookup, inventory, vars, cache
//!   ├─ tasks: actions, and whatever runs through connection and become plugins
//!   └─ callbacks: in a process of their own, as they print
//! ```
//!
//! ansible-core is a program of the user's, never a part of this one: where it isn't installed, only what is native
//! works, and the error says so.

pub mod events;
pub mod handover;
mod host;
mod interpreter;

mod module;
pub mod places;
pub mod search;
pub mod templates;
pub mod values;
pub mod vars;

use std::sync::OnceLock;

pub use host::{Host, HostError, Setup};
pub use interpreter::{Discovered, discover};
pub use module::{PythonCall, run};

/// The plugin host of this program; its process starts at the first request.
pub fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| {
        Host::new(Setup {
            collections_paths: crate::config::current().list("COLLECTIONS_PATHS"),
            verbosity: crate::display::verbosity(),
            ..Setup::default()
        })
    })
}
