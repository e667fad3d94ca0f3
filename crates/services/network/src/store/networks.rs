//! Networks.

use pileus_base::{
    Ctx, Error, Result, Scope,
    ids::{NetworkId, ProjectId},
};
use pileus_store::{Query, Read, Resource, Stored, Tx};

pub use crate::model::networks::Network;
use crate::{
    model::{Standard, ports::Port},
    store::{owns, pick, ports, project_for, quotas, security_groups, subnets},
};

/// A network asked for.
#[derive(Debug, Clone, Default)]
pub struct NetworkCreate {
    /// The name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Up where `None`.
    pub admin_up: Option<bool>,
    /// For everybody: administrators only.
    pub shared: bool,
    /// Leads outside: administrators only.
    pub external: bool,
    /// The cloud's where `None`.
    pub mtu: Option<u32>,
    /// On where `None`.
    pub port_security: Option<bool>,
    /// The caller's where `None`.
    pub project_id: Option<ProjectId>,
    /// What guests' names end in.
    pub dns_domain: String,
}

/// Whether the caller may use the network.
pub fn visible_to(network: &Network, ctx: &Ctx) -> bool {
    owns(ctx, &network.project_id) || network.shared || network.external
}

/// The network of this id, if the caller may use it.
///
/// # Errors
/// 404 in Neutron's words.
pub fn get(rd: &mut Read<'_>, ctx: &Ctx, id: NetworkId) -> Result<Stored<Network>> {
    let network: Stored<Network> = rd.get(&Scope::All, id)?;
    if visible_to(&network, ctx) { Ok(network) } else { Err(Network::not_found(&id.to_string())) }
}

/// The network of this id or name.
///
/// # Errors
/// 404 in Neutron's words; 409 where the name is ambiguous.
pub fn find(rd: &mut Read<'_>, ctx: &Ctx, name_or_id: &str) -> Result<Stored<Network>> {
    pick(rd, name_or_id, |n: &Network| visible_to(n, ctx))
}

/// All that the caller may use.
pub fn visible(rd: &mut Read<'_>, ctx: &Ctx) -> Result<Vec<Stored<Network>>> {
    let mut all: Vec<Stored<Network>> = rd.list(&Scope::All, &Query::all())?;
    all.retain(|n| visible_to(n, ctx));
    Ok(all)
}

/// Makes a network, and the owner's default security group with its first.
///
/// # Errors
/// 403 for what only administrators may ask, 409 over quota.
pub fn create(tx: &mut Tx<'_>, ctx: &Ctx, asked: NetworkCreate, mtu: u32) -> Result<Network> {
    let project_id = project_for(ctx, asked.project_id)?;
    if (asked.shared || asked.external) && !ctx.is_admin() {
        return Err(Error::forbidden(
            "((rule:create_network and rule:create_network:shared)) is disallowed by policy",
        )
        .code("PolicyNotAuthorized"));
    }
    quotas::take(tx, &project_id, "network", 1)?;
    security_groups::default_of(tx, &project_id)?;
    let vni = tx.add("network.vni", &"".into(), 1)?;
    let network = Network {
        id: NetworkId::new(),
        project_id,
        name: asked.name,
        admin_up: asked.admin_up.unwrap_or(true),
        shared: asked.shared,
        external: asked.external,
        mtu: asked.mtu.unwrap_or(mtu),
        port_security: asked.port_security.unwrap_or(true),
        vni: u32::try_from(vni).unwrap_or(u32::MAX),
        dns_domain: asked.dns_domain,
        standard: Standard::new(&asked.description),
    };
    tx.insert(&network)?;
    Ok(network)
}

/// Changes a network that the caller owns.
///
/// # Errors
/// 404 or 403 in Neutron's words; those of `change`.
pub fn update(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    id: NetworkId,
    change: impl FnOnce(&mut Network) -> Result<()>,
) -> Result<Stored<Network>> {
    let network = get(tx, ctx, id)?;
    if !owns(ctx, &network.project_id) {
        return Err(
            Error::forbidden("rule:update_network is disallowed by policy").code("PolicyNotAuthorized")
        );
    }
    tx.update(&Scope::All, id, |n: &mut Network| {
        change(n)?;
        n.standard.touch();
        Ok(())
    })
}

/// Removes a network with its subnets; ports of its own services don't hold it.
///
/// # Errors
/// 409 `NetworkInUse` where other ports are on it.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, id: NetworkId) -> Result<()> {
    let network = get(tx, ctx, id)?;
    if !owns(ctx, &network.project_id) {
        return Err(
            Error::forbidden("rule:delete_network is disallowed by policy").code("PolicyNotAuthorized")
        );
    }
    let on: Vec<Stored<Port>> = tx.list(&Scope::All, &Query::by("network_id", id))?;
    if on.iter().any(|p| p.device_owner != "network:dhcp") {
        return Err(Error::conflict(format!(
            "Unable to complete operation on network {id}. There are one or more ports still in use on the network."
        ))
        .code("NetworkInUse"));
    }
    for port in on {
        ports::remove(tx, &port)?;
    }
    for subnet in network.subnets(tx)? {
        subnets::remove(tx, &subnet)?;
    }
    quotas::give(tx, &network.project_id, "network", 1)?;
    tx.delete::<Network>(id).map(drop)
}
