//! Regions, services, endpoints, credentials, policies and limits.

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::{Query, Tx};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Req, common};
use crate::{
    model::{
        catalog::{CatalogService, Credential, Endpoint, Limit, Policy, Region, RegisteredLimit},
        entity::{self, Entity, Object, parse},
        projects::Project,
        users::User,
    },
    secrets,
};

/// `POST /v3/regions`, and `PUT` with an id of the client's.
pub(super) async fn create_region(mut call: Req) -> Result<Reply> {
    let given = call.param("id").to_owned();
    let mut body = common::part(&mut call, "region").await?;
    entity::check(Region::FIELDS, &[], &body, true)?;
    let named = body.remove("id").and_then(|v| v.as_str().map(str::to_owned)).filter(|i| !i.is_empty());
    let id = match (given.is_empty(), named) {
        (false, Some(named)) if named != given => {
            return Err(Error::bad_request("Conflicting region IDs specified: URL and body."));
        }
        (false, _) => given,
        (true, Some(named)) => named,
        (true, None) => pileus_base::ids::hex_id().to_string(),
    };
    Region::fill(&mut body);
    if let Some(parent) = body.get("parent_region_id").and_then(Value::as_str) {
        common::get::<Region>(&call, parent).await?;
    }
    let region = common::insert(&call, Region { id, body }).await?;
    common::show(&call, 201, &region)
}

pub(super) async fn delete_region(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let remove = move |tx: &mut Tx<'_>| {
        tx.get::<Region>(&Scope::All, &id)?;
        let endpoints = tx.count::<Endpoint>(&Scope::All, &Query::by("region_id", &id))?;
        if endpoints > 0 {
            let why = format!(
                "Unable to delete region {id} because it or its child regions have associated endpoints."
            );
            return Err(Error::forbidden(why));
        }
        tx.delete::<Region>(&id).map(drop)
    };
    call.state.write(remove).await?;
    Ok(Reply::no_content())
}

pub(super) async fn create_service(mut call: Req) -> Result<Reply> {
    let mut body = common::new_body::<CatalogService>(&mut call).await?;
    CatalogService::fill(&mut body);
    let new = common::insert(&call, parse::<CatalogService>(body)?).await?;
    common::show(&call, 201, &new)
}

pub(super) async fn delete_service(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let remove = move |tx: &mut Tx<'_>| {
        tx.get::<CatalogService>(&Scope::All, &id)?;
        for e in tx.list::<Endpoint>(&Scope::All, &Query::by("service_id", &id))? {
            tx.delete::<Endpoint>(&e.id)?;
        }
        tx.delete::<CatalogService>(&id).map(drop)
    };
    call.state.write(remove).await?;
    Ok(Reply::no_content())
}

/// Checks what an endpoint names; its old-style `region` is its `region_id`.
async fn endpoint_refs(call: &Req, body: &mut Object) -> Result<()> {
    if let Some(region) = body.remove("region") {
        // The old attribute makes the region that it names.
        if let Some(id) = region.as_str().map(str::to_owned) {
            let write = call.state.write(move |tx| {
                if tx.find::<Region>(&pileus_base::Scope::All, &id)?.is_none() {
                    let mut body = Object::new();
                    body.insert("description".into(), "".into());
                    body.insert("parent_region_id".into(), Value::Null);
                    tx.insert(&Region { id: id.clone(), body })?;
                }
                Ok(())
            });
            write.await?;
        }
        body.entry("region_id").or_insert(region);
    }
    if let Some(region) = body.get("region_id").and_then(Value::as_str) {
        let bad = |e: Error| Error::bad_request(e.message().to_owned());
        common::get::<Region>(call, region).await.map_err(bad)?;
    }
    if let Some(service) = body.get("service_id").and_then(Value::as_str) {
        let bad = |e: Error| Error::bad_request(e.message().to_owned());
        common::get::<CatalogService>(call, service).await.map_err(bad)?;
    }
    Ok(())
}

fn endpoint_view(call: &Req, e: &Endpoint) -> Result<Value> {
    let mut view = entity::view(e, &call.base.url(""))?;
    view["region"] = view["region_id"].clone();
    Ok(view)
}

