//! Ports.

use pileus_base::{Error, Result, ids::PortId};
use pileus_http::Reply;
use pileus_store::{Query, Resource};
use serde_json::{Value, json};

use super::{
    Call,
    attrs::{Attrs, invalid, ip, mac, objects, range},
    list,
};
use crate::{
    model::{
        networks::Network,
        ports::{AddressPair, ExtraOption, Port},
    },
    store::{
        addresses,
        ports::{self, FixedIpRequest, PortCreate},
        security_groups,
    },
};

fn view(p: &Port, domain: &str, admin: bool) -> Value {
    let ips: Vec<_> =
        p.fixed_ips.iter().map(|f| json!({"subnet_id": f.subnet_id, "ip_address": f.ip})).collect();
    let pairs: Vec<_> = p
        .allowed_address_pairs
        .iter()
        .map(|a| json!({"mac_address": a.mac.as_ref().unwrap_or(&p.mac), "ip_address": a.ip}))
        .collect();
    let options: Vec<_> = p
        .extra_dhcp_opts
        .iter()
        .map(|o| json!({"opt_name": o.name, "opt_value": o.value, "ip_version": o.ip_version}))
        .collect();
    let names: Vec<_> = p
        .fixed_ips
        .iter()
        .map(|f| {
            let plain = format!("host-{}", f.ip.to_string().replace(['.', ':'], "-"));
            let name = if p.dns_name.is_empty() { &plain } else { &p.dns_name };
            json!({"ip_address": f.ip, "hostname": name, "fqdn": format!("{name}.{domain}.")})
        })
        .collect();
    let s = &p.standard;
    let mut view = json!({
        "id": p.id,
        "name": p.name,
        "tenant_id": p.project_id,
        "project_id": p.project_id,
        "network_id": p.network_id,
        "mac_address": p.mac,
        "admin_state_up": p.admin_up,
        "status": if p.active && p.admin_up { "ACTIVE" } else { "DOWN" },
        "device_id": p.device_id,
        "device_owner": p.device_owner,
        "fixed_ips": ips,
        "security_groups": p.security_groups,
        "allowed_address_pairs": pairs,
        "extra_dhcp_opts": options,
        "port_security_enabled": p.port_security,
        "binding:vnic_type": p.vnic_type,
        "dns_name": p.dns_name,
        "dns_assignment": names,
        "description": s.description,
        "tags": s.tags,
        "created_at": s.created_at.z(),
        "updated_at": s.updated_at.z(),
        "revision_number": s.revision,
    });
    if admin {
        view["binding:host_id"] = json!(p.host.as_deref().unwrap_or(""));
        view["binding:vif_type"] = json!(if p.host.is_some() { "bridge" } else { "unbound" });
        view["binding:vif_details"] = json!({});
        view["binding:profile"] = json!({});
    }
    view
}

/// `GET /ports`
pub async fn index(call: Call) -> Result<Reply> {
    let mut query = Query::all();
    // What the store can narrow, it does; the rest is filtered over views.
    for name in ["network_id", "device_id", "device_owner"] {
        let wanted: Vec<&str> = call.query.all(name).collect();
        if !wanted.is_empty() {
            query = query.any(name, wanted);
        }
    }
    let ctx = call.ctx.clone();
    let all = call.state.store.read(move |rd| ports::visible(rd, &ctx, &query)).await?;
    let (domain, admin) = (call.state.options.dns_domain.clone(), call.ctx.is_admin());
    list::reply(&call, "ports", all.iter().map(|p| view(p, &domain, admin)).collect())
}

/// `GET /ports/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    let id: PortId = call.id("id", Port::not_found)?;
    let ctx = call.ctx.clone();
    let port = call.state.store.read(move |rd| ports::seen(rd, &ctx, id)).await?;
    let view = view(&port, &call.state.options.dns_domain, call.ctx.is_admin());
    Reply::ok(&json!({"port": list::fields(view, &call.query)}))
}

fn fixed_ips(values: &[Value]) -> Result<Vec<FixedIpRequest>> {
    let mut out: Vec<FixedIpRequest> = Vec::new();
    for value in values {
        let mut a = Attrs::of(value)?;
        let subnet_id = a.id("subnet_id")?;
        let address =
            a.value("ip_address").filter(|v| !v.is_null()).map(|v| ip("fixed_ips", v)).transpose()?;
        a.finish()?;
        let request = FixedIpRequest { subnet_id, ip: address };
        if address.is_some() && out.iter().any(|o| o.ip == address) {
            return Err(invalid(
                "fixed_ips",
                format!("Duplicate IP address '{}'", address.map_or(String::new(), |i| i.to_string())),
            ));
        }
        out.push(request);
    }
    Ok(out)
}

