//! Quotas.

use std::collections::BTreeMap;

use pileus_base::{Error, Result, ids::ProjectId};
use pileus_http::Reply;
use serde_json::{Map, Value, json};

use super::{Call, attrs::Attrs, attrs::objects};
use crate::{
    model::quotas::{DEFAULTS, Quota},
    store::quotas,
};

fn project(call: &Call) -> Result<ProjectId> {
    let asked: ProjectId = call.param("project").into();
    if call.scope.covers(Some(&asked)) { Ok(asked) } else { Err(call.denied()) }
}

/// `GET /quotas/{project}`
pub async fn show(call: Call) -> Result<Reply> {
    let project = project(&call)?;
    let limits = call.state.store.read(move |rd| quotas::limits(rd, &project)).await?;
    Reply::ok(&json!({"quota": limits}))
}

/// `GET /quotas/{project}/default`
pub async fn defaults(_: Call) -> Result<Reply> {
    let all: BTreeMap<_, _> = DEFAULTS.into();
    Reply::ok(&json!({"quota": all}))
}

/// `GET /quotas/{project}/details.json`
pub async fn details(call: Call) -> Result<Reply> {
    let project = project(&call)?;
    let read = call.state.store.read(move |rd| {
        let mut all = Map::new();
        for (name, limit) in quotas::limits(rd, &project)? {
            let used = quotas::used(rd, &project, &name)?;
            all.insert(name, json!({"limit": limit, "used": used, "reserved": 0}));
        }
        Ok(Value::Object(all))
    });
    Reply::ok(&json!({"quota": read.await?}))
}

/// `PUT /quotas/{project}`
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (items, _) = objects(&body, "quota", "")?;
    let mut a = Attrs::of(items[0])?;
    let mut changes = BTreeMap::new();
    for (name, _) in DEFAULTS {
        if let Some(limit) = a.int(name, -1, 0x7fff_ffff)? {
            changes.insert(name.to_owned(), limit);
        }
    }
    a.project()?;
    a.skip(&["force", "check_limit"]);
    a.finish()?;
    let project: ProjectId = call.param("project").into();
    let write = call.state.store.write(move |tx| {
        quotas::set(tx, &project, &changes)?;
        quotas::limits(tx, &project)
    });
    Reply::ok(&json!({"quota": write.await?}))
}

/// `DELETE /quotas/{project}`
pub async fn reset(call: Call) -> Result<Reply> {
    let project: ProjectId = call.param("project").into();
    if !call.state.store.write(move |tx| tx.delete::<Quota>(&project)).await? {
        return Err(Error::not_found(format!(
            "Quota for tenant {} could not be found.",
            call.param("project")
        ))
        .code("TenantQuotaNotFound"));
    }
    Ok(Reply::no_content())
}
