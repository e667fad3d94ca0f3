//! What things are: pure.

pub mod pools;
