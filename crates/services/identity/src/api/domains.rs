//! `/v3/domains`: domains are projects that act as such, shown in a shape of their own.

use pileus_base::{Error, Result, Scope, Time};
use pileus_http::Reply;
use pileus_store::{Query, Tx};
use serde_json::{Value, json};

use super::{Req, common, projects};
use crate::model::{
    access::Target,
    entity::{self, Entity, Object},
    projects::{Group, Project, Role},
    users::User,
};

/// A domain as the API shows it.
pub(super) fn shown(call: &Req, domain: &Project) -> Result<Value> {
    let mut out = entity::view(domain, &call.base.url(""))?;
    if let Some(map) = out.as_object_mut() {
        map.retain(|k, _| !matches!(&**k, "domain_id" | "parent_id" | "is_domain"));
    }
    out["links"] = json!({"self": call.base.url(&format!("/v3/domains/{}", domain.id))});
    Ok(out)
}

fn not_found(id: &str) -> Error {
    Error::not_found(format!("Could not find domain: {id}."))
}

async fn found(call: &Req) -> Result<Project> {
    let id = call.param("id");
    let domain = common::get::<Project>(call, id).await.ok().filter(|d| d.is_domain);
    domain.ok_or_else(|| not_found(id))
}

async fn body(call: &mut Req, creating: bool) -> Result<Object> {
    let mut body = common::part(call, "domain").await?;
    entity::check(Project::FIELDS, Project::REQUIRED, &body, creating)?;
    body.retain(|k, _| !matches!(&**k, "domain_id" | "parent_id" | "is_domain"));
    Ok(body)
}

pub(super) async fn create(mut call: Req) -> Result<Reply> {
    let mut body = body(&mut call, true).await?;
    let id = match body.remove("explicit_domain_id") {
        Some(Value::String(id)) if pileus_base::ids::is_uuid(&id) => id,
        Some(_) => return Err(Error::bad_request("Invalid input for field 'explicit_domain_id'")),
        None => pileus_base::ids::hex_id().to_string(),
    };
    body.insert("id".into(), id.into());
    body.insert("is_domain".into(), true.into());
    body.entry("description").or_insert_with(|| "".into());
    let domain = common::insert(&call, entity::parse::<Project>(body)?).await?;
    Reply::json(201, &json!({"domain": shown(&call, &domain)?}))
}

pub(super) async fn list(call: Req) -> Result<Reply> {
    let query = Query::by("is_domain", true);
    let all = call.state.store.read(move |rd| rd.list::<Project>(&Scope::All, &query)).await?;
    let views: Vec<Value> = all.iter().map(|d| shown(&call, d)).collect::<Result<_>>()?;
    let passes = |v: &Value| entity::passes(v, &["name", "enabled"], &call.query);
    common::collection(&call, "domains", views.into_iter().filter(passes).collect())
}

pub(super) async fn show(call: Req) -> Result<Reply> {
    let caller = &call.ctx.caller;
    let id = call.param("id");
    let own = caller.domain_id.as_ref().is_some_and(|d| d.as_str() == id)
        || caller.project.as_ref().is_some_and(|p| p.domain_id.as_str() == id);
    if !own && !common::system_reader(&call) {
        return Err(call.denied());
    }
    let domain = found(&call).await?;
    Reply::ok(&json!({"domain": shown(&call, &domain)?}))
}

pub(super) async fn update(mut call: Req) -> Result<Reply> {
    let mut changes = body(&mut call, false).await?;
    changes.remove("id");
    let old = found(&call).await?;
    projects::immutable(&old.options, "domain", old.id.as_str(), &changes)?;
    if old.enabled && changes.get("enabled") == Some(&Value::Bool(false)) {
        changes.insert("_revoked_before".into(), json!(Time::now()));
    }
    let new = common::update::<Project>(&call, old.id.as_str(), changes).await?;
    Reply::ok(&json!({"domain": shown(&call, &new)?}))
}

pub(super) async fn delete(call: Req) -> Result<Reply> {
    let domain = found(&call).await?;
    let id = domain.id.to_string();
    let remove = move |tx: &mut Tx<'_>| {
        let domain = tx.get::<Project>(&Scope::All, &id).map_err(|_| not_found(&id))?;
        if domain.enabled {
            return Err(Error::forbidden("Cannot delete a domain that is enabled, please disable it first."));
        }
        for p in tx.list::<Project>(&Scope::All, &Query::by("domain_id", &id))? {
            projects::purge(tx, p.id.as_str())?;
        }
        for u in tx.list::<User>(&Scope::All, &Query::by("domain_id", &id))? {
            super::users::purge(tx, &u.id)?;
        }
        for g in tx.list::<Group>(&Scope::All, &Query::by("domain_id", &id))? {
            super::groups::purge(tx, &g.id)?;
        }
        for r in tx.list::<Role>(&Scope::All, &Query::all())? {
            if r.domain_id.as_deref() == Some(&id) {
                super::roles::purge(tx, &r.id)?;
            }
        }
        projects::drop_assignments(tx, "target", &Target::Domain(id.clone()).key())?;
        tx.delete::<Project>(&id).map(drop)
    };
    call.state.write(remove).await?;
    Ok(Reply::no_content())
}
