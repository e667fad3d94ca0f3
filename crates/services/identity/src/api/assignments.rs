//! Who holds which role on what: grants on projects, domains and the system, and the list of all of them.

use std::collections::BTreeMap;

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::{Query, Read, Resource, Tx};
use serde_json::{Value, json};

use super::{Req, common};
use crate::{
    grants,
    model::{
        access::{Actor, Assignment, Target},
        projects::{Group, Project, Role},
        users::{Membership, User},
    },
};

/// The actor, the target and whether it is inherited, from the path.
fn place(call: &Req) -> (Actor, Target, bool) {
    let p = |name: &str| call.param(name).to_owned();
    let actor = if call.param("user").is_empty() { Actor::Group(p("group")) } else { Actor::User(p("user")) };
    let target = match (call.param("project"), call.param("domain")) {
        ("", "") => Target::System,
        ("", domain) => Target::Domain(domain.into()),
        (project, _) => Target::Project(project.into()),
    };
    (actor, target, call.path.ends_with("/inherited_to_projects"))
}

fn exist(rd: &mut Read<'_>, actor: &Actor, target: &Target) -> Result<()> {
    match actor {
        Actor::User(id) => rd.get::<User>(&Scope::All, id).map(drop)?,
        Actor::Group(id) => rd.get::<Group>(&Scope::All, id).map(drop)?,
    }
    match target {
        Target::Project(id) => rd.get::<Project>(&Scope::All, id).map(drop),
        Target::Domain(id) => {
            let found = rd.find::<Project>(&Scope::All, id)?.filter(|d| d.is_domain);
            found.map(drop).ok_or_else(|| Error::not_found(format!("Could not find domain: {id}.")))
        }
        Target::System => Ok(()),
    }
}

/// The roles that one actor holds on one target.
pub(super) async fn held(call: Req) -> Result<Reply> {
    let (actor, target, inherited) = place(&call);
    let read = move |rd: &mut Read<'_>| {
        exist(rd, &actor, &target)?;
        let query = Query::by("actor", actor.key()).eq("target", target.key());
        let mut out = Vec::new();
        for a in rd.list::<Assignment>(&Scope::All, &query)? {
            if a.inherited == inherited {
                out.push(rd.get::<Role>(&Scope::All, &a.role)?.value);
            }
        }
        Ok(out)
    };
    let all = call.state.store.read(read).await?;
    common::show_all(&call, all)
}

/// `PUT`, `DELETE` and `HEAD` of one grant.
pub(super) async fn grant(call: Req) -> Result<Reply> {
    let (actor, target, inherited) = place(&call);
    let a = Assignment { actor, target, role: call.param("role").into(), inherited };
    let method = call.method.clone();
    let change = move |tx: &mut Tx<'_>| {
        exist(tx, &a.actor, &a.target)?;
        let role = tx.get::<Role>(&Scope::All, &a.role)?;
        let there = tx.find::<Assignment>(&Scope::All, a.id())?.is_some();
        match (method.as_str(), there) {
            ("PUT", false) if !fits(tx, &role, &a.target)? => {
                Err(Error::forbidden("A role of one domain can't be assigned outside of it."))
            }
            ("PUT", false) => tx.insert(&a),
            ("DELETE", true) => tx.delete::<Assignment>(a.id()).map(drop),
            (_, true) => Ok(()),
            (_, false) => Err(Error::not_found(format!(
                "Could not find role assignment with role: {}, user or group: {}, project, domain, or system: {}.",
                a.role,
                &a.actor.key()[2..],
                &a.target.key()[2..]
            ))),
        }
    };
    match call.method.as_str() {
        "PUT" | "DELETE" => call.state.write(change).await?,
        _ => call.state.store.write(change).await?,
    }
    Ok(Reply::no_content())
}

fn fits(rd: &mut Read<'_>, role: &Role, target: &Target) -> Result<bool> {
    let Some(domain) = &role.domain_id else { return Ok(true) };
    Ok(match target {
        Target::System => false,
        Target::Domain(id) => id == domain,
        Target::Project(id) => {
            rd.find::<Project>(&Scope::All, id)?.is_some_and(|p| p.domain_id.as_ref() == Some(domain))
        }
    })
}

