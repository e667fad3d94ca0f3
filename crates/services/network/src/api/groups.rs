//! Security groups and their rules.

use pileus_base::{Error, Result, Scope, ids::SecurityGroupId};
use pileus_http::Reply;
use pileus_store::{Query, Resource, Stored};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Call,
    attrs::{Attrs, invalid, objects, range},
    list,
};
use crate::{
    model::{
        Standard,
        security_groups::{Rule, SecurityGroup},
    },
    store::{owns, project_for, security_groups},
};

fn rule_view(group: &SecurityGroup, r: &Rule) -> Value {
    json!({
        "id": r.id,
        "tenant_id": group.project_id,
        "project_id": group.project_id,
        "security_group_id": group.id,
        "direction": r.direction,
        "ethertype": r.ethertype,
        "protocol": r.protocol,
        "port_range_min": r.port_range_min,
        "port_range_max": r.port_range_max,
        "remote_ip_prefix": r.remote_ip_prefix,
        "remote_group_id": r.remote_group_id,
        "remote_address_group_id": null,
        "normalized_cidr": r.remote_ip_prefix.map(|p| p.trunc()),
        "description": r.standard.description,
        "created_at": r.standard.created_at.z(),
        "updated_at": r.standard.updated_at.z(),
        "revision_number": r.standard.revision,
    })
}

fn view(g: &SecurityGroup) -> Value {
    json!({
        "id": g.id,
        "name": g.name,
        "tenant_id": g.project_id,
        "project_id": g.project_id,
        "stateful": g.stateful,
        "shared": false,
        "security_group_rules": g.rules.iter().map(|r| rule_view(g, r)).collect::<Vec<_>>(),
        "description": g.standard.description,
        "tags": g.standard.tags,
        "created_at": g.standard.created_at.z(),
        "updated_at": g.standard.updated_at.z(),
        "revision_number": g.standard.revision,
    })
}

/// All that the caller may see; its own project's default group is there from the first look on.
async fn visible(call: &Call) -> Result<Vec<Stored<SecurityGroup>>> {
    let asked = call.query.get("tenant_id").or(call.query.get("project_id")).filter(|_| call.ctx.is_admin());
    let of = asked.map(Into::into).or_else(|| call.ctx.caller.project.as_ref().map(|p| p.id.clone()));
    let ctx = call.ctx.clone();
    let write = call.state.store.write(move |tx| {
        if let Some(project) = &of {
            security_groups::default_of(tx, project)?;
        }
        let mut all: Vec<Stored<SecurityGroup>> = tx.list(&Scope::All, &Query::all())?;
        all.retain(|g| owns(&ctx, &g.project_id));
        Ok(all)
    });
    write.await
}

/// `GET /security-groups`
pub async fn index(call: Call) -> Result<Reply> {
    let all = visible(&call).await?;
    list::reply(&call, "security_groups", all.iter().map(|g| view(g)).collect())
}

fn id(call: &Call) -> Result<SecurityGroupId> {
    call.id("id", SecurityGroup::not_found)
}

/// `GET /security-groups/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    let (ctx, id) = (call.ctx.clone(), id(&call)?);
    let group = call.state.store.read(move |rd| security_groups::get(rd, &ctx, id)).await?;
    Reply::ok(&json!({"security_group": list::fields(view(&group), &call.query)}))
}

/// `POST /security-groups`
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, _) = objects(&body, "security_group", "")?;
    let mut a = Attrs::of(items[0])?;
    let name = a.text("name", 255)?.unwrap_or("").to_owned();
    let description = a.text("description", 255)?.unwrap_or("").to_owned();
    let stateful = a.flag("stateful")?.unwrap_or(true);
    let project = project_for(&call.ctx, a.project()?)?;
    a.skip(&["tags"]);
    a.finish()?;
    let write = call
        .state
        .store
        .write(move |tx| security_groups::create(tx, &project, &name, &description, stateful));
    Reply::json(201, &json!({"security_group": view(&write.await?)}))
}

