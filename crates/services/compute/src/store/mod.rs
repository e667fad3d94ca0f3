//! Queries and changes with a name. Every one runs inside the caller's transaction; reads take a scope.

pub mod actions;
pub mod flavors;
pub mod keypairs;
pub mod networking;
pub mod quotas;
pub mod rebuild;
pub mod servers;
pub mod services;
