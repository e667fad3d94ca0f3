//! What travels: Heat's faults, and views of stacks, resources and events.

pub mod fault;
pub mod request;
pub mod views;
