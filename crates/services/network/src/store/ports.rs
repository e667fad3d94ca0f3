//! Ports. An address is a unique key: two ports can't have it.

use std::net::IpAddr;

use pileus_base::{
    Ctx, Error, Result, Scope,
    ids::{NetworkId, PortId, ProjectId, SecurityGroupId},
};
use pileus_store::{Query, Read, Resource, Stored, Tx, taken};

pub use super::addresses::FixedIpRequest;
pub use crate::model::ports::{AddressPair, ExtraOption, FixedIp, Port};
use crate::{
    model::{Standard, networks::Network, subnets::Subnet},
    store::{addresses, networks, owns, pick, project_for, quotas, security_groups},
};

/// A port asked for.
#[derive(Debug, Clone)]
pub struct PortCreate {
    /// The network.
    pub network_id: NetworkId,
    /// The name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Made where `None`.
    pub mac: Option<String>,
    /// One of each family where empty; none where `no_ips`.
    pub fixed_ips: Vec<FixedIpRequest>,
    /// An empty list was asked for.
    pub no_ips: bool,
    /// The project's default where `None`.
    pub security_groups: Option<Vec<SecurityGroupId>>,
    /// What it is plugged into.
    pub device_id: String,
    /// What that is.
    pub device_owner: String,
    /// The host it is bound to.
    pub host: Option<String>,
    /// Its name in DNS.
    pub dns_name: Option<String>,
    /// The caller's where `None`.
    pub project_id: Option<ProjectId>,
    /// Whether it may carry traffic.
    pub admin_up: bool,
    /// The network's where `None`.
    pub port_security: Option<bool>,
    /// Further senders.
    pub allowed_address_pairs: Vec<AddressPair>,
    /// Extra DHCP options.
    pub extra_dhcp_opts: Vec<ExtraOption>,
    /// `normal` mostly.
    pub vnic_type: String,
}

impl Default for PortCreate {
    fn default() -> Self {
        Self {
            network_id: NetworkId(uuid::Uuid::nil()),
            name: String::new(),
            description: String::new(),
            mac: None,
            fixed_ips: vec![],
            no_ips: false,
            security_groups: None,
            device_id: String::new(),
            device_owner: String::new(),
            host: None,
            dns_name: None,
            project_id: None,
            admin_up: true,
            port_security: None,
            allowed_address_pairs: vec![],
            extra_dhcp_opts: vec![],
            vnic_type: "normal".into(),
        }
    }
}

/// The port of this id that `scope` covers.
///
/// # Errors
/// 404 in Neutron's words.
pub fn get(rd: &mut Read<'_>, scope: &Scope, id: PortId) -> Result<Stored<Port>> {
    rd.get(scope, id)
}

fn visible_to(rd: &mut Read<'_>, ctx: &Ctx, port: &Port) -> Result<bool> {
    if owns(ctx, &port.project_id) {
        return Ok(true);
    }
    // Who owns a network sees what others plug into it.
    let network = rd.find::<Network>(&Scope::All, port.network_id)?;
    Ok(network.is_some_and(|n| owns(ctx, &n.project_id)))
}

/// The port of this id, if the caller may see it.
///
/// # Errors
/// 404 in Neutron's words.
pub fn seen(rd: &mut Read<'_>, ctx: &Ctx, id: PortId) -> Result<Stored<Port>> {
    let port: Stored<Port> = rd.get(&Scope::All, id)?;
    if visible_to(rd, ctx, &port)? { Ok(port) } else { Err(Port::not_found(&id.to_string())) }
}

/// The port of this id or name.
///
/// # Errors
/// 404 in Neutron's words; 409 where the name is ambiguous.
pub fn find(rd: &mut Read<'_>, ctx: &Ctx, name_or_id: &str) -> Result<Stored<Port>> {
    pick(rd, name_or_id, |p: &Port| owns(ctx, &p.project_id))
}

/// The ports that `query` selects and the caller may see.
pub fn visible(rd: &mut Read<'_>, ctx: &Ctx, query: &Query) -> Result<Vec<Stored<Port>>> {
    let mut out = Vec::new();
    for port in rd.list::<Port>(&Scope::All, query)? {
        if visible_to(rd, ctx, &port)? {
            out.push(port);
        }
    }
    Ok(out)
}

/// The ports plugged into a device.
pub fn of_device(rd: &mut Read<'_>, device_id: &str) -> Result<Vec<Stored<Port>>> {
    rd.list(&Scope::All, &Query::by("device_id", device_id))
}

/// The port that has an address on a network.
pub fn by_address(rd: &mut Read<'_>, network: NetworkId, ip: IpAddr) -> Result<Option<Stored<Port>>> {
    rd.first(&Scope::All, Query::by("address", format!("{network}/{ip}")))
}

