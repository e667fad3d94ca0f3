//! Running the syntax tree.
//!
//! ```text
//! Engine::render ─► State{engine, scope, run, frame, context} ─► exec (statements) ─► expr ─► access, call
//! ```
//!
//! An error inside a filter, a call or a variable's template is kept as an undefined value that raises it when
//! used: so `default` catches it, and an unused one harms nobody.

mod access;
mod call;
mod exec;
mod expr;
mod frame;
mod objects;
mod render;
mod sink;

pub(crate) use access::index;
pub(crate) use frame::{Context, Frame};
pub(crate) use objects::{FunctionObject, Namespace};
pub(crate) use render::Mode;
pub(crate) use sink::Sink;