fn pairs(values: &[Value]) -> Result<Vec<AddressPair>> {
    let one = |value: &Value| {
        let mut a = Attrs::of(value)?;
        let address = a.value("ip_address").ok_or_else(|| {
            Error::bad_request("AllowedAddressPair must contain ip_address").code("AddressPairMissingIP")
        })?;
        let pair = AddressPair {
            ip: range("allowed_address_pairs", address)?,
            mac: a
                .value("mac_address")
                .filter(|v| !v.is_null())
                .map(|v| mac("allowed_address_pairs", v))
                .transpose()?,
        };
        a.finish().map(|()| pair)
    };
    values.iter().map(one).collect()
}

fn dhcp_options(values: &[Value]) -> Result<Vec<ExtraOption>> {
    let mut out = Vec::new();
    for value in values {
        let mut a = Attrs::of(value)?;
        let name = a
            .text("opt_name", 64)?
            .filter(|n| !n.is_empty())
            .ok_or_else(|| invalid("extra_dhcp_opts", "opt_name is required"))?
            .to_owned();
        let ip_version = a.int("ip_version", 4, 6)?.unwrap_or(4);
        let text = match a.value("opt_value") {
            Some(Value::Null) | None => None,
            Some(v) => {
                Some(v.as_str().ok_or_else(|| invalid("extra_dhcp_opts", "opt_value is no text"))?.to_owned())
            }
        };
        a.finish()?;
        // A null value takes the option away.
        if let Some(value) = text {
            out.push(ExtraOption { name, value, ip_version: u8::try_from(ip_version).unwrap_or(4) });
        }
    }
    Ok(out)
}

fn groups(values: &[Value]) -> Result<Vec<pileus_base::ids::SecurityGroupId>> {
    let one = |v: &Value| {
        let id = v.as_str().and_then(|s| s.parse().ok());
        id.ok_or_else(|| invalid("security_groups", format!("'{v}' is not a valid UUID")))
    };
    values.iter().map(one).collect()
}

/// The attributes of a port that may be changed, each where given.
#[derive(Clone, Default)]
struct Changes {
    name: Option<String>,
    description: Option<String>,
    admin_up: Option<bool>,
    device_id: Option<String>,
    device_owner: Option<String>,
    host: Option<String>,
    fixed_ips: Option<Vec<FixedIpRequest>>,
    groups: Option<Vec<pileus_base::ids::SecurityGroupId>>,
    port_security: Option<bool>,
    pairs: Option<Vec<AddressPair>>,
    options: Option<Vec<ExtraOption>>,
    dns_name: Option<String>,
    vnic_type: Option<String>,
    mac: Option<String>,
}

impl Changes {
    fn parse(a: &mut Attrs<'_>, admin: bool) -> Result<Self> {
        let text = |t: Option<&str>| t.map(str::to_owned);
        let changes = Self {
            name: text(a.text("name", 255)?),
            description: text(a.text("description", 255)?),
            admin_up: a.flag("admin_state_up")?,
            device_id: text(a.text("device_id", 255)?),
            device_owner: text(a.text("device_owner", 255)?),
            host: match a.value("binding:host_id") {
                Some(v) if !v.is_null() => Some(v.as_str().unwrap_or("").to_owned()),
                _ => None,
            },
            fixed_ips: a.list("fixed_ips")?.map(fixed_ips).transpose()?,
            groups: a.list("security_groups")?.map(groups).transpose()?,
            port_security: a.flag("port_security_enabled")?,
            pairs: a.list("allowed_address_pairs")?.map(pairs).transpose()?,
            options: a.list("extra_dhcp_opts")?.map(dhcp_options).transpose()?,
            dns_name: text(a.text("dns_name", 255)?),
            vnic_type: text(a.text("binding:vnic_type", 255)?),
            mac: a
                .value("mac_address")
                .filter(|v| !v.is_null())
                .map(|v| mac("mac_address", v))
                .transpose()?,
        };
        a.skip(&[
            "binding:profile",
            "tags",
            "numa_affinity_policy",
            "qos_policy_id",
            "propagate_uplink_status",
            "device_profile",
        ]);
        if changes.host.is_some() && !admin {
            return Err(Error::forbidden(
                "((rule:create_port and rule:create_port:binding:host_id)) is disallowed by policy",
            )
            .code("PolicyNotAuthorized"));
        }
        if changes.vnic_type.as_deref().is_some_and(|t| t != "normal") {
            return Err(Error::not_implemented("Only ports of vnic_type normal are built."));
        }
        Ok(changes)
    }
}

