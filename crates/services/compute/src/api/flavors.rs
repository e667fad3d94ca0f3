//! Flavors.

use std::collections::BTreeMap;

use pileus_base::{Error, Result, Scope, Time, ids::ProjectId};
use pileus_http::{Listing, Reply};
use pileus_store::Stored;
use serde_json::{Value, json};

use super::{Call, accepted};
use crate::{
    model::flavors::Flavor,
    store::flavors,
    wire::{
        fields::{Fields, invalid},
        flavors as wire, mv,
    },
};

/// Nova's largest number of anything.
const MAX: i64 = 0x7fff_ffff;

/// `GET /flavors`
pub async fn index(call: Call) -> Result<Reply> {
    list(call, false).await
}

/// `GET /flavors/detail`
pub async fn detail(call: Call) -> Result<Reply> {
    list(call, true).await
}

async fn list(call: Call, whole: bool) -> Result<Reply> {
    let q = &call.query;
    const KEYS: [&str; 11] = [
        "flavorid",
        "id",
        "name",
        "memory_mb",
        "root_gb",
        "vcpus",
        "ephemeral_gb",
        "swap",
        "rxtx_factor",
        "created_at",
        "is_public",
    ];
    let listing = Listing::parse(q, &KEYS, ("flavorid", false), 1000)?;
    let number = |name: &str| match q.get(name) {
        None => Ok(0),
        Some(t) => t.parse::<u64>().map_err(|_| Error::bad_request(format!("Invalid {name} filter [{t}]"))),
    };
    let (min_ram, min_disk) = (number("minRam")?, number("minDisk")?);
    // Administrators see public ones unless they ask for all (`None`) or the others.
    let public = match (q.get("is_public"), q.flag("is_public")) {
        (None, _) => Some(true),
        (Some("None" | "none"), _) => None,
        (Some(_), Some(flag)) => Some(flag),
        (Some(bad), None) => return Err(Error::bad_request(format!("Invalid is_public filter [{bad}]"))),
    };
    let ctx = call.ctx.clone();
    let all = call.state.store.read(move |rd| flavors::list(rd, &ctx, public)).await?;
    let kept: Vec<_> = all.iter().filter(|f| f.ram_mib >= min_ram && f.disk_gib >= min_disk).collect();
    let keys = kept.iter().enumerate().map(|(n, f)| {
        json!({
            "n": n, "id": f.flavorid, "flavorid": f.flavorid, "name": f.name, "memory_mb": f.ram_mib,
            "root_gb": f.disk_gib, "vcpus": f.vcpus, "ephemeral_gb": f.ephemeral_gib, "swap": f.swap_mib,
            "rxtx_factor": f.rxtx_factor, "created_at": f.created_at.0, "is_public": f.public,
        })
    });
    let (page, more) = listing.apply(keys.collect())?;
    let at = |k: &Value| k["n"].as_u64().and_then(|n| usize::try_from(n).ok()).and_then(|n| kept.get(n));
    let shown: Vec<_> = page.iter().filter_map(at).collect();
    let view = |f: &Stored<Flavor>| {
        if whole {
            wire::whole(f, &call.base, call.version)
        } else {
            wire::brief(f, &call.base, call.version)
        }
    };
    let mut body = json!({"flavors": shown.iter().map(|f| view(f)).collect::<Vec<_>>()});
    if let (true, Some(last)) = (more, shown.last()) {
        let path = if whole { "/v2.1/flavors/detail" } else { "/v2.1/flavors" };
        let href = format!("{}?{}", call.base.url(path), q.with("marker", &last.flavorid));
        body["flavors_links"] = json!([{"rel": "next", "href": href}]);
    }
    Reply::ok(&body)
}

async fn named(call: &Call) -> Result<Stored<Flavor>> {
    let (ctx, id) = (call.ctx.clone(), call.param("id").to_owned());
    call.state.store.read(move |rd| flavors::get(rd, &ctx, &id)).await
}

/// `GET /flavors/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    let flavor = named(&call).await?;
    Reply::ok(&json!({"flavor": wire::whole(&flavor, &call.base, call.version)}))
}

