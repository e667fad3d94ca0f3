//! Nova's types: servers, keypairs, flavors.

mod flavor;
mod keypair;
mod server;
mod user_data;

use std::sync::Arc;

use pileus_compute::Compute;

use super::Registry;

/// Adds them.
pub fn register(registry: &mut Registry, compute: &Arc<Compute>) {
    registry.add(server::Server { compute: compute.clone() });
    registry.add(keypair::KeyPair);
    registry.add(flavor::Flavor);
}
