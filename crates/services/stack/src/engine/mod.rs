//! What happens to stacks: actions begin, values are worked out, properties are checked.

pub mod begin;
pub mod context;
pub mod custom;
pub mod finish;