pub(super) async fn create_endpoint(mut call: Req) -> Result<Reply> {
    let mut body = common::new_body::<Endpoint>(&mut call).await?;
    endpoint_refs(&call, &mut body).await?;
    Endpoint::fill(&mut body);
    let new = common::insert(&call, parse::<Endpoint>(body)?).await?;
    Reply::json(201, &json!({"endpoint": endpoint_view(&call, &new)?}))
}

pub(super) async fn endpoints(call: Req) -> Result<Reply> {
    let all = common::listed::<Endpoint>(&call).await?;
    let views: Vec<Value> = all.iter().map(|e| endpoint_view(&call, e)).collect::<Result<_>>()?;
    let passes = |v: &Value| entity::passes(v, Endpoint::FILTERS, &call.query);
    common::collection(&call, "endpoints", views.into_iter().filter(passes).collect())
}

pub(super) async fn show_endpoint(call: Req) -> Result<Reply> {
    let found = common::get::<Endpoint>(&call, call.param("id")).await?;
    Reply::ok(&json!({"endpoint": endpoint_view(&call, &found)?}))
}

pub(super) async fn update_endpoint(mut call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let mut changes = common::changes::<Endpoint>(&mut call, &id).await?;
    endpoint_refs(&call, &mut changes).await?;
    if changes.contains_key("url") {
        // An administrator's own URL: the catalog no longer follows the client's address.
        changes.insert("_own".into(), "".into());
    }
    let new = common::update::<Endpoint>(&call, &id, changes).await?;
    Reply::ok(&json!({"endpoint": endpoint_view(&call, &new)?}))
}

pub(super) async fn create_policy(mut call: Req) -> Result<Reply> {
    let body = common::new_body::<Policy>(&mut call).await?;
    let new = common::insert(&call, parse::<Policy>(body)?).await?;
    common::show(&call, 201, &new)
}

fn sealed(call: &Req, body: &mut Object) -> Result<()> {
    if let Some(blob) = body.get("blob").and_then(Value::as_str) {
        let sealed = call.state.credential_keys.seal(blob.as_bytes())?;
        body.insert("blob".into(), sealed.into());
    }
    Ok(())
}

fn opened(call: &Req, mut c: Credential) -> Result<Credential> {
    let plain = call.state.credential_keys.open_sealed(c.text("blob"));
    let lost = || Error::internal(format!("no key opens credential {}", c.id));
    let plain =
        String::from_utf8(plain.ok_or_else(lost)?).map_err(|e| Error::wrap("a credential is no text", e))?;
    c.body.insert("blob".into(), plain.into());
    Ok(c)
}

pub(super) async fn create_credential(mut call: Req) -> Result<Reply> {
    let mut body = common::new_body::<Credential>(&mut call).await?;
    Credential::fill(&mut body);
    let text = |f: &str| body.get(f).and_then(Value::as_str).unwrap_or_default().to_owned();
    let user = text("user_id");
    common::self_or_admin(&call, &user)?;
    if call.ctx.user_id().is_none_or(|u| u.as_str() != user) {
        common::get::<User>(&call, &user).await?;
    }
    if text("type") == "ec2" {
        // Keystone's id of these: the hash of the access key.
        let blob: Value = serde_json::from_str(&text("blob"))
            .map_err(|_| Error::bad_request("Invalid blob in credential"))?;
        let access =
            blob["access"].as_str().ok_or_else(|| Error::bad_request("Invalid blob in credential"))?;
        if !body["project_id"].is_string() {
            return Err(Error::bad_request("Credential of type ec2 must specify a project_id."));
        }
        body.insert("id".into(), secrets::hex(&Sha256::digest(access.as_bytes())).into());
    }
    sealed(&call, &mut body)?;
    let new = common::insert(&call, parse::<Credential>(body)?).await?;
    common::show(&call, 201, &opened(&call, new)?)
}

pub(super) async fn credentials(call: Req) -> Result<Reply> {
    let mut all = common::listed::<Credential>(&call).await?;
    if !common::system_reader(&call) {
        all.retain(|c| call.ctx.user_id().is_some_and(|u| u.as_str() == c.text("user_id")));
    }
    let all: Vec<_> = all.into_iter().map(|c| opened(&call, c)).collect::<Result<_>>()?;
    common::show_all(&call, all)
}

