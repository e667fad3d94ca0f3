//! What the handlers of all resources share: reading bodies, lists, the plain create/show/update/delete.

use pileus_base::{Error, Kind, Result, Scope, ids::hex_id};
use pileus_http::Reply;
use pileus_store::{Query, taken};
use serde_json::{Value, json};

use super::Req;
use crate::model::entity::{self, Entity, Object};

/// Whether the caller may read everything.
pub(super) fn system_reader(call: &Req) -> bool {
    let caller = &call.ctx.caller;
    caller.has_role("admin") || (caller.system && caller.has_role("reader"))
}

/// Lets the user `user` pass, and whoever may read everything.
pub(super) fn self_or_reader(call: &Req, user: &str) -> Result<()> {
    let own = call.ctx.user_id().is_some_and(|u| u.as_str() == user);
    if own || system_reader(call) { Ok(()) } else { Err(call.denied()) }
}

/// Lets the user `user` pass, and administrators.
pub(super) fn self_or_admin(call: &Req, user: &str) -> Result<()> {
    let own = call.ctx.user_id().is_some_and(|u| u.as_str() == user);
    if own || call.ctx.is_admin() { Ok(()) } else { Err(call.denied()) }
}

/// The links of a collection.
pub(super) fn links(call: &Req) -> Value {
    let query = call.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    let own = call.base.url(&format!("{}{query}", call.path));
    json!({"next": null, "self": own, "previous": null})
}

/// The object under `key` of the body.
pub(super) async fn part(call: &mut Req, key: &str) -> Result<Object> {
    let mut body = call.value().await?;
    match body.get_mut(key).map(Value::take) {
        Some(Value::Object(mut map)) => {
            entity::strip(&mut map);
            Ok(map)
        }
        Some(other) => Err(Error::bad_request(format!(
            "Invalid input for field '{key}': {other} is not of type 'object'"
        ))),
        None => Err(Error::bad_request(format!("'{key}' is a required property"))),
    }
}

/// A create's body, checked, with a fresh id.
pub(super) async fn new_body<E: Entity>(call: &mut Req) -> Result<Object> {
    let mut body = part(call, E::ONE).await?;
    entity::check(E::FIELDS, E::REQUIRED, &body, true)?;
    body.insert("id".into(), json!(hex_id()));
    Ok(body)
}

/// An update's body, checked; the id can't change.
pub(super) async fn changes<E: Entity>(call: &mut Req, id: &str) -> Result<Object> {
    let mut body = part(call, E::ONE).await?;
    entity::check(E::FIELDS, &[], &body, false)?;
    if body.remove("id").is_some_and(|given| given != id) {
        return Err(Error::bad_request(format!("Cannot change {} ID", E::ONE)));
    }
    Ok(body)
}

/// The document with `changes` laid over it.
pub(super) fn merged<E: Entity>(old: &E, changes: &Object) -> Result<E> {
    let mut body = entity::object(old)?;
    body.extend(changes.clone());
    entity::parse(body)
}

/// A taken key in Keystone's words.
pub(super) fn conflict<E: Entity>(error: Error, entity: &E) -> Error {
    if taken(&error).is_none() {
        return error;
    }
    let what = E::ONE.replace('_', " ");
    let why = entity.duplicate();
    Error::new(Kind::Conflict, format!("Conflict occurred attempting to store {what} - {why}"))
}

pub(super) async fn insert<E: Entity>(call: &Req, new: E) -> Result<E> {
    let stored = new.clone();
    let done = call.state.write(move |tx| tx.insert(&stored)).await;
    done.map_err(|e| conflict(e, &new))?;
    Ok(new)
}

pub(super) async fn get<E: Entity>(call: &Req, id: &str) -> Result<E> {
    let id = id.to_owned();
    Ok(call.state.store.read(move |rd| rd.get::<E>(&Scope::All, &id)).await?.value)
}

/// Lays `changes` over the document `id`.
pub(super) async fn update<E: Entity>(call: &Req, id: &str, changes: Object) -> Result<E> {
    let wanted = merged(&get::<E>(call, id).await?, &changes)?;
    let id = id.to_owned();
    let change = move |tx: &mut pileus_store::Tx<'_>| {
        let done = tx.update::<E>(&Scope::All, &id, |e| {
            *e = merged(e, &changes)?;
            Ok(())
        });
        Ok(done?.value)
    };
    call.state.write(change).await.map_err(|e| conflict(e, &wanted))
}

/// One view in its envelope.
pub(super) fn show<E: Entity>(call: &Req, status: u16, entity: &E) -> Result<Reply> {
    Reply::json(status, &json!({E::ONE: entity::view(entity, &call.base.url(""))?}))
}

/// Views in their envelope, filtered and cut as the query asks.
pub(super) fn show_all<E: Entity>(call: &Req, all: Vec<E>) -> Result<Reply> {
    let base = call.base.url("");
    let views: Vec<Value> = all.iter().map(|e| entity::view(e, &base)).collect::<Result<_>>()?;
    let views = views.into_iter().filter(|v| entity::passes(v, E::FILTERS, &call.query)).collect();
    collection(call, E::MANY, views)
}

pub(super) fn collection(call: &Req, key: &str, mut views: Vec<Value>) -> Result<Reply> {
    let mut out = Object::new();
    if let Some(limit) = call.query.get("limit") {
        let bad =
            || Error::bad_request(format!("Invalid input for field 'limit': '{limit}' is not a number"));
        let limit: usize = limit.parse().map_err(|_| bad())?;
        if limit > 0 && views.len() > limit {
            views.truncate(limit);
            out.insert("truncated".into(), true.into());
        }
    }
    out.insert("links".into(), links(call));
    out.insert(key.into(), Value::Array(views));
    Reply::ok(&out)
}

/// The stored documents, narrowed by index where the query names one.
pub(super) async fn listed<E: Entity>(call: &Req) -> Result<Vec<E>> {
    let mut query = Query::all();
    for field in ["name", "domain_id"] {
        if let Some(value) = call.query.get(field).filter(|v| E::FILTERS.contains(&field) && !v.is_empty())
            && value != "null"
        {
            query = query.eq(field_name(field), value);
        }
    }
    let narrowed = E::KIND == "identity.project" || E::KIND == "identity.user";
    let query = if narrowed { query } else { Query::all() };
    let all = call.state.store.read(move |rd| rd.list::<E>(&Scope::All, &query)).await?;
    Ok(all.into_iter().map(|e| e.value).collect())
}

fn field_name(field: &str) -> &'static str {
    if field == "name" { "name" } else { "domain_id" }
}

/// `GET` of a collection.
pub(super) async fn list<E: Entity>(call: Req) -> Result<Reply> {
    let all = listed::<E>(&call).await?;
    show_all(&call, all)
}

/// `GET` of one.
pub(super) async fn one<E: Entity>(call: Req) -> Result<Reply> {
    let found = get::<E>(&call, call.param("id")).await?;
    show(&call, 200, &found)
}

/// `PATCH` of one.
pub(super) async fn patch<E: Entity>(mut call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let changes = changes::<E>(&mut call, &id).await?;
    let new = update::<E>(&call, &id, changes).await?;
    show(&call, 200, &new)
}

/// `DELETE` of one that nothing hangs on.
pub(super) async fn remove<E: Entity>(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let removed = move |tx: &mut pileus_store::Tx<'_>| {
        if tx.delete::<E>(&id)? { Ok(()) } else { Err(E::not_found(&id)) }
    };
    call.state.write(removed).await?;
    Ok(Reply::no_content())
}
