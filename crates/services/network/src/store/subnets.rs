//! Subnets.

use std::net::IpAddr;

use ipnet::IpNet;
use pileus_base::{
    Ctx, Error, Result, Scope,
    ids::{NetworkId, SubnetId},
};
use pileus_store::{Query, Read, Resource, Stored, Tx};

pub use crate::model::subnets::{Pool, Route, Subnet};
use crate::{
    model::{
        Standard,
        networks::Network,
        ports::Port,
        subnets::{address, default_pools, number, usable},
    },
    store::{networks, owns, pick, ports, quotas},
};

/// A subnet asked for.
#[derive(Debug, Clone)]
pub struct SubnetCreate {
    /// The network.
    pub network_id: NetworkId,
    /// The name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The range.
    pub cidr: IpNet,
    /// The first address where `None`; none at all where `Some(None)`.
    pub gateway_ip: Option<Option<IpAddr>>,
    /// Everything but the gateway where `None`.
    pub pools: Option<Vec<Pool>>,
    /// On where `None`.
    pub enable_dhcp: Option<bool>,
    /// Name servers.
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes.
    pub host_routes: Vec<Route>,
    /// IPv6's.
    pub ipv6_address_mode: Option<String>,
    /// IPv6's.
    pub ipv6_ra_mode: Option<String>,
}

impl SubnetCreate {
    /// All defaults.
    pub fn new(network_id: NetworkId, cidr: IpNet) -> Self {
        Self {
            network_id,
            name: String::new(),
            description: String::new(),
            cidr,
            gateway_ip: None,
            pools: None,
            enable_dhcp: None,
            dns_nameservers: vec![],
            host_routes: vec![],
            ipv6_address_mode: None,
            ipv6_ra_mode: None,
        }
    }
}

fn visible_to(rd: &mut Read<'_>, ctx: &Ctx, subnet: &Subnet) -> Result<bool> {
    if owns(ctx, &subnet.project_id) {
        return Ok(true);
    }
    let network = rd.find::<Network>(&Scope::All, subnet.network_id)?;
    Ok(network.is_some_and(|n| n.shared))
}

/// The subnet of this id, if the caller may see it.
///
/// # Errors
/// 404 in Neutron's words.
pub fn get(rd: &mut Read<'_>, ctx: &Ctx, id: SubnetId) -> Result<Stored<Subnet>> {
    let subnet: Stored<Subnet> = rd.get(&Scope::All, id)?;
    if visible_to(rd, ctx, &subnet)? { Ok(subnet) } else { Err(Subnet::not_found(&id.to_string())) }
}

/// The subnet of this id or name.
///
/// # Errors
/// 404 in Neutron's words; 409 where the name is ambiguous.
pub fn find(rd: &mut Read<'_>, ctx: &Ctx, name_or_id: &str) -> Result<Stored<Subnet>> {
    pick(rd, name_or_id, |s: &Subnet| owns(ctx, &s.project_id))
}

/// All that the caller may see.
pub fn visible(rd: &mut Read<'_>, ctx: &Ctx) -> Result<Vec<Stored<Subnet>>> {
    let mut out = Vec::new();
    for subnet in rd.list::<Subnet>(&Scope::All, &Query::all())? {
        if visible_to(rd, ctx, &subnet)? {
            out.push(subnet);
        }
    }
    Ok(out)
}

fn invalid(why: String) -> Error {
    Error::bad_request(format!("Invalid input for operation: {why}.")).code("InvalidInput")
}

/// Makes a subnet; one with DHCP gives the network's own port its first address there.
///
/// # Errors
/// 400 for what doesn't fit together, 409 over quota.
pub fn create(tx: &mut Tx<'_>, ctx: &Ctx, asked: SubnetCreate) -> Result<Subnet> {
    let network = networks::get(tx, ctx, asked.network_id)?;
    if !owns(ctx, &network.project_id) {
        return Err(
            Error::forbidden("rule:create_subnet is disallowed by policy").code("PolicyNotAuthorized")
        );
    }
    let cidr = asked.cidr.trunc();
    for other in network.subnets(tx)? {
        if other.cidr.contains(&cidr) || cidr.contains(&other.cidr) {
            return Err(invalid(format!(
                "Requested subnet with cidr: {cidr} for network: {} overlaps with another subnet",
                network.id
            )));
        }
    }
    let slaac = matches!(asked.ipv6_address_mode.as_deref(), Some("slaac" | "dhcpv6-stateless"));
    if (asked.ipv6_address_mode.is_some() || asked.ipv6_ra_mode.is_some()) && cidr.addr().is_ipv4() {
        return Err(invalid("ipv6_address_mode or ipv6_ra_mode cannot be set when ip_version is 4".into()));
    }
    if slaac && cidr.prefix_len() != 64 {
        return Err(invalid(format!(
            "Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64"
        )));
    }
    let (first, _) = usable(&cidr);
    let gateway_ip = match asked.gateway_ip {
        Some(given) => given,
        None => Some(address(first, cidr.addr())),
    };
    check_gateway(gateway_ip, &cidr)?;
    let pools = match asked.pools {
        Some(pools) => {
            check_pools(&pools, &cidr, gateway_ip)?;
            pools
        }
        None => default_pools(&cidr, gateway_ip),
    };
    quotas::take(tx, &network.project_id, "subnet", 1)?;
    let subnet = Subnet {
        id: SubnetId::new(),
        project_id: network.project_id.clone(),
        network_id: network.id,
        name: asked.name,
        cidr,
        gateway_ip,
        pools,
        enable_dhcp: asked.enable_dhcp.unwrap_or(true),
        dns_nameservers: asked.dns_nameservers,
        host_routes: asked.host_routes,
        ipv6_address_mode: asked.ipv6_address_mode,
        ipv6_ra_mode: asked.ipv6_ra_mode,
        standard: Standard::new(&asked.description),
    };
    tx.insert(&subnet)?;
    if subnet.enable_dhcp {
        ports::ensure_service_port(tx, &network, &subnet)?;
    }
    Ok(subnet)
}

