//! Tasks: the imports of the cloud for administrators, those of an image for who sees it.

use std::collections::BTreeMap;

use pileus_base::{Error, Kind, Result, Scope, Time};
use pileus_http::{Listing, Reply};
use pileus_store::Query;
use serde_json::{Value, json};

use super::{Call, images as shown};
use crate::{
    images,
    import::{self, NewImport, Task, TaskId, TaskStatus},
};

const PAGE_MAX: usize = 1000;
const PAGE: usize = 25;

fn stub(task: &Task) -> Value {
    let mut view = json!({
        "id": task.id,
        "type": task.kind,
        "status": task.status.word(),
        "owner": task.owner,
        "created_at": task.created_at.z(),
        "updated_at": task.updated_at.z(),
        "self": format!("/v2/tasks/{}", task.id),
        "schema": "/v2/schemas/task",
    });
    if let Some(at) = task.expires_at {
        view["expires_at"] = json!(at.z());
    }
    view
}

fn view(task: &Task) -> Value {
    let mut view = stub(task);
    let result = (task.status == TaskStatus::Success).then(|| json!({"image_id": task.image}));
    view["input"] = task.input.clone();
    view["message"] = json!(task.message);
    view["result"] = json!(result);
    view["image_id"] = json!(task.image);
    view["request_id"] = json!(task.request_id);
    view["user_id"] = json!(task.user_id);
    view
}

/// `GET /v2/images/{id}/tasks`
pub async fn of_image(call: Call) -> Result<Reply> {
    let id = shown::named(&call).await?.id;
    let read = call.state.store.read(move |rd| rd.list::<Task>(&Scope::All, &Query::by("image", id)));
    let mut tasks = read.await?;
    tasks.sort_by_key(|t| (t.created_at, t.id));
    let views: Vec<Value> = tasks.iter().map(|t| view(t)).collect();
    Reply::ok(&json!({"tasks": views}))
}

/// `GET /v2/tasks`
pub async fn list(call: Call) -> Result<Reply> {
    let q = &call.query;
    let listing = Listing::parse(
        q,
        &["id", "type", "status", "created_at", "updated_at", "expires_at"],
        ("created_at", true),
        PAGE_MAX,
    )?;
    let limit = if q.has("limit") { listing.limit.unwrap_or(PAGE) } else { PAGE };
    let listing = Listing { limit: Some(limit), ..listing };
    let (status, kind) = (q.get("status"), q.get("type"));
    if status.is_some_and(|s| !matches!(s, "pending" | "processing" | "success" | "failure")) {
        return Err(Error::bad_request(format!("Invalid status value: {}", status.unwrap_or_default())));
    }
    if kind.is_some_and(|k| k != "import" && k != "api_image_import") {
        return Err(Error::bad_request(format!("Invalid type value: {}", kind.unwrap_or_default())));
    }
    let owner = q.get("owner");
    let all = call.state.store.read(|rd| rd.list::<Task>(&Scope::All, &Query::all())).await?;
    let kept = all.iter().filter(|t| {
        status.is_none_or(|s| s == t.status.word())
            && kind.is_none_or(|k| k == t.kind)
            && owner.is_none_or(|o| t.owner.as_ref().is_some_and(|p| p.as_str() == o))
    });
    // Sorted by the full time, shown by the second.
    let keyed = kept.map(|t| {
        let mut v = stub(t);
        v["created_at"] = json!(t.created_at.0);
        v["updated_at"] = json!(t.updated_at.0);
        v
    });
    let (mut page, more) = listing.apply(keyed.collect())?;
    for v in &mut page {
        for key in ["created_at", "updated_at"] {
            v[key] = json!(Time(v[key].as_i64().unwrap_or(0)).z());
        }
    }
    let last = page.last().and_then(|t| t["id"].as_str()).map(str::to_owned);
    let first = match call.uri.query().map(shown::strip_marker) {
        Some(query) if !query.is_empty() => format!("/v2/tasks?{query}"),
        _ => "/v2/tasks".to_owned(),
    };
    let mut body = json!({"tasks": page, "first": first, "schema": "/v2/schemas/tasks"});
    if let (true, Some(last)) = (more, last) {
        body["next"] = json!(format!("/v2/tasks?{}", q.with("marker", &last)));
    }
    Reply::ok(&body)
}

