//! What things are: servers and their states, flavors, keypairs, quotas, actions. Pure.

pub mod actions;
pub mod flavors;
pub mod keypairs;
pub mod quotas;
pub mod servers;
pub mod services;
pub mod states;
