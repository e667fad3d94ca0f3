//! Subnets.

use ipnet::IpNet;
use pileus_base::{Error, Result, ids::SubnetId};
use pileus_http::Reply;
use pileus_store::Resource;
use serde_json::{Value, json};

use super::{
    Call,
    attrs::{Attrs, invalid, ip, objects, range},
    list,
};
use crate::{
    model::subnets::Subnet,
    store::subnets::{self, Pool, Route, SubnetCreate},
};

fn view(s: &Subnet) -> Value {
    let pools: Vec<_> = s.pools.iter().map(|p| json!({"start": p.start, "end": p.end})).collect();
    let routes: Vec<_> =
        s.host_routes.iter().map(|r| json!({"destination": r.destination, "nexthop": r.nexthop})).collect();
    json!({
        "id": s.id,
        "name": s.name,
        "tenant_id": s.project_id,
        "project_id": s.project_id,
        "network_id": s.network_id,
        "ip_version": s.ip_version(),
        "cidr": s.cidr,
        "gateway_ip": s.gateway_ip,
        "allocation_pools": pools,
        "enable_dhcp": s.enable_dhcp,
        "dns_nameservers": s.dns_nameservers,
        "host_routes": routes,
        "ipv6_address_mode": s.ipv6_address_mode,
        "ipv6_ra_mode": s.ipv6_ra_mode,
        "subnetpool_id": null,
        "service_types": [],
        "segment_id": null,
        "description": s.standard.description,
        "tags": s.standard.tags,
        "created_at": s.standard.created_at.z(),
        "updated_at": s.standard.updated_at.z(),
        "revision_number": s.standard.revision,
    })
}

/// `GET /subnets`
pub async fn index(call: Call) -> Result<Reply> {
    let ctx = call.ctx.clone();
    let all = call.state.store.read(move |rd| subnets::visible(rd, &ctx)).await?;
    list::reply(&call, "subnets", all.iter().map(|s| view(s)).collect())
}

/// `GET /subnets/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    let id: SubnetId = call.id("id", Subnet::not_found)?;
    let ctx = call.ctx.clone();
    let subnet = call.state.store.read(move |rd| subnets::get(rd, &ctx, id)).await?;
    Reply::ok(&json!({"subnet": list::fields(view(&subnet), &call.query)}))
}

fn pools(values: &[Value]) -> Result<Vec<Pool>> {
    let one = |v: &Value| {
        if v.get("start").is_none() || v.get("end").is_none() {
            return Err(invalid(
                "allocation_pools",
                "Validation of dictionary's keys failed: start and end are expected",
            ));
        }
        Ok(Pool { start: ip("allocation_pools", &v["start"])?, end: ip("allocation_pools", &v["end"])? })
    };
    values.iter().map(one).collect()
}

fn routes(values: &[Value]) -> Result<Vec<Route>> {
    let one = |v: &Value| {
        Ok(Route {
            destination: range("host_routes", &v["destination"])?,
            nexthop: ip("host_routes", &v["nexthop"])?,
        })
    };
    values.iter().map(one).collect()
}

fn servers(values: &[Value]) -> Result<Vec<std::net::IpAddr>> {
    values.iter().map(|v| ip("dns_nameservers", v)).collect()
}

fn gateway(value: Option<&Value>) -> Result<Option<Option<std::net::IpAddr>>> {
    match value {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(v) => ip("gateway_ip", v).map(|g| Some(Some(g))),
    }
}

fn mode(a: &mut Attrs<'_>, name: &'static str) -> Result<Option<String>> {
    let Some(value) = a.value(name).filter(|v| !v.is_null()) else { return Ok(None) };
    match value.as_str() {
        Some(m @ ("slaac" | "dhcpv6-stateful" | "dhcpv6-stateless")) => Ok(Some(m.to_owned())),
        _ => Err(invalid(
            name,
            format!("'{value}' is not in ['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac']"),
        )),
    }
}

