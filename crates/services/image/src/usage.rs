//! What a project's images take, in bytes: a counter, changed in the transaction that changes an image or
//! a reservation, and recounted by the sweep.

use std::collections::BTreeMap;

use pileus_base::{Error, Kind, Result, Scope, ids::ProjectId};
use pileus_store::{Query, Tx};

use crate::{model::Image, transfers::Transfer};

/// The counter's name.
pub const COUNTER: &str = "image.bytes";

/// What is reserved at once while there is plenty: a transaction for each piece would be many.
const BLOCK: u64 = 16 << 20;

/// Adds to what `owner` takes; below zero to give back.
pub fn charge(tx: &mut Tx<'_>, owner: Option<&ProjectId>, delta: i64) -> Result<()> {
    match owner {
        Some(owner) if delta != 0 => tx.add(COUNTER, owner, delta).map(drop),
        _ => Ok(()),
    }
}

/// Reserves at least `need` bytes more for a transfer; how many it were. Near the limit exactly what is
/// needed, so that nothing is refused because another upload holds more than it uses.
///
/// # Errors
/// 413 where the project's quota has no room for them.
pub fn reserve(tx: &mut Tx<'_>, transfer: &mut Transfer, limit: u64, need: u64) -> Result<u64> {
    let Some(owner) = transfer.owner.clone() else { return Ok(need.max(BLOCK)) };
    let used = u64::try_from(tx.counter(COUNTER, &owner)?).unwrap_or(0);
    let room = limit.saturating_sub(used);
    if room < need {
        return Err(Error::new(
            Kind::TooLarge,
            format!("Image exceeds the storage quota: {limit} bytes, of which {used} are used."),
        ));
    }
    let taken = if room >= need.saturating_add(8 * BLOCK) { need.max(BLOCK) } else { need };
    charge(tx, Some(&owner), signed(taken))?;
    transfer.reserved += taken;
    Ok(taken)
}

/// A number of bytes as a change.
pub fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Sets every counter to what images and transfers say; how many were off.
pub fn recount(tx: &mut Tx<'_>) -> Result<usize> {
    let mut real: BTreeMap<ProjectId, i64> = BTreeMap::new();
    for image in tx.list::<Image>(&Scope::All, &Query::all())? {
        if let Some(owner) = &image.owner {
            *real.entry(owner.clone()).or_default() += signed(image.size.unwrap_or(0));
        }
    }
    for transfer in tx.list::<Transfer>(&Scope::All, &Query::all())? {
        if let Some(owner) = &transfer.owner {
            *real.entry(owner.clone()).or_default() += signed(transfer.reserved);
        }
    }
    let mut changed = 0;
    for (owner, real) in real {
        let off = real - tx.counter(COUNTER, &owner)?;
        if off != 0 {
            tracing::warn!(project = %owner, off, "the count of a project's image bytes had drifted");
            charge(tx, Some(&owner), off)?;
            changed += 1;
        }
    }
    Ok(changed)
}
