//! What things are: pure.

pub mod dockerfile;
pub mod pools;
pub mod reference;
pub mod spec;