/// A gateway lies in the range; one of IPv6 may be link-local.
fn check_gateway(gateway: Option<IpAddr>, cidr: &IpNet) -> Result<()> {
    let Some(gateway) = gateway else { return Ok(()) };
    let onlink = gateway.is_ipv6() && (number(gateway) >> 118) == (0xfe80_u128 << 112 >> 118);
    if gateway.is_ipv4() != cidr.addr().is_ipv4() || (!cidr.contains(&gateway) && !onlink) {
        return Err(invalid(format!("Gateway {gateway} is not valid on subnet")));
    }
    Ok(())
}

/// Pools lie in the range, don't overlap, and leave the gateway out.
pub fn check_pools(pools: &[Pool], cidr: &IpNet, gateway: Option<IpAddr>) -> Result<()> {
    let (first, last) = usable(cidr);
    for (n, pool) in pools.iter().enumerate() {
        let (start, end) = (number(pool.start), number(pool.end));
        let shown = format!("{}-{}", pool.start, pool.end);
        if pool.start.is_ipv4() != cidr.addr().is_ipv4() || start > end {
            return Err(Error::bad_request(format!("The allocation pool {shown} is not valid."))
                .code("InvalidAllocationPool"));
        }
        if start < first || end > last {
            return Err(Error::bad_request(format!(
                "The allocation pool {shown} spans beyond the subnet cidr {cidr}."
            ))
            .code("OutOfBoundsAllocationPool"));
        }
        if let Some(other) = pools[..n].iter().find(|o| number(o.start) <= end && number(o.end) >= start) {
            return Err(Error::conflict(format!(
                "Found overlapping allocation pools: {}-{} {shown} for subnet {cidr}.",
                other.start, other.end
            ))
            .code("OverlappingAllocationPools"));
        }
        if let Some(g) = gateway.filter(|g| (start..=end).contains(&number(*g))) {
            return Err(Error::conflict(format!("Gateway ip {g} conflicts with allocation pool {shown}."))
                .code("GatewayConflictWithAllocationPools"));
        }
    }
    Ok(())
}

/// Changes a subnet that the caller owns.
///
/// # Errors
/// 404 in Neutron's words; those of `change`.
pub fn update(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    id: SubnetId,
    change: impl FnOnce(&mut Subnet) -> Result<()>,
) -> Result<Stored<Subnet>> {
    let before = get(tx, ctx, id)?;
    if !owns(ctx, &before.project_id) {
        return Err(
            Error::forbidden("rule:update_subnet is disallowed by policy").code("PolicyNotAuthorized")
        );
    }
    let subnet = tx.update(&Scope::All, id, |s: &mut Subnet| {
        change(s)?;
        check_gateway(s.gateway_ip, &s.cidr)?;
        check_pools(&s.pools, &s.cidr, s.gateway_ip)?;
        s.standard.touch();
        Ok(())
    })?;
    if subnet.enable_dhcp {
        let network: Stored<Network> = tx.get(&Scope::All, subnet.network_id)?;
        ports::ensure_service_port(tx, &network, &subnet)?;
    }
    Ok(subnet)
}

/// Removes a subnet.
///
/// # Errors
/// 409 `SubnetInUse` where ports other than the network's own have addresses there.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, id: SubnetId) -> Result<()> {
    let subnet = get(tx, ctx, id)?;
    if !owns(ctx, &subnet.project_id) {
        return Err(
            Error::forbidden("rule:delete_subnet is disallowed by policy").code("PolicyNotAuthorized")
        );
    }
    let on: Vec<Stored<Port>> = tx.list(&Scope::All, &Query::by("subnet_id", id))?;
    let held = on.iter().filter(|p| p.device_owner != "network:dhcp" && !subnet.self_addressed());
    let held: Vec<_> = held.map(|p| p.id.to_string()).collect();
    if !held.is_empty() {
        return Err(Error::conflict(format!(
            "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet."
        ))
        .code("SubnetInUse"));
    }
    for mut port in on {
        port.fixed_ips.retain(|f| f.subnet_id != id);
        if port.fixed_ips.is_empty() && port.device_owner == "network:dhcp" {
            ports::remove(tx, &port)?;
        } else {
            port.standard.touch();
            tx.put(&port)?;
        }
    }
    remove(tx, &subnet)
}

/// Removes a subnet's row.
pub(crate) fn remove(tx: &mut Tx<'_>, subnet: &Subnet) -> Result<()> {
    quotas::give(tx, &subnet.project_id, "subnet", 1)?;
    tx.delete::<Subnet>(subnet.id).map(drop)
}
