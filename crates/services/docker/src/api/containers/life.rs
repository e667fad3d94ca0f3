//! Create, start, stop, wait, remove.

use bytes::Bytes;
use pileus_base::{Error, Result};
use pileus_http::{Body, Reply};
use serde_json::json;

use crate::{
    api::{Call, Flags, body, dialect, mv},
    model::shape,
    store::Status,
};

pub async fn create(mut call: Call) -> Result<Reply> {
    let body = body::needed(&mut call, shape::CREATE).await?;
    let networks = body["NetworkingConfig"]["EndpointsConfig"].as_object();
    if let Some(several) =
        networks.filter(|n| n.len() > 1 && dialect::minor(&call.uri) < mv::NETWORKS_AT_CREATE)
    {
        let names = several.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(Error::bad_request(format!(
            "Container cannot be connected to network endpoints: {names}"
        )));
    }
    let made = call.state.create_container(&call.text("name"), &body).await?;
    let warnings = crate::model::spec::warnings(&made.host_config);
    Reply::json(201, &json!({"Id": made.id, "Warnings": warnings}))
}

fn done(changed: bool) -> Result<Reply> {
    Ok(Reply::empty(if changed { 204 } else { 304 }))
}

pub async fn start(call: Call) -> Result<Reply> {
    done(call.state.start_container(call.param("id")).await?)
}

fn bad_number(text: &str) -> Error {
    Error::bad_request(format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))
}

fn seconds(call: &Call) -> Result<Option<i64>> {
    match call.query.get("t") {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| bad_number(text)),
    }
}

pub async fn stop(call: Call) -> Result<Reply> {
    done(call.state.stop_container(call.param("id"), seconds(&call)?, &call.text("signal")).await?)
}

pub async fn restart(call: Call) -> Result<Reply> {
    call.state.restart_container(call.param("id"), seconds(&call)?, &call.text("signal")).await?;
    Ok(Reply::no_content())
}

pub async fn kill(call: Call) -> Result<Reply> {
    call.state.kill_container(call.param("id"), &call.text("signal")).await?;
    Ok(Reply::no_content())
}

pub async fn pause(call: Call) -> Result<Reply> {
    call.state.pause_container(call.param("id"), true).await?;
    Ok(Reply::no_content())
}

pub async fn unpause(call: Call) -> Result<Reply> {
    call.state.pause_container(call.param("id"), false).await?;
    Ok(Reply::no_content())
}

pub async fn rename(call: Call) -> Result<Reply> {
    call.state.rename_container(call.param("id"), &call.text("name")).await?;
    Ok(Reply::no_content())
}

pub async fn update(mut call: Call) -> Result<Reply> {
    let body = body::needed(&mut call, shape::UPDATE).await?;
    call.state.update_container(call.param("id"), &body).await?;
    Reply::ok(&json!({"Warnings": null}))
}

pub async fn remove(call: Call) -> Result<Reply> {
    if call.flag("link") {
        return Err(Error::not_implemented("legacy links are not supported"));
    }
    call.state.remove_container(call.param("id"), call.flag("force"), call.flag("v")).await?;
    Ok(Reply::no_content())
}

pub async fn resize(call: Call) -> Result<Reply> {
    let (rows, columns) = size(&call)?;
    let c = call.state.running(call.param("id"), |id| format!("container {id} is not running")).await?;
    call.state.host.resize_container(&c.id, None, rows, columns).await?;
    let size = [("height", rows.to_string()), ("width", columns.to_string())];
    call.state.container_event(&c, "resize", &size);
    Ok(Reply::empty(200))
}

/// `h` and `w`.
pub(in crate::api) fn size(call: &Call) -> Result<(u16, u16)> {
    let of = |name: &str| -> Result<u16> {
        let text = call.text(name);
        text.parse().map_err(|_| bad_number(&text))
    };
    Ok((of("h")?, of("w")?))
}

/// What a wait ends with; there once was an error beside it, which was null.
fn ended(code: i32, old: bool) -> serde_json::Value {
    if old { json!({"Error": null, "StatusCode": code}) } else { json!({"StatusCode": code}) }
}

/// The headers go out at once, the body at the end.
pub async fn wait(call: Call) -> Result<Reply> {
    let condition = call.text("condition");
    let id = call.state.container(call.param("id")).await?.value.id;
    let mut phases = call.state.phases(&id);
    let before = phases.borrow_and_update().ends;
    let c = call.state.container(&id).await?.value;
    let old = dialect::minor(&call.uri) <= dialect::OLD;
    let busy = c.runs() || matches!(c.state.status, Status::Starting | Status::Restarting);
    let known = c.state.exit_code;
    let removed = match condition.as_str() {
        "next-exit" => false,
        "removed" => true,
        "" | "not-running" if busy => false,
        "" | "not-running" => return Reply::ok(&ended(known, old)),
        // Once a word that wasn't known was the usual one.
        _ if old && busy => false,
        _ if old => return Reply::ok(&ended(known, old)),
        other => return Err(Error::bad_request(format!("invalid condition: \"{other}\""))),
    };
    let body = futures_util::stream::once(async move {
        let code = match phases.wait_for(|p| p.removed || (!removed && p.ends > before)).await {
            Ok(p) if p.ends > before => p.code,
            _ => known,
        };
        Ok(Bytes::from(format!("{}\n", ended(code, old))))
    });
    Ok(Reply::stream(200, "application/json", Body::stream(body, None)))
}