/// One line of the list: the assignment as it counts, and by which group or rule it came.
struct Line {
    a: Assignment,
    via_group: Option<String>,
    prior: Option<String>,
    from: Option<Assignment>,
}

/// `GET /v3/role_assignments`.
pub(super) async fn list(call: Req) -> Result<Reply> {
    let q = |name: &str| call.query.get(name).map(str::to_owned);
    let on = |name: &str| call.query.has(name) && call.query.flag(name) != Some(false);
    let (user, group, role) = (q("user.id"), q("group.id"), q("role.id"));
    let target = match (q("scope.project.id"), q("scope.domain.id"), q("scope.system")) {
        (Some(p), ..) => Some(Target::Project(p)),
        (_, Some(d), _) => Some(Target::Domain(d)),
        (.., Some(_)) => Some(Target::System),
        _ => None,
    };
    let (effective, names, subtree) = (on("effective"), on("include_names"), on("include_subtree"));
    let inherited = q("scope.OS-INHERIT:inherited_to").is_some();
    let project = call.ctx.caller.project.as_ref().map(|p| p.id.to_string());
    let own_tree = matches!((&target, &project), (Some(Target::Project(t)), Some(p)) if t == p);
    let own = call.ctx.user_id().is_some_and(|u| Some(u.as_str()) == user.as_deref());
    let manages = own_tree && call.ctx.caller.has_role("manager");
    if !(common::system_reader(&call) || manages || own) {
        return Err(call.denied());
    }
    if effective && group.is_some() {
        return Err(Error::bad_request(
            "Combining effective and group filter will always result in an empty list.",
        ));
    }
    if subtree && !matches!(target, Some(Target::Project(_))) {
        return Err(Error::bad_request(
            "scope.project.id must be specified if include_subtree is also specified",
        ));
    }
    let base = call.base.url("");
    let read = move |rd: &mut Read<'_>| {
        let mut query = Query::all();
        if let (Some(user), false) = (&user, effective) {
            query = query.eq("actor", Actor::User(user.clone()).key());
        }
        if let Some(group) = &group {
            query = query.eq("actor", Actor::Group(group.clone()).key());
        }
        let mut lines: Vec<Line> = rd
            .list::<Assignment>(&Scope::All, &query)?
            .into_iter()
            .map(|a| Line { a: a.value, via_group: None, prior: None, from: None })
            .collect();
        if effective {
            lines = spread(rd, lines)?;
        }
        let mut targets: Option<Vec<Target>> = target.clone().map(|t| vec![t]);
        if let (true, Some(Target::Project(id)), Some(all)) = (subtree, &target, &mut targets) {
            all.extend(grants::descendants(rd, id)?.into_iter().map(|p| Target::Project(p.id.to_string())));
        }
        lines.retain(|l| {
            user.as_ref().is_none_or(|u| l.a.actor == Actor::User(u.clone()))
                && role.as_ref().is_none_or(|r| l.a.role == *r)
                && targets.as_ref().is_none_or(|t| t.contains(&l.a.target))
                && (!inherited || l.a.inherited || l.from.as_ref().is_some_and(|f| f.inherited))
        });
        lines.iter().map(|l| shown(rd, l, names, &base)).collect::<Result<Vec<_>>>()
    };
    let all = call.state.store.read(read).await?;
    common::collection(&call, "role_assignments", all)
}

