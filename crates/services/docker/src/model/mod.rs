//! What things are: pure.

pub mod config;
pub mod signals;
pub mod views;
