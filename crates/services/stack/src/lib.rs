//! Orchestration (Heat v1): templates become stacks, stacks become resources of the other services.
//!
//! Here so far is [`model`]: templates, parameters, functions, graphs and plans, pure and without I/O.

#![forbid(unsafe_code)]

pub mod model;
