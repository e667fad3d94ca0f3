//! `/v3/projects`: the tree of projects and their tags.

use std::collections::BTreeSet;

use pileus_base::{Error, Result, Scope, Time};
use pileus_http::Reply;
use pileus_store::{Query, Tx};
use serde_json::{Value, json};

use super::{Req, common};
use crate::{
    grants,
    model::{
        access::{AppCred, Assignment, Target, Trust},
        entity::{self, Entity},
        projects::Project,
    },
};

pub(super) async fn create(mut call: Req) -> Result<Reply> {
    let mut body = common::new_body::<Project>(&mut call).await?;
    body.remove("_revoked_before");
    if body.get("is_domain") == Some(&Value::Bool(true)) {
        return Err(Error::bad_request(
            "Creating a project that acts as a domain is done by POST /v3/domains.",
        ));
    }
    body.insert("is_domain".into(), false.into());
    let text = |v: Option<&Value>| v.and_then(Value::as_str).map(str::to_owned);
    let parent = text(body.get("parent_id"));
    let own = || call.ctx.caller.domain_id.as_ref().map(|d| d.to_string());
    let home = || call.ctx.caller.user.as_ref().map(|u| u.domain_id.to_string());
    let given = text(body.get("domain_id"));
    if let Some(parent) = &parent {
        let found = common::get::<Project>(&call, parent).await?;
        let of = found.domain_id.clone().unwrap_or_else(|| found.id.to_string());
        if given.as_ref().is_some_and(|d| *d != of) {
            return Err(Error::bad_request("Cannot create project, since its parent is of another domain."));
        }
        body.insert("domain_id".into(), of.into());
    } else {
        let domain = given.or_else(own).or_else(home).unwrap_or_else(|| "default".into());
        let found = common::get::<Project>(&call, &domain).await;
        if !found.is_ok_and(|d| d.is_domain) {
            return Err(Error::not_found(format!("Could not find domain: {domain}.")));
        }
        body.insert("parent_id".into(), domain.clone().into());
        body.insert("domain_id".into(), domain.into());
    }
    body.entry("description").or_insert_with(|| "".into());
    let project: Project = entity::parse(body)?;
    check_tags(&project.tags)?;
    let project = common::insert(&call, project).await?;
    common::show(&call, 201, &project)
}

pub(super) async fn list(call: Req) -> Result<Reply> {
    let mut all = common::listed::<Project>(&call).await?;
    let domains = call.query.flag("is_domain") == Some(true);
    all.retain(|p| p.is_domain == domains && tagged(p, &call));
    common::show_all(&call, all)
}

fn tagged(p: &Project, call: &Req) -> bool {
    let wanted = |name: &str| -> Option<Vec<String>> {
        call.query.get(name).map(|t| t.split(',').map(str::to_owned).collect())
    };
    let has = |t: &String| p.tags.contains(t);
    wanted("tags").is_none_or(|w| w.iter().all(has))
        && wanted("tags-any").is_none_or(|w| w.iter().any(has))
        && wanted("not-tags").is_none_or(|w| !w.iter().all(has))
        && wanted("not-tags-any").is_none_or(|w| !w.iter().any(has))
}

/// The project of the path, where the caller may see it.
async fn visible(call: &Req) -> Result<Project> {
    let id = call.param("id");
    let own = call.ctx.caller.project.as_ref().is_some_and(|p| p.id.as_str() == id);
    let mut granted = own || common::system_reader(call);
    if !granted && let Some(user) = call.ctx.user_id() {
        let (user, target) = (user.to_string(), Target::Project(id.into()));
        let roles = call.state.store.read(move |rd| grants::effective(rd, &user, &target)).await?;
        granted = !roles.is_empty();
    }
    if !granted {
        return Err(call.denied());
    }
    common::get::<Project>(call, id).await
}

pub(super) async fn show(call: Req) -> Result<Reply> {
    let project = visible(&call).await?;
    let base = call.base.url("");
    let mut view = entity::view(&project, &base)?;
    let shown = project.clone();
    let (above, below) = call
        .state
        .store
        .read(move |rd| Ok((grants::ancestors(rd, &shown)?, grants::descendants(rd, shown.id.as_str())?)))
        .await?;
    let above: Vec<_> = above.into_iter().filter(|p| !p.is_domain).collect();
    let views = |all: &[Project]| -> Result<Vec<Value>> {
        all.iter().map(|p| Ok(json!({"project": entity::view(p, &base)?}))).collect()
    };
    if call.query.has("parents_as_list") {
        view["parents"] = Value::Array(views(&above)?);
    } else if call.query.has("parents_as_ids") {
        let nest = |inner: Value, p: &Project| json!({p.id.as_str(): inner});
        view["parents"] = above.iter().rev().fold(Value::Null, nest);
    }
    if call.query.has("subtree_as_list") {
        view["subtree"] = Value::Array(views(&below)?);
    } else if call.query.has("subtree_as_ids") {
        view["subtree"] = tree(project.id.as_str(), &below);
    }
    Reply::ok(&json!({"project": view}))
}

fn tree(parent: &str, all: &[Project]) -> Value {
    let children = all.iter().filter(|p| p.parent_id.as_deref() == Some(parent));
    let out: entity::Object = children.map(|p| (p.id.to_string(), tree(p.id.as_str(), all))).collect();
    if out.is_empty() { Value::Null } else { Value::Object(out) }
}

