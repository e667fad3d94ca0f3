//! `POST /v2/images/{id}/import`, and what there is to import by and to.

use pileus_base::{Error, Result};
use pileus_http::{HeaderName, Reply};
use serde_json::{Value, json};

use super::{Call, images};
use crate::import::{self, METHODS, NewImport, STORE};

/// `GET /v2/info/import`
pub fn methods() -> Value {
    json!({"import-methods": {"description": "Import methods available.", "type": "array", "value": METHODS}})
}

/// `GET /v2/info/stores`
pub fn stores() -> Value {
    json!({"stores": [{"id": STORE, "default": "true"}]})
}

/// `POST /v2/images/{id}/import`
pub async fn import(mut call: Call) -> Result<Reply> {
    let request = call.value().await?;
    let uri = parse(&call, &request)?;
    let image = images::owned(&call).await?.id;
    let new = NewImport { image, request, uri, kind: "api_image_import" };
    let ctx = call.ctx.clone();
    call.state.store.write(move |tx| import::begin(tx, &ctx, &new)).await?;
    Ok(Reply::empty(202).header(HeaderName::from_static("openstack-image-import-methods"), METHODS.join(",")))
}

/// The address, where the method is web-download. Glance's checks, in its order and words.
fn parse(call: &Call, request: &Value) -> Result<Option<String>> {
    let bad = |why: String| Err(Error::bad_request(why));
    let Some(method) = request.get("method").and_then(Value::as_object) else {
        return bad("Input does not contain 'method' field".into());
    };
    let Some(name) = method.get("name").and_then(Value::as_str) else {
        return bad("Import request requires a 'name' field.".into());
    };
    if !METHODS.contains(&name) {
        let known = METHODS.map(|m| format!("'{m}'")).join(", ");
        return bad(format!("Unknown import method name '{name}'. Available: [{known}]"));
    }
    let all = match request.get("all_stores") {
        None => false,
        Some(Value::Bool(all)) => *all,
        Some(_) => return bad("'all_stores' must be boolean value only".into()),
    };
    if !matches!(request.get("all_stores_must_succeed"), None | Some(Value::Bool(_))) {
        return bad("'all_stores_must_succeed' must be boolean value only".into());
    }
    if let Some(stores) = request.get("stores") {
        let Some(stores) = stores.as_array() else { return bad("'stores' must be a list".into()) };
        if all {
            return bad("All_stores parameter can't be used with 'stores' parameter".into());
        }
        if let Some(other) = stores.iter().find(|s| *s != STORE) {
            return Err(Error::conflict(format!("Store for identifier {other} not found.")));
        }
    }
    if name != "web-download" {
        return Ok(None);
    }
    let Some(uri) = method.get("uri").and_then(Value::as_str) else {
        return bad("'uri' is required when 'web-download' method is specified".into());
    };
    call.state.web.check(uri)?;
    Ok(Some(uri.to_owned()))
}
