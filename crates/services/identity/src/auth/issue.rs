//! `POST /v3/auth/tokens`: who is it, and for what.

use std::sync::Arc;

use pileus_base::{Error, Result, Scope, Time};
use pileus_store::{Query, Read, Stored};
use serde_json::Value;

use super::{
    token::{self, Bound, Payload},
    validate::{Validated, resolve, unauthorized},
};
use crate::{
    Identity, grants,
    model::{
        access::{AppCred, Target, Trust},
        projects::Project,
        users::{Failures, User},
    },
    secrets,
};

/// Who proved to be whom.
struct Proof {
    user: User,
    methods: u8,
    /// The earlier token, where one was shown.
    old: Option<Arc<Validated>>,
    app_cred: Option<AppCred>,
}

/// Logs in by an `auth` object: the token's text and what it stands for.
///
/// # Errors
/// 400 where the object is malformed, 401 where it proves nothing, 403 where a token may not be rescoped.
pub(crate) async fn issue(id: &Identity, auth: &Value) -> Result<(String, Arc<Validated>)> {
    let proof = prove(id, &auth["identity"]).await?;
    let now = Time::now();
    let mut payload = Payload {
        user: proof.user.id.clone(),
        methods: proof.methods,
        bound: Bound::Unscoped,
        expires: now.plus_secs(id.options.token_ttl_s),
        issued: now,
        audit_ids: vec![secrets::random(16)],
        trust: None,
        app_cred: proof.app_cred.as_ref().map(|c| c.id.clone()),
    };
    let scope = &auth["scope"];
    if let Some(old) = &proof.old {
        let fixed = old.payload.trust.is_some() || old.payload.app_cred.is_some();
        if fixed && !scope.is_null() {
            return Err(Error::forbidden(
                "You are not authorized to perform the requested action: rescope a token.",
            ));
        }
        payload.expires = old.payload.expires;
        payload.methods |= old.payload.methods;
        payload.audit_ids.push(old.payload.audit_ids.last().cloned().unwrap_or_default());
        payload.trust.clone_from(&old.payload.trust);
        payload.app_cred.clone_from(&old.payload.app_cred);
        if fixed {
            payload.bound = old.payload.bound.clone();
        }
    }
    let explicit = !scope.is_null();
    let (wanted, user) = (scope.clone(), proof.user.clone());
    let cred = proof.app_cred.clone();
    let (bound, trust) = id.store.read(move |rd| bound_of(rd, &wanted, &user, cred.as_ref(), now)).await?;
    if explicit || payload.bound == Bound::Unscoped {
        payload.bound = bound;
    }
    if let Some(trust) = trust {
        payload.trust = Some(trust.id.clone());
        let ends = trust.expires_at.as_deref().and_then(|t| Time::parse(t).ok());
        payload.expires = ends.map_or(payload.expires, |t| t.min(payload.expires));
        use_up(id, &trust).await?;
    }
    let contents = payload.clone();
    let found = id.store.read(move |rd| resolve(rd, contents.clone(), now)).await;
    let found = match found {
        // A default project that can't be had gives an unscoped token, as in Keystone.
        Err(_) if !explicit && payload.app_cred.is_none() && payload.trust.is_none() => {
            payload.bound = Bound::Unscoped;
            let contents = payload.clone();
            id.store.read(move |rd| resolve(rd, contents.clone(), now)).await?
        }
        found => found?,
    };
    Ok((payload.seal(&id.keys)?, Arc::new(found)))
}

async fn prove(id: &Identity, identity: &Value) -> Result<Proof> {
    let required = |f: &str| Error::bad_request(format!("'{f}' is a required property"));
    let methods = identity["methods"].as_array().ok_or_else(|| required("methods"))?;
    if methods.is_empty() {
        return Err(unauthorized());
    }
    let mut out: Option<Proof> = None;
    for method in methods {
        let name = method.as_str().unwrap_or_default();
        let part = &identity[name];
        let known = token::METHODS.contains(&name);
        if known && !part.is_object() {
            return Err(required(name));
        }
        let proof = match name {
            "password" => by_password(id, &part["user"]).await?,
            "token" => by_token(id, part["id"].as_str().ok_or_else(|| required("id"))?).await?,
            "application_credential" => by_app_cred(id, part).await?,
            _ => return Err(unauthorized()),
        };
        out = Some(match out {
            None => proof,
            Some(before) if before.user.id == proof.user.id => Proof {
                methods: before.methods | proof.methods,
                old: before.old.or(proof.old),
                app_cred: before.app_cred.or(proof.app_cred),
                user: proof.user,
            },
            Some(_) => return Err(unauthorized()),
        });
    }
    out.ok_or_else(unauthorized)
}

