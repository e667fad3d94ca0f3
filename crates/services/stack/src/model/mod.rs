//! What a template means. Pure: no I/O, no clock, no randomness of its own.
//!
//! ```text
//! text ─ template ─┐
//! environment ─────┼─ params ─ conditions ─ exprs ─► Parsed (definitions, outputs) ─ graph ─► plan
//! files ───────────┘                                     └─ schema (properties of a resource type)
//! ```
//!
//! Messages are Heat's own, to the letter: people search the web for them.

pub mod conditions;
pub mod constraints;
pub mod environment;
pub mod error;
pub mod expr;
mod functions;
pub mod graph;
mod lists;
pub mod names;
pub mod params;
pub mod parsed;
pub mod plan;
pub mod python;
pub mod schema;
pub mod template;
mod texts;
pub mod version;

pub use conditions::Conditions;
pub use constraints::Constraint;
pub use environment::Environment;
pub use error::Fault;
pub use expr::{Context, Expr};
pub use graph::Graph;
pub use params::Parameters;
pub use parsed::{Parsed, Types, Unmade};
pub use schema::{Property, PropertyType};
pub use template::{Definition, DeletionPolicy, Output, Template};
pub use version::Version;

/// What templates are made of.
pub type Json = serde_json::Value;
/// A fallible result in Heat's words.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
