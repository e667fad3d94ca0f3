//! Security groups.

use pileus_base::{
    Ctx, Error, Result, Scope,
    ids::{ProjectId, SecurityGroupId},
};
use pileus_store::{Query, Read, Resource, Stored, Tx};
use uuid::Uuid;

pub use crate::model::security_groups::{Rule, SecurityGroup};
use crate::{
    model::{Standard, ports::Port},
    store::{owns, pick, quotas},
};

/// The group of this id, if it is the caller's.
///
/// # Errors
/// 404 in Neutron's words.
pub fn get(rd: &mut Read<'_>, ctx: &Ctx, id: SecurityGroupId) -> Result<Stored<SecurityGroup>> {
    let group: Stored<SecurityGroup> = rd.get(&Scope::All, id)?;
    if owns(ctx, &group.project_id) { Ok(group) } else { Err(SecurityGroup::not_found(&id.to_string())) }
}

/// The group of this id or name: the caller's own project's, where a name is asked.
///
/// # Errors
/// 404 in Neutron's words; 409 where the name is ambiguous.
pub fn find(rd: &mut Read<'_>, ctx: &Ctx, name_or_id: &str) -> Result<Stored<SecurityGroup>> {
    let own = ctx.caller.project.as_ref().map(|p| p.id.clone());
    let by_id = pileus_base::ids::is_uuid(name_or_id);
    pick(
        rd,
        name_or_id,
        |g: &SecurityGroup| {
            if by_id { owns(ctx, &g.project_id) } else { Some(&g.project_id) == own.as_ref() }
        },
    )
}

/// A project's `default` group, made at its first use: out everything, in what its own members send.
///
/// # Errors
/// Those of the store.
pub fn default_of(tx: &mut Tx<'_>, project: &ProjectId) -> Result<Stored<SecurityGroup>> {
    if let Some((_, id)) = tx.holder("default-security-group", project)? {
        return tx.get(&Scope::All, id);
    }
    let id = SecurityGroupId::new();
    let rules = vec![
        Rule::open("egress", "IPv4", None),
        Rule::open("egress", "IPv6", None),
        Rule::open("ingress", "IPv4", Some(id)),
        Rule::open("ingress", "IPv6", Some(id)),
    ];
    let group = SecurityGroup {
        id,
        project_id: project.clone(),
        name: "default".into(),
        stateful: true,
        rules,
        standard: Standard::new("Default security group"),
    };
    tx.insert(&group)?;
    // Counted like any other, but no limit keeps a project from its first group.
    quotas::give(tx, project, "security_group", -1)?;
    quotas::give(tx, project, "security_group_rule", -4)?;
    tx.get(&Scope::All, id)
}

/// Makes a group that lets everything out.
///
/// # Errors
/// 409 for a second `default` and over quota.
pub fn create(
    tx: &mut Tx<'_>,
    project: &ProjectId,
    name: &str,
    description: &str,
    stateful: bool,
) -> Result<SecurityGroup> {
    default_of(tx, project)?;
    if name == "default" {
        return Err(Error::conflict("Default security group already exists.")
            .code("SecurityGroupDefaultAlreadyExists"));
    }
    quotas::take(tx, project, "security_group", 1)?;
    quotas::take(tx, project, "security_group_rule", 2)?;
    let group = SecurityGroup {
        id: SecurityGroupId::new(),
        project_id: project.clone(),
        name: name.into(),
        stateful,
        rules: vec![Rule::open("egress", "IPv4", None), Rule::open("egress", "IPv6", None)],
        standard: Standard::new(description),
    };
    tx.insert(&group)?;
    Ok(group)
}

/// Changes a group of the caller's.
///
/// # Errors
/// 404 in Neutron's words; those of `change`.
pub fn update(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    id: SecurityGroupId,
    change: impl FnOnce(&mut SecurityGroup) -> Result<()>,
) -> Result<Stored<SecurityGroup>> {
    get(tx, ctx, id)?;
    tx.update(&Scope::All, id, |g: &mut SecurityGroup| {
        change(g)?;
        g.standard.touch();
        Ok(())
    })
}

/// Removes a group.
///
/// # Errors
/// 409 where ports are in it, or it is `default` and the caller no administrator.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, id: SecurityGroupId) -> Result<()> {
    let group = get(tx, ctx, id)?;
    if group.name == "default" && !ctx.is_admin() {
        return Err(Error::conflict(format!(
            "Insufficient rights for removing default security group {id}."
        ))
        .code("SecurityGroupCannotRemoveDefault"));
    }
    if tx.count::<Port>(&Scope::All, &Query::by("security_group", id))? > 0 {
        return Err(Error::conflict(format!("Security Group {id} in use.")).code("SecurityGroupInUse"));
    }
    // Rules of other groups that let its members in say nothing any more.
    for mut other in tx.list::<SecurityGroup>(&Scope::All, &Query::by("remote_group", id))? {
        if other.id == id {
            continue;
        }
        let before = other.rules.len();
        other.rules.retain(|r| r.remote_group_id != Some(id));
        let gone = i64::try_from(before - other.rules.len()).unwrap_or(i64::MAX);
        other.standard.touch();
        tx.put(&other)?;
        quotas::give(tx, &other.project_id, "security_group_rule", gone)?;
    }
    quotas::give(tx, &group.project_id, "security_group", 1)?;
    let rules = i64::try_from(group.rules.len()).unwrap_or(i64::MAX);
    quotas::give(tx, &group.project_id, "security_group_rule", rules)?;
    tx.delete::<SecurityGroup>(id).map(drop)
}

/// The group that holds a rule, if it is the caller's.
///
/// # Errors
/// 404 in Neutron's words.
pub fn of_rule(rd: &mut Read<'_>, ctx: &Ctx, rule: Uuid) -> Result<Stored<SecurityGroup>> {
    let found = rd.first::<SecurityGroup>(&Scope::All, Query::by("rule", rule))?;
    let gone = || {
        Error::not_found(format!("Security group rule {rule} does not exist"))
            .code("SecurityGroupRuleNotFound")
    };
    found.filter(|g| owns(ctx, &g.project_id)).ok_or_else(gone)
}

/// Adds a rule to a group of the caller's.
///
/// # Errors
/// 409 where the group says so already, or over quota.
pub fn add_rule(tx: &mut Tx<'_>, ctx: &Ctx, id: SecurityGroupId, rule: &Rule) -> Result<()> {
    let group = get(tx, ctx, id)?;
    if let Some(remote) = rule.remote_group_id {
        get(tx, ctx, remote)?;
    }
    quotas::take(tx, &group.project_id, "security_group_rule", 1)?;
    update(tx, ctx, id, |g| {
        if let Some(same) = g.rules.iter().find(|r| r.same(rule)) {
            return Err(Error::conflict(format!(
                "Security group rule already exists. Rule id is {}.",
                same.id
            ))
            .code("SecurityGroupRuleExists"));
        }
        g.rules.push(rule.clone());
        Ok(())
    })
    .map(drop)
}

/// Removes a rule.
///
/// # Errors
/// 404 in Neutron's words.
pub fn remove_rule(tx: &mut Tx<'_>, ctx: &Ctx, rule: Uuid) -> Result<()> {
    let group = of_rule(tx, ctx, rule)?;
    quotas::give(tx, &group.project_id, "security_group_rule", 1)?;
    update(tx, ctx, group.id, |g| {
        g.rules.retain(|r| r.id != rule);
        Ok(())
    })
    .map(drop)
}
