//! Trusts (`OS-TRUST`): a user lets another act with some of their roles.

use pileus_base::{Error, Result, Scope, Time, ids::hex_id};
use pileus_http::Reply;
use pileus_store::Query;
use serde_json::{Value, json};

use super::{Req, common};
use crate::model::{
    access::Trust,
    entity,
    projects::{Project, Role},
    users::User,
};

async fn named(call: &Req) -> Result<Trust> {
    let trust = common::get::<Trust>(call, call.param("id")).await?;
    if trust.expired(Time::now()) {
        return Err(<Trust as pileus_store::Resource>::not_found(&trust.id));
    }
    let own = call.ctx.user_id().map(|u| u.as_str());
    let party = own == Some(trust.trustor_user_id.as_str()) || own == Some(trust.trustee_user_id.as_str());
    if party || common::system_reader(call) { Ok(trust) } else { Err(call.denied()) }
}

/// A trust as it travels; `roles` only where one is shown.
async fn view(call: &Req, trust: &Trust, roles: bool) -> Result<Value> {
    let mut view = entity::view(trust, &call.base.url(""))?;
    if roles {
        let own = call.base.url(&format!("/v3/OS-TRUST/trusts/{}/roles", trust.id));
        view["roles"] = json!(role_views(call, trust).await?);
        view["roles_links"] = json!({"self": own, "next": null, "previous": null});
    }
    Ok(view)
}

async fn role_views(call: &Req, trust: &Trust) -> Result<Vec<Value>> {
    let mut out = Vec::new();
    for id in &trust.roles {
        out.push(entity::view(&common::get::<Role>(call, id).await?, &call.base.url(""))?);
    }
    Ok(out)
}

/// `POST /v3/OS-TRUST/trusts`
pub(super) async fn create(mut call: Req) -> Result<Reply> {
    let body = common::new_body::<Trust>(&mut call).await?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let trustor = text("trustor_user_id").unwrap_or_default();
    if call.ctx.user_id().map(|u| u.as_str()) != Some(trustor.as_str()) {
        return Err(call.denied());
    }
    let token = call.token.clone().unwrap_or_default();
    let held = call.state.validate(&token).await?;
    if held.restricted() {
        return Err(call.denied());
    }
    let trustee = text("trustee_user_id").unwrap_or_default();
    common::get::<User>(&call, &trustee).await?;
    let project_id = text("project_id");
    if let Some(project) = &project_id {
        common::get::<Project>(&call, project).await?;
        if held.project.as_ref().is_none_or(|p| p.0.id.as_str() != project) {
            return Err(Error::forbidden(
                "At least one role should be specified; trusts are made with a token of their project.",
            ));
        }
    }
    let mut roles = Vec::new();
    for asked in body.get("roles").and_then(Value::as_array).into_iter().flatten() {
        let found = held.roles.iter().find(|r| {
            asked["id"].as_str().is_some_and(|id| id == r.id)
                || asked["name"].as_str().is_some_and(|n| n == r.name)
        });
        let unknown = || {
            Error::not_found(format!(
                "Could not find role: {}.",
                asked["id"].as_str().or(asked["name"].as_str()).unwrap_or("")
            ))
        };
        roles.push(found.ok_or_else(unknown)?.id.clone());
    }
    if project_id.is_some() && roles.is_empty() {
        return Err(Error::forbidden("At least one role should be specified."));
    }
    let remaining_uses = body.get("remaining_uses").and_then(Value::as_i64);
    if remaining_uses.is_some_and(|n| n < 1) {
        return Err(Error::bad_request("remaining_uses must be a positive integer or null."));
    }
    let expires_at = match text("expires_at") {
        None => None,
        Some(t) => {
            let at = Time::parse(&t)?;
            if at <= Time::now() {
                return Err(Error::bad_request("The expires_at is in the past."));
            }
            Some(at.micros_z())
        }
    };
    let trust = Trust {
        id: hex_id().to_string(),
        trustor_user_id: trustor,
        trustee_user_id: trustee,
        project_id,
        impersonation: body.get("impersonation").and_then(Value::as_bool).unwrap_or(false),
        roles,
        expires_at,
        remaining_uses,
        redelegation_count: body.get("redelegation_count").and_then(Value::as_i64).unwrap_or(0),
        redelegated_trust_id: None,
        deleted_at: None,
    };
    let trust = common::insert(&call, trust).await?;
    Reply::json(201, &json!({"trust": view(&call, &trust, true).await?}))
}

/// `GET /v3/OS-TRUST/trusts`
pub(super) async fn list(call: Req) -> Result<Reply> {
    let own = call.ctx.user_id().map(|u| u.to_string());
    let asked = |key: &str| call.query.get(key).map(str::to_owned);
    let (trustor, trustee) = (asked("trustor_user_id"), asked("trustee_user_id"));
    let mine = own.is_some() && (trustor == own || trustee == own);
    if !mine && !common::system_reader(&call) {
        return Err(call.denied());
    }
    let now = Time::now();
    let read = call.state.store.read(|rd| rd.list::<Trust>(&Scope::All, &Query::all()));
    let mut views = Vec::new();
    for trust in read.await?.iter().filter(|t| !t.expired(now)) {
        let fits = trustor.as_ref().is_none_or(|u| *u == trust.trustor_user_id)
            && trustee.as_ref().is_none_or(|u| *u == trust.trustee_user_id);
        if fits {
            views.push(view(&call, trust, false).await?);
        }
    }
    common::collection(&call, "trusts", views)
}

/// `GET /v3/OS-TRUST/trusts/{id}`
pub(super) async fn show(call: Req) -> Result<Reply> {
    let trust = named(&call).await?;
    Reply::ok(&json!({"trust": view(&call, &trust, true).await?}))
}

/// `DELETE /v3/OS-TRUST/trusts/{id}`: the trustor's own, and an administrator's affair.
pub(super) async fn delete(call: Req) -> Result<Reply> {
    let trust = named(&call).await?;
    common::self_or_admin(&call, &trust.trustor_user_id)?;
    call.state.write(move |tx| tx.delete::<Trust>(&trust.id)).await?;
    Ok(Reply::no_content())
}

/// `GET /v3/OS-TRUST/trusts/{id}/roles`
pub(super) async fn roles(call: Req) -> Result<Reply> {
    let trust = named(&call).await?;
    let views = role_views(&call, &trust).await?;
    common::collection(&call, "roles", views)
}

/// `GET /v3/OS-TRUST/trusts/{id}/roles/{role}`
pub(super) async fn role(call: Req) -> Result<Reply> {
    let trust = named(&call).await?;
    let role = call.param("role").to_owned();
    if !trust.roles.contains(&role) {
        return Err(Error::not_found(format!("Could not find role: {role}.")));
    }
    let role = common::get::<Role>(&call, &role).await?;
    common::show(&call, 200, &role)
}