fn parse(value: &Value, admin: bool) -> Result<PortCreate> {
    let mut a = Attrs::of(value)?;
    let missing = || {
        Error::bad_request("Failed to parse request. Required attribute 'network_id' not specified")
            .code("HTTPBadRequest")
    };
    let network_id = a.id("network_id")?.ok_or_else(missing)?;
    let project_id = a.project()?;
    let c = Changes::parse(&mut a, admin)?;
    a.finish()?;
    Ok(PortCreate {
        network_id,
        name: c.name.unwrap_or_default(),
        description: c.description.unwrap_or_default(),
        mac: c.mac,
        no_ips: c.fixed_ips.as_ref().is_some_and(Vec::is_empty),
        fixed_ips: c.fixed_ips.unwrap_or_default(),
        security_groups: c.groups,
        device_id: c.device_id.unwrap_or_default(),
        device_owner: c.device_owner.unwrap_or_default(),
        host: c.host.filter(|h| !h.is_empty()),
        dns_name: c.dns_name,
        project_id,
        admin_up: c.admin_up.unwrap_or(true),
        port_security: c.port_security,
        allowed_address_pairs: c.pairs.unwrap_or_default(),
        extra_dhcp_opts: c.options.unwrap_or_default(),
        vnic_type: "normal".into(),
    })
}

/// `POST /ports`, one or several.
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, bulk) = objects(&body, "port", "ports")?;
    let admin = call.ctx.is_admin();
    let asked = items.into_iter().map(|i| parse(i, admin)).collect::<Result<Vec<_>>>()?;
    let ctx = call.ctx.clone();
    let write = call.state.store.write(move |tx| {
        asked.iter().map(|a| ports::create(tx, &ctx, a.clone())).collect::<Result<Vec<_>>>()
    });
    let made = write.await?;
    let domain = &call.state.options.dns_domain;
    let views: Vec<_> = made.iter().map(|p| view(p, domain, admin)).collect();
    match bulk {
        true => Reply::json(201, &json!({"ports": views})),
        false => Reply::json(201, &json!({"port": views.first()})),
    }
}

/// `PUT /ports/{id}`
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, _) = objects(&body, "port", "")?;
    let mut a = Attrs::of(items[0])?;
    let changes = Changes::parse(&mut a, call.ctx.is_admin())?;
    a.finish()?;
    let id: PortId = call.id("id", Port::not_found)?;
    let ctx = call.ctx.clone();
    let write = call.state.store.write(move |tx| {
        let (c, ctx2) = (changes.clone(), ctx.clone());
        ports::update(tx, &ctx, id, |tx, p| {
            for group in c.groups.iter().flatten() {
                security_groups::get(tx, &ctx2, *group)?;
            }
            let network: pileus_store::Stored<Network> = tx.get(&pileus_base::Scope::All, p.network_id)?;
            let new = |ip| p.fixed_ips.iter().all(|f| f.ip != ip);
            let used = [
                ("mac_address", c.mac.is_some()),
                ("fixed_ips:ip_address", c.fixed_ips.iter().flatten().filter_map(|f| f.ip).any(new)),
                ("port_security_enabled", c.port_security.is_some()),
                ("allowed_address_pairs", c.pairs.as_ref().is_some_and(|l| !l.is_empty())),
            ];
            ports::only_owners(&network, &ctx2, &used)?;
            if let Some(mac) = c.mac {
                if p.host.is_some() && mac != p.mac {
                    return Err(Error::conflict(format!(
                        "Unable to change the MAC address of port {id}: it is plugged in."
                    ))
                    .code("PortBound"));
                }
                p.mac = mac;
            }
            if let Some(asked) = &c.fixed_ips {
                p.fixed_ips = if asked.is_empty() { vec![] } else { addresses::of(tx, &network, p, asked)? };
            }
            p.name = c.name.unwrap_or_else(|| p.name.clone());
            p.standard.description = c.description.unwrap_or_else(|| p.standard.description.clone());
            p.admin_up = c.admin_up.unwrap_or(p.admin_up);
            if let Some(host) = c.host {
                p.host = Some(host).filter(|h| !h.is_empty());
            }
            p.device_id = c.device_id.unwrap_or_else(|| p.device_id.clone());
            p.device_owner = c.device_owner.unwrap_or_else(|| p.device_owner.clone());
            p.security_groups = c.groups.unwrap_or_else(|| p.security_groups.clone());
            p.port_security = c.port_security.unwrap_or(p.port_security);
            p.allowed_address_pairs = c.pairs.unwrap_or_else(|| p.allowed_address_pairs.clone());
            p.extra_dhcp_opts = c.options.unwrap_or_else(|| p.extra_dhcp_opts.clone());
            p.dns_name = c.dns_name.unwrap_or_else(|| p.dns_name.clone());
            Ok(())
        })
    });
    let port = write.await?;
    Reply::ok(&json!({"port": view(&port, &call.state.options.dns_domain, call.ctx.is_admin())}))
}

/// `DELETE /ports/{id}`
pub async fn delete(call: Call) -> Result<Reply> {
    let id: PortId = call.id("id", Port::not_found)?;
    let ctx = call.ctx.clone();
    call.state.store.write(move |tx| ports::delete(tx, &ctx, id)).await?;
    Ok(Reply::no_content())
}
