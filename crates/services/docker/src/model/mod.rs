//! What things are: pure.

pub mod pools;
pub mod reference;
pub mod spec;
