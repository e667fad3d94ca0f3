//! The container engine: Docker's API.

pub mod model;
