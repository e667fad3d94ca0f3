//! Events of a stack, of one of its resources, of its nested stacks too.

use pileus_base::{Error, Result, Scope};
use pileus_http::{Reply, Sort};
use serde_json::json;

use super::Req;
use crate::{
    engine::begin,
    model::Json,
    store::{events, resources, stacks::Stack},
    wire::views,
};

/// `GET …/events` and `GET …/resources/{resource}/events`
pub async fn index(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let of = Some(call.param("resource")).filter(|r| !r.is_empty()).map(str::to_owned);
    let depth = match call.query.get("nested_depth") {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| {
            Error::bad_request(format!("Only integer is allowed by nested_depth, got '{text}'"))
        })?,
    };
    let (base, query) = (call.base.clone(), call.query.clone());
    let shown = call.state.store.read(move |rd| {
        if let Some(name) = &of {
            resources::find(rd, found.id, &found.name, name)?;
        }
        let mut around = vec![found.value.clone()];
        around.extend(begin::below(rd, &found, depth.min(5))?);
        let root = match depth {
            0 => None,
            _ => {
                let id = begin::root(rd, &found)?;
                rd.find::<Stack>(&Scope::All, id)?
            }
        };
        let mut out = Vec::new();
        for stack in &around {
            for event in events::all(rd, stack.id)? {
                if of.as_ref().is_some_and(|n| *n != event.resource) {
                    continue;
                }
                let wanted = |key: &str, value: &str| {
                    let mut given = query.all(key).peekable();
                    given.peek().is_none() || given.any(|v| v == value)
                };
                let (action, status) = event.status.split_once('_').unwrap_or((&event.status, ""));
                let fits = wanted("resource_status", &event.status)
                    && wanted("resource_action", action)
                    && wanted("status", status)
                    && wanted("resource_name", &event.resource)
                    && wanted("resource_type", &event.kind);
                if fits {
                    let mut view = views::event(&base, &event, stack, root.as_deref(), false);
                    view["_at"] = event.at.0.into();
                    out.push(view);
                }
            }
        }
        Ok(out)
    });
    let descending = call.query.get("sort_dir").is_some_and(|d| d == "desc");
    let sort = vec![Sort { key: "_at".into(), descending }];
    let (mut page, _) = super::page(&call.query, sort)?.apply(shown.await?)?;
    for view in &mut page {
        if let Json::Object(view) = view {
            view.shift_remove("_at");
        }
    }
    Reply::ok(&json!({"events": page}))
}

/// `GET …/resources/{resource}/events/{event}`
pub async fn show(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let (base, name, id) =
        (call.base.clone(), call.param("resource").to_owned(), call.param("event").to_owned());
    let shown = call.state.store.read(move |rd| {
        let mut all = events::all(rd, found.id)?.into_iter();
        let event = all.find(|e| e.id.to_string() == id && e.resource == name);
        let missing =
            || Error::not_found(format!("The Event ({id}) could not be found.")).code("EntityNotFound");
        Ok(views::event(&base, &event.ok_or_else(missing)?.value, &found, None, true))
    });
    Reply::ok(&json!({"event": shown.await?}))
}
