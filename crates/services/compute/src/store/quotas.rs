//! Limits and what is used of them. Use is a counter, changed with the thing that it counts.

use std::collections::BTreeMap;

use pileus_base::{Error, Kind, Result, Scope, ids::ProjectId};
use pileus_store::{Read, Tx};

use crate::model::quotas::{DEFAULTS, INJECTED, NETWORK, Quota, Usage};

/// The id under which changed defaults are kept; no project has it.
pub const DEFAULT_CLASS: &str = "class:default";

/// Everybody's limits.
pub fn defaults(rd: &mut Read<'_>) -> Result<BTreeMap<String, i64>> {
    let all = DEFAULTS.iter().chain(&INJECTED).chain(&NETWORK);
    let mut limits: BTreeMap<_, _> = all.map(|(n, l)| ((*n).to_owned(), *l)).collect();
    if let Some(class) = rd.find::<Quota>(&Scope::All, DEFAULT_CLASS)? {
        limits.extend(class.value.limits);
    }
    Ok(limits)
}

/// A project's limits.
pub fn limits(rd: &mut Read<'_>, project: &ProjectId) -> Result<BTreeMap<String, i64>> {
    let mut limits = defaults(rd)?;
    if let Some(own) = rd.find::<Quota>(&Scope::All, project)? {
        limits.extend(own.value.limits);
    }
    Ok(limits)
}

/// A project's limit of one resource; -1 is none.
pub fn limit(rd: &mut Read<'_>, project: &ProjectId, resource: &str) -> Result<i64> {
    Ok(limits(rd, project)?.get(resource).copied().unwrap_or(-1))
}

/// Changes limits; those not named stay.
pub fn set(tx: &mut Tx<'_>, project: &ProjectId, changes: &BTreeMap<String, i64>) -> Result<()> {
    match tx.find::<Quota>(&Scope::All, project)? {
        Some(mut quota) => {
            quota.limits.extend(changes.clone());
            tx.put(&quota)
        }
        None => tx.insert(&Quota { project_id: project.clone(), limits: changes.clone() }),
    }
}

/// Back to the defaults.
pub fn reset(tx: &mut Tx<'_>, project: &ProjectId) -> Result<()> {
    tx.delete::<Quota>(project).map(drop)
}

/// What a project uses of `resource`.
pub fn used(rd: &mut Read<'_>, project: &ProjectId, resource: &str) -> Result<i64> {
    match resource {
        "instances" => rd.counter("compute.instances", project),
        "cores" => rd.counter("compute.cores", project),
        "ram" => rd.counter("compute.ram", project),
        _ => Ok(0),
    }
}

/// Takes `usage` from the quota.
///
/// # Errors
/// 403 that names what is exceeded, in Nova's words.
pub fn take(tx: &mut Tx<'_>, project: &ProjectId, usage: &Usage) -> Result<()> {
    let limits = limits(tx, project)?;
    let (mut names, mut asked, mut had, mut allowed) = (vec![], vec![], vec![], vec![]);
    for (name, counter, amount) in usage.parts() {
        let (used, limit) = (tx.counter(counter, project)?, limits.get(name).copied().unwrap_or(-1));
        if limit >= 0 && used + amount > limit {
            names.push(name.to_owned());
            asked.push(amount.to_string());
            had.push(used.to_string());
            allowed.push(limit.to_string());
        }
    }
    if names.is_empty() {
        return change(tx, project, usage, 1);
    }
    Err(Error::new(
        Kind::OverQuota,
        format!(
            "Quota exceeded for {}: Requested {}, but already used {} of {} {}",
            names.join(", "),
            asked.join(", "),
            had.join(", "),
            allowed.join(", "),
            names.join(", ")
        ),
    ))
}

/// Gives `usage` back.
pub fn give(tx: &mut Tx<'_>, project: &ProjectId, usage: &Usage) -> Result<()> {
    change(tx, project, usage, -1)
}

fn change(tx: &mut Tx<'_>, project: &ProjectId, usage: &Usage, sign: i64) -> Result<()> {
    for (_, counter, amount) in usage.parts() {
        tx.add(counter, project, sign * amount)?;
    }
    Ok(())
}