fn random_mac() -> String {
    let [a, b, c]: [u8; 3] = rand::random();
    format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}")
}

/// Who only shares a network can't pretend to be another on it: these are for its owner and administrators.
pub(crate) fn only_owners(network: &Network, ctx: &Ctx, asked: &[(&str, bool)]) -> Result<()> {
    match asked.iter().find(|(_, used)| *used) {
        Some((name, _)) if !owns(ctx, &network.project_id) => {
            Err(Error::forbidden(format!("(rule:port:{name}) is disallowed by policy"))
                .code("PolicyNotAuthorized"))
        }
        _ => Ok(()),
    }
}

/// Makes a port with its addresses.
///
/// # Errors
/// Neutron's own: 404 for the network, 400 and 409 for addresses, 409 over quota.
pub fn create(tx: &mut Tx<'_>, ctx: &Ctx, asked: PortCreate) -> Result<Port> {
    let network = networks::get(tx, ctx, asked.network_id)?;
    let used = [
        ("mac_address", asked.mac.is_some()),
        ("fixed_ips:ip_address", asked.fixed_ips.iter().any(|f| f.ip.is_some())),
        ("port_security_enabled", asked.port_security.is_some()),
        ("allowed_address_pairs", !asked.allowed_address_pairs.is_empty()),
        ("device_owner", asked.device_owner.starts_with("network:")),
    ];
    only_owners(&network, ctx, &used)?;
    let project_id = match (&asked.project_id, ctx.caller.internal) {
        (Some(project), true) => project.clone(),
        _ => project_for(ctx, asked.project_id.clone())?,
    };
    quotas::take(tx, &project_id, "port", 1)?;
    let port_security = asked.port_security.unwrap_or(network.port_security);
    let security_groups = match asked.security_groups {
        Some(ids) => {
            for id in &ids {
                security_groups::get(tx, ctx, *id)?;
            }
            ids
        }
        None if !port_security || asked.device_owner.starts_with("network:") => vec![],
        None => vec![security_groups::default_of(tx, &project_id)?.id],
    };
    let mut port = Port {
        id: PortId::new(),
        project_id,
        network_id: network.id,
        name: asked.name,
        mac: asked.mac.clone().unwrap_or_else(random_mac),
        fixed_ips: vec![],
        active: false,
        admin_up: asked.admin_up,
        device_id: asked.device_id,
        device_owner: asked.device_owner,
        host: asked.host,
        security_groups,
        port_security,
        allowed_address_pairs: asked.allowed_address_pairs,
        extra_dhcp_opts: asked.extra_dhcp_opts,
        dns_name: asked.dns_name.unwrap_or_default(),
        vnic_type: asked.vnic_type,
        standard: Standard::new(&asked.description),
    };
    port.check()?;
    if asked.mac.is_some() && tx.holder("mac", format!("{}/{}", network.id, port.mac))?.is_some() {
        return Err(mac_in_use(&port));
    }
    port.fixed_ips =
        if asked.no_ips { vec![] } else { addresses::of(tx, &network, &port, &asked.fixed_ips)? };
    insert(tx, &mut port, asked.mac.is_none())?;
    Ok(port)
}

fn mac_in_use(port: &Port) -> Error {
    Error::conflict(format!(
        "Unable to complete operation for network {}. The mac address {} is in use.",
        port.network_id, port.mac
    ))
    .code("MacAddressInUse")
}

fn insert(tx: &mut Tx<'_>, port: &mut Port, own_mac: bool) -> Result<()> {
    // 2^24 addresses: a clash is rare, and there is another.
    while own_mac && tx.holder("mac", format!("{}/{}", port.network_id, port.mac))?.is_some() {
        port.mac = random_mac();
    }
    tx.insert(port).map_err(|e| in_use(e, port))
}

fn in_use(e: Error, port: &Port) -> Error {
    match taken(&e).map(|t| (t.name.as_str(), t.value.clone())) {
        Some(("mac", _)) => mac_in_use(port),
        Some(("ip", value)) => address_in_use(port.network_id, value.rsplit('/').next().unwrap_or("")),
        _ => e,
    }
}

fn address_in_use(network: NetworkId, ip: &str) -> Error {
    Error::conflict(format!("IP address {ip} already allocated in subnet of network {network}."))
        .code("IpAddressAlreadyAllocated")
}

