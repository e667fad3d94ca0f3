//! The engine's model: what Docker's objects are, without any effect.

pub mod spec;
