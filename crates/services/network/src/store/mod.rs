//! Queries and changes with a name, inside the caller's transaction.

pub(crate) mod addresses;
pub mod networks;
pub mod ports;
pub mod quotas;
pub mod security_groups;
pub mod subnets;

use pileus_base::{Ctx, Error, Result, Scope, ids::ProjectId};
use pileus_store::{Query, Read, Resource, Stored};

/// The one thing of this name or id among `all`.
pub(crate) fn pick<T: Resource>(
    rd: &mut Read<'_>,
    name_or_id: &str,
    seen: impl Fn(&T) -> bool,
) -> Result<Stored<T>> {
    if pileus_base::ids::is_uuid(name_or_id)
        && let Some(found) = rd.find::<T>(&Scope::All, name_or_id)?.filter(|t| seen(t))
    {
        return Ok(found);
    }
    let mut named: Vec<Stored<T>> = rd.list(&Scope::All, &Query::by("name", name_or_id))?;
    named.retain(|t| seen(t));
    match (named.pop(), named.len()) {
        (Some(one), 0) => Ok(one),
        (Some(_), _) => Err(Error::conflict(format!(
            "Multiple matches found for name '{name_or_id}', use an ID to be more specific."
        ))),
        (None, _) => Err(T::not_found(name_or_id)),
    }
}

/// Whether something of `project` is the caller's.
pub(crate) fn owns(ctx: &Ctx, project: &ProjectId) -> bool {
    ctx.is_admin() || ctx.caller.project.as_ref().is_some_and(|p| p.id == *project)
}

/// The project that something new is for: another's only by an administrator.
pub(crate) fn project_for(ctx: &Ctx, asked: Option<ProjectId>) -> Result<ProjectId> {
    match asked {
        Some(project) if owns(ctx, &project) => Ok(project),
        Some(_) => Err(Error::forbidden("Specifying 'project_id' other than the authenticated project in request requires admin privileges").code("AdminRequired")),
        None => ctx.project_id().cloned(),
    }
}