async fn by_password(id: &Identity, user: &Value) -> Result<Proof> {
    let required = |f: &str| Error::bad_request(format!("'{f}' is a required property"));
    if !user.is_object() {
        return Err(required("user"));
    }
    let password = user["password"].as_str().ok_or_else(|| required("password"))?;
    let wanted = user.clone();
    let found = id.store.read(move |rd| user_named(rd, &wanted)).await?;
    let now = Time::now();
    let failures = match &found {
        Some(u) => {
            let user = u.id.clone();
            id.store.read(move |rd| rd.find::<Failures>(&Scope::All, &user)).await?
        }
        None => None,
    };
    let rules = &id.options.passwords;
    let exempt = found.as_ref().is_some_and(|u| u.option("ignore_lockout_failure_attempts"));
    let locked = !exempt && failures.as_ref().is_some_and(|f| rules.locked(f.count, f.at, now));
    let hash = found.as_ref().and_then(|u| u.password.as_deref());
    let fits = id.hasher.verify(password, hash).await?;
    let Some(user) = found else { return Err(unauthorized()) };
    if locked {
        return Err(unauthorized());
    }
    if !fits {
        if rules.lockout_attempts.is_some() && !exempt {
            let (user, lapsed) = (user.id.clone(), rules.lockout_s);
            id.store.write(move |tx| count_failure(tx, &user, now, lapsed)).await?;
        }
        return Err(unauthorized());
    }
    let ended =
        user.password_expires_at.as_deref().and_then(|t| Time::parse(t).ok()).is_some_and(|t| t <= now);
    if !user.enabled || (ended && !user.option("ignore_password_expiry")) {
        return Err(unauthorized());
    }
    if failures.is_some() {
        let user = user.id.clone();
        id.store.write(move |tx| tx.delete::<Failures>(&user)).await?;
    }
    Ok(Proof { user, methods: token::PASSWORD, old: None, app_cred: None })
}

fn count_failure(tx: &mut pileus_store::Tx<'_>, user: &str, now: Time, lapsed_s: i64) -> Result<()> {
    match tx.find::<Failures>(&Scope::All, user)? {
        None => tx.insert(&Failures { user: user.into(), count: 1, at: now }),
        Some(mut failures) => {
            let fresh = now >= failures.at.plus_secs(lapsed_s);
            failures.count = if fresh { 1 } else { failures.count.saturating_add(1) };
            failures.at = now;
            tx.put(&failures)
        }
    }
}

async fn by_token(id: &Identity, text: &str) -> Result<Proof> {
    let old = id.validate(text).await?;
    let user = old.payload.user.clone();
    let user = id.store.read(move |rd| rd.get::<User>(&Scope::All, &user)).await?.value;
    Ok(Proof { user, methods: token::TOKEN, old: Some(old), app_cred: None })
}

async fn by_app_cred(id: &Identity, part: &Value) -> Result<Proof> {
    let secret = part["secret"].as_str();
    let secret = secret.ok_or_else(|| Error::bad_request("'secret' is a required property"))?;
    let wanted = part.clone();
    let found = id
        .store
        .read(move |rd| {
            let cred: Option<Stored<AppCred>> = match (wanted["id"].as_str(), wanted["name"].as_str()) {
                (Some(id), _) => rd.find(&Scope::All, id)?,
                (None, Some(name)) => match user_named(rd, &wanted["user"])? {
                    Some(user) => rd.first(&Scope::All, Query::by("user_id", &user.id).eq("name", name))?,
                    None => None,
                },
                (None, None) => return Err(Error::bad_request("'id' is a required property")),
            };
            let user = match &cred {
                Some(cred) => rd.find::<User>(&Scope::All, &cred.user_id)?,
                None => None,
            };
            Ok(cred.zip(user).map(|(c, u)| (c.value, u.value)))
        })
        .await?;
    let hash = found.as_ref().map(|(c, _)| c.secret.as_str());
    if !id.hasher.verify(secret, hash).await? {
        return Err(unauthorized());
    }
    let (cred, user) = found.ok_or_else(unauthorized)?;
    if cred.expired(Time::now()) || !user.enabled {
        return Err(unauthorized());
    }
    Ok(Proof { user, methods: token::APP_CRED, old: None, app_cred: Some(cred) })
}

