//! `OS::Glance::WebImage`: an image of what lies at an address, by Glance's web-download.

use std::sync::Arc;

use pileus_base::{
    Error, Result, Time,
    ids::{ImageId, ProjectId},
};
use pileus_image::{Images, Status, images, import};
use pileus_store::Read;
use serde_json::{Map, json};

use crate::{
    model::{
        Constraint, Json, Property, python,
        schema::{Schema, schema},
    },
    types::{At, Kind, View},
};

/// Formats that Glance takes, and this cloud with it.
const DISKS: [&str; 11] = ["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"];
const CONTAINERS: [&str; 7] = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker"];

/// Properties that become the image's attribute of the same name, while they are given.
const TEXTS: [&str; 6] = ["architecture", "kernel_id", "os_distro", "os_version", "ramdisk_id", "owner"];

/// The type.
pub struct WebImage {
    pub images: Arc<Images>,
}

fn id(at: &At<'_, '_>) -> Result<ImageId> {
    at.physical_id()?.parse()
}

/// What may change later, as Glance's attributes.
fn attributes(at: &At<'_, '_>) -> Map<String, Json> {
    let mut out = Map::new();
    for name in TEXTS {
        if let Some(text) = at.text(name) {
            out.insert(name.into(), text.into());
        }
    }
    for name in ["protected", "visibility", "tags"] {
        match at.property(name) {
            Json::Null => {}
            value => _ = out.insert(name.into(), value.clone()),
        }
    }
    for (name, value) in at.property("extra_properties").as_object().into_iter().flatten() {
        out.insert(name.clone(), python::str(value).into());
    }
    out
}

fn members(at: &At<'_, '_>) -> Vec<ProjectId> {
    let given = at.property("members").as_array().into_iter().flatten();
    given.filter_map(Json::as_str).map(Into::into).collect()
}

fn refused(message: &str) -> Error {
    Error::bad_request(message).code("StackValidationFailed")
}

/// Heat's checks of what depends on each other.
fn validate(at: &At<'_, '_>) -> Result<()> {
    let container = at.text("container_format").unwrap_or_default();
    if matches!(container.as_str(), "ami" | "ari" | "aki") && at.text("disk_format") != Some(container) {
        return Err(refused(
            "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', 'ari', or 'ami', the container and disk formats must match.",
        ));
    }
    if !members(at).is_empty() && at.text("visibility").as_deref() != Some("shared") {
        return Err(refused(
            "members property can only be specified if the value of visibility property is shared.",
        ));
    }
    Ok(())
}

impl Kind for WebImage {
    fn name(&self) -> &'static str {
        "OS::Glance::WebImage"
    }
    fn about(&self) -> &'static str {
        "A resource managing images in Glance using web-download import."
    }
    fn schema(&self) -> Schema {
        let at_least = |n| Constraint::range(Some(n), None);
        let uuid = || {
            Constraint::pattern(
                "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$",
            )
            .expect("the pattern is one")
        };
        let seen = Constraint::one_of(&["public", "private", "community", "shared"]);
        schema([
            ("name", Property::string()),
            ("id", Property::string()),
            ("min_disk", Property::integer().default(0).constraint(at_least(0))),
            ("min_ram", Property::integer().default(0).constraint(at_least(0))),
            ("protected", Property::boolean().default(false).updatable()),
            ("disk_format", Property::string().required().constraint(Constraint::one_of(&DISKS))),
            ("container_format", Property::string().required().constraint(Constraint::one_of(&CONTAINERS))),
            ("location", Property::string().required()),
            ("tags", Property::list().updatable()),
            ("architecture", Property::string().updatable()),
            ("kernel_id", Property::string().updatable().constraint(uuid())),
            ("os_distro", Property::string().updatable()),
            ("os_version", Property::string().updatable()),
            ("owner", Property::string().updatable()),
            ("extra_properties", Property::map().updatable().default(json!({}))),
            ("visibility", Property::string().updatable().default("private").constraint(seen)),
            ("ramdisk_id", Property::string().updatable().constraint(uuid())),
            ("active", Property::boolean().updatable().default(true)),
            ("members", Property::list_of(Property::string()).updatable()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[("show", "Detailed information about resource.")]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        validate(at)?;
        let mut fields = attributes(at);
        fields.insert("name".into(), at.name_or_physical("name").into());
        for name in ["id", "min_disk", "min_ram", "disk_format", "container_format"] {
            match at.property(name) {
                Json::Null => {}
                value => _ = fields.insert(name.into(), value.clone()),
            }
        }
        let (location, members) = (at.text("location").unwrap_or_default(), members(at));
        let made = images::create(at.tx, at.ctx, &fields)?.id;
        images::change(at.tx, at.ctx, made, |image| {
            image.share_with(&members, Time::now());
            Ok(())
        })?;
        import::begin_web(&self.images, at.tx, at.ctx, made, &location)?;
        at.item.physical_id = Some(made.to_string());
        Ok(())
    }
    fn created(&self, at: &mut At<'_, '_>) -> Result<bool> {
        let id = id(at)?;
        let image = images::get(at.tx, at.ctx, id)?;
        if image.is_active() && at.property("active") == &Json::Bool(false) {
            images::change(at.tx, at.ctx, id, |image| {
                image.status = Status::Deactivated;
                Ok(())
            })?;
            return Ok(true);
        }
        match import::failure(at.tx, id)? {
            Some(why) => {
                let message = format!("Went to status {} due to \"{why}\"", image.status.word());
                Err(Error::bad_request(message).code("ResourceInError"))
            }
            None => Ok(image.has_data()),
        }
    }
    fn update(&self, at: &mut At<'_, '_>, old: &Map<String, Json>, _: &[String]) -> Result<()> {
        validate(at)?;
        let (id, fields, members) = (id(at)?, attributes(at), members(at));
        let given = old.get("extra_properties").and_then(Json::as_object).into_iter().flatten();
        let given = given.map(|(name, _)| name.as_str()).chain(TEXTS);
        let gone: Vec<&str> = given.filter(|name| !fields.contains_key(*name)).collect();
        let active = at.property("active") != &Json::Bool(false);
        let change = images::change(at.tx, at.ctx, id, |image| {
            gone.iter().for_each(|name| _ = image.properties.remove(*name));
            if !fields.contains_key("tags") {
                image.tags.clear();
            }
            for (name, value) in &fields {
                images::set(image, name, value)?;
            }
            image.share_with(&members, Time::now());
            match (image.status, active) {
                (Status::Active, false) => image.status = Status::Deactivated,
                (Status::Deactivated, true) => image.status = Status::Active,
                _ => {}
            }
            Ok(())
        });
        change.map(drop)
    }
    fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
        // The row must be the owner's; its file goes with the sweep that this wakes.
        let id = id(at)?;
        match images::change(at.tx, at.ctx, id, |_| Ok(())).and_then(|_| images::delete(at.tx, id)) {
            Err(e) if e.is_not_found() => Ok(()),
            other => other,
        }
    }
    fn check(&self, at: &mut At<'_, '_>) -> Result<()> {
        let id = id(at)?;
        images::get(at.tx, at.ctx, id).map(drop)
    }
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let id = view.item.physical_id.as_deref().unwrap_or_default().parse()?;
        let image = images::get(rd, view.ctx, id)?;
        Ok((name == "show").then(|| images::view(&image)))
    }
}