/// `POST /flavors`
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let mut f = Fields::body(&body, "flavor", &[])?;
    let name = f.required_name("name")?.to_owned();
    let id = match f.value("id") {
        None | Some(Value::Null) => uuid::Uuid::new_v4().to_string(),
        Some(Value::Number(n)) => n.to_string(),
        Some(Value::String(s)) if s == "auto" => uuid::Uuid::new_v4().to_string(),
        Some(value @ Value::String(s)) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
            if s.is_empty() || s.len() > 255 || !s.chars().all(plain) || s.trim() != s {
                return Err(invalid("id", value, "does not match '^(?! )[a-zA-Z0-9. _-]+(?<! )$'"));
            }
            s.clone()
        }
        Some(other) => return Err(invalid("id", other, "is not of type 'string', 'number', 'null'")),
    };
    let ram = f.required_int("ram", 1, MAX)?;
    let vcpus = f.required_int("vcpus", 1, MAX)?;
    let disk = f.required_int("disk", 0, MAX)?;
    let size = |n: i64| u64::try_from(n).unwrap_or(0);
    let mut flavor =
        Flavor::sized(&id, &name, size(ram), size(disk), u32::try_from(vcpus).unwrap_or(1), Time::now());
    flavor.ephemeral_gib = size(f.int("OS-FLV-EXT-DATA:ephemeral", 0, MAX)?.unwrap_or(0));
    flavor.swap_mib = size(f.int("swap", 0, MAX)?.unwrap_or(0));
    flavor.public = f.flag("os-flavor-access:is_public")?.unwrap_or(true);
    if let Some(factor) = f.value("rxtx_factor") {
        let number = factor.as_f64().or_else(|| factor.as_str()?.parse().ok()).filter(|n| *n > 0.0);
        flavor.rxtx_factor =
            number.ok_or_else(|| invalid("rxtx_factor", factor, "is not of type 'number'"))?;
    }
    if call.version >= mv::FLAVOR_DESCRIPTION {
        flavor.description = f.text("description", 0, 65_535)?.map(str::to_owned);
    }
    f.finish()?;
    let made = flavor.clone();
    call.state.store.write(move |tx| flavors::create(tx, &made)).await?;
    Reply::ok(&json!({"flavor": wire::whole(&flavor, &call.base, call.version)}))
}

/// `PUT /flavors/{id}`: the description, since 2.55.
pub async fn update(mut call: Call) -> Result<Reply> {
    if call.version < mv::FLAVOR_DESCRIPTION {
        return Err(super::no_such_path());
    }
    let body = call.value().await?;
    let mut f = Fields::body(&body, "flavor", &[])?;
    let description = f.text("description", 0, 65_535)?.map(str::to_owned);
    f.finish()?;
    let id = call.param("id").to_owned();
    let write = call.state.store.write(move |tx| {
        tx.update::<Flavor>(&Scope::All, &id, |f| {
            f.description = description.clone();
            Ok(())
        })
    });
    let flavor = write.await?;
    Reply::ok(&json!({"flavor": wire::whole(&flavor, &call.base, call.version)}))
}

/// `DELETE /flavors/{id}`
pub async fn delete(call: Call) -> Result<Reply> {
    let id = call.param("id").to_owned();
    call.state.store.write(move |tx| flavors::delete(tx, &id)).await?;
    Ok(accepted())
}

/// `GET /flavors/{id}/os-flavor-access`
pub async fn access(call: Call) -> Result<Reply> {
    let flavor = named(&call).await?;
    if flavor.public {
        return Err(Error::not_found("Access list not available for public flavors."));
    }
    Reply::ok(&access_view(&flavor))
}

fn access_view(flavor: &Flavor) -> Value {
    let list: Vec<_> =
        flavor.access.iter().map(|p| json!({"flavor_id": flavor.flavorid, "tenant_id": p})).collect();
    json!({"flavor_access": list})
}

/// `POST /flavors/{id}/action`: `addTenantAccess`, `removeTenantAccess`.
pub async fn change_access(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (name, add) = match body.as_object().and_then(|m| m.keys().next()).map(String::as_str) {
        Some("addTenantAccess") => ("addTenantAccess", true),
        Some("removeTenantAccess") => ("removeTenantAccess", false),
        _ => return Err(Error::bad_request("There is no such action")),
    };
    let mut f = Fields::body(&body, name, &[])?;
    let tenant: ProjectId = f.required_name("tenant")?.into();
    f.finish()?;
    let id = call.param("id").to_owned();
    let write = call.state.store.write(move |tx| {
        if pileus_identity::project(tx, &tenant)?.is_none() {
            return Err(Error::bad_request(format!("Project ID {tenant} is not a valid project.")));
        }
        tx.update::<Flavor>(&Scope::All, &id, |f| {
            if f.public && add {
                return Err(Error::conflict("Can not add access to a public flavor."));
            }
            match (add, f.access.contains(&tenant)) {
                (true, true) => Err(Error::conflict(format!(
                    "Flavor access already exists for flavor {id} and project {tenant} combination."
                ))),
                (false, false) => {
                    Err(Error::not_found(format!("Flavor access not found for {id} / {tenant} combination.")))
                }
                (true, false) => {
                    f.access.push(tenant.clone());
                    Ok(())
                }
                (false, true) => {
                    f.access.retain(|p| *p != tenant);
                    Ok(())
                }
            }
        })
    });
    let flavor = write.await?;
    Reply::ok(&access_view(&flavor))
}

/// Changes a flavor's extra specs.
pub(super) async fn change_specs(
    call: &Call,
    change: impl Fn(&mut BTreeMap<String, String>) -> Result<()> + Send + 'static,
) -> Result<Stored<Flavor>> {
    let id = call.param("id").to_owned();
    call.state
        .store
        .write(move |tx| tx.update::<Flavor>(&Scope::All, &id, |f| change(&mut f.extra_specs)))
        .await
}

/// A flavor's extra specs.
pub(super) async fn specs(call: &Call) -> Result<BTreeMap<String, String>> {
    Ok(named(call).await?.value.extra_specs)
}