/// `PUT /security-groups/{id}`
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, _) = objects(&body, "security_group", "")?;
    let mut a = Attrs::of(items[0])?;
    let name = a.text("name", 255)?.map(str::to_owned);
    let description = a.text("description", 255)?.map(str::to_owned);
    let stateful = a.flag("stateful")?;
    a.finish()?;
    let (ctx, id) = (call.ctx.clone(), id(&call)?);
    let write = call.state.store.write(move |tx| {
        security_groups::update(tx, &ctx, id, |g| {
            if g.name == "default" && name.as_ref().is_some_and(|n| n != "default") {
                return Err(Error::conflict("Updating default security group not allowed.")
                    .code("SecurityGroupCannotUpdateDefault"));
            }
            g.name = name.clone().unwrap_or_else(|| g.name.clone());
            g.standard.description = description.clone().unwrap_or_else(|| g.standard.description.clone());
            g.stateful = stateful.unwrap_or(g.stateful);
            Ok(())
        })
    });
    let group = write.await?;
    Reply::ok(&json!({"security_group": view(&group)}))
}

/// `DELETE /security-groups/{id}`
pub async fn delete(call: Call) -> Result<Reply> {
    let (ctx, id) = (call.ctx.clone(), id(&call)?);
    call.state.store.write(move |tx| security_groups::delete(tx, &ctx, id)).await?;
    Ok(Reply::no_content())
}

/// `GET /security-group-rules`
pub async fn rules(call: Call) -> Result<Reply> {
    let all = visible(&call).await?;
    let views = all.iter().flat_map(|g| g.rules.iter().map(|r| rule_view(g, r))).collect();
    list::reply(&call, "security_group_rules", views)
}

fn rule_id(call: &Call) -> Result<Uuid> {
    let text = call.param("id");
    pileus_base::ids::parse_uuid(text).map_err(|_| {
        Error::not_found(format!("Security group rule {text} does not exist"))
            .code("SecurityGroupRuleNotFound")
    })
}

/// `GET /security-group-rules/{id}`
pub async fn show_rule(call: Call) -> Result<Reply> {
    let (ctx, id) = (call.ctx.clone(), rule_id(&call)?);
    let group = call.state.store.read(move |rd| security_groups::of_rule(rd, &ctx, id)).await?;
    let view = group.rules.iter().find(|r| r.id == id).map(|r| rule_view(&group, r));
    Reply::ok(&json!({"security_group_rule": list::fields(view.unwrap_or_default(), &call.query)}))
}

/// Protocols that have ports, by name and number.
const WITH_PORTS: [&str; 10] = ["tcp", "6", "udp", "17", "dccp", "33", "sctp", "132", "udplite", "136"];
const ICMP: [&str; 5] = ["icmp", "1", "icmpv6", "ipv6-icmp", "58"];
const PROTOCOLS: [&str; 24] = [
    "ah",
    "any",
    "dccp",
    "egp",
    "esp",
    "gre",
    "hopopt",
    "icmp",
    "icmpv6",
    "igmp",
    "ip",
    "ipip",
    "ipv6-encap",
    "ipv6-frag",
    "ipv6-icmp",
    "ipv6-nonxt",
    "ipv6-opts",
    "ipv6-route",
    "ospf",
    "pgm",
    "rsvp",
    "sctp",
    "tcp",
    "udp",
];

