//! Which roles someone holds on what: direct, by group, inherited from above, and implied.

use std::collections::{BTreeMap, BTreeSet};

use pileus_base::{Result, Scope};
use pileus_store::{Query, Read};

use crate::model::{
    access::{Actor, Assignment, Implied, Target},
    projects::{Project, Role},
    users::Membership,
};

/// The deepest tree of projects that is walked.
const DEPTH_MAX: usize = 32;

/// The groups of a user.
pub(crate) fn groups_of(rd: &mut Read<'_>, user: &str) -> Result<Vec<String>> {
    let all = rd.list::<Membership>(&Scope::All, &Query::by("user", user))?;
    Ok(all.into_iter().map(|m| m.value.group).collect())
}

/// Every assignment that a user holds, by themselves or by a group.
pub(crate) fn of_user(rd: &mut Read<'_>, user: &str) -> Result<Vec<Assignment>> {
    let mut actors = vec![Actor::User(user.into()).key()];
    actors.extend(groups_of(rd, user)?.into_iter().map(|g| Actor::Group(g).key()));
    let all = rd.list::<Assignment>(&Scope::All, &Query::all().any("actor", actors))?;
    Ok(all.into_iter().map(|a| a.value).collect())
}

/// The projects above `project`, nearest first, its domain last.
pub(crate) fn ancestors(rd: &mut Read<'_>, project: &Project) -> Result<Vec<Project>> {
    let (mut out, mut next) = (Vec::new(), project.parent_id.clone());
    while let Some(id) = next.take() {
        let Some(parent) = rd.find::<Project>(&Scope::All, &id)? else { break };
        next.clone_from(&parent.parent_id);
        out.push(parent.value);
        if out.len() >= DEPTH_MAX {
            break;
        }
    }
    Ok(out)
}

/// Everything below `project`, nearest first.
pub(crate) fn descendants(rd: &mut Read<'_>, project: &str) -> Result<Vec<Project>> {
    let mut out: Vec<Project> = Vec::new();
    let mut open = vec![project.to_owned()];
    while let Some(id) = open.pop() {
        for child in rd.list::<Project>(&Scope::All, &Query::by("parent_id", &id))? {
            open.push(child.id.to_string());
            out.push(child.value);
        }
    }
    Ok(out)
}

/// Whether an assignment counts on a target whose ancestors are `above`.
pub(crate) fn counts(a: &Assignment, target: &Target, above: &[Project]) -> bool {
    if !a.inherited {
        return a.target == *target;
    }
    match &a.target {
        Target::Project(id) => above.iter().any(|p| !p.is_domain && p.id.as_str() == id),
        Target::Domain(id) => above.iter().any(|p| p.is_domain && p.id.as_str() == id),
        Target::System => false,
    }
}

/// The roles that `user` holds on `target`, implied ones included, roles of one domain left out.
pub(crate) fn effective(rd: &mut Read<'_>, user: &str, target: &Target) -> Result<Vec<Role>> {
    let held = of_user(rd, user)?;
    let above = match target {
        Target::Project(id) if held.iter().any(|a| a.inherited) => {
            match rd.find::<Project>(&Scope::All, id)? {
                Some(project) => ancestors(rd, &project)?,
                None => return Ok(Vec::new()),
            }
        }
        _ => Vec::new(),
    };
    let ids = held.into_iter().filter(|a| counts(a, target, &above)).map(|a| a.role).collect();
    expand(rd, ids)
}

/// The roles of these ids and all that they imply; roles of one domain only bring others.
pub(crate) fn expand(rd: &mut Read<'_>, ids: BTreeSet<String>) -> Result<Vec<Role>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rules = implied(rd)?;
    let mut out = Vec::new();
    for id in closure(ids, &rules) {
        if let Some(role) = rd.find::<Role>(&Scope::All, &id)?
            && role.domain_id.is_none()
        {
            out.push(role.value);
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// All rules of implication: prior to implied.
pub(crate) fn implied(rd: &mut Read<'_>) -> Result<BTreeMap<String, Vec<String>>> {
    let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in rd.list::<Implied>(&Scope::All, &Query::all())? {
        rules.entry(rule.prior.clone()).or_default().push(rule.value.implied);
    }
    Ok(rules)
}

/// These roles and everything that follows from them.
pub(crate) fn closure(ids: BTreeSet<String>, rules: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut open: Vec<String> = ids.iter().cloned().collect();
    let mut out = ids;
    while let Some(id) = open.pop() {
        for next in rules.get(&id).into_iter().flatten() {
            if out.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implication_is_transitive_and_ends_in_a_cycle() {
        let rules = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a"])];
        let rules = rules.map(|(k, v)| (k.to_owned(), v.into_iter().map(str::to_owned).collect())).into();
        let out = closure(["a".to_owned()].into(), &rules);
        assert_eq!(out.into_iter().collect::<String>(), "abc");
    }
}
