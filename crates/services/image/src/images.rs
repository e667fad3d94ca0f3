//! Images by who may see them.

use pileus_base::{
    Ctx, Error, Result, Scope, Time,
    ids::{ImageId, ProjectId},
};
use pileus_store::{Query, Read, Resource, Stored, Tx, taken};
use serde_json::{Map, Value};

pub use crate::api::{set, view};
use crate::{
    model::{Image, Visibility},
    transfers, usage,
};

/// Whether `project` may use the image.
pub fn visible_to(image: &Image, ctx: &Ctx) -> bool {
    let project = ctx.caller.project.as_ref().map(|p| &p.id);
    ctx.is_admin()
        || matches!(image.visibility, Visibility::Public | Visibility::Community)
        || (project.is_some() && image.owner.as_ref() == project)
        || (image.visibility == Visibility::Shared && project.is_some_and(|p| is_member(image, p)))
}

fn is_member(image: &Image, project: &ProjectId) -> bool {
    image.members.iter().any(|m| m.project_id == *project)
}

/// The image of this id, if the caller may see it.
///
/// # Errors
/// 404 in Glance's words.
pub fn get(rd: &mut Read<'_>, ctx: &Ctx, id: ImageId) -> Result<Stored<Image>> {
    let image: Stored<Image> = rd.get(&Scope::All, id)?;
    if visible_to(&image, ctx) { Ok(image) } else { Err(Image::not_found(&id.to_string())) }
}

/// The image of this id or name.
///
/// # Errors
/// 404 where there is none; 409 where the name is ambiguous.
pub fn find(rd: &mut Read<'_>, ctx: &Ctx, name_or_id: &str) -> Result<Stored<Image>> {
    if let Ok(id) = name_or_id.parse() {
        match get(rd, ctx, id) {
            Err(e) if e.is_not_found() => {}
            found => return found,
        }
    }
    let mut named: Vec<Stored<Image>> = rd.list(&Scope::All, &Query::by("name", name_or_id))?;
    named.retain(|i| visible_to(i, ctx));
    match (named.pop(), named.len()) {
        (Some(one), 0) => Ok(one),
        (Some(_), _) => Err(Error::conflict(format!("Multiple images are named {name_or_id}."))),
        (None, _) => Err(Image::not_found(name_or_id)),
    }
}

/// Makes an image of what a client gave, as Glance's API has it.
///
/// # Errors
/// 400 for a value of the wrong shape, 403 for what the caller may not set, 409 for an id that is taken.
pub fn create(tx: &mut Tx<'_>, ctx: &Ctx, fields: &Map<String, Value>) -> Result<Image> {
    let id = match fields.get("id") {
        None => ImageId::new(),
        Some(v) => v.as_str().and_then(|t| t.parse().ok()).ok_or_else(|| {
            Error::bad_request(format!(
                "Provided object does not match schema 'image': {v} does not match a UUID"
            ))
        })?,
    };
    let mut image = Image::new(id, Some(ctx.project_id()?.clone()), Time::now());
    for (name, value) in fields.iter().filter(|(n, _)| *n != "id") {
        set(&mut image, name, value)?;
    }
    if image.visibility == Visibility::Public && !ctx.is_admin() {
        return Err(Error::forbidden("You are not authorized to complete publicize_image action."));
    }
    if image.owner.as_ref() != Some(ctx.project_id()?) && !ctx.is_admin() {
        return Err(Error::forbidden("You are not permitted to create images owned by another project."));
    }
    tx.insert(&image).map_err(|e| match taken(&e) {
        Some(_) => Error::conflict(format!("Image ID {id} already exists!")),
        None => e,
    })?;
    Ok(image)
}

/// Changes an image that the caller owns.
///
/// # Errors
/// 404 where the caller does not see it, 403 where it is another's or must not be made public; those of `f`.
pub fn change(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    id: ImageId,
    f: impl FnOnce(&mut Image) -> Result<()>,
) -> Result<Stored<Image>> {
    let image = get(tx, ctx, id)?;
    let own = ctx.caller.project.as_ref().map(|p| &p.id);
    if !ctx.is_admin() && (own.is_none() || image.owner.as_ref() != own) {
        return Err(Error::forbidden("You are not authorized to complete modify_image action."));
    }
    let was_public = image.visibility == Visibility::Public;
    update(tx, id, |image| {
        f(image)?;
        if image.visibility == Visibility::Public && !was_public && !ctx.is_admin() {
            return Err(Error::forbidden("You are not authorized to complete publicize_image action."));
        }
        if image.owner.as_ref() != own && !ctx.is_admin() {
            return Err(Error::forbidden("You are not permitted to modify 'owner' on this image."));
        }
        image.updated_at = Time::now();
        Ok(())
    })
}

/// Changes an image; what it takes follows its size and its owner.
///
/// # Errors
/// 404 where it is gone; those of `f`.
pub(crate) fn update(
    tx: &mut Tx<'_>,
    id: ImageId,
    f: impl FnOnce(&mut Image) -> Result<()>,
) -> Result<Stored<Image>> {
    let mut image = tx.get::<Image>(&Scope::All, id)?;
    let (owner, size) = (image.owner.clone(), image.size.unwrap_or(0));
    f(&mut image)?;
    tx.put(&image)?;
    let now = image.size.unwrap_or(0);
    if owner != image.owner || size != now {
        usage::charge(tx, owner.as_ref(), -usage::signed(size))?;
        usage::charge(tx, image.owner.as_ref(), usage::signed(now))?;
    }
    image.revision += 1;
    Ok(image)
}

/// Removes an image that isn't protected, and ends whatever brings its data. Its files go afterwards: see
/// [`Images::clear`](crate::Images::clear).
///
/// # Errors
/// 403 where it is protected, 404 where it is gone.
pub fn delete(tx: &mut Tx<'_>, id: ImageId) -> Result<()> {
    let image = tx.get::<Image>(&Scope::All, id)?;
    if image.protected {
        return Err(Error::forbidden(format!("Image {id} is protected and cannot be deleted.")));
    }
    pileus_jobs::cancel(tx, crate::import::subject(id))?;
    transfers::close(tx, id)?;
    usage::charge(tx, image.owner.as_ref(), -usage::signed(image.size.unwrap_or(0)))?;
    tx.delete::<Image>(id).map(drop)
}
