//! Resources of a stack: listed, shown, signalled, marked unhealthy.

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::Read;
use serde_json::{Map, json};

use super::Req;
use crate::{
    engine::{begin, context},
    model::Json,
    store::{
        events,
        resources::{self, Item},
        stacks::{self, Action, Stack, Status},
    },
    types::At,
    wire::views,
};

/// How deep a list goes at most.
const MAX_DEPTH: usize = 6;

/// The resources of one stack, as lists show them.
fn listed(
    rd: &mut Read<'_>,
    base: &pileus_http::Base,
    stack: &Stack,
    detail: bool,
) -> Result<Vec<Map<String, Json>>> {
    let items: Vec<Item> = resources::current(rd, stack.id)?.into_iter().map(|i| i.value).collect();
    let mut out = Vec::new();
    for item in &items {
        let nested = stacks::nested(rd, item.id)?;
        let around = views::Around { stack, items: &items, nested: nested.as_deref() };
        let mut shown = views::item(base, item, &around);
        if detail {
            shown.insert("description".into(), description(item));
        }
        out.push(shown);
    }
    Ok(out)
}

fn description(item: &Item) -> Json {
    item.definition.get("description").cloned().unwrap_or_else(|| "".into())
}

/// `GET …/resources`
pub async fn index(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let depth = match call.query.get("nested_depth") {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| {
            Error::bad_request(format!("Only integer is allowed by nested_depth, got '{text}'"))
        })?,
    };
    let (base, detail) = (call.base.clone(), call.query.flag("with_detail") == Some(true));
    let query = call.query.clone();
    let shown = call.state.store.read(move |rd| {
        let mut out = listed(rd, &base, &found, detail)?;
        for stack in begin::below(rd, &found, depth.min(MAX_DEPTH))? {
            out.extend(listed(rd, &base, &stack, detail)?);
        }
        let wanted = |i: &Map<String, Json>| {
            let is = |key: &str, field: &str| {
                let mut given = query.all(key).peekable();
                given.peek().is_none() || given.any(|v| i[field].as_str() == Some(v))
            };
            let state = i["resource_status"].as_str().unwrap_or_default();
            let (action, status) = state.split_once('_').unwrap_or((state, ""));
            let part = |key: &str, value: &str| {
                let mut given = query.all(key).peekable();
                given.peek().is_none() || given.any(|v| v == value)
            };
            is("name", "resource_name")
                && is("type", "resource_type")
                && is("physical_resource_id", "physical_resource_id")
                && part("status", status)
                && part("action", action)
        };
        out.retain(wanted);
        Ok(out)
    });
    Reply::ok(&json!({"resources": shown.await?}))
}

/// `GET …/resources/{resource}`
pub async fn show(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let (stacks, base, name) = (call.state.clone(), call.base.clone(), call.param("resource").to_owned());
    let with: Vec<String> = call.query.all("with_attr").map(str::to_owned).collect();
    let shown = call.state.store.read(move |rd| {
        let item = resources::find(rd, found.id, &found.name, &name)?;
        let items: Vec<Item> = resources::current(rd, found.id)?.into_iter().map(|i| i.value).collect();
        let nested = stacks::nested(rd, item.id)?;
        let around = views::Around { stack: &found, items: &items, nested: nested.as_deref() };
        let mut out = views::item(&base, &item, &around);
        let with: Vec<&str> = with.iter().map(String::as_str).collect();
        let attributes = context::attributes(&stacks, rd, &found, &item, &with)?;
        out.insert("attributes".into(), Json::Object(attributes));
        out.insert("description".into(), description(&item));
        Ok(out)
    });
    Reply::ok(&json!({"resource": shown.await?}))
}

/// `GET …/resources/{resource}/metadata`
pub async fn metadata(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let name = call.param("resource").to_owned();
    let item = call.state.store.read(move |rd| resources::find(rd, found.id, &found.name, &name)).await?;
    Reply::ok(&json!({"metadata": item.metadata}))
}

/// `POST …/resources/{resource}/signal`
pub async fn signal(mut call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let body = call.bytes().await?;
    let details = match body.is_empty() {
        true => json!({}),
        false => serde_json::from_slice(&body)
            .map_err(|e| Error::bad_request(format!("Malformed request body: {e}")))?,
    };
    let (stacks, name) = (call.state.clone(), call.param("resource").to_owned());
    let done = call.state.store.write(move |tx| {
        let stack = tx.get::<Stack>(&Scope::All, found.id)?;
        let mut item = resources::find(tx, stack.id, &stack.name, &name)?;
        let kind = stacks.registry.kind(&item.engine);
        let kind = kind.ok_or_else(|| resources::not_found(&name, &stack.name))?;
        if item.action == Action::Delete {
            let message = format!("Signal resource during {}", item.action.word());
            return Err(Error::bad_request(message).code("NotSupported"));
        }
        let ctx = stack.owner.ctx();
        let reason = kind.signal(
            &mut At { tx, stacks: &stacks, ctx: &ctx, stack: &stack, item: &mut item.value },
            &details,
        )?;
        tx.put(&item)?;
        events::of_item_as(tx, &item, "SIGNAL_COMPLETE", &format!("Signal: {reason}"))
    });
    done.await?;
    Ok(Reply::empty(200))
}

/// `PATCH …/resources/{resource}`: marked unhealthy, it is replaced by the next update.
pub async fn mark(mut call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let body = call.value().await?;
    let name = call.param("resource").to_owned();
    let Some(unhealthy) = body.get("mark_unhealthy") else {
        return Err(Error::bad_request("Missing mandatory (mark_unhealthy) key from mark unhealthy request"));
    };
    let unhealthy = unhealthy.as_bool().ok_or_else(|| {
        Error::bad_request(format!(
            "Unrecognized value \"{unhealthy}\" for \"mark_unhealthy\", acceptable values are: true, false"
        ))
    })?;
    let reason = body.get("resource_status_reason").and_then(Json::as_str).unwrap_or_default().to_owned();
    let done = call.state.store.write(move |tx| {
        let stack = tx.get::<Stack>(&Scope::All, found.id)?;
        begin::idle(&stack)?;
        let items = resources::current(tx, stack.id)?;
        // A resource is named, or its thing's id given.
        let item = items.into_iter().find(|i| i.name == name || i.physical_id.as_deref() == Some(&name));
        let mut item = item.ok_or_else(|| resources::not_found(&name, &stack.name))?;
        let marked = item.action == Action::Check && item.status == Status::Failed;
        if unhealthy == marked {
            return Ok(());
        }
        match unhealthy {
            true if reason.is_empty() => {
                item.set(Action::Check, Status::Failed, "state changed by resource_mark_unhealthy api")
            }
            true => item.set(Action::Check, Status::Failed, reason.clone()),
            false => item.set(Action::Check, Status::Complete, reason.clone()),
        }
        tx.put(&item)?;
        events::of_item(tx, &item)
    });
    done.await?;
    Ok(Reply::empty(200))
}
