//! What things are: pure.

pub mod config;
pub mod detach;
pub mod dockerfile;
pub mod json;
pub mod logging;
pub mod moment;
pub mod pools;
pub mod reference;
pub mod shape;
pub mod signals;
pub mod spec;
pub mod views;
