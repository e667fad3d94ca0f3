//! `/v3/users`: users, their passwords, their groups and projects.

use pileus_base::{Error, Result, Scope, Time};
use pileus_http::Reply;
use pileus_store::{Query, Tx};
use serde_json::{Value, json};

use super::{Req, common, projects, tokens};
use crate::{
    auth::validate::unauthorized,
    grants,
    model::{
        access::{AccessRule, Actor, AppCred, Trust},
        catalog::Credential,
        entity::{Object, parse},
        projects::{Group, Project},
        users::{Failures, Membership, User},
    },
};

/// The domain a new thing belongs to: the one named, the token's, the caller's own.
pub(super) async fn home(call: &Req, body: &mut Object) -> Result<()> {
    let caller = &call.ctx.caller;
    let token = caller.domain_id.as_ref().or(caller.project.as_ref().map(|p| &p.domain_id));
    let own = token.or(caller.user.as_ref().map(|u| &u.domain_id)).map(|d| d.to_string());
    let given = body.get("domain_id").and_then(Value::as_str).map(str::to_owned);
    let domain = given.or(own).unwrap_or_else(|| "default".into());
    if !common::get::<Project>(call, &domain).await.is_ok_and(|d| d.is_domain) {
        return Err(Error::not_found(format!("Could not find domain: {domain}.")));
    }
    body.insert("domain_id".into(), domain.into());
    Ok(())
}

pub(super) async fn create(mut call: Req) -> Result<Reply> {
    let mut body = common::new_body::<User>(&mut call).await?;
    home(&call, &mut body).await?;
    let password = body.remove("password").and_then(|p| p.as_str().map(str::to_owned));
    body.remove("password_expires_at");
    let mut user: User = parse(body)?;
    if let Some(password) = password {
        call.state.options.passwords.check(&password)?;
        set_password(&call, &mut user, &password).await?;
    }
    let user = common::insert(&call, user).await?;
    common::show(&call, 201, &user)
}

async fn set_password(call: &Req, user: &mut User, password: &str) -> Result<()> {
    let rules = &call.state.options.passwords;
    let hash = call.state.hasher.hash(password).await?;
    let now = Time::now();
    if let Some(old) = user.password.replace(hash) {
        user.history.insert(0, old);
        user.history.truncate(rules.unique_last.saturating_sub(1));
    }
    user.password_at = now;
    user.password_expires_at = rules.expiry(now).map(|t| t.micros());
    Ok(())
}

pub(super) async fn show(call: Req) -> Result<Reply> {
    common::self_or_reader(&call, call.param("id"))?;
    common::one::<User>(call).await
}

pub(super) async fn update(mut call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let mut changes = common::changes::<User>(&mut call, &id).await?;
    let old = common::get::<User>(&call, &id).await?;
    if changes.get("domain_id").is_some_and(|d| *d != old.domain_id.as_str()) {
        return Err(Error::bad_request("Cannot change Domain ID"));
    }
    changes.remove("password_expires_at");
    if let Some(Value::Object(options)) = changes.get_mut("options") {
        // Options are laid over the old ones; null takes one away.
        let mut all = old.options.as_object().cloned().unwrap_or_default();
        all.append(options);
        all.retain(|_, v| !v.is_null());
        *options = all;
    }
    if let Some(password) = changes.remove("password").as_ref().and_then(Value::as_str) {
        call.state.options.passwords.check(password)?;
        let mut with = old.clone();
        set_password(&call, &mut with, password).await?;
        changes.extend(secret_part(&with));
        changes.insert("_revoked_before".into(), json!(Time::now()));
    }
    if old.enabled && changes.get("enabled") == Some(&Value::Bool(false)) {
        changes.insert("_revoked_before".into(), json!(Time::now()));
    }
    let new = common::update::<User>(&call, &id, changes).await?;
    common::show(&call, 200, &new)
}

fn secret_part(user: &User) -> Object {
    let all = json!({"_password": user.password, "_history": user.history, "_password_at": user.password_at,
                     "password_expires_at": user.password_expires_at});
    all.as_object().cloned().unwrap_or_default()
}

