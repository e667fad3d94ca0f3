//! The proxies to Neutron's security groups, which Nova had until 2.35, and a server's own list.

use pileus_base::{Error, Result, Scope, ids::SecurityGroupId};
use pileus_http::Reply;
use pileus_network::security_groups::{self, Rule, SecurityGroup};
use pileus_store::{Query, Stored};
use serde_json::{Value, json};

use super::{Call, no_such_path};
use crate::wire::{
    fields::{Fields, invalid},
    mv,
};

fn check(call: &Call) -> Result<()> {
    if call.version >= mv::NO_PROXIES { Err(no_such_path()) } else { Ok(()) }
}

fn rule_view(group: &SecurityGroup, rule: &Rule, names: &[Stored<SecurityGroup>]) -> Value {
    let remote = rule.remote_group_id.and_then(|id| names.iter().find(|g| g.id == id));
    let range = match rule.remote_ip_prefix {
        _ if remote.is_some() => json!({}),
        Some(prefix) => json!({"cidr": prefix}),
        None => json!({"cidr": if rule.ethertype == "IPv6" { "::/0" } else { "0.0.0.0/0" }}),
    };
    json!({
        "id": rule.id,
        "parent_group_id": group.id,
        "ip_protocol": rule.protocol,
        "from_port": rule.port_range_min.or(rule.protocol.as_ref().map(|_| -1)),
        "to_port": rule.port_range_max.or(rule.protocol.as_ref().map(|_| -1)),
        "group": remote.map_or(json!({}), |g| json!({"name": g.name, "tenant_id": g.project_id})),
        "ip_range": range,
    })
}

fn view(group: &SecurityGroup, names: &[Stored<SecurityGroup>]) -> Value {
    let rules = group.rules.iter().filter(|r| r.direction == "ingress").map(|r| rule_view(group, r, names));
    json!({
        "id": group.id,
        "name": group.name,
        "description": group.standard.description,
        "tenant_id": group.project_id,
        "rules": rules.collect::<Vec<_>>(),
    })
}

/// The caller's own project's groups.
async fn own(call: &Call) -> Result<Vec<Stored<SecurityGroup>>> {
    let project = call.ctx.project_id()?.clone();
    let write = call.state.store.write(move |tx| {
        security_groups::default_of(tx, &project)?;
        tx.list(&Scope::Project(project.clone()), &Query::all())
    });
    write.await
}

fn id(call: &Call) -> Result<SecurityGroupId> {
    call.id("id", |t| Error::not_found(format!("Security group {t} not found.")))
}

/// `GET /os-security-groups`
pub async fn index(call: Call) -> Result<Reply> {
    check(&call)?;
    let all = own(&call).await?;
    Reply::ok(&json!({"security_groups": all.iter().map(|g| view(g, &all)).collect::<Vec<_>>()}))
}

/// `GET /os-security-groups/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    check(&call)?;
    let (ctx, id) = (call.ctx.clone(), id(&call)?);
    let group = call.state.store.read(move |rd| security_groups::get(rd, &ctx, id)).await?;
    let all = own(&call).await?;
    Reply::ok(&json!({"security_group": view(&group, &all)}))
}

fn names(body: &Value) -> Result<(String, String)> {
    let mut f = Fields::body(body, "security_group", &[])?;
    let name = f.required_name("name")?.to_owned();
    let description = f.text("description", 0, 255)?.unwrap_or("").to_owned();
    f.finish().map(|()| (name, description))
}

/// `POST /os-security-groups`
pub async fn create(mut call: Call) -> Result<Reply> {
    check(&call)?;
    let body = call.value().await?;
    let (name, description) = names(&body)?;
    let project = call.ctx.project_id()?.clone();
    let write =
        call.state.store.write(move |tx| security_groups::create(tx, &project, &name, &description, true));
    let group = write.await?;
    Reply::ok(&json!({"security_group": view(&group, &[])}))
}

