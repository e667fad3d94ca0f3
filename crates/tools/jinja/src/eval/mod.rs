//! Running the syntax tree.

mod frame;

pub(crate) use frame::Frame;
