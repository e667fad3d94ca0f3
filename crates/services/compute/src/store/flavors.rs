//! Flavors.

use pileus_base::{Ctx, Error, Result, Scope, Time};
use pileus_store::{Query, Read, Stored, Tx, taken};

use crate::model::flavors::Flavor;

/// The flavor with this id, if the caller may use it.
///
/// # Errors
/// 404 in Nova's words.
pub fn get(rd: &mut Read<'_>, ctx: &Ctx, id: &str) -> Result<Stored<Flavor>> {
    let flavor: Stored<Flavor> = rd.get(&Scope::All, id)?;
    let project = ctx.caller.project.as_ref().map(|p| &p.id);
    if ctx.is_admin() || flavor.visible_to(project) {
        Ok(flavor)
    } else {
        Err(<Flavor as pileus_store::Resource>::not_found(id))
    }
}

/// The flavor with this id or name.
///
/// # Errors
/// 404 in Nova's words.
pub fn find(rd: &mut Read<'_>, ctx: &Ctx, id_or_name: &str) -> Result<Stored<Flavor>> {
    match get(rd, ctx, id_or_name) {
        Err(e) if e.is_not_found() => {}
        found => return found,
    }
    let named = rd.first::<Flavor>(&Scope::All, Query::by("name", id_or_name))?;
    let id = named.map(|f| f.value.flavorid);
    get(rd, ctx, id.as_deref().unwrap_or(id_or_name))
}

/// All that the caller may see; `public` narrows, where given.
pub fn list(rd: &mut Read<'_>, ctx: &Ctx, public: Option<bool>) -> Result<Vec<Stored<Flavor>>> {
    let project = ctx.caller.project.as_ref().map(|p| &p.id);
    let mut all: Vec<Stored<Flavor>> = rd.list(&Scope::All, &Query::all())?;
    all.retain(|f| match (ctx.is_admin(), public) {
        (true, None) => true,
        (true, Some(p)) => f.public == p,
        (false, _) => f.visible_to(project),
    });
    Ok(all)
}

/// Adds a flavor.
///
/// # Errors
/// 409 where the id or name is taken.
pub fn create(tx: &mut Tx<'_>, flavor: &Flavor) -> Result<()> {
    tx.insert(flavor).map_err(|e| match taken(&e).map(|t| t.name.as_str()) {
        Some("flavor-name") => Error::conflict(format!("Flavor with name {} already exists.", flavor.name)),
        Some(_) => Error::conflict(format!("Flavor with ID {} already exists.", flavor.flavorid)),
        None => e,
    })
}

/// Removes a flavor; servers made of it keep their copy.
///
/// # Errors
/// 404 in Nova's words.
pub fn delete(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    if tx.delete::<Flavor>(id)? { Ok(()) } else { Err(<Flavor as pileus_store::Resource>::not_found(id)) }
}

/// Makes the default flavors, once in the life of a state.
pub fn ensure_defaults(tx: &mut Tx<'_>, now: Time) -> Result<()> {
    let once = "".into();
    if tx.counter("compute.flavors_made", &once)? > 0 {
        return Ok(());
    }
    for flavor in Flavor::defaults(now) {
        create(tx, &flavor)?;
    }
    tx.add("compute.flavors_made", &once, 1).map(drop)
}
