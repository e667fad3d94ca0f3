//! What things are: pure.

pub mod spec;
