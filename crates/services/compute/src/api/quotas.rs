//! Quota sets and the default class.

use std::collections::BTreeMap;

use pileus_base::{Error, Result, ids::ProjectId};
use pileus_http::{Reply, Version};
use serde_json::{Map, Value, json};

use super::{Call, accepted};
use crate::{
    model::quotas::{INJECTED, NETWORK},
    store::quotas,
    wire::{fields::Fields, mv},
};

/// The resources that a version shows.
fn shown(limits: &BTreeMap<String, i64>, v: Version) -> Vec<(&str, i64)> {
    let hidden = |name: &str| {
        (v >= mv::NO_PERSONALITY && INJECTED.iter().any(|(n, _)| *n == name))
            || (v >= mv::NO_PROXIES && NETWORK.iter().any(|(n, _)| *n == name))
    };
    limits.iter().map(|(n, l)| (n.as_str(), *l)).filter(|(n, _)| !hidden(n)).collect()
}

fn set(id: Option<&str>, limits: &BTreeMap<String, i64>, v: Version) -> Value {
    let mut map: Map<String, Value> =
        shown(limits, v).into_iter().map(|(n, l)| (n.to_owned(), json!(l))).collect();
    if let Some(id) = id {
        map.insert("id".into(), json!(id));
    }
    json!({"quota_set": map})
}

/// Others' quotas are an administrator's affair.
fn project(call: &Call) -> Result<ProjectId> {
    let asked: ProjectId = call.param("project").into();
    let own = call.ctx.caller.project.as_ref().is_some_and(|p| p.id == asked);
    if own || call.ctx.is_admin() { Ok(asked) } else { Err(call.denied()) }
}

/// `GET /os-quota-sets/{project}`
pub async fn show(call: Call) -> Result<Reply> {
    let project = project(&call)?;
    let of = project.clone();
    let limits = call.state.store.read(move |rd| quotas::limits(rd, &of)).await?;
    Reply::ok(&set(Some(project.as_str()), &limits, call.version))
}

/// `GET /os-quota-sets/{project}/defaults`
pub async fn defaults(call: Call) -> Result<Reply> {
    let limits = call.state.store.read(quotas::defaults).await?;
    Reply::ok(&set(Some(call.param("project")), &limits, call.version))
}

/// `GET /os-quota-sets/{project}/detail`
pub async fn detail(call: Call) -> Result<Reply> {
    let project = project(&call)?;
    let of = project.clone();
    let read = call.state.store.read(move |rd| {
        let limits = quotas::limits(rd, &of)?;
        let mut used = BTreeMap::new();
        for name in limits.keys() {
            used.insert(name.clone(), quotas::used(rd, &of, name)?);
        }
        Ok((limits, used))
    });
    let (limits, used) = read.await?;
    let mut map: Map<String, Value> = shown(&limits, call.version)
        .into_iter()
        .map(|(n, limit)| (n.to_owned(), json!({"limit": limit, "in_use": used.get(n), "reserved": 0})))
        .collect();
    map.insert("id".into(), json!(project));
    Reply::ok(&json!({"quota_set": map}))
}

fn changes(body: &Value, name: &str, known: &BTreeMap<String, i64>) -> Result<(BTreeMap<String, i64>, bool)> {
    let mut f = Fields::body(body, name, &[])?;
    f.value("tenant_id");
    let force = f.flag("force")?.unwrap_or(false);
    let mut changes = BTreeMap::new();
    for resource in known.keys() {
        // The names outlive the call: they are those of the defaults.
        let mut one = Fields::body(body, name, &[])?;
        if let Some(limit) = one.int(resource, -1, 0x7fff_ffff)? {
            changes.insert(resource.clone(), limit);
        }
    }
    let unknown = body[name].as_object().into_iter().flat_map(Map::keys);
    for key in unknown {
        if !known.contains_key(key) && !matches!(key.as_str(), "force" | "tenant_id") {
            return Err(Error::bad_request(format!(
                "Invalid input for field/attribute {name}. Additional properties are not allowed ('{key}' was unexpected)"
            )));
        }
    }
    Ok((changes, force))
}

/// `PUT /os-quota-sets/{project}`
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let project: ProjectId = call.param("project").into();
    let known = call.state.store.read(quotas::defaults).await?;
    let (changes, force) = changes(&body, "quota_set", &known)?;
    let write = call.state.store.write(move |tx| {
        for (name, limit) in changes.iter().filter(|(_, l)| !force && **l >= 0) {
            let used = quotas::used(tx, &project, name)?;
            if used > *limit {
                return Err(Error::bad_request(format!(
                    "Quota limit {limit} for {name} must be greater than or equal to already used and reserved {used}."
                )));
            }
        }
        quotas::set(tx, &project, &changes)?;
        quotas::limits(tx, &project)
    });
    Reply::ok(&set(None, &write.await?, call.version))
}

/// `DELETE /os-quota-sets/{project}`
pub async fn delete(call: Call) -> Result<Reply> {
    let project: ProjectId = call.param("project").into();
    call.state.store.write(move |tx| quotas::reset(tx, &project)).await?;
    Ok(accepted())
}

fn class_view(id: &str, limits: &BTreeMap<String, i64>, v: Version) -> Value {
    let mut view = set(None, limits, v)["quota_set"].take();
    if !id.is_empty() {
        view["id"] = json!(id);
    }
    json!({"quota_class_set": view})
}

/// `GET /os-quota-class-sets/{class}`: only `default` has effect, and only it is kept.
pub async fn class(call: Call) -> Result<Reply> {
    let limits = call.state.store.read(quotas::defaults).await?;
    Reply::ok(&class_view(call.param("class"), &limits, call.version))
}

/// `PUT /os-quota-class-sets/{class}`
pub async fn update_class(mut call: Call) -> Result<Reply> {
    if call.param("class") != "default" {
        return Err(Error::bad_request("Only the quota class 'default' exists."));
    }
    let body = call.value().await?;
    let known = call.state.store.read(quotas::defaults).await?;
    let (changes, _) = changes(&body, "quota_class_set", &known)?;
    let write = call.state.store.write(move |tx| {
        quotas::set(tx, &quotas::DEFAULT_CLASS.into(), &changes)?;
        quotas::defaults(tx)
    });
    Reply::ok(&class_view("", &write.await?, call.version))
}
