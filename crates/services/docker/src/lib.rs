//! The container engine.
