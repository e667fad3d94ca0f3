//! What things are: pure.

pub mod pools;
pub mod spec;
