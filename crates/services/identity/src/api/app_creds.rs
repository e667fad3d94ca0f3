//! Application credentials: secrets that stand for some of a user's roles on one project.

use pileus_base::{Error, Result, Scope, Time, ids::hex_id};
use pileus_http::Reply;
use pileus_store::Query;
use serde_json::{Value, json};

use super::{Req, common};
use crate::model::{access::AppCred, entity, projects::Role};

async fn view(call: &Req, cred: &AppCred) -> Result<Value> {
    let mut view = entity::view(cred, &call.base.url(""))?;
    let mut roles = Vec::new();
    for id in &cred.roles {
        let role = common::get::<Role>(call, id).await?;
        roles.push(json!({"id": role.id, "name": role.name, "domain_id": null}));
    }
    let own = call.base.url(&format!("/v3/users/{}/application_credentials/{}", cred.user_id, cred.id));
    view["roles"] = json!(roles);
    view["links"] = json!({"self": own});
    Ok(view)
}

async fn named(call: &Req) -> Result<AppCred> {
    common::self_or_reader(call, call.param("id"))?;
    let cred = common::get::<AppCred>(call, call.param("cred")).await?;
    if cred.user_id == call.param("id") {
        return Ok(cred);
    }
    Err(<AppCred as pileus_store::Resource>::not_found(&cred.id))
}

/// `POST /v3/users/{id}/application_credentials`: the secret is shown this once.
pub(super) async fn create(mut call: Req) -> Result<Reply> {
    let user = call.param("id").to_owned();
    if call.ctx.user_id().map(|u| u.as_str()) != Some(user.as_str()) {
        return Err(call.denied());
    }
    let body = common::new_body::<AppCred>(&mut call).await?;
    let token = call.token.clone().unwrap_or_default();
    let held = call.state.validate(&token).await?;
    if held.restricted() || held.trust.is_some() {
        return Err(call.denied());
    }
    let needs = || Error::bad_request("An application credential needs a project-scoped token.");
    let project_id = held.project.as_ref().ok_or_else(needs)?.0.id.clone();
    if body.get("access_rules").and_then(Value::as_array).is_some_and(|a| !a.is_empty()) {
        return Err(Error::not_implemented("Access rules are not built yet."));
    }
    let mut roles = Vec::new();
    match body.get("roles").and_then(Value::as_array) {
        None => roles.extend(held.roles.iter().map(|r| r.id.clone())),
        Some(asked) => {
            for role in asked {
                let found = held.roles.iter().find(|r| {
                    role["id"].as_str().is_some_and(|id| id == r.id)
                        || role["name"].as_str().is_some_and(|n| n == r.name)
                });
                let lacks = || {
                    Error::bad_request(
                        "Invalid application credential: Could not find role assignment with role.",
                    )
                };
                roles.push(found.ok_or_else(lacks)?.id.clone());
            }
        }
    }
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let expires_at = match text("expires_at") {
        None => None,
        Some(t) => {
            let at = Time::parse(&t)?;
            if at <= Time::now() {
                return Err(Error::bad_request("The expires_at is in the past."));
            }
            Some(at.micros())
        }
    };
    let secret = text("secret").unwrap_or_else(|| format!("{}{}", hex_id(), hex_id()));
    let cred = AppCred {
        id: hex_id().to_string(),
        name: text("name").unwrap_or_default(),
        description: text("description"),
        user_id: user,
        project_id: project_id.to_string(),
        roles,
        expires_at,
        unrestricted: body.get("unrestricted").and_then(Value::as_bool).unwrap_or(false),
        secret: call.state.hasher.hash(&secret).await?,
        access_rules: Vec::new(),
        system: Value::Null,
    };
    let cred = common::insert(&call, cred).await?;
    let mut view = view(&call, &cred).await?;
    view["secret"] = json!(secret);
    Reply::json(201, &json!({"application_credential": view}))
}

/// `GET /v3/users/{id}/application_credentials`
pub(super) async fn list(call: Req) -> Result<Reply> {
    let user = call.param("id").to_owned();
    common::self_or_reader(&call, &user)?;
    let read = call.state.store.read(move |rd| rd.list::<AppCred>(&Scope::All, &Query::by("user_id", &user)));
    let mut views = Vec::new();
    for cred in read.await? {
        if call.query.get("name").is_none_or(|n| n == cred.name) {
            views.push(view(&call, &cred).await?);
        }
    }
    common::collection(&call, "application_credentials", views)
}

/// `GET /v3/users/{id}/application_credentials/{cred}`
pub(super) async fn show(call: Req) -> Result<Reply> {
    let cred = named(&call).await?;
    Reply::ok(&json!({"application_credential": view(&call, &cred).await?}))
}

/// `DELETE /v3/users/{id}/application_credentials/{cred}`
pub(super) async fn delete(call: Req) -> Result<Reply> {
    common::self_or_admin(&call, call.param("id"))?;
    let cred = named(&call).await?;
    call.state.write(move |tx| tx.delete::<AppCred>(&cred.id)).await?;
    Ok(Reply::no_content())
}
