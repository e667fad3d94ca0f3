//! Stacks, resources and events as Heat shows them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pileus_base::{Time, ids::ProjectId};
use pileus_http::Base;
use serde_json::{Map, json};

use crate::{
    engine::context::Shown,
    model::Json,
    store::{configs::Config, events::Event, resources::Item, stacks::Stack},
};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A path segment.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The address below which a project's stacks are.
pub fn root(base: &Base, project: &ProjectId) -> String {
    base.url(&format!("/v1/{project}"))
}

/// The address of a stack.
pub fn stack_url(base: &Base, stack: &Stack) -> String {
    format!("{}/stacks/{}/{}", root(base, &stack.project_id), segment(&stack.name), stack.id)
}

fn link(rel: &str, href: String) -> Json {
    json!({"href": href, "rel": rel})
}

fn time(at: Option<Time>) -> Json {
    at.map_or(Json::Null, |t| t.z().into())
}

fn description(stack: &Stack) -> String {
    let found = stack.source.template.get("description").and_then(Json::as_str);
    found.map_or_else(|| "No description".into(), str::to_owned)
}

/// Who a stack is, and where.
pub fn stack_ref(base: &Base, stack: &Stack) -> Json {
    json!({"id": stack.id, "links": [link("self", stack_url(base, stack))]})
}

/// A stack in a list.
pub fn stack_brief(base: &Base, stack: &Stack) -> Map<String, Json> {
    let shown = json!({
        "id": stack.id,
        "links": [link("self", stack_url(base, stack))],
        "stack_name": stack.name,
        "description": description(stack),
        "stack_status": stack.state(),
        "stack_status_reason": stack.reason,
        "creation_time": stack.created_at.z(),
        "updated_time": time(stack.updated_at),
        "deletion_time": time(stack.deleted_at),
        "stack_owner": stack.owner.name(),
        "parent": stack.parent.as_ref().map(|p| p.stack),
        "stack_user_project_id": stack.user_project_id,
        "tags": tags(stack),
    });
    crate::types::heat::object(&shown)
}

fn tags(stack: &Stack) -> Json {
    if stack.tags.is_empty() { Json::Null } else { json!(stack.tags) }
}

/// A stack whole; `outputs` where they are wanted.
pub fn stack_full(
    base: &Base,
    stack: &Stack,
    parameters: Map<String, Json>,
    outputs: Option<Vec<Shown>>,
) -> Json {
    let mut out = stack_brief(base, stack);
    out.insert("template_description".into(), description(stack).into());
    out.insert("notification_topics".into(), json!([]));
    out.insert("capabilities".into(), json!([]));
    out.insert("disable_rollback".into(), stack.disable_rollback.into());
    out.insert("timeout_mins".into(), json!(stack.timeout_mins));
    out.insert("parameters".into(), Json::Object(parameters));
    if let Some(outputs) = outputs {
        out.insert("outputs".into(), outputs.iter().map(output).collect());
    }
    Json::Object(out)
}

/// An output.
pub fn output(shown: &Shown) -> Json {
    let mut out = json!({
        "output_key": shown.key,
        "description": shown.description,
        "output_value": shown.value,
    });
    if let Some(error) = &shown.error {
        out["output_error"] = error.as_str().into();
    }
    out
}

/// The address of a resource.
pub fn item_url(base: &Base, stack: &Stack, name: &str) -> String {
    format!("{}/resources/{}", stack_url(base, stack), segment(name))
}

/// What a resource's view needs besides itself.
pub struct Around<'a> {
    /// Its stack.
    pub stack: &'a Stack,
    /// All resources of the stack.
    pub items: &'a [Item],
    /// The stack that it is, where it is one.
    pub nested: Option<&'a Stack>,
}

/// A resource.
pub fn item(base: &Base, item: &Item, around: &Around<'_>) -> Map<String, Json> {
    let stack = around.stack;
    let mut links =
        vec![link("self", item_url(base, stack, &item.name)), link("stack", stack_url(base, stack))];
    if let Some(nested) = around.nested {
        links.push(link("nested", stack_url(base, nested)));
    }
    let users = around.items.iter().filter(|i| i.requires.contains(&item.name));
    let required_by: Vec<&str> = users.map(|i| i.name.as_str()).collect();
    let mut out = crate::types::heat::object(&json!({
        "resource_name": item.name,
        "links": links,
        "logical_resource_id": item.name,
        "creation_time": item.created_at.z(),
        "updated_time": item.updated_at.z(),
        "required_by": required_by,
        "resource_status": item.state(),
        "resource_status_reason": item.reason,
        "physical_resource_id": item.physical_id.as_deref().unwrap_or(""),
        "resource_type": item.kind,
    }));
    if let Some(parent) = &stack.parent {
        out.insert("parent_resource".into(), parent.name.as_str().into());
    }
    out
}

/// An event; whole where it is shown alone.
pub fn event(base: &Base, event: &Event, stack: &Stack, root: Option<&Stack>, whole: bool) -> Json {
    let of_stack = event.physical_id.as_deref() == Some(&stack.id.to_string());
    let own = item_url(base, stack, &event.resource);
    let mut links = vec![
        link("self", format!("{own}/events/{}", event.id)),
        link("resource", own),
        link("stack", stack_url(base, stack)),
    ];
    if let Some(root) = root {
        links.push(link("root_stack", stack_url(base, root)));
    }
    let mut out = json!({
        "id": event.id,
        "resource_name": event.resource,
        "links": links,
        "logical_resource_id": event.resource,
        "resource_status": event.status,
        "resource_status_reason": event.reason,
        "physical_resource_id": event.physical_id.as_deref().unwrap_or(""),
        "event_time": event.at.z(),
    });
    if whole {
        out["resource_type"] = event.kind.as_str().into();
        out["resource_properties"] =
            if of_stack { json!({}) } else { Json::Object(event.properties.clone()) };
    }
    out
}

/// A software config; without its text in a list.
pub fn config(config: &Config, whole: bool) -> Json {
    let mut out = json!({
        "id": config.id,
        "name": config.name,
        "group": config.group,
        "creation_time": config.created_at.z(),
    });
    if whole {
        out["config"] = config.config.clone();
        out["inputs"] = config.inputs.clone();
        out["outputs"] = config.outputs.clone();
        out["options"] = config.options.clone();
    }
    out
}
