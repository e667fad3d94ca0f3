//! Logging in, and what a token stands for.

pub mod issue;
pub mod token;
pub mod validate;