/// `POST /v3/users/{id}/password`: needs no token, the old password proves who asks.
pub(super) async fn change_password(mut call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let body = common::part(&mut call, "user").await?;
    let text = |f: &str| -> Result<String> {
        let value = body.get(f).and_then(Value::as_str).map(str::to_owned);
        value.ok_or_else(|| Error::bad_request(format!("'{f}' is a required property")))
    };
    let (original, password) = (text("original_password")?, text("password")?);
    let user = common::get::<User>(&call, &id).await.ok();
    let failures = {
        let id = id.clone();
        call.state.store.read(move |rd| rd.find::<Failures>(&Scope::All, &id)).await?
    };
    let (rules, now) = (&call.state.options.passwords, Time::now());
    let locked = failures.is_some_and(|f| rules.locked(f.count, f.at, now));
    let hash = user.as_ref().and_then(|u| u.password.as_deref());
    let fits = call.state.hasher.verify(&original, hash).await?;
    let Some(mut user) = user.filter(|u| fits && u.enabled && !locked) else {
        return Err(unauthorized());
    };
    rules.check(&password)?;
    if user.option("lock_password") {
        return Err(Error::bad_request("Password validation error: the password is locked."));
    }
    if rules.minimum_age_days > 0 && now < user.password_at.plus_secs(rules.minimum_age_days * 86_400) {
        return Err(Error::bad_request("Cannot change password before minimum age is met."));
    }
    if rules.unique_last > 0 {
        let used: Vec<String> =
            user.password.iter().chain(&user.history).take(rules.unique_last).cloned().collect();
        for hash in used {
            if call.state.hasher.verify(&password, Some(&hash)).await? {
                let count = rules.unique_last;
                return Err(Error::bad_request(format!(
                    "Changed password cannot be identical to the last {count} previous passwords."
                )));
            }
        }
    }
    set_password(&call, &mut user, &password).await?;
    let mut changes = secret_part(&user);
    changes.insert("_revoked_before".into(), json!(Time::now()));
    common::update::<User>(&call, &id, changes).await?;
    Ok(Reply::no_content())
}

/// Removes a user and what hangs on it.
pub(super) fn purge(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    projects::drop_assignments(tx, "actor", &Actor::User(id.into()).key())?;
    for m in tx.list::<Membership>(&Scope::All, &Query::by("user", id))? {
        tx.delete::<Membership>(pileus_store::Resource::id(&m.value))?;
    }
    for c in tx.list::<AppCred>(&Scope::All, &Query::by("user_id", id))? {
        tx.delete::<AppCred>(&c.id)?;
    }
    for r in tx.list::<AccessRule>(&Scope::All, &Query::by("user", id))? {
        tx.delete::<AccessRule>(&r.id)?;
    }
    for c in tx.list::<Credential>(&Scope::All, &Query::by("user_id", id))? {
        tx.delete::<Credential>(&c.id)?;
    }
    for side in ["trustor_user_id", "trustee_user_id"] {
        for t in tx.list::<Trust>(&Scope::All, &Query::by(side, id))? {
            tx.delete::<Trust>(&t.id)?;
        }
    }
    tx.delete::<Failures>(id)?;
    tx.delete::<User>(id).map(drop)
}

pub(super) async fn delete(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let remove = move |tx: &mut Tx<'_>| {
        tx.get::<User>(&Scope::All, &id)?;
        purge(tx, &id)
    };
    call.state.write(remove).await?;
    Ok(Reply::no_content())
}

pub(super) async fn groups(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    common::self_or_reader(&call, &id)?;
    let read = move |rd: &mut pileus_store::Read<'_>| {
        rd.get::<User>(&Scope::All, &id)?;
        let mut out = Vec::new();
        for group in grants::groups_of(rd, &id)? {
            out.extend(rd.find::<Group>(&Scope::All, &group)?.map(|g| g.value));
        }
        Ok(out)
    };
    let all = call.state.store.read(read).await?;
    common::show_all(&call, all)
}

pub(super) async fn projects(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    common::self_or_reader(&call, &id)?;
    common::get::<User>(&call, &id).await?;
    let all = tokens::projects_of(&call.state, id).await?;
    common::show_all(&call, all)
}
