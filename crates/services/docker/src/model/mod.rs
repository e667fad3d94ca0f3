//! What things are: pure.
pub mod dockerfile;