/// `PUT /os-security-groups/{id}`
pub async fn update(mut call: Call) -> Result<Reply> {
    check(&call)?;
    let body = call.value().await?;
    let (name, description) = names(&body)?;
    let (ctx, id) = (call.ctx.clone(), id(&call)?);
    let write = call.state.store.write(move |tx| {
        security_groups::update(tx, &ctx, id, |g| {
            g.name.clone_from(&name);
            g.standard.description.clone_from(&description);
            Ok(())
        })
    });
    let group = write.await?;
    let all = own(&call).await?;
    Reply::ok(&json!({"security_group": view(&group, &all)}))
}

/// `DELETE /os-security-groups/{id}`
pub async fn delete(call: Call) -> Result<Reply> {
    check(&call)?;
    let (ctx, id) = (call.ctx.clone(), id(&call)?);
    call.state.store.write(move |tx| security_groups::delete(tx, &ctx, id)).await?;
    Ok(Reply::empty(202))
}

/// `POST /os-security-group-rules`
pub async fn create_rule(mut call: Call) -> Result<Reply> {
    check(&call)?;
    let body = call.value().await?;
    let mut f = Fields::body(&body, "security_group_rule", &[])?;
    let group = f.text("parent_group_id", 1, 255)?.unwrap_or("").to_owned();
    let group: SecurityGroupId = group
        .parse()
        .map_err(|_| Error::bad_request(format!("Security group id {group} is not a valid uuid.")))?;
    let protocol = f.text("ip_protocol", 1, 16)?.map(str::to_lowercase);
    let from = f.int("from_port", -1, 65_535)?.filter(|n| *n >= 0);
    let to = f.int("to_port", -1, 65_535)?.filter(|n| *n >= 0);
    let cidr = f.text("cidr", 1, 64)?.map(str::to_owned);
    let remote = f.text("group_id", 1, 255)?.map(str::to_owned);
    f.finish()?;
    if let Some(p) = protocol.as_deref().filter(|p| !matches!(*p, "tcp" | "udp" | "icmp")) {
        return Err(Error::bad_request(format!("Invalid input: IP protocol '{p}' is not valid.")));
    }
    let prefix = match &cidr {
        None => None,
        Some(text) => {
            Some(text.parse::<ipnet::IpNet>().map_err(|_| invalid("cidr", &json!(text), "is not a CIDR"))?)
        }
    };
    let remote_group_id = match &remote {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| invalid("group_id", &json!(text), "is not a 'uuid'"))?),
    };
    let family = if prefix.is_some_and(|p| p.addr().is_ipv6()) { "IPv6" } else { "IPv4" };
    let rule = Rule {
        protocol,
        port_range_min: from,
        port_range_max: to,
        remote_ip_prefix: prefix,
        ..Rule::open("ingress", family, remote_group_id)
    };
    let (ctx, made) = (call.ctx.clone(), rule.clone());
    let write = call.state.store.write(move |tx| {
        security_groups::add_rule(tx, &ctx, group, &made)?;
        security_groups::get(tx, &ctx, group)
    });
    let group = write.await?;
    let all = own(&call).await?;
    Reply::ok(&json!({"security_group_rule": rule_view(&group, &rule, &all)}))
}

/// `DELETE /os-security-group-rules/{id}`
pub async fn delete_rule(call: Call) -> Result<Reply> {
    check(&call)?;
    let text = call.param("id").to_owned();
    let id = pileus_base::ids::parse_uuid(&text)
        .map_err(|_| Error::not_found(format!("Security group rule {text} not found.")))?;
    let ctx = call.ctx.clone();
    call.state.store.write(move |tx| security_groups::remove_rule(tx, &ctx, id)).await?;
    Ok(Reply::empty(202))
}

/// `GET /servers/{id}/os-security-groups`
pub async fn of_server(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    let ctx = call.ctx.clone();
    let read = call.state.store.read(move |rd| {
        let mut groups: Vec<Stored<SecurityGroup>> = Vec::new();
        for nic in &server.nics {
            let Some(port) = rd.find::<pileus_network::ports::Port>(&Scope::All, nic.port)? else { continue };
            for id in &port.security_groups {
                if groups.iter().all(|g| g.id != *id) {
                    groups.push(security_groups::get(rd, &ctx, *id)?);
                }
            }
        }
        Ok(groups)
    });
    let groups = read.await?;
    Reply::ok(&json!({"security_groups": groups.iter().map(|g| view(g, &groups)).collect::<Vec<_>>()}))
}