pub(super) async fn update(mut call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let mut changes = common::changes::<Project>(&mut call, &id).await?;
    let old = common::get::<Project>(&call, &id).await?;
    immutable(&old.options, "project", &id, &changes)?;
    let kept = |field: &str, have: Value| changes.get(field).is_none_or(|v| *v == have);
    if !kept("domain_id", json!(old.domain_id)) {
        return Err(Error::bad_request("Cannot change Domain ID"));
    }
    if !kept("parent_id", json!(old.parent_id)) {
        return Err(Error::forbidden("Update of `parent_id` is not allowed."));
    }
    if !kept("is_domain", json!(old.is_domain)) {
        return Err(Error::bad_request("Update of `is_domain` is not allowed."));
    }
    if old.enabled && changes.get("enabled") == Some(&Value::Bool(false)) {
        changes.insert("_revoked_before".into(), json!(Time::now()));
    }
    let new = common::update::<Project>(&call, &id, changes).await?;
    if new.is_domain {
        return Reply::ok(&json!({"domain": super::domains::shown(&call, &new)?}));
    }
    common::show(&call, 200, &new)
}

/// What is marked immutable changes only by taking the mark away.
pub(super) fn immutable(options: &Value, what: &str, id: &str, changes: &entity::Object) -> Result<()> {
    let unmarks = changes.get("options").is_some_and(|o| o["immutable"] != Value::Bool(true));
    if options["immutable"] == Value::Bool(true) && !unmarks {
        let why = format!("Cannot update/delete immutable resource {what}: {id}");
        return Err(Error::forbidden(why));
    }
    Ok(())
}

pub(super) async fn delete(call: Req) -> Result<Reply> {
    let id = call.param("id").to_owned();
    let remove = move |tx: &mut Tx<'_>| {
        let project = tx.get::<Project>(&Scope::All, &id)?;
        immutable(&project.options, "project", &id, &entity::Object::new())?;
        if project.is_domain {
            return Err(Error::forbidden(
                "A project that acts as a domain is deleted by DELETE /v3/domains.",
            ));
        }
        if tx.count::<Project>(&Scope::All, &Query::by("parent_id", &id))? > 0 {
            let why = format!("Cannot delete project {id} since it is not a leaf in the hierarchy.");
            return Err(Error::forbidden(why));
        }
        purge(tx, &id)
    };
    call.state.write(remove).await?;
    Ok(Reply::no_content())
}

/// Removes a project and what hangs on it in identity.
pub(super) fn purge(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    drop_assignments(tx, "target", &Target::Project(id.into()).key())?;
    for t in tx.list::<Trust>(&Scope::All, &Query::by("project_id", id))? {
        tx.delete::<Trust>(&t.id)?;
    }
    for c in tx.list::<AppCred>(&Scope::All, &Query::by("project_id", id))? {
        tx.delete::<AppCred>(&c.id)?;
    }
    tx.delete::<Project>(id).map(drop)
}

/// Removes the assignments whose index `name` is `key`.
pub(super) fn drop_assignments(tx: &mut Tx<'_>, name: &'static str, key: &str) -> Result<()> {
    let all = tx.list::<Assignment>(&Scope::All, &Query::by(name, key))?;
    all.iter().try_for_each(|a| tx.delete::<Assignment>(pileus_store::Resource::id(&a.value)).map(drop))
}

fn check_tags(tags: &[String]) -> Result<()> {
    let bad = tags.iter().find(|t| t.is_empty() || t.chars().count() > 255 || t.contains([',', '/']));
    if let Some(bad) = bad {
        return Err(Error::bad_request(format!(
            "Invalid input for field 'tags': '{bad}' does not match '^[^,/]*$'"
        )));
    }
    if tags.len() > 80 || tags.iter().collect::<BTreeSet<_>>().len() != tags.len() {
        return Err(Error::bad_request("Invalid input for field 'tags': too many or repeated tags"));
    }
    Ok(())
}

pub(super) async fn tags(call: Req) -> Result<Reply> {
    let project = visible(&call).await?;
    Reply::ok(&json!({"tags": project.tags, "links": common::links(&call)}))
}

/// One handler for all changes of tags: the method and the path say which.
pub(super) async fn change_tags(mut call: Req) -> Result<Reply> {
    let (id, tag) = (call.param("id").to_owned(), call.param("tag").to_owned());
    let method = call.method.clone();
    let mut all = common::get::<Project>(&call, &id).await?.tags;
    let status = match (method.as_str(), tag.is_empty()) {
        ("PUT", true) => {
            let body = call.value().await?;
            let given = body["tags"].as_array();
            let given = given.ok_or_else(|| Error::bad_request("'tags' is a required property"))?;
            let text = |t: &Value| t.as_str().map(str::to_owned);
            let given: Option<Vec<String>> = given.iter().map(text).collect();
            let wrong =
                || Error::bad_request("Invalid input for field 'tags': a tag is not of type 'string'");
            all = given.ok_or_else(wrong)?;
            200
        }
        ("PUT", false) => {
            if !all.contains(&tag) {
                all.push(tag.clone());
            }
            201
        }
        (_, true) => {
            all.clear();
            204
        }
        (_, false) => {
            if !all.contains(&tag) {
                return Err(Error::not_found(format!("Could not find project tag: {tag}.")));
            }
            all.retain(|t| *t != tag);
            204
        }
    };
    check_tags(&all)?;
    let new = common::update::<Project>(&call, &id, [("tags".to_owned(), json!(all))].into_iter().collect())
        .await?;
    match status {
        200 => Reply::ok(&json!({"tags": new.tags, "links": common::links(&call)})),
        _ => Ok(Reply::empty(status)),
    }
}

pub(super) async fn has_tag(call: Req) -> Result<Reply> {
    let project = visible(&call).await?;
    let tag = call.param("tag");
    if project.tags.iter().any(|t| t == tag) {
        return Ok(Reply::no_content());
    }
    Err(Error::not_found(format!("Could not find {}: {tag}.", Project::ONE)))
}