/// The credential of the path, where the caller may touch it.
async fn credential(call: &Req, read: bool) -> Result<Credential> {
    let found = common::get::<Credential>(call, call.param("id")).await;
    match found {
        Ok(c) if read => common::self_or_reader(call, c.text("user_id")).map(|()| c),
        Ok(c) => common::self_or_admin(call, c.text("user_id")).map(|()| c),
        // Only who may see all of them learns that there is none.
        Err(e) if common::system_reader(call) => Err(e),
        Err(_) => Err(call.denied()),
    }
}

pub(super) async fn show_credential(call: Req) -> Result<Reply> {
    let found = credential(&call, true).await?;
    common::show(&call, 200, &opened(&call, found)?)
}

pub(super) async fn update_credential(mut call: Req) -> Result<Reply> {
    let old = credential(&call, false).await?;
    let mut changes = common::changes::<Credential>(&mut call, &old.id).await?;
    if let Some(user) = changes.get("user_id").and_then(Value::as_str) {
        common::self_or_admin(&call, user)?;
    }
    sealed(&call, &mut changes)?;
    let new = common::update::<Credential>(&call, &old.id, changes).await?;
    common::show(&call, 200, &opened(&call, new)?)
}

pub(super) async fn delete_credential(call: Req) -> Result<Reply> {
    credential(&call, false).await?;
    common::remove::<Credential>(call).await
}

pub(super) async fn create_registered_limits(mut call: Req) -> Result<Reply> {
    create_limits::<RegisteredLimit>(&mut call, RegisteredLimit::fill).await
}
pub(super) async fn create_project_limits(mut call: Req) -> Result<Reply> {
    create_limits::<Limit>(&mut call, Limit::fill).await
}

/// Limits are made several at once.
async fn create_limits<E: Entity>(call: &mut Req, fill: fn(&mut Object)) -> Result<Reply> {
    let body = call.value().await?;
    let all = body[E::MANY].as_array();
    let all = all.ok_or_else(|| Error::bad_request(format!("'{}' is a required property", E::MANY)))?;
    let mut new = Vec::new();
    for one in all {
        let mut one =
            one.as_object().cloned().ok_or_else(|| Error::bad_request("a limit is not of type 'object'"))?;
        entity::strip(&mut one);
        entity::check(E::FIELDS, E::REQUIRED, &one, true)?;
        one.insert("id".into(), json!(pileus_base::ids::hex_id()));
        fill(&mut one);
        if let Some(service) = one["service_id"].as_str() {
            common::get::<CatalogService>(call, service).await?;
        }
        if let Some(project) = one.get("project_id").and_then(Value::as_str) {
            common::get::<Project>(call, project).await?;
        }
        new.push(parse::<E>(one)?);
    }
    let stored = new.clone();
    call.state.write(move |tx| stored.iter().try_for_each(|l| tx.insert(l))).await?;
    let base = call.base.url("");
    let views: Vec<Value> = new.iter().map(|l| entity::view(l, &base)).collect::<Result<_>>()?;
    Reply::json(201, &json!({E::MANY: views, "links": common::links(call)}))
}

pub(super) async fn limits(call: Req) -> Result<Reply> {
    let mut all = common::listed::<Limit>(&call).await?;
    if !common::system_reader(&call) {
        let project = call.ctx.caller.project.as_ref().map(|p| p.id.to_string());
        all.retain(|l| project.as_deref() == Some(l.text("project_id")));
    }
    common::show_all(&call, all)
}

pub(super) async fn show_limit(call: Req) -> Result<Reply> {
    let limit = common::get::<Limit>(&call, call.param("id")).await?;
    let project = call.ctx.caller.project.as_ref();
    if !common::system_reader(&call) && project.is_none_or(|p| p.id.as_str() != limit.text("project_id")) {
        return Err(call.denied());
    }
    common::show(&call, 200, &limit)
}

pub(super) async fn limits_model(call: Req) -> Result<Reply> {
    let about = "Limit enforcement and validation does not take project hierarchy into consideration.";
    Reply::ok(&json!({"model": {"name": "flat", "description": about}, "links": common::links(&call)}))
}