async fn named(call: &Call) -> Result<Task> {
    let id: TaskId = call.id("id", |t| Error::not_found(format!("No task found with ID {t}")))?;
    Ok(call.state.store.read(move |rd| rd.get::<Task>(&Scope::All, id)).await?.value)
}

/// `GET /v2/tasks/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    Reply::ok(&view(&named(&call).await?))
}

/// `DELETE /v2/tasks/{id}`: they go by themselves.
pub async fn delete(call: Call) -> Result<Reply> {
    named(&call).await?;
    Err(Error::new(
        Kind::MethodNotAllowed,
        "This operation is currently not permitted on Glance Tasks. They are auto deleted after reaching the time based on their expires_at property.",
    ))
}

/// `POST /v2/tasks`: an image made and filled in one request, the way before interoperable import.
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (kind, input) = (&body["type"], &body["input"]);
    for required in ["type", "input"] {
        if body.get(required).is_none() {
            return Err(Error::bad_request(format!("Task '{required}' is required")));
        }
    }
    if kind != "import" {
        return Err(Error::bad_request(format!("{kind} is not one of ['import']")));
    }
    let text = |key: &str| {
        let found = input.get(key).and_then(Value::as_str);
        found.ok_or_else(|| Error::bad_request(format!("Input does not contain '{key}' field")))
    };
    text("import_from_format")?;
    let uri = text("import_from")?.to_owned();
    call.state.web.check(&uri)?;
    let properties = input.get("image_properties").and_then(Value::as_object);
    let properties =
        properties.ok_or_else(|| Error::bad_request("Input does not contain 'image_properties' field"))?;
    let (ctx, input, properties) = (call.ctx.clone(), input.clone(), properties.clone());
    let write = call.state.store.write(move |tx| {
        let image = images::create(tx, &ctx, &properties)?.id;
        let new = NewImport { image, request: input.clone(), uri: Some(uri.clone()), kind: "import" };
        let id = import::begin(tx, &ctx, &new)?;
        Ok(tx.get::<Task>(&Scope::All, id)?.value)
    });
    let task = write.await?;
    Ok(Reply::json(201, &view(&task))?.location(format!("/v2/tasks/{}", task.id)))
}

fn properties(full: bool) -> Value {
    let mut all: BTreeMap<&str, Value> = [
        ("id", json!({"type": "string"})),
        ("type", json!({"type": "string", "enum": ["import", "api_image_import"]})),
        ("status", json!({"type": "string", "enum": ["pending", "processing", "success", "failure"]})),
        ("owner", json!({"type": "string"})),
        ("expires_at", json!({"type": ["null", "string"]})),
        ("created_at", json!({"type": "string"})),
        ("updated_at", json!({"type": "string"})),
        ("self", json!({"type": "string", "readOnly": true})),
        ("schema", json!({"type": "string", "readOnly": true})),
    ]
    .into();
    if full {
        for name in ["input", "result"] {
            all.insert(name, json!({"type": ["null", "object"]}));
        }
        for name in ["message", "image_id", "request_id", "user_id"] {
            all.insert(name, json!({"type": "string"}));
        }
    }
    json!(all)
}

/// `/v2/schemas/task`
pub fn schema() -> Value {
    json!({"name": "task", "properties": properties(true)})
}

/// `/v2/schemas/tasks`
pub fn list_schema() -> Value {
    let item = json!({"name": "task", "properties": properties(false)});
    json!({
        "name": "tasks",
        "properties": {
            "tasks": {"type": "array", "items": item},
            "schema": {"type": "string"}, "next": {"type": "string"}, "first": {"type": "string"},
        },
        "links": [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}],
    })
}
