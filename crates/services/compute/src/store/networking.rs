//! A new server's cards: which networks it gets, and the ports on them.

use std::net::IpAddr;

use pileus_base::{
    Ctx, Error, Kind, Result,
    ids::{NetworkId, PortId, ProjectId, SecurityGroupId, ServerId},
};
use pileus_network::{networks, ports, security_groups};
use pileus_store::Tx;
use serde::{Deserialize, Serialize};

use crate::model::servers::Nic;

/// One card asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NicRequest {
    /// On this network.
    pub network: Option<NetworkId>,
    /// With this port.
    pub port: Option<PortId>,
    /// With this address.
    pub fixed_ip: Option<IpAddr>,
    /// A device tag.
    pub tag: Option<String>,
}

/// The cards asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum NicRequests {
    /// The project's only network, or none where it has none.
    Auto,
    /// None at all.
    None,
    /// These.
    These(Vec<NicRequest>),
}

/// Who the cards are for.
pub struct For<'a> {
    /// The server.
    pub server: ServerId,
    /// Its host.
    pub host: &'a str,
    /// The name that DNS gives it.
    pub hostname: &'a str,
    /// Its owner.
    pub project: &'a ProjectId,
    /// Its security groups; the project's default where empty.
    pub groups: &'a [SecurityGroupId],
}

/// What Neutron says not found is a bad request of Nova's.
fn as_bad_request(e: Error) -> Error {
    match e.kind() {
        Kind::NotFound => Error::bad_request(e.message()),
        _ => e,
    }
}

/// Resolves `Auto`.
///
/// # Errors
/// 409 where the choice isn't clear.
pub fn resolve(tx: &mut Tx<'_>, ctx: &Ctx, asked: &NicRequests) -> Result<Vec<NicRequest>> {
    match asked {
        NicRequests::None => Ok(Vec::new()),
        NicRequests::These(all) => Ok(all.clone()),
        NicRequests::Auto => {
            let project = ctx.project_id()?.clone();
            let mut visible = networks::visible(tx, ctx)?;
            visible.retain(|n| n.project_id == project && !n.external);
            if visible.is_empty() {
                visible = networks::visible(tx, ctx)?;
                visible.retain(|n| n.shared && !n.external);
            }
            if visible.len() > 1 {
                return Err(Error::conflict(
                    "Multiple possible networks found, use a Network ID to be more specific.",
                ));
            }
            Ok(visible.iter().map(|n| NicRequest { network: Some(n.id), ..NicRequest::default() }).collect())
        }
    }
}

/// Makes or takes the port of one card.
///
/// # Errors
/// In Nova's words: 400 for what isn't there, 409 for what is in use.
pub fn plug(tx: &mut Tx<'_>, ctx: &Ctx, asked: &NicRequest, of: &For<'_>) -> Result<Nic> {
    let (port, owned) = match asked.port {
        Some(id) => (adopt(tx, ctx, id, of)?, false),
        None => (make(tx, ctx, asked, of)?, true),
    };
    let network = networks::get(tx, ctx, port.network_id).map_err(as_bad_request)?;
    Ok(Nic {
        port: port.id,
        owned,
        network: port.network_id,
        network_name: network.name.clone(),
        mac: port.mac.to_string(),
        mtu: network.mtu,
        fixed_ips: port.fixed_ips.iter().map(|f| (f.subnet_id, f.ip)).collect(),
        tag: asked.tag.clone(),
    })
}

fn adopt(tx: &mut Tx<'_>, ctx: &Ctx, id: PortId, of: &For<'_>) -> Result<ports::Port> {
    let missing = || Error::bad_request(format!("Port id {id} could not be found."));
    let scope = pileus_base::Scope::Project(of.project.clone());
    let scope = if ctx.is_admin() { pileus_base::Scope::All } else { scope };
    let port = ports::get(tx, &scope, id).map_err(|e| if e.is_not_found() { missing() } else { e })?;
    if !port.device_id.is_empty() {
        return Err(Error::conflict(format!("Port {id} is still in use.")));
    }
    if port.fixed_ips.is_empty() {
        return Err(Error::bad_request(format!("Port {id} requires a FixedIP in order to be used.")));
    }
    ports::bind(tx, id, &of.server.to_string(), "compute:nova", of.host, Some(of.hostname))?;
    ports::get(tx, &scope, id).map(|p| p.value)
}

fn make(tx: &mut Tx<'_>, ctx: &Ctx, asked: &NicRequest, of: &For<'_>) -> Result<ports::Port> {
    let network_id = asked.network.ok_or_else(|| Error::bad_request("A network or port is required."))?;
    let network = networks::get(tx, ctx, network_id).map_err(|e| match e.kind() {
        Kind::NotFound => Error::bad_request(format!("Network {network_id} could not be found.")),
        _ => e,
    })?;
    if network.external && !ctx.is_admin() {
        return Err(Error::forbidden(format!(
            "It is not allowed to create an interface on external network {network_id}"
        )));
    }
    if network.subnets(tx)?.is_empty() {
        return Err(Error::bad_request(format!(
            "Network {network_id} requires a subnet in order to boot instances on."
        )));
    }
    let ip = asked.fixed_ip.map(|ip| ports::FixedIpRequest { subnet_id: None, ip: Some(ip) });
    let create = ports::PortCreate {
        network_id,
        fixed_ips: ip.into_iter().collect(),
        security_groups: (!of.groups.is_empty()).then(|| of.groups.to_vec()),
        device_id: of.server.to_string(),
        device_owner: "compute:nova".into(),
        host: Some(of.host.to_owned()),
        dns_name: Some(of.hostname.to_owned()),
        project_id: Some(of.project.clone()),
        ..ports::PortCreate::default()
    };
    ports::create(tx, ctx, create).map_err(|e| match (e.code_word(), asked.fixed_ip) {
        (Some("IpAddressInUse" | "IpAddressAlreadyAllocated"), Some(ip)) => {
            Error::bad_request(format!("Fixed IP address {ip} is already in use on instance {}.", of.server))
        }
        (Some("InvalidIpForNetwork" | "InvalidIpForSubnet"), Some(ip)) => {
            Error::bad_request(format!("Fixed IP {ip} is not a valid ip address for network {network_id}."))
        }
        (Some("OverQuota"), _) => Error::new(Kind::OverQuota, "Maximum number of ports exceeded"),
        (Some("IpAddressGenerationFailure"), _) => {
            Error::bad_request(format!("No more IP addresses available on network {network_id}."))
        }
        _ => as_bad_request(e),
    })
}

/// Security groups by name or id.
///
/// # Errors
/// 400 that names the group.
pub fn groups(tx: &mut Tx<'_>, ctx: &Ctx, names: &[String]) -> Result<Vec<(SecurityGroupId, String)>> {
    let project = ctx.project_id()?.clone();
    let mut out: Vec<(SecurityGroupId, String)> = Vec::new();
    for name in names {
        let group = if name == "default" {
            security_groups::default_of(tx, &project)?
        } else {
            security_groups::find(tx, ctx, name).map_err(|e| match e.kind() {
                Kind::NotFound => {
                    Error::bad_request(format!("Security group {name} not found for project {project}."))
                }
                Kind::Conflict => Error::conflict(format!(
                    "Multiple security groups found matching '{name}'. Use an ID to be more specific."
                )),
                _ => e,
            })?
        };
        if out.iter().all(|(id, _)| *id != group.id) {
            out.push((group.id, group.name.clone()));
        }
    }
    Ok(out)
}
