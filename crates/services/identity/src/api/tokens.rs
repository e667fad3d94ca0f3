//! `/v3/auth/…`: tokens, the catalog, and where a user may go.

use std::sync::Arc;

use pileus_base::{Error, Result, Scope, Time};
use pileus_http::{HeaderName, Reply, header};
use serde_json::{Map, Value, json};

use super::{Req, common};
use crate::{
    Identity,
    auth::{
        issue,
        token::Bound,
        validate::{Validated, unauthorized},
    },
    grants,
    model::{
        access::{Revocation, Target},
        projects::Project,
    },
};

const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

pub(super) async fn create(mut call: Req) -> Result<Reply> {
    let body = call.value().await?;
    let auth = &body["auth"];
    if !auth.is_object() {
        return Err(Error::bad_request("'auth' is a required property"));
    }
    if !auth["identity"].is_object() {
        return Err(Error::bad_request("'identity' is a required property"));
    }
    let (token, found) = issue::issue(&call.state, auth).await?;
    let body = token_body(&call, &found).await?;
    Ok(Reply::json(201, &body)?.header(SUBJECT, token).header(header::VARY, "X-Auth-Token"))
}

/// The subject token, and what it stands for, where the caller may know.
async fn subject(call: &Req) -> Result<(String, Arc<Validated>)> {
    let missing = || Error::bad_request("Missing required header X-Subject-Token.");
    let text = call.header("x-subject-token").ok_or_else(missing)?.to_owned();
    let caller = &call.ctx.caller;
    let found = call.state.validate(&text).await.map_err(|_| Error::not_found("Could not find token."))?;
    let own = call.token.as_deref() == Some(&text)
        || call.ctx.user_id().is_some_and(|u| u.as_str() == found.payload.user);
    if !own && !caller.has_role("admin") && !caller.has_role("service") && !common::system_reader(call) {
        return Err(call.denied());
    }
    Ok((text, found))
}

pub(super) async fn show(call: Req) -> Result<Reply> {
    let (text, found) = subject(&call).await?;
    let body = token_body(&call, &found).await?;
    Ok(Reply::ok(&body)?.header(SUBJECT, text).header(header::VARY, "X-Auth-Token"))
}

pub(super) async fn revoke(call: Req) -> Result<Reply> {
    let (_, found) = subject(&call).await?;
    let audit_id = found.payload.audit_ids.first().cloned().unwrap_or_default();
    let until = found.payload.expires;
    let revoke = move |tx: &mut pileus_store::Tx<'_>| {
        if tx.find::<Revocation>(&Scope::All, &audit_id)?.is_some() {
            return Ok(());
        }
        tx.insert(&Revocation { audit_id: audit_id.clone(), until })
    };
    call.state.write(revoke).await?;
    Ok(Reply::no_content())
}

async fn token_body(call: &Req, found: &Validated) -> Result<Value> {
    let mut token = Map::new();
    let domain = |d: &Project| json!({"id": d.id, "name": d.name});
    let user = &found.user;
    token.insert("methods".into(), json!(found.payload.method_names()));
    token.insert(
        "user".into(),
        json!({"domain": domain(&found.user_domain), "id": user.id, "name": user.name,
               "password_expires_at": user.password_expires_at}),
    );
    token.insert("audit_ids".into(), json!(found.payload.audit_ids));
    token.insert("expires_at".into(), json!(found.payload.expires.micros_z()));
    token.insert("issued_at".into(), json!(found.payload.issued.micros_z()));
    if let Some((project, owner)) = &found.project {
        let shown = json!({"domain": domain(owner), "id": project.id, "name": project.name});
        token.insert("project".into(), shown);
        token.insert("is_domain".into(), json!(project.is_domain));
    }
    if let Some(d) = &found.domain {
        token.insert("domain".into(), domain(d));
    }
    if found.payload.bound == Bound::System {
        token.insert("system".into(), json!({"all": true}));
    }
    if let Some(trust) = &found.trust {
        let shown = json!({"id": trust.id, "impersonation": trust.impersonation,
            "trustor_user": {"id": trust.trustor_user_id}, "trustee_user": {"id": trust.trustee_user_id}});
        token.insert("OS-TRUST:trust".into(), shown);
    }
    if let Some(cred) = &found.app_cred {
        let shown = json!({"id": cred.id, "name": cred.name, "restricted": !cred.unrestricted});
        token.insert("application_credential".into(), shown);
    }
    if found.payload.bound != Bound::Unscoped {
        let roles: Vec<_> = found.roles.iter().map(|r| json!({"id": r.id, "name": r.name})).collect();
        token.insert("roles".into(), json!(roles));
        if !call.query.has("nocatalog") {
            let catalog = call.state.catalog(&call.base, found).await?;
            token.insert("catalog".into(), catalog);
        }
    }
    Ok(json!({"token": token}))
}

