//! `/v2/metadefs`: the metadata definitions catalog. Readers look, administrators change.

mod items;
mod namespaces;
mod schemas;

use std::sync::Arc;

use pileus_base::{Error, Result};
use pileus_http::{Reply, Routes};
use serde_json::{Map, Value};

use super::Call;
use crate::{Images, metadefs::Section, rules as r};

/// Adds the routes.
pub fn routes(routes: Routes<Arc<Images>>) -> Routes<Arc<Images>> {
    use Section::{Objects, Properties, Tags, Types};
    let schemas = [
        "/v2/schemas/metadefs/namespace",
        "/v2/schemas/metadefs/namespaces",
        "/v2/schemas/metadefs/resource_type",
        "/v2/schemas/metadefs/resource_types",
        "/v2/schemas/metadefs/object",
        "/v2/schemas/metadefs/objects",
        "/v2/schemas/metadefs/property",
        "/v2/schemas/metadefs/properties",
        "/v2/schemas/metadefs/tag",
        "/v2/schemas/metadefs/tags",
    ];
    let routes = schemas
        .into_iter()
        .fold(routes, |all, path| all.get(path, r::SCHEMAS, |c: Call| async move { schemas::show(&c) }));
    routes
        .get("/v2/metadefs/resource_types", r::LIST_METADEF_TYPES, items::types)
        .get("/v2/metadefs/namespaces", r::GET_METADEF_NAMESPACES, namespaces::list)
        .post("/v2/metadefs/namespaces", r::ADD_METADEF_NAMESPACE, namespaces::create)
        .get("/v2/metadefs/namespaces/{ns}", r::GET_METADEF_NAMESPACE, namespaces::show)
        .put("/v2/metadefs/namespaces/{ns}", r::MODIFY_METADEF_NAMESPACE, namespaces::update)
        .delete("/v2/metadefs/namespaces/{ns}", r::DELETE_METADEF_NAMESPACE, namespaces::delete)
        .get("/v2/metadefs/namespaces/{ns}/objects", r::GET_METADEF_OBJECTS, |c| items::list(c, Objects))
        .post("/v2/metadefs/namespaces/{ns}/objects", r::ADD_METADEF_OBJECT, |c| items::create(c, Objects))
        .delete("/v2/metadefs/namespaces/{ns}/objects", r::DELETE_METADEF_NAMESPACE, |c| {
            items::clear(c, Objects)
        })
        .get("/v2/metadefs/namespaces/{ns}/objects/{name}", r::GET_METADEF_OBJECT, |c| {
            items::show(c, Objects)
        })
        .put("/v2/metadefs/namespaces/{ns}/objects/{name}", r::MODIFY_METADEF_OBJECT, |c| {
            items::update(c, Objects)
        })
        .delete("/v2/metadefs/namespaces/{ns}/objects/{name}", r::DELETE_METADEF_OBJECT, |c| {
            items::delete(c, Objects)
        })
        .get("/v2/metadefs/namespaces/{ns}/properties", r::GET_METADEF_PROPERTIES, |c| {
            items::list(c, Properties)
        })
        .post("/v2/metadefs/namespaces/{ns}/properties", r::ADD_METADEF_PROPERTY, |c| {
            items::create(c, Properties)
        })
        .delete("/v2/metadefs/namespaces/{ns}/properties", r::DELETE_METADEF_NAMESPACE, |c| {
            items::clear(c, Properties)
        })
        .get("/v2/metadefs/namespaces/{ns}/properties/{name}", r::GET_METADEF_PROPERTY, |c| {
            items::show(c, Properties)
        })
        .put("/v2/metadefs/namespaces/{ns}/properties/{name}", r::MODIFY_METADEF_PROPERTY, |c| {
            items::update(c, Properties)
        })
        .delete("/v2/metadefs/namespaces/{ns}/properties/{name}", r::REMOVE_METADEF_PROPERTY, |c| {
            items::delete(c, Properties)
        })
        .get("/v2/metadefs/namespaces/{ns}/tags", r::GET_METADEF_TAGS, |c| items::list(c, Tags))
        .post("/v2/metadefs/namespaces/{ns}/tags", r::ADD_METADEF_TAGS, items::create_tags)
        .delete("/v2/metadefs/namespaces/{ns}/tags", r::DELETE_METADEF_TAGS, |c| items::clear(c, Tags))
        .get("/v2/metadefs/namespaces/{ns}/tags/{name}", r::GET_METADEF_TAG, |c| items::show(c, Tags))
        .post("/v2/metadefs/namespaces/{ns}/tags/{name}", r::ADD_METADEF_TAG, items::create_tag)
        .put("/v2/metadefs/namespaces/{ns}/tags/{name}", r::MODIFY_METADEF_TAG, |c| items::update(c, Tags))
        .delete("/v2/metadefs/namespaces/{ns}/tags/{name}", r::DELETE_METADEF_TAG, |c| items::delete(c, Tags))
        .get("/v2/metadefs/namespaces/{ns}/resource_types", r::GET_METADEF_TYPE, |c| items::list(c, Types))
        .post("/v2/metadefs/namespaces/{ns}/resource_types", r::ADD_METADEF_TYPE, |c| items::create(c, Types))
        .delete("/v2/metadefs/namespaces/{ns}/resource_types/{name}", r::REMOVE_METADEF_TYPE, |c| {
            items::delete(c, Types)
        })
}

/// The body's fields.
async fn fields(call: &mut Call) -> Result<Map<String, Value>> {
    match call.value().await? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::bad_request("Body expected in request.")),
    }
}

/// A name of 1 to 80 characters.
fn name(fields: &Map<String, Value>, key: &str) -> Result<String> {
    let text = fields.get(key).ok_or_else(|| {
        Error::bad_request(format!("Provided object does not match schema: '{key}' is a required property"))
    })?;
    let text = text.as_str().filter(|t| (1..=80).contains(&t.chars().count()));
    text.map(str::to_owned).ok_or_else(|| {
        Error::bad_request(format!(
            "Provided object does not match schema: '{key}' is no text of 1 to 80 characters"
        ))
    })
}

fn created(view: &Value, at: &str) -> Result<Reply> {
    Ok(Reply::json(201, view)?.location(at))
}