/// Groups become their users, inherited ones what they reach, roles what they imply.
fn spread(rd: &mut Read<'_>, lines: Vec<Line>) -> Result<Vec<Line>> {
    let mut by_actor = Vec::new();
    for l in lines {
        match l.a.actor.clone() {
            Actor::User(_) => by_actor.push(l),
            Actor::Group(group) => {
                for m in rd.list::<Membership>(&Scope::All, &Query::by("group", &group))? {
                    let a = Assignment { actor: Actor::User(m.user.clone()), ..l.a.clone() };
                    by_actor.push(Line { a, via_group: Some(group.clone()), prior: None, from: None });
                }
            }
        }
    }
    let mut by_target = Vec::new();
    for l in by_actor {
        match (&l.a.target, l.a.inherited) {
            (Target::Project(id) | Target::Domain(id), true) => {
                for p in grants::descendants(rd, id)? {
                    let target = Target::Project(p.id.to_string());
                    let a = Assignment { target, inherited: false, ..l.a.clone() };
                    let from = Some(l.a.clone());
                    by_target.push(Line { a, via_group: l.via_group.clone(), prior: None, from });
                }
            }
            _ => by_target.push(l),
        }
    }
    let rules = grants::implied(rd)?;
    let mut out: BTreeMap<Assignment, Line> = BTreeMap::new();
    for l in by_target {
        for role in grants::closure([l.a.role.clone()].into(), &rules) {
            let prior = (role != l.a.role).then(|| l.a.role.clone());
            let a = Assignment { role, ..l.a.clone() };
            let line = Line { a: a.clone(), via_group: l.via_group.clone(), prior, from: l.from.clone() };
            out.entry(a).or_insert(line);
        }
    }
    Ok(out.into_values().collect())
}

fn domain_name(rd: &mut Read<'_>, id: Option<&str>) -> Result<Value> {
    let Some(id) = id else { return Ok(Value::Null) };
    let name = rd.find::<Project>(&Scope::All, id)?.map(|d| d.name.clone());
    Ok(json!({"id": id, "name": name}))
}

fn shown(rd: &mut Read<'_>, l: &Line, names: bool, base: &str) -> Result<Value> {
    let mut out = json!({"role": {"id": l.a.role}});
    if names && let Some(role) = rd.find::<Role>(&Scope::All, &l.a.role)? {
        out["role"]["name"] = json!(role.name);
        if role.domain_id.is_some() {
            out["role"]["domain"] = domain_name(rd, role.domain_id.as_deref())?;
        }
    }
    let (kind, id) = match &l.a.actor {
        Actor::User(id) => ("user", id),
        Actor::Group(id) => ("group", id),
    };
    out[kind] = json!({"id": id});
    if names {
        let found = match &l.a.actor {
            Actor::User(id) => {
                rd.find::<User>(&Scope::All, id)?.map(|u| (u.name.clone(), u.domain_id.clone()))
            }
            Actor::Group(id) => {
                rd.find::<Group>(&Scope::All, id)?.map(|g| (g.name.clone(), g.domain_id.clone()))
            }
        };
        if let Some((name, domain)) = found {
            out[kind]["name"] = json!(name);
            out[kind]["domain"] = domain_name(rd, Some(&domain))?;
        }
    }
    let mut path = String::new();
    match &l.a.target {
        Target::System => out["scope"] = json!({"system": {"all": true}}),
        Target::Project(id) | Target::Domain(id) => {
            let key = if matches!(l.a.target, Target::Project(_)) { "project" } else { "domain" };
            out["scope"] = json!({key: {"id": id}});
            path = format!("/{key}s/{id}");
            if let (true, Some(p)) = (names, rd.find::<Project>(&Scope::All, id)?) {
                out["scope"][key]["name"] = json!(p.name);
                if key == "project" {
                    out["scope"][key]["domain"] = domain_name(rd, p.domain_id.as_deref())?;
                }
            }
        }
    }
    if l.a.inherited || l.from.is_some() {
        out["scope"]["OS-INHERIT:inherited_to"] = "projects".into();
    }
    let system = if path.is_empty() { "/system" } else { &path };
    out["links"] = json!({"assignment": format!("{base}/v3{system}/{kind}s/{id}/roles/{}", l.a.role)});
    if let Some(group) = &l.via_group {
        out["links"]["membership"] = json!(format!("{base}/v3/groups/{group}/users/{id}"));
    }
    if let Some(prior) = &l.prior {
        out["links"]["prior_role"] = json!(format!("{base}/v3/roles/{prior}"));
    }
    Ok(out)
}