fn parse(value: &Value) -> Result<(SecurityGroupId, Rule)> {
    let mut a = Attrs::of(value)?;
    let missing = |n: &str| {
        Error::bad_request(format!("Failed to parse request. Required attribute '{n}' not specified"))
            .code("HTTPBadRequest")
    };
    let group = a.id("security_group_id")?.ok_or_else(|| missing("security_group_id"))?;
    let direction = a.text("direction", 16)?.ok_or_else(|| missing("direction"))?.to_owned();
    if !matches!(direction.as_str(), "ingress" | "egress") {
        return Err(invalid("direction", format!("'{direction}' is not in ['ingress', 'egress']")));
    }
    let ethertype = match a.text("ethertype", 16)?.unwrap_or("IPv4").to_lowercase().as_str() {
        "ipv4" => "IPv4",
        "ipv6" => "IPv6",
        other => return Err(Error::bad_request(format!(
            "Security group rule for ethertype '{other}' not supported. Allowed values are ['IPv4', 'IPv6']."
        ))
        .code("SecurityGroupRuleInvalidEtherType")),
    };
    let protocol = match a.value("protocol") {
        None | Some(Value::Null) => None,
        Some(Value::Number(n)) => Some(n.to_string()),
        Some(v) => Some(v.as_str().unwrap_or("").to_lowercase()),
    };
    if let Some(p) = protocol.as_deref().filter(|p| !PROTOCOLS.contains(p))
        && p.parse::<u8>().is_err()
    {
        return Err(Error::bad_request(format!("Security group rule protocol {p} not supported. Only protocol values {PROTOCOLS:?} and integer representations [0 to 255] are supported.")).code("SecurityGroupRuleInvalidProtocol"));
    }
    let protocol = protocol.filter(|p| p != "any");
    let port = |n: Option<i64>| match n {
        Some(n) if !(-1..=65_535).contains(&n) => {
            Err(Error::bad_request(format!("Invalid value for port {n}"))
                .code("SecurityGroupInvalidPortValue"))
        }
        n => Ok(n),
    };
    let min = port(a.int("port_range_min", i64::MIN, i64::MAX)?)?;
    let max = port(a.int("port_range_max", i64::MIN, i64::MAX)?)?;
    let has = |list: &[&str]| protocol.as_deref().is_some_and(|p| list.contains(&p));
    if has(&WITH_PORTS) {
        match (min, max) {
            (None, None) => {}
            (Some(a), Some(b)) if a >= 1 && a <= b => {}
            _ => {
                return Err(Error::bad_request(
                    "For TCP/UDP protocols, port_range_min must be <= port_range_max",
                )
                .code("SecurityGroupInvalidPortRange"));
            }
        }
    } else if has(&ICMP) {
        let bad = |what: &str, n: i64| {
            Error::bad_request(format!("Invalid value for ICMP {what} ({n}). It must be 0 to 255."))
                .code("SecurityGroupInvalidIcmpValue")
        };
        if let Some(n) = min.filter(|n| *n > 255) {
            return Err(bad("port_range_min (type)", n));
        }
        if let Some(n) = max.filter(|n| *n > 255) {
            return Err(bad("port_range_max (code)", n));
        }
        if let (None, Some(code)) = (min, max) {
            return Err(Error::bad_request(format!(
                "ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing."
            ))
            .code("SecurityGroupMissingIcmpType"));
        }
    } else if min.is_some() || max.is_some() {
        return Err(Error::bad_request("Must also specify protocol if port range is given.")
            .code("SecurityGroupProtocolRequiredWithPorts"));
    }
    let prefix = a
        .value("remote_ip_prefix")
        .filter(|v| !v.is_null())
        .map(|v| range("remote_ip_prefix", v))
        .transpose()?;
    let remote_group_id = match a.text_or_null("remote_group_id")? {
        None => None,
        // What is no id can't exist.
        Some(text) => Some(text.parse().map_err(|_| SecurityGroup::not_found(text))?),
    };
    if prefix.is_some() && remote_group_id.is_some() {
        return Err(Error::bad_request("Only remote_ip_prefix or remote_group_id may be provided.")
            .code("SecurityGroupMultipleRemoteEntities"));
    }
    if prefix.is_some_and(|p| p.addr().is_ipv4() != (ethertype == "IPv4")) {
        return Err(Error::bad_request(format!(
            "Conflicting value ethertype {ethertype} for CIDR {}",
            prefix.map_or(String::new(), |p| p.to_string())
        ))
        .code("SecurityGroupRuleParameterConflict"));
    }
    let description = a.text("description", 255)?.unwrap_or("").to_owned();
    a.project()?;
    a.skip(&["remote_address_group_id"]);
    a.finish()?;
    let rule = Rule {
        id: Uuid::new_v4(),
        direction,
        ethertype: ethertype.into(),
        protocol,
        port_range_min: min,
        port_range_max: max,
        remote_ip_prefix: prefix,
        remote_group_id,
        standard: Standard::new(&description),
    };
    Ok((group, rule))
}

/// `POST /security-group-rules`, one or several.
pub async fn create_rule(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, bulk) = objects(&body, "security_group_rule", "security_group_rules")?;
    let asked = items.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
    let ctx = call.ctx.clone();
    let write = call.state.store.write(move |tx| {
        let mut views = Vec::new();
        for (id, rule) in &asked {
            security_groups::add_rule(tx, &ctx, *id, rule)?;
            views.push(rule_view(&*security_groups::get(tx, &ctx, *id)?, rule));
        }
        Ok(views)
    });
    let mut views = write.await?;
    match bulk {
        true => Reply::json(201, &json!({"security_group_rules": views})),
        false => Reply::json(201, &json!({"security_group_rule": views.pop()})),
    }
}

/// `DELETE /security-group-rules/{id}`
pub async fn delete_rule(call: Call) -> Result<Reply> {
    let (ctx, id) = (call.ctx.clone(), rule_id(&call)?);
    call.state.store.write(move |tx| security_groups::remove_rule(tx, &ctx, id)).await?;
    Ok(Reply::no_content())
}
