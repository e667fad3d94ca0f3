//! What things are: pure.

pub mod config;
pub mod dockerfile;
pub mod pools;
pub mod reference;
pub mod signals;
pub mod spec;
pub mod views;
