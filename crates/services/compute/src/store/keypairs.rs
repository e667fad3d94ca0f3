//! Keypairs.

use pileus_base::{Error, Kind, Result, Scope, ids::UserId};
use pileus_store::{Query, Read, Resource, Stored, Tx, taken};

use crate::{
    model::keypairs::{Keypair, key},
    store::quotas,
};

/// A user's keypair of this name.
///
/// # Errors
/// 404 in Nova's words.
pub fn get(rd: &mut Read<'_>, user: &UserId, name: &str) -> Result<Stored<Keypair>> {
    rd.get(&Scope::All, key(user, name))
}

/// A user's keypairs, by name.
pub fn list(rd: &mut Read<'_>, user: &UserId) -> Result<Vec<Stored<Keypair>>> {
    rd.list(&Scope::All, &Query::by("user_id", user).sort("name"))
}

/// Adds a keypair.
///
/// # Errors
/// 409 where the name is taken, 403 where the user has too many.
pub fn create(tx: &mut Tx<'_>, keypair: &Keypair, project: &pileus_base::ids::ProjectId) -> Result<()> {
    let limit = quotas::limit(tx, project, "key_pairs")?;
    let used = tx.count::<Keypair>(&Scope::All, &Query::by("user_id", &keypair.user_id))?;
    if limit >= 0 && i64::try_from(used).unwrap_or(i64::MAX) >= limit {
        return Err(Error::new(Kind::OverQuota, "Quota exceeded, too many key pairs."));
    }
    tx.insert(keypair).map_err(|e| match taken(&e) {
        Some(_) => Error::conflict(format!("Key pair '{}' already exists.", keypair.name)),
        None => e,
    })
}

/// Removes a keypair.
///
/// # Errors
/// 404 in Nova's words.
pub fn delete(tx: &mut Tx<'_>, user: &UserId, name: &str) -> Result<()> {
    let id = key(user, name);
    if tx.delete::<Keypair>(&id)? { Ok(()) } else { Err(Keypair::not_found(&id)) }
}
