//! Jinja2 with Python's semantics, as ansible-core 2.19 uses it. No I/O.
//!
//! ```text
//! text ──lexer──► tokens ──parser──► Template (cached by its text) ──eval(Scope)──► Value
//! ```
//!
//! * [`Engine`] holds the syntax, the filters, tests and globals; others register what needs I/O (lookups,
//!   file tests, vault).
//! * [`Scope`] is the variable layer, asked by name and only for what a template really reads.
//! * [`Value`] is Python's data model. Trusted text is a template that is rendered whenever it is *read*;
//!   a template that reads itself is an error, not a hang.
//! * One expression gives its object; anything else is joined to text.

#![forbid(unsafe_code)]

mod args;
pub mod crypt;
mod engine;
mod error;
mod eval;
mod filters;
mod format;
mod globals;
mod methods;
mod parse;
mod state;
mod tests;
pub mod value;

pub use args::Args;
pub use engine::{Engine, Filter, Function, Limits, Loader, PluginFinder, Render, Syntax, Test};
pub use error::{Error, ErrorKind};
pub use filters::{python_choices, yaml};
pub use state::{EmptyScope, Scope, State};
pub use value::{BigInt, Dict, List, Object, Origin, Str, Undefined, Value, ValueIter};
