//! Third-party modules and plugins in Python.
//!
//! ```text
//!  Host ──frames──► python3 host.py (the installed ansible-core; one process, started at the first use)
//!   ├─ modules: builds the bundle (module and the module_utils it imports), which runs with the target's Python
//!   └─ plugins: filter, test, lookup, inventory, vars
//! ```
//!
//! ansible-core is a program of the user's, never a part of this one: where it isn't installed, only what is native
//! works, and the error says so.

mod host;
mod interpreter;
mod module;

pub use host::{Host, HostError, Setup};
pub use interpreter::{Discovered, discover};
pub use module::{PythonCall, run};
