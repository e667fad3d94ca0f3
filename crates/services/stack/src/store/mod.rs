//! What is kept: stacks, their resources, the runs of their actions, events, software configs.

pub mod configs;
pub mod events;
pub mod resources;
pub mod runs;
pub mod stacks;
