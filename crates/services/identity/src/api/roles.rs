//! `/v3/roles` and which role brings which.

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::{Query, Resource, Tx};
use serde_json::{Value, json};

use super::{Req, common, projects};
use crate::model::{
    access::Implied,
    entity::{Object, parse},
    projects::Role,
};

pub(super) async fn create(mut call: Req) -> Result<Reply> {
    let mut body = common::new_body::<Role>(&mut call).await?;
    body.entry("description").or_insert(Value::Null);
    let role = common::insert(&call, parse::<Role>(body)?).await?;
    common::show(&call, 201, &role)
}

/// Roles of the cloud, unless a domain's are asked for.
pub(super) async fn list(call: Req) -> Result<Reply> {
    let mut all = common::listed::<Role>(&call).await?;
    if !call.query.has("domain_id") {
        all.retain(|r| r.domain_id.is_none());
    }
    common::show_all(&call, all)
}

pub(super) async fn update(mut call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let changes = common::changes::<Role>(&mut call, &id).await?;
    let old = common::get::<Role>(&call, &id).await?;
    projects::immutable(&old.options, "role", &id, &changes)?;
    if changes.get("domain_id").is_some_and(|d| *d != json!(old.domain_id)) {
        return Err(Error::bad_request("Cannot change Domain ID"));
    }
    let new = common::update::<Role>(&call, &id, changes).await?;
    common::show(&call, 200, &new)
}

/// Removes a role and what hangs on it.
pub(super) fn purge(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    projects::drop_assignments(tx, "role", id)?;
    for side in ["prior", "implied"] {
        for rule in tx.list::<Implied>(&Scope::All, &Query::by(side, id))? {
            tx.delete::<Implied>(rule.value.id())?;
        }
    }
    tx.delete::<Role>(id).map(drop)
}

pub(super) async fn delete(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let remove = move |tx: &mut Tx<'_>| {
        let role = tx.get::<Role>(&Scope::All, &id)?;
        projects::immutable(&role.options, "role", &id, &Object::new())?;
        purge(tx, &id)
    };
    call.state.write(remove).await?;
    Ok(Reply::no_content())
}

fn short(call: &Req, role: &Role) -> Value {
    let own = call.base.url(&format!("/v3/roles/{}", role.id));
    json!({"id": role.id, "name": role.name, "links": {"self": own}})
}

/// Every rule, grouped by the role that brings.
async fn rules(call: &Req, prior: Option<String>) -> Result<Vec<(Role, Vec<Role>)>> {
    let read = move |rd: &mut pileus_store::Read<'_>| {
        let query = prior.as_ref().map_or_else(Query::all, |p| Query::by("prior", p));
        let mut out: Vec<(Role, Vec<Role>)> = Vec::new();
        for rule in rd.list::<Implied>(&Scope::All, &query)? {
            let implied = rd.get::<Role>(&Scope::All, &rule.implied)?.value;
            match out.iter_mut().find(|(p, _)| p.id == rule.prior) {
                Some((_, all)) => all.push(implied),
                None => out.push((rd.get::<Role>(&Scope::All, &rule.prior)?.value, vec![implied])),
            }
        }
        Ok(out)
    };
    call.state.store.read(read).await
}

pub(super) async fn inferences(call: Req) -> Result<Reply> {
    let all = rules(&call, None).await?;
    let shown: Vec<_> = all
        .iter()
        .map(|(prior, all)| {
            let implies: Vec<_> = all.iter().map(|r| short(&call, r)).collect();
            json!({"prior_role": short(&call, prior), "implies": implies})
        })
        .collect();
    Reply::ok(&json!({"role_inferences": shown, "links": common::links(&call)}))
}

pub(super) async fn implies(call: Req) -> Result<Reply> {
    let prior = common::get::<Role>(&call, call.param("id")).await?;
    let all = rules(&call, Some(prior.id.clone())).await?;
    let implies: Vec<_> = all.iter().flat_map(|(_, all)| all).map(|r| short(&call, r)).collect();
    let shown = json!({"prior_role": short(&call, &prior), "implies": implies});
    Reply::ok(&json!({"role_inference": shown, "links": common::links(&call)}))
}

/// `PUT`, `GET`, `HEAD` and `DELETE` of one rule.
pub(super) async fn implication(call: Req) -> Result<Reply> {
    let (prior, implied) = (call.param("id").to_owned(), call.param("implied").to_owned());
    let (prior, implied) =
        (common::get::<Role>(&call, &prior).await?, common::get::<Role>(&call, &implied).await?);
    if implied.domain_id.is_some() && call.method == "PUT" {
        return Err(Error::forbidden("A role of one domain can't be implied."));
    }
    if implied.name == "admin" && call.method == "PUT" {
        return Err(Error::forbidden(format!("Role {} cannot be an implied role.", implied.id)));
    }
    let rule = Implied { prior: prior.id.clone(), implied: implied.id.clone() };
    let method = call.method.clone();
    let change = move |tx: &mut Tx<'_>| {
        let there = tx.find::<Implied>(&Scope::All, rule.id())?.is_some();
        match (method.as_str(), there) {
            ("PUT", false) => tx.insert(&rule),
            ("DELETE", true) => tx.delete::<Implied>(rule.id()).map(drop),
            (_, true) => Ok(()),
            (_, false) => {
                let why = format!("{} does not imply {}.", rule.prior, rule.implied);
                Err(Error::not_found(why))
            }
        }
    };
    call.state.write(change).await?;
    let shown = json!({"prior_role": short(&call, &prior), "implies": short(&call, &implied)});
    let body = json!({"role_inference": shown, "links": common::links(&call)});
    match call.method.as_str() {
        "PUT" => Reply::json(201, &body),
        "GET" => Reply::ok(&body),
        _ => Ok(Reply::no_content()),
    }
}
