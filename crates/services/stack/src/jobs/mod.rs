//! What takes time: an action on a stack, and under it a job per resource.

pub mod action;
pub mod resource;

#[cfg(test)]
mod tests;