/// The user that an `auth` object names, by id or by name and domain.
fn user_named(rd: &mut Read<'_>, user: &Value) -> Result<Option<User>> {
    if let Some(id) = user["id"].as_str() {
        return Ok(rd.find::<User>(&Scope::All, id)?.map(|u| u.value));
    }
    let required = |f: &str| Error::bad_request(format!("'{f}' is a required property"));
    let name = user["name"].as_str().ok_or_else(|| required("name"))?;
    let domain = domain_named(rd, &user["domain"])?;
    let Some(domain) = domain.filter(|d| d.enabled) else { return Ok(None) };
    let query = Query::by("name", name).eq("domain_id", &domain.id);
    Ok(rd.first::<User>(&Scope::All, query)?.map(|u| u.value))
}

fn domain_named(rd: &mut Read<'_>, domain: &Value) -> Result<Option<Project>> {
    let found = match (domain["id"].as_str(), domain["name"].as_str()) {
        (Some(id), _) => rd.find::<Project>(&Scope::All, id)?,
        (None, Some(name)) => {
            rd.first(&Scope::All, Query::by("name", name).eq("is_domain", true).eq("domain_id", ""))?
        }
        (None, None) => return Err(Error::bad_request("'domain' is a required property")),
    };
    Ok(found.map(|d| d.value).filter(|d| d.is_domain))
}

fn bound_of(
    rd: &mut Read<'_>,
    scope: &Value,
    user: &User,
    cred: Option<&AppCred>,
    now: Time,
) -> Result<(Bound, Option<Trust>)> {
    if let Some(cred) = cred {
        if let Some(id) = scope["project"]["id"].as_str().filter(|id| *id != cred.project_id) {
            tracing::debug!(project = id, "an application credential was used for another project");
            return Err(unauthorized());
        }
        return Ok((Bound::Project(cred.project_id.clone()), None));
    }
    if scope.is_null() {
        let Some(project) = &user.default_project_id else { return Ok((Bound::Unscoped, None)) };
        let roles = grants::effective(rd, &user.id, &Target::Project(project.clone()))?;
        let bound = if roles.is_empty() { Bound::Unscoped } else { Bound::Project(project.clone()) };
        return Ok((bound, None));
    }
    if scope == "unscoped" || scope.get("unscoped").is_some() {
        return Ok((Bound::Unscoped, None));
    }
    if let Some(project) = scope.get("project") {
        return Ok((Bound::Project(project_named(rd, project)?), None));
    }
    if let Some(domain) = scope.get("domain") {
        let domain = domain_named(rd, domain)?.ok_or_else(unauthorized)?;
        return Ok((Bound::Domain(domain.id.to_string()), None));
    }
    if scope.get("system").is_some() {
        return match scope["system"]["all"].as_bool() {
            Some(true) => Ok((Bound::System, None)),
            _ => Err(Error::bad_request("'all' is a required property")),
        };
    }
    if let Some(trust) = scope.get("OS-TRUST:trust") {
        let id = trust["id"].as_str().ok_or_else(|| Error::bad_request("'id' is a required property"))?;
        let trust = rd.find::<Trust>(&Scope::All, id)?.ok_or_else(unauthorized)?.value;
        if trust.trustee_user_id != user.id || trust.expired(now) {
            return Err(unauthorized());
        }
        let project = trust.project_id.clone().ok_or_else(unauthorized)?;
        return Ok((Bound::Project(project), Some(trust)));
    }
    Err(Error::bad_request("Invalid input for field 'scope': the scope is not one that exists"))
}

fn project_named(rd: &mut Read<'_>, project: &Value) -> Result<String> {
    if let Some(id) = project["id"].as_str() {
        return Ok(id.to_owned());
    }
    let required = || Error::bad_request("'name' is a required property");
    let name = project["name"].as_str().ok_or_else(required)?;
    let domain = domain_named(rd, &project["domain"])?.ok_or_else(unauthorized)?;
    let query = Query::by("name", name).eq("domain_id", &domain.id);
    let found = rd.first::<Project>(&Scope::All, query)?.ok_or_else(unauthorized)?;
    Ok(found.id.to_string())
}

/// Takes one of the trust's remaining uses.
async fn use_up(id: &Identity, trust: &Trust) -> Result<()> {
    if trust.remaining_uses.is_none() {
        return Ok(());
    }
    let trust = trust.id.clone();
    let taken = move |tx: &mut pileus_store::Tx<'_>| {
        tx.update::<Trust>(&Scope::All, &trust, |t| match t.remaining_uses {
            Some(left) if left > 0 => {
                t.remaining_uses = Some(left - 1);
                Ok(())
            }
            Some(_) => Err(unauthorized()),
            None => Ok(()),
        })
    };
    id.store.write(taken).await.map(drop)
}
