//! The modules: one file or folder each.

pub mod command;
pub mod file;
pub mod ping;
pub mod stat;
