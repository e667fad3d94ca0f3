//! Claims, inside the caller's transaction.

use std::collections::BTreeMap;

use pileus_base::{
    Error, Result, Scope,
    ids::{ProjectId, ProviderId, UserId},
};
use pileus_store::{Query, Read, Stored, Tx};
use uuid::Uuid;

use crate::model::{Allocation, Provider};

fn counter(provider: ProviderId, class: &str) -> String {
    format!("placement.{provider}.{class}")
}

/// What is claimed of a provider's class.
pub fn used(rd: &mut Read<'_>, provider: ProviderId, class: &str) -> Result<u64> {
    let used = rd.counter(&counter(provider, class), &"".into())?;
    Ok(u64::try_from(used).unwrap_or(0))
}

/// Whether `provider` has room for `amounts` and all `traits`.
pub(crate) fn fits(
    rd: &mut Read<'_>,
    provider: &Provider,
    amounts: &[(&str, u64)],
    traits: &[String],
) -> Result<bool> {
    if !traits.iter().all(|t| provider.traits.contains(t)) {
        return Ok(false);
    }
    for (class, amount) in amounts.iter().filter(|(_, n)| *n > 0) {
        let used = used(rd, provider.id, class)?;
        match provider.inventories.get(*class) {
            Some(inventory) if inventory.takes(*amount, used) => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Claims `amounts` for `consumer` at the first provider with room; where it has a claim already, that.
///
/// # Errors
/// 409 `NoValidHost` where nothing fits.
pub fn claim(
    tx: &mut Tx<'_>,
    consumer: Uuid,
    project: &ProjectId,
    user: Option<&UserId>,
    amounts: &[(&str, u64)],
    traits: &[String],
) -> Result<ProviderId> {
    if let Some(known) = tx.find::<Allocation>(&Scope::All, consumer)?
        && let Some(provider) = known.resources.keys().next()
    {
        return Ok(*provider);
    }
    let providers: Vec<Stored<Provider>> = tx.list(&Scope::All, &Query::all())?;
    for provider in providers {
        if fits(tx, &provider, amounts, traits)? {
            let wanted = amounts.iter().filter(|(_, n)| *n > 0).map(|(c, n)| ((*c).to_owned(), *n)).collect();
            let resources = BTreeMap::from([(provider.id, wanted)]);
            set(tx, consumer, project, user, resources)?;
            return Ok(provider.id);
        }
    }
    let asked: Vec<_> = amounts.iter().map(|(c, n)| format!("{c}: {n}")).collect();
    Err(Error::conflict(format!("No host has room for {}.", asked.join(", "))).code("NoValidHost"))
}

/// Replaces a consumer's claim; with nothing, gives it back.
///
/// # Errors
/// 409 where a provider has no room, 400 where it has no such class or isn't there.
pub fn set(
    tx: &mut Tx<'_>,
    consumer: Uuid,
    project: &ProjectId,
    user: Option<&UserId>,
    resources: BTreeMap<ProviderId, BTreeMap<String, u64>>,
) -> Result<()> {
    let generation = tx.find::<Allocation>(&Scope::All, consumer)?.map_or(0, |a| a.generation + 1);
    release(tx, consumer)?;
    if resources.is_empty() {
        return Ok(());
    }
    for (id, amounts) in &resources {
        let provider: Stored<Provider> = tx
            .get(&Scope::All, id)
            .map_err(|e| if e.is_not_found() { Error::bad_request(e.message()) } else { e })?;
        for (class, amount) in amounts {
            let used = used(tx, *id, class)?;
            let inventory = provider.inventories.get(class).ok_or_else(|| {
                Error::conflict(format!("Unable to allocate inventory: Unable to create allocation for '{class}' on resource provider '{id}'."))
            })?;
            if !inventory.takes(*amount, used) {
                return Err(Error::conflict(format!(
                    "Unable to allocate inventory: Unable to create allocation for '{class}' on resource provider '{id}'. The requested amount would exceed the capacity."
                )));
            }
            tx.add(&counter(*id, class), &"".into(), i64::try_from(*amount).unwrap_or(i64::MAX))?;
        }
    }
    tx.insert(&Allocation {
        consumer,
        project_id: project.clone(),
        user_id: user.cloned(),
        generation,
        resources,
    })
}

/// Gives a consumer's claim back. Done twice, nothing.
pub fn release(tx: &mut Tx<'_>, consumer: Uuid) -> Result<()> {
    let Some(known) = tx.find::<Allocation>(&Scope::All, consumer)? else { return Ok(()) };
    for (provider, amounts) in &known.resources {
        for (class, amount) in amounts {
            tx.add(&counter(*provider, class), &"".into(), -i64::try_from(*amount).unwrap_or(0))?;
        }
    }
    tx.delete::<Allocation>(consumer).map(drop)
}
