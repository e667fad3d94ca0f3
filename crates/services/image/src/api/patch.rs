//! `PATCH`: a JSON patch of one level (`application/openstack-images-v2.1-json-patch`).

use pileus_base::{Error, Kind, Result};
use pileus_http::Reply;
use serde_json::Value;

use super::{Call, images, view};
use crate::model::Image;

/// `PATCH /v2/images/{id}`
pub async fn patch(mut call: Call) -> Result<Reply> {
    let media = call.header("content-type").unwrap_or("").split(';').next().unwrap_or("").trim().to_owned();
    if !matches!(
        media.as_str(),
        "application/openstack-images-v2.1-json-patch" | "application/openstack-images-v2.0-json-patch"
    ) {
        return Err(Error::new(
            Kind::UnsupportedMedia,
            "The media type is not supported: use application/openstack-images-v2.1-json-patch",
        ));
    }
    let body = call.value().await?;
    let list = body
        .as_array()
        .ok_or_else(|| Error::bad_request("Request body must be a JSON array of operation objects."))?;
    let changes =
        list.iter().map(|item| operation(item, media.contains("v2.0"))).collect::<Result<Vec<_>>>()?;
    let before = images::owned(&call).await?;
    let admin = call.ctx.is_admin();
    let was_public = before.visibility == crate::model::Visibility::Public;
    let own = call.ctx.caller.project.as_ref().map(|p| p.id.clone());
    let image = images::change(&call, move |image| {
        for (op, name, value) in &changes {
            apply(image, op, name, value)?;
        }
        let public = image.visibility == crate::model::Visibility::Public;
        if public && !was_public && !admin {
            return Err(Error::forbidden("You are not authorized to complete publicize_image action."));
        }
        if image.owner != own && !admin {
            return Err(Error::forbidden("You are not permitted to modify 'owner' on this image."));
        }
        Ok(())
    });
    view::reply(&call, 200, &*image.await?).await
}

fn operation(item: &Value, old: bool) -> Result<(String, String, Value)> {
    let bad = |why: String| Error::bad_request(why);
    let fields = item.as_object().ok_or_else(|| bad("Operations must be JSON objects.".into()))?;
    let (op, path) = if old {
        let found = ["add", "remove", "replace"]
            .into_iter()
            .find_map(|o| Some((o.to_owned(), fields.get(o)?.as_str()?)));
        found.ok_or_else(|| bad("Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\".".into()))?
    } else {
        let op = fields.get("op").and_then(Value::as_str);
        let op = op.ok_or_else(|| bad("Unable to find 'op' in JSON Schema change".into()))?;
        let path = fields.get("path").and_then(Value::as_str);
        (op.to_owned(), path.ok_or_else(|| bad("Unable to find 'path' in JSON Schema change".into()))?)
    };
    if !matches!(op.as_str(), "add" | "remove" | "replace") {
        return Err(bad(format!(
            "Invalid operation: `{op}`. It must be one of the following: ['add', 'remove', 'replace']."
        )));
    }
    let name =
        path.strip_prefix('/').ok_or_else(|| bad(format!("Pointer `{path}` does not start with \"/\".")))?;
    let name = name.replace("~1", "/").replace("~0", "~");
    if name.is_empty() || (name.contains('/') && !name.starts_with("locations")) {
        return Err(bad(format!("Invalid JSON pointer for this resource: '{path}'")));
    }
    let value = fields.get("value").cloned();
    if value.is_none() && op != "remove" {
        return Err(bad(format!("Operation \"{op}\" requires a member named \"value\".")));
    }
    Ok((op, name, value.unwrap_or(Value::Null)))
}

fn apply(image: &mut Image, op: &str, name: &str, value: &Value) -> Result<()> {
    let base = view::BASE.contains(&name);
    let there = base || image.properties.contains_key(name);
    match op {
        "remove" if base => Err(Error::forbidden(format!("Property {name} may not be removed."))),
        "remove" => match image.properties.remove(name) {
            Some(_) => Ok(()),
            None => Err(Error::conflict(format!("Property {name} does not exist."))),
        },
        "replace" if !there => Err(Error::conflict(format!("Property {name} does not exist."))),
        _ => view::set(image, name, value),
    }
}
