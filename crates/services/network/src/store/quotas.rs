//! Limits, and what is used of them: a counter, changed with the thing that it counts.

use std::collections::BTreeMap;

use pileus_base::{Error, Kind, Result, Scope, ids::ProjectId};
use pileus_store::{Read, Tx};

use crate::model::quotas::{DEFAULTS, Quota};

fn counter(resource: &str) -> String {
    format!("network.{resource}")
}

/// A project's limits.
pub fn limits(rd: &mut Read<'_>, project: &ProjectId) -> Result<BTreeMap<String, i64>> {
    let mut limits: BTreeMap<_, _> = DEFAULTS.iter().map(|(n, l)| ((*n).to_owned(), *l)).collect();
    if let Some(own) = rd.find::<Quota>(&Scope::All, project)? {
        limits.extend(own.value.limits);
    }
    Ok(limits)
}

/// What a project has of `resource`.
pub fn used(rd: &mut Read<'_>, project: &ProjectId, resource: &str) -> Result<i64> {
    rd.counter(&counter(resource), project)
}

/// Takes `n` of `resource`.
///
/// # Errors
/// 409 `OverQuota` in Neutron's words.
pub fn take(tx: &mut Tx<'_>, project: &ProjectId, resource: &str, n: i64) -> Result<()> {
    let limit = limits(tx, project)?.get(resource).copied().unwrap_or(-1);
    let after = tx.add(&counter(resource), project, n)?;
    if limit >= 0 && after > limit {
        return Err(Error::new(Kind::OverQuota, format!("Quota exceeded for resources: ['{resource}']."))
            .code("OverQuota"));
    }
    Ok(())
}

/// Gives `n` of `resource` back.
pub fn give(tx: &mut Tx<'_>, project: &ProjectId, resource: &str, n: i64) -> Result<()> {
    tx.add(&counter(resource), project, -n).map(drop)
}

/// Changes limits.
pub fn set(tx: &mut Tx<'_>, project: &ProjectId, changes: &BTreeMap<String, i64>) -> Result<()> {
    match tx.find::<Quota>(&Scope::All, project)? {
        Some(mut quota) => {
            quota.limits.extend(changes.clone());
            tx.put(&quota)
        }
        None => tx.insert(&Quota { project_id: project.clone(), limits: changes.clone() }),
    }
}
