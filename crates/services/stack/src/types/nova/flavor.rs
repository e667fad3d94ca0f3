//! `OS::Nova::Flavor`, for administrators.

use pileus_base::{Error, Result, Time};
use pileus_compute::{flavors, model::flavors::Flavor as Kept};
use pileus_store::Read;
use serde_json::json;

use crate::{
    model::{
        Json, Property, python,
        schema::{Schema, schema},
    },
    types::{At, Kind, View},
};

/// The type.
pub struct Flavor;

impl Kind for Flavor {
    fn name(&self) -> &'static str {
        "OS::Nova::Flavor"
    }
    fn about(&self) -> &'static str {
        "A resource for creating OpenStack virtual hardware templates."
    }
    fn schema(&self) -> Schema {
        schema([
            ("tenants", Property::list_of(Property::string()).default(json!([]))),
            ("ram", Property::integer().required()),
            ("vcpus", Property::integer().required()),
            ("disk", Property::integer().default(0)),
            ("swap", Property::integer().default(0)),
            ("ephemeral", Property::integer().default(0)),
            ("rxtx_factor", Property::number().default(1.0)),
            ("extra_specs", Property::map()),
            ("flavorid", Property::string()),
            ("name", Property::string()),
            ("is_public", Property::boolean().default(true)),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("is_public", "Whether the flavor is shared across all projects."),
            ("extra_specs", "Extra specs of the flavor in key-value pairs."),
        ]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        if !at.ctx.is_admin() {
            return Err(Error::forbidden(
                "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed.",
            ));
        }
        let number = |key: &str| at.property(key).as_u64().unwrap_or(0);
        let id =
            at.text("flavorid").filter(|id| id != "auto").unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let vcpus = u32::try_from(number("vcpus")).unwrap_or(u32::MAX);
        let name = at.name_or_physical("name");
        let mut flavor = Kept::sized(&id, &name, number("ram"), number("disk"), vcpus, Time::now());
        flavor.ephemeral_gib = number("ephemeral");
        flavor.swap_mib = number("swap");
        flavor.rxtx_factor = at.property("rxtx_factor").as_f64().unwrap_or(1.0);
        flavor.public = at.property("is_public") != &Json::Bool(false);
        let tenants = at.property("tenants").as_array().into_iter().flatten();
        flavor.access = tenants.filter_map(Json::as_str).map(Into::into).collect();
        let specs = at.property("extra_specs").as_object().into_iter().flatten();
        flavor.extra_specs = specs.map(|(k, v)| (k.clone(), python::str(v))).collect();
        flavors::create(at.tx, &flavor)?;
        at.item.physical_id = Some(id);
        Ok(())
    }
    fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
        match flavors::delete(at.tx, &at.physical_id()?) {
            Err(e) if e.is_not_found() => Ok(()),
            other => other,
        }
    }
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let flavor = flavors::get(rd, view.ctx, view.item.physical_id.as_deref().unwrap_or_default())?;
        Ok(match name {
            "is_public" => Some(flavor.public.into()),
            "extra_specs" => Some(json!(flavor.extra_specs)),
            _ => None,
        })
    }
}