/// The network's own port, from which it is served: made with its first subnet with DHCP.
pub(crate) fn ensure_service_port(tx: &mut Tx<'_>, network: &Network, subnet: &Subnet) -> Result<()> {
    let query = Query::by("network_id", network.id).eq("device_owner", "network:dhcp");
    match tx.first::<Port>(&Scope::All, query)? {
        Some(mut port) => {
            if port.fixed_ips.iter().any(|f| f.subnet_id == subnet.id) {
                return Ok(());
            }
            let ip = if subnet.self_addressed() {
                addresses::own(subnet, &port)?
            } else {
                addresses::next(tx, subnet, &[])?
            };
            port.fixed_ips.push(FixedIp { subnet_id: subnet.id, ip });
            port.standard.touch();
            tx.put(&port)
        }
        None => {
            let asked = PortCreate {
                network_id: network.id,
                device_id: format!("dhcp{}", network.id),
                device_owner: "network:dhcp".into(),
                project_id: Some(network.project_id.clone()),
                port_security: Some(false),
                fixed_ips: vec![FixedIpRequest { subnet_id: Some(subnet.id), ip: None }],
                ..PortCreate::default()
            };
            let mut port = create(tx, &Ctx::internal(), asked)?;
            quotas::give(tx, &network.project_id, "port", 1)?;
            port.active = true;
            tx.update(&Scope::All, port.id, |p: &mut Port| {
                p.active = true;
                Ok(())
            })
            .map(drop)
        }
    }
}

/// Changes a port of the caller's. New addresses are those of [`addresses::of`].
///
/// # Errors
/// 404 in Neutron's words; those of `change`; 409 for what is in use.
pub fn update(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    id: PortId,
    change: impl FnOnce(&mut Tx<'_>, &mut Port) -> Result<()>,
) -> Result<Stored<Port>> {
    let mut port = seen(tx, ctx, id)?;
    if !owns(ctx, &port.project_id) {
        return Err(Error::forbidden("rule:update_port is disallowed by policy").code("PolicyNotAuthorized"));
    }
    let owner = port.device_owner.clone();
    change(tx, &mut port.value)?;
    port.value.check()?;
    if port.device_owner != owner && port.device_owner.starts_with("network:") {
        let network: Stored<Network> = tx.get(&Scope::All, port.network_id)?;
        only_owners(&network, ctx, &[("device_owner", true)])?;
    }
    port.standard.touch();
    tx.put(&port).map_err(|e| in_use(e, &port))?;
    port.revision += 1;
    Ok(port)
}

/// Removes a port of the caller's.
///
/// # Errors
/// 404 in Neutron's words; 409 for the ports of routers.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, id: PortId) -> Result<()> {
    let port = seen(tx, ctx, id)?;
    if !owns(ctx, &port.project_id) {
        return Err(Error::forbidden("rule:delete_port is disallowed by policy").code("PolicyNotAuthorized"));
    }
    remove(tx, &port)
}

/// Removes a port's row.
pub(crate) fn remove(tx: &mut Tx<'_>, port: &Port) -> Result<()> {
    if port.device_owner != "network:dhcp" {
        quotas::give(tx, &port.project_id, "port", 1)?;
    }
    tx.delete::<Port>(port.id).map(drop)
}

/// Plugs a port into a device.
///
/// # Errors
/// 409 `PortInUse` where it is in another.
pub fn bind(
    tx: &mut Tx<'_>,
    id: PortId,
    device_id: &str,
    device_owner: &str,
    host: &str,
    dns_name: Option<&str>,
) -> Result<()> {
    tx.update(&Scope::All, id, |p: &mut Port| {
        if !p.device_id.is_empty() && p.device_id != device_id {
            return Err(Error::conflict(format!("Unable to complete operation on port {id} for network {}. Port already has an attached device {}.", p.network_id, p.device_id)).code("PortInUse"));
        }
        p.device_id = device_id.into();
        p.device_owner = device_owner.into();
        p.host = Some(host.into());
        if let (true, Some(name)) = (p.dns_name.is_empty(), dns_name) {
            p.dns_name = name.into();
        }
        p.standard.touch();
        Ok(())
    })
    .map(drop)
}

/// Unplugs a port. One that is gone is fine.
pub fn unbind(tx: &mut Tx<'_>, id: PortId) -> Result<()> {
    let Some(mut port) = tx.find::<Port>(&Scope::All, id)? else { return Ok(()) };
    port.device_id.clear();
    port.device_owner.clear();
    port.host = None;
    port.active = false;
    port.standard.touch();
    tx.put(&port)
}

/// Notes whether a port carries traffic. One that is gone is fine.
pub fn set_status(tx: &mut Tx<'_>, id: PortId, active: bool) -> Result<()> {
    let Some(mut port) = tx.find::<Port>(&Scope::All, id)? else { return Ok(()) };
    if port.active != active {
        port.active = active;
        tx.put(&port)?;
    }
    Ok(())
}