/// What the caller's own token stands for.
async fn own(call: &Req) -> Result<Arc<Validated>> {
    call.state.validate(call.token.as_deref().ok_or_else(unauthorized)?).await
}

pub(super) async fn catalog(call: Req) -> Result<Reply> {
    let found = own(&call).await?;
    if found.payload.bound == Bound::Unscoped {
        return Err(call.denied());
    }
    let catalog = call.state.catalog(&call.base, &found).await?;
    Reply::ok(&json!({"catalog": catalog, "links": common::links(&call)}))
}

/// The projects on which a user holds a role.
pub(super) async fn projects_of(id: &Identity, user: String) -> Result<Vec<Project>> {
    let read = move |rd: &mut pileus_store::Read<'_>| {
        let mut out: Vec<Project> = Vec::new();
        let mut add = |p: Project| {
            if !p.is_domain && out.iter().all(|have| have.id != p.id) {
                out.push(p);
            }
        };
        for a in grants::of_user(rd, &user)? {
            match (&a.target, a.inherited) {
                (Target::Project(id), false) => {
                    rd.find::<Project>(&Scope::All, id)?.into_iter().for_each(|p| add(p.value));
                }
                (Target::Project(id) | Target::Domain(id), true) => {
                    grants::descendants(rd, id)?.into_iter().for_each(&mut add);
                }
                _ => {}
            }
        }
        out.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(out)
    };
    id.store.read(read).await
}

pub(super) async fn projects(call: Req) -> Result<Reply> {
    let found = own(&call).await?;
    let mut all = projects_of(&call.state, found.user.id.clone()).await?;
    all.retain(|p| p.enabled);
    common::show_all(&call, all)
}

pub(super) async fn domains(call: Req) -> Result<Reply> {
    let user = own(&call).await?.user.id.clone();
    let read = move |rd: &mut pileus_store::Read<'_>| {
        let mut out: Vec<Project> = Vec::new();
        for a in grants::of_user(rd, &user)? {
            if let (Target::Domain(id), false) = (&a.target, a.inherited) {
                let found = rd.find::<Project>(&Scope::All, id)?.filter(|d| d.enabled);
                out.extend(found.map(|d| d.value).filter(|d| out.iter().all(|o| o.id != d.id)));
            }
        }
        Ok(out)
    };
    let all = call.state.store.read(read).await?;
    let views: Vec<Value> = all.iter().map(|d| super::domains::shown(&call, d)).collect::<Result<_>>()?;
    common::collection(&call, "domains", views)
}

pub(super) async fn system(call: Req) -> Result<Reply> {
    let user = own(&call).await?.user.id.clone();
    let roles = call.state.store.read(move |rd| grants::effective(rd, &user, &Target::System)).await?;
    let all = if roles.is_empty() { vec![] } else { vec![json!({"all": true})] };
    Reply::ok(&json!({"system": all, "links": common::links(&call)}))
}

/// Revocation events, for services that ask; ours ask the store.
pub(super) async fn events(call: Req) -> Result<Reply> {
    let all =
        call.state.store.read(|rd| rd.list::<Revocation>(&Scope::All, &pileus_store::Query::all())).await?;
    let now = Time::now().micros_z();
    let events: Vec<_> = all.iter().map(|r| json!({"audit_id": r.audit_id, "issued_before": now})).collect();
    Reply::ok(&json!({"events": events, "links": common::links(&call)}))
}
