//! What things are: pure.

pub mod reference;
