//! The types of the other services, and the constraints that look things up there.

use std::sync::Arc;

use pileus_base::Error;
use pileus_compute::{Compute, flavors, keypairs, servers};
use pileus_image::{Images, images};
use pileus_network::{networks, ports, security_groups, subnets};

use super::{Registry, glance, neutron, nova};

impl Registry {
    /// All types, over the other services.
    pub fn cloud(compute: &Arc<Compute>, images: &Arc<Images>) -> Self {
        let mut registry = Self::new();
        nova::register(&mut registry, compute);
        neutron::register(&mut registry);
        registry.add(glance::WebImage { images: images.clone() });
        constraints(&mut registry);
        registry
    }
}

/// Heat's words for something that is not there.
fn missing(what: &'static str) -> impl Fn(Error, &str) -> String {
    move |e: Error, name: &str| match e.is_not_found() {
        true => format!("The {what} ({name}) could not be found."),
        false => e.message().to_owned(),
    }
}

/// Neutron's client's words for something that is not there.
fn unfindable(what: &'static str) -> impl Fn(Error, &str) -> String {
    move |e: Error, name: &str| match e.is_not_found() {
        true => format!("Unable to find {what} with name or id '{name}'"),
        false => e.message().to_owned(),
    }
}

fn constraints(registry: &mut Registry) {
    registry.constraint("nova.flavor", |rd, ctx, name| {
        flavors::find(rd, ctx, name).map(drop).map_err(|e| missing("Flavor")(e, name))
    });
    registry.constraint("nova.keypair", |rd, ctx, name| {
        let user = ctx.user_id().cloned().unwrap_or_else(|| "".into());
        keypairs::get(rd, &user, name).map(drop).map_err(|e| missing("Key")(e, name))
    });
    registry.constraint("nova.server", |rd, ctx, name| {
        let found =
            ctx.project_id().cloned().and_then(|p| servers::find(rd, &pileus_base::Scope::Project(p), name));
        found.map(drop).map_err(|e| missing("Server")(e, name))
    });
    registry.constraint("glance.image", |rd, ctx, name| {
        images::find(rd, ctx, name).map(drop).map_err(|e| missing("Image")(e, name))
    });
    registry.constraint("neutron.network", |rd, ctx, name| {
        networks::find(rd, ctx, name).map(drop).map_err(|e| unfindable("network")(e, name))
    });
    registry.constraint("neutron.subnet", |rd, ctx, name| {
        subnets::find(rd, ctx, name).map(drop).map_err(|e| unfindable("subnet")(e, name))
    });
    registry.constraint("neutron.port", |rd, ctx, name| {
        ports::find(rd, ctx, name).map(drop).map_err(|e| unfindable("port")(e, name))
    });
    registry.constraint("neutron.security_group", |rd, ctx, name| {
        security_groups::find(rd, ctx, name).map(drop).map_err(|e| unfindable("security_group")(e, name))
    });
}