fn parse(value: &Value) -> Result<SubnetCreate> {
    let mut a = Attrs::of(value)?;
    let missing = |name: &str| {
        Error::bad_request(format!("Failed to parse request. Required attribute '{name}' not specified"))
            .code("HTTPBadRequest")
    };
    let network_id = a.id("network_id")?.ok_or_else(|| missing("network_id"))?;
    let version = a.int("ip_version", 4, 6)?.ok_or_else(|| missing("ip_version"))?;
    if version == 5 {
        return Err(invalid("ip_version", "'5' is not in [4, 6]"));
    }
    if a.value("subnetpool_id").is_some_and(|v| !v.is_null())
        || a.value("use_default_subnetpool").is_some_and(|v| *v == json!(true))
    {
        return Err(Error::not_implemented("Subnet pools are not built yet."));
    }
    let text = a.value("cidr").filter(|v| !v.is_null()).ok_or_else(|| {
        Error::bad_request("Bad subnet request: a subnetpool must be specified in the absence of a cidr.")
            .code("BadRequest")
    })?;
    let cidr: IpNet = text.as_str().and_then(|t| t.parse().ok()).ok_or_else(|| {
        invalid("cidr", format!("'{}' is not a valid IP subnet", text.as_str().unwrap_or("")))
    })?;
    if (version == 4) != cidr.addr().is_ipv4() {
        return Err(Error::bad_request(format!(
            "Invalid input for operation: cidr {cidr} does not match the ip_version '{version}'."
        ))
        .code("InvalidInput"));
    }
    let mut asked = SubnetCreate::new(network_id, cidr);
    asked.name = a.text("name", 255)?.unwrap_or("").to_owned();
    asked.description = a.text("description", 255)?.unwrap_or("").to_owned();
    asked.gateway_ip = gateway(a.value("gateway_ip"))?;
    asked.pools = a.list("allocation_pools")?.filter(|l| !l.is_empty()).map(pools).transpose()?;
    asked.enable_dhcp = a.flag("enable_dhcp")?;
    asked.dns_nameservers = a.list("dns_nameservers")?.map(servers).transpose()?.unwrap_or_default();
    asked.host_routes = a.list("host_routes")?.map(routes).transpose()?.unwrap_or_default();
    asked.ipv6_address_mode = mode(&mut a, "ipv6_address_mode")?;
    asked.ipv6_ra_mode = mode(&mut a, "ipv6_ra_mode")?;
    a.project()?;
    a.skip(&["service_types", "segment_id", "prefixlen", "tags", "dns_publish_fixed_ip"]);
    a.finish()?;
    Ok(asked)
}

/// `POST /subnets`, one or several.
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, bulk) = objects(&body, "subnet", "subnets")?;
    let asked = items.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
    let ctx = call.ctx.clone();
    let write = call.state.store.write(move |tx| {
        asked.iter().map(|a| subnets::create(tx, &ctx, a.clone())).collect::<Result<Vec<_>>>()
    });
    let made = write.await?;
    match bulk {
        true => Reply::json(201, &json!({"subnets": made.iter().map(view).collect::<Vec<_>>()})),
        false => Reply::json(201, &json!({"subnet": made.first().map(view)})),
    }
}

/// `PUT /subnets/{id}`
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, _) = objects(&body, "subnet", "")?;
    let mut a = Attrs::of(items[0])?;
    let name = a.text("name", 255)?.map(str::to_owned);
    let description = a.text("description", 255)?.map(str::to_owned);
    let gateway_ip = gateway(a.value("gateway_ip"))?;
    let new_pools = a.list("allocation_pools")?.map(pools).transpose()?;
    let enable_dhcp = a.flag("enable_dhcp")?;
    let dns = a.list("dns_nameservers")?.map(servers).transpose()?;
    let host_routes = a.list("host_routes")?.map(routes).transpose()?;
    a.skip(&["service_types"]);
    a.finish()?;
    let id: SubnetId = call.id("id", Subnet::not_found)?;
    let ctx = call.ctx.clone();
    let write = call.state.store.write(move |tx| {
        subnets::update(tx, &ctx, id, |s| {
            s.name = name.clone().unwrap_or_else(|| s.name.clone());
            s.standard.description = description.clone().unwrap_or_else(|| s.standard.description.clone());
            s.gateway_ip = gateway_ip.unwrap_or(s.gateway_ip);
            s.pools = new_pools.clone().unwrap_or_else(|| s.pools.clone());
            s.enable_dhcp = enable_dhcp.unwrap_or(s.enable_dhcp);
            s.dns_nameservers = dns.clone().unwrap_or_else(|| s.dns_nameservers.clone());
            s.host_routes = host_routes.clone().unwrap_or_else(|| s.host_routes.clone());
            Ok(())
        })
    });
    let subnet = write.await?;
    Reply::ok(&json!({"subnet": view(&subnet)}))
}

/// `DELETE /subnets/{id}`
pub async fn delete(call: Call) -> Result<Reply> {
    let id: SubnetId = call.id("id", Subnet::not_found)?;
    let ctx = call.ctx.clone();
    call.state.store.write(move |tx| subnets::delete(tx, &ctx, id)).await?;
    Ok(Reply::no_content())
}
