//! `/v3/groups` and who is in them.

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::{Query, Resource, Tx};

use super::{Req, common, projects, users};
use crate::model::{
    access::Actor,
    entity::parse,
    projects::Group,
    users::{Membership, User},
};

pub(super) async fn create(mut call: Req) -> Result<Reply> {
    let mut body = common::new_body::<Group>(&mut call).await?;
    users::home(&call, &mut body).await?;
    body.entry("description").or_insert_with(|| "".into());
    let group = common::insert(&call, parse::<Group>(body)?).await?;
    common::show(&call, 201, &group)
}

/// Removes a group and what hangs on it.
pub(super) fn purge(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    projects::drop_assignments(tx, "actor", &Actor::Group(id.into()).key())?;
    for m in tx.list::<Membership>(&Scope::All, &Query::by("group", id))? {
        tx.delete::<Membership>(m.value.id())?;
    }
    tx.delete::<Group>(id).map(drop)
}

pub(super) async fn delete(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let remove = move |tx: &mut Tx<'_>| {
        tx.get::<Group>(&Scope::All, &id)?;
        purge(tx, &id)
    };
    call.state.write(remove).await?;
    Ok(Reply::no_content())
}

pub(super) async fn members(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let read = move |rd: &mut pileus_store::Read<'_>| {
        rd.get::<Group>(&Scope::All, &id)?;
        let mut out = Vec::new();
        for m in rd.list::<Membership>(&Scope::All, &Query::by("group", &id))? {
            out.extend(rd.find::<User>(&Scope::All, &m.user)?.map(|u| u.value));
        }
        Ok(out)
    };
    let all = call.state.store.read(read).await?;
    common::show_all(&call, all)
}

/// `PUT`, `DELETE` and `HEAD` of a membership.
pub(super) async fn member(call: Req) -> Result<Reply> {
    let m = Membership { group: call.param("id").into(), user: call.param("user").into() };
    if call.method != "PUT" && call.method != "DELETE" {
        common::self_or_reader(&call, &m.user)?;
    }
    let method = call.method.clone();
    let change = move |tx: &mut Tx<'_>| {
        tx.get::<Group>(&Scope::All, &m.group)?;
        tx.get::<User>(&Scope::All, &m.user)?;
        let there = tx.find::<Membership>(&Scope::All, m.id())?.is_some();
        match (method.as_str(), there) {
            ("PUT", false) => tx.insert(&m),
            ("DELETE", true) => tx.delete::<Membership>(m.id()).map(drop),
            (_, true) => Ok(()),
            (_, false) => {
                let why = format!("User '{}' not found in group '{}'.", m.user, m.group);
                Err(Error::not_found(why))
            }
        }
    };
    match call.method.as_str() {
        "PUT" | "DELETE" => call.state.write(change).await?,
        // Only looks: no reason to drop the cache of tokens.
        _ => call.state.store.write(change).await?,
    }
    Ok(Reply::no_content())
}
