//! How ports get their addresses: asked for, computed of the MAC, or the next free one.

use std::net::IpAddr;

use pileus_base::{
    Error, Result,
    ids::{NetworkId, SubnetId},
};
use pileus_store::Tx;

use crate::model::{
    networks::Network,
    ports::{FixedIp, Port},
    subnets::{Subnet, address, eui64, number, usable},
};

/// An address asked for: on this subnet, or exactly this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FixedIpRequest {
    /// The subnet.
    pub subnet_id: Option<SubnetId>,
    /// The address.
    pub ip: Option<IpAddr>,
}

/// The addresses asked for; where none is, one of each family that the network has.
pub fn of(tx: &mut Tx<'_>, network: &Network, port: &Port, asked: &[FixedIpRequest]) -> Result<Vec<FixedIp>> {
    let subnets = network.subnets(tx)?;
    let mut out: Vec<FixedIp> = Vec::new();
    for request in asked {
        let subnet = match (request.subnet_id, request.ip) {
            (Some(id), _) => {
                let missing =
                    || Error::not_found(format!("Subnet {id} could not be found.")).code("SubnetNotFound");
                subnets.iter().find(|s| s.id == id).ok_or_else(missing)?
            }
            (None, Some(ip)) => subnets.iter().find(|s| s.cidr.contains(&ip)).ok_or_else(|| {
                Error::bad_request(format!(
                    "IP address {ip} is not a valid IP for any of the subnets on the specified network."
                ))
                .code("InvalidIpForNetwork")
            })?,
            (None, None) => {
                return Err(Error::bad_request(
                    "Invalid input for fixed_ips. Reason: an ip_address or subnet_id is required.",
                )
                .code("HTTPBadRequest"));
            }
        };
        let ip = match request.ip {
            Some(ip) => exact(tx, subnet, ip, port)?,
            None if subnet.self_addressed() => own(subnet, port)?,
            None => next(tx, subnet, &out)?,
        };
        out.push(FixedIp { subnet_id: subnet.id, ip });
    }
    let family =
        |v4: bool| subnets.iter().filter(move |s| s.cidr.addr().is_ipv4() == v4 && !s.self_addressed());
    if asked.is_empty() {
        for v4 in [true, false] {
            let (mut found, mut any) = (None, false);
            for subnet in family(v4) {
                any = true;
                match next(tx, subnet, &out) {
                    Ok(ip) => {
                        found = Some(FixedIp { subnet_id: subnet.id, ip });
                        break;
                    }
                    Err(e) if e.code_word() == Some("IpAddressGenerationFailure") => {}
                    Err(e) => return Err(e),
                }
            }
            if any && found.is_none() {
                return Err(none_left(network.id));
            }
            out.extend(found);
        }
    }
    // Guests make these themselves, whatever else they are given.
    for subnet in subnets.iter().filter(|s| s.self_addressed()) {
        if out.iter().all(|f| f.subnet_id != subnet.id) && !port.device_owner.starts_with("network:router") {
            out.push(FixedIp { subnet_id: subnet.id, ip: own(subnet, port)? });
        }
    }
    Ok(out)
}

fn none_left(network: NetworkId) -> Error {
    Error::conflict(format!("No more IP addresses available on network {network}."))
        .code("IpAddressGenerationFailure")
}

pub(super) fn own(subnet: &Subnet, port: &Port) -> Result<IpAddr> {
    let bad = || {
        Error::bad_request(format!("The MAC {} makes no address of {}.", port.mac, subnet.cidr))
            .code("InvalidInput")
    };
    eui64(&subnet.cidr, &port.mac).ok_or_else(bad)
}

fn exact(tx: &mut Tx<'_>, subnet: &Subnet, ip: IpAddr, port: &Port) -> Result<IpAddr> {
    let (first, last) = usable(&subnet.cidr);
    if !subnet.cidr.contains(&ip) || !(first..=last).contains(&number(ip)) {
        return Err(Error::bad_request(format!(
            "IP address {ip} is not a valid IP for the specified subnet."
        ))
        .code("InvalidIpForSubnet"));
    }
    if subnet.self_addressed() && own(subnet, port).ok() != Some(ip) {
        return Err(Error::bad_request(format!(
            "IPv6 address {ip} can not be directly assigned to a port on subnet {} as the subnet is configured for automatic addresses",
            subnet.id
        ))
        .code("AllocationOnAutoAddressSubnet"));
    }
    match tx.holder("ip", format!("{}/{ip}", subnet.id))? {
        Some((_, holder)) if holder != port.id.to_string() => {
            Err(Error::conflict(format!("IP address {ip} already allocated in subnet {}", subnet.id))
                .code("IpAddressAlreadyAllocated"))
        }
        _ => Ok(ip),
    }
}

/// The next free address: the pools in turn from where the last one was, so that 10,000 ports cost each
/// the same, and an address given back rests a while. `given` are the same port's already.
pub(super) fn next(tx: &mut Tx<'_>, subnet: &Subnet, given: &[FixedIp]) -> Result<IpAddr> {
    let total: u128 = subnet.pools.iter().map(|p| number(p.end) - number(p.start) + 1).sum();
    let hint = format!("network.next.{}", subnet.id);
    let none = || none_left(subnet.network_id);
    let span = i64::try_from(total).unwrap_or(i64::MAX);
    let from = tx.counter(&hint, &"".into())?;
    for n in 0..span.max(0) {
        let at = (from + n).rem_euclid(span);
        let mut left = u128::try_from(at).unwrap_or(0);
        let mut found = None;
        for pool in &subnet.pools {
            let size = number(pool.end) - number(pool.start) + 1;
            if left < size {
                found = Some(address(number(pool.start) + left, pool.start));
                break;
            }
            left -= size;
        }
        let ip = found.ok_or_else(none)?;
        let own = given.iter().any(|f| f.subnet_id == subnet.id && f.ip == ip);
        if !own && tx.holder("ip", format!("{}/{ip}", subnet.id))?.is_none() {
            tx.add(&hint, &"".into(), (at + 1).rem_euclid(span) - from)?;
            return Ok(ip);
        }
    }
    Err(none())
}
