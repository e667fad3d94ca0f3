//! Networks.

use pileus_base::{Error, Result, ids::NetworkId};
use pileus_http::Reply;
use pileus_store::{Read, Resource};
use serde_json::{Value, json};

use super::{
    Call,
    attrs::{Attrs, objects},
    list,
};
use crate::{
    model::networks::Network,
    store::networks::{self, NetworkCreate},
};

/// Smallest MTU: IPv4's.
const MTU_MIN: i64 = 68;

fn view(rd: &mut Read<'_>, network: &Network, admin: bool) -> Result<Value> {
    let subnets: Vec<_> = network.subnets(rd)?.iter().map(|s| s.id).collect();
    let s = &network.standard;
    let mut view = json!({
        "id": network.id,
        "name": network.name,
        "tenant_id": network.project_id,
        "project_id": network.project_id,
        "admin_state_up": network.admin_up,
        "status": "ACTIVE",
        "shared": network.shared,
        "router:external": network.external,
        "mtu": network.mtu,
        "port_security_enabled": network.port_security,
        "subnets": subnets,
        "availability_zone_hints": [],
        "availability_zones": ["nova"],
        "ipv4_address_scope": null,
        "ipv6_address_scope": null,
        "dns_domain": network.dns_domain,
        "description": s.description,
        "tags": s.tags,
        "created_at": s.created_at.z(),
        "updated_at": s.updated_at.z(),
        "revision_number": s.revision,
    });
    if admin {
        view["provider:network_type"] = json!("vxlan");
        view["provider:physical_network"] = Value::Null;
        view["provider:segmentation_id"] = json!(network.vni);
    }
    Ok(view)
}

/// `GET /networks`
pub async fn index(call: Call) -> Result<Reply> {
    let (ctx, admin) = (call.ctx.clone(), call.ctx.is_admin());
    let views = call.state.store.read(move |rd| {
        let all = networks::visible(rd, &ctx)?;
        all.iter().map(|n| view(rd, n, admin)).collect::<Result<Vec<_>>>()
    });
    list::reply(&call, "networks", views.await?)
}

/// `GET /networks/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    let id: NetworkId = call.id("id", Network::not_found)?;
    let (ctx, admin) = (call.ctx.clone(), call.ctx.is_admin());
    let read = call.state.store.read(move |rd| {
        let network = networks::get(rd, &ctx, id)?;
        view(rd, &network, admin)
    });
    Reply::ok(&json!({"network": list::fields(read.await?, &call.query)}))
}

fn parse(value: &Value) -> Result<NetworkCreate> {
    let mut a = Attrs::of(value)?;
    let create = NetworkCreate {
        name: a.text("name", 255)?.unwrap_or("").to_owned(),
        description: a.text("description", 255)?.unwrap_or("").to_owned(),
        admin_up: a.flag("admin_state_up")?,
        shared: a.flag("shared")?.unwrap_or(false),
        external: a.flag("router:external")?.unwrap_or(false),
        mtu: a.int("mtu", MTU_MIN, 65_535)?.and_then(|n| u32::try_from(n).ok()),
        port_security: a.flag("port_security_enabled")?,
        project_id: a.project()?,
        dns_domain: a.text("dns_domain", 255)?.unwrap_or("").to_owned(),
    };
    if a.list("availability_zone_hints")?.is_some_and(|l| !l.is_empty()) {
        return Err(Error::not_found("AvailabilityZone could not be found.").code("AvailabilityZoneNotFound"));
    }
    for name in [
        "provider:network_type",
        "provider:physical_network",
        "provider:segmentation_id",
        "qos_policy_id",
        "segments",
    ] {
        if a.value(name).is_some_and(|v| !v.is_null()) {
            return Err(Error::not_implemented(format!("{name} is not built yet.")));
        }
    }
    a.skip(&["vlan_transparent", "is_default", "tags"]);
    a.finish()?;
    Ok(create)
}

/// `POST /networks`, one or several.
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, bulk) = objects(&body, "network", "networks")?;
    let asked = items.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
    let (ctx, mtu, admin) = (call.ctx.clone(), call.state.options.mtu, call.ctx.is_admin());
    let write = call.state.store.write(move |tx| {
        let made =
            asked.iter().map(|a| networks::create(tx, &ctx, a.clone(), mtu)).collect::<Result<Vec<_>>>()?;
        made.iter().map(|n| view(tx, n, admin)).collect::<Result<Vec<_>>>()
    });
    let mut views = write.await?;
    match bulk {
        true => Reply::json(201, &json!({"networks": views})),
        false => Reply::json(201, &json!({"network": views.pop()})),
    }
}

/// `PUT /networks/{id}`
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, _) = objects(&body, "network", "")?;
    let mut a = Attrs::of(items[0])?;
    let name = a.text("name", 255)?.map(str::to_owned);
    let description = a.text("description", 255)?.map(str::to_owned);
    let admin_up = a.flag("admin_state_up")?;
    let shared = a.flag("shared")?;
    let external = a.flag("router:external")?;
    let mtu = a.int("mtu", MTU_MIN, 65_535)?.and_then(|n| u32::try_from(n).ok());
    let port_security = a.flag("port_security_enabled")?;
    let dns_domain = a.text("dns_domain", 255)?.map(str::to_owned);
    a.finish()?;
    if (shared.is_some() || external.is_some()) && !call.ctx.is_admin() {
        return Err(Error::forbidden(
            "((rule:update_network and rule:update_network:shared)) is disallowed by policy",
        )
        .code("PolicyNotAuthorized"));
    }
    let id: NetworkId = call.id("id", Network::not_found)?;
    let (ctx, admin) = (call.ctx.clone(), call.ctx.is_admin());
    let write = call.state.store.write(move |tx| {
        let network = networks::update(tx, &ctx, id, |n| {
            n.name = name.clone().unwrap_or_else(|| n.name.clone());
            n.standard.description = description.clone().unwrap_or_else(|| n.standard.description.clone());
            n.admin_up = admin_up.unwrap_or(n.admin_up);
            n.shared = shared.unwrap_or(n.shared);
            n.external = external.unwrap_or(n.external);
            n.mtu = mtu.unwrap_or(n.mtu);
            n.port_security = port_security.unwrap_or(n.port_security);
            n.dns_domain = dns_domain.clone().unwrap_or_else(|| n.dns_domain.clone());
            Ok(())
        })?;
        view(tx, &network, admin)
    });
    Reply::ok(&json!({"network": write.await?}))
}

/// `DELETE /networks/{id}`
pub async fn delete(call: Call) -> Result<Reply> {
    let id: NetworkId = call.id("id", Network::not_found)?;
    let ctx = call.ctx.clone();
    call.state.store.write(move |tx| networks::delete(tx, &ctx, id)).await?;
    Ok(Reply::no_content())
}
