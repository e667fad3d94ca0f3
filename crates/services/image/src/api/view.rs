//! An image as it travels.

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::Call;
use crate::{
    import::STORE,
    model::Image,
    transfers::{self, Transfer},
};

/// Names that are no free properties.
pub const BASE: [&str; 25] = [
    "id",
    "name",
    "status",
    "visibility",
    "protected",
    "os_hidden",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "owner",
    "size",
    "virtual_size",
    "container_format",
    "disk_format",
    "created_at",
    "updated_at",
    "tags",
    "direct_url",
    "min_ram",
    "min_disk",
    "self",
    "file",
    "schema",
    "locations",
    "stores",
];
/// Those that a client never sets.
pub const READ_ONLY: [&str; 14] = [
    "status",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "size",
    "virtual_size",
    "created_at",
    "updated_at",
    "direct_url",
    "self",
    "file",
    "schema",
    "locations",
    "stores",
];
/// Formats taken.
pub const DISK_FORMATS: [&str; 10] =
    ["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso"];
/// Containers taken.
pub const CONTAINER_FORMATS: [&str; 4] = ["ami", "ari", "aki", "bare"];

/// The image.
pub fn view(image: &Image) -> Value {
    let mut view = json!({
        "id": image.id,
        "name": image.name,
        "status": image.status.word(),
        "visibility": image.visibility.word(),
        "protected": image.protected,
        "os_hidden": image.hidden,
        "checksum": image.checksum,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "owner": image.owner,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "container_format": image.container_format,
        "disk_format": image.disk_format,
        "created_at": image.created_at.z(),
        "updated_at": image.updated_at.z(),
        "tags": image.tags,
        "min_ram": image.min_ram_mib,
        "min_disk": image.min_disk_gib,
        "self": format!("/v2/images/{}", image.id),
        "file": format!("/v2/images/{}/file", image.id),
        "schema": "/v2/schemas/image",
    });
    if image.has_data() {
        view["stores"] = json!(STORE);
    }
    for (name, value) in &image.properties {
        view[name] = json!(value);
    }
    view
}

/// Adds what is known of data on its way, as Glance has it.
pub fn add_transfer(view: &mut Value, transfer: Option<&Transfer>) {
    let Some((transfer, task)) = transfer.and_then(|t| Some((t, t.task?))) else { return };
    if !transfer.failed {
        view["os_glance_import_task"] = json!(task);
    }
    let (importing, failed) = if transfer.failed { ("", STORE) } else { (STORE, "") };
    view["os_glance_importing_to_stores"] = json!(importing);
    view["os_glance_failed_import"] = json!(failed);
}

/// An answer with the image.
pub async fn reply(call: &Call, status: u16, image: &Image) -> Result<Reply> {
    let id = image.id;
    let transfer = call.state.store.read(move |rd| transfers::find(rd, id)).await?;
    let mut view = view(image);
    add_transfer(&mut view, transfer.as_deref());
    Reply::json(status, &view)
}

/// Sets one attribute or property of an image.
///
/// # Errors
/// 400 for a value of the wrong shape, 403 for what a client never sets.
pub fn set(image: &mut Image, name: &str, value: &Value) -> Result<()> {
    let bad = |why: &str| {
        Error::bad_request(format!("Provided object does not match schema 'image': {value} {why} ('{name}')"))
    };
    let text = || match value {
        Value::Null => Ok(None),
        Value::String(s) if s.chars().count() <= 255 => Ok(Some(s.clone())),
        Value::String(_) => Err(bad("is too long")),
        _ => Err(bad("is not of type 'null', 'string'")),
    };
    let number =
        || value.as_u64().filter(|n| *n <= 0x7fff_ffff).ok_or_else(|| bad("is not of type 'integer'"));
    let flag = || value.as_bool().ok_or_else(|| bad("is not of type 'boolean'"));
    let one_of = |all: &[&str]| {
        let word = text()?;
        match &word {
            Some(w) if !all.contains(&w.as_str()) => Err(bad("is not one of the supported formats")),
            _ => Ok(word),
        }
    };
    match name {
        _ if READ_ONLY.contains(&name) => {
            return Err(Error::forbidden(format!("Attribute '{name}' is read-only.")));
        }
        "id" => return Err(Error::forbidden("Attribute 'id' is read-only.")),
        "name" => image.name = text()?,
        "visibility" => {
            let word = value.as_str().and_then(crate::model::Visibility::parse);
            image.visibility =
                word.ok_or_else(|| bad("is not one of ['community', 'public', 'private', 'shared']"))?;
        }
        "protected" => image.protected = flag()?,
        "os_hidden" => image.hidden = flag()?,
        "owner" => image.owner = text()?.map(Into::into),
        "disk_format" => image.disk_format = one_of(&DISK_FORMATS)?,
        "container_format" => image.container_format = one_of(&CONTAINER_FORMATS)?,
        "min_ram" => image.min_ram_mib = number()?,
        "min_disk" => image.min_disk_gib = number()?,
        "tags" => {
            let tags = value.as_array().ok_or_else(|| bad("is not of type 'array'"))?;
            let mut all: Vec<String> = Vec::new();
            for tag in tags {
                let tag =
                    tag.as_str().filter(|t| t.chars().count() <= 255).ok_or_else(|| bad("is not valid"))?;
                if !all.iter().any(|t| t == tag) {
                    all.push(tag.to_owned());
                }
            }
            image.tags = all;
        }
        _ if name.starts_with("os_glance") => {
            return Err(Error::forbidden(format!("Attribute '{name}' is reserved.")));
        }
        _ if name.is_empty() || name.len() > 255 => return Err(bad("is not a valid property name")),
        _ => {
            let text = value.as_str().ok_or_else(|| bad("is not of type 'string'"))?;
            if image.properties.len() >= 128 && !image.properties.contains_key(name) {
                return Err(Error::new(
                    pileus_base::Kind::TooLarge,
                    "The limit has been exceeded on the number of allowed image properties. Attempted: 129, Maximum: 128",
                ));
            }
            image.properties.insert(name.to_owned(), text.to_owned());
        }
    }
    Ok(())
}

/// `/v2/schemas/image`
pub fn schema() -> Value {
    let mut properties = serde_json::Map::new();
    for name in BASE {
        let kind = match name {
            "protected" | "os_hidden" => json!("boolean"),
            "size" | "virtual_size" => json!(["null", "integer"]),
            "min_ram" | "min_disk" => json!("integer"),
            "tags" | "locations" => json!("array"),
            "id" | "status" | "visibility" | "created_at" | "updated_at" => json!("string"),
            _ => json!(["null", "string"]),
        };
        let mut entry = json!({"type": kind});
        if READ_ONLY.contains(&name) {
            entry["readOnly"] = json!(true);
        }
        match name {
            "disk_format" => entry["enum"] = json!(DISK_FORMATS),
            "container_format" => entry["enum"] = json!(CONTAINER_FORMATS),
            "visibility" => entry["enum"] = json!(["community", "public", "private", "shared"]),
            _ => {}
        }
        properties.insert(name.into(), entry);
    }
    json!({
        "name": "image", "properties": properties, "additionalProperties": {"type": "string"},
        "links": [{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"}, {"rel": "describedby", "href": "{schema}"}],
    })
}

/// `/v2/schemas/images`
pub fn list_schema() -> Value {
    json!({
        "name": "images",
        "properties": {
            "images": {"type": "array", "items": schema()},
            "schema": {"type": "string"}, "next": {"type": "string"}, "first": {"type": "string"},
        },
        "links": [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}],
    })
}
