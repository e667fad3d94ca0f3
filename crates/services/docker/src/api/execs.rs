//! Routes of execs.

use std::sync::Arc;

use base64::Engine as _;
use pileus_base::{Error, Result};
use pileus_http::{Reply, Routes};
use serde_json::{Value, json};

use super::{
    Call, SOCKET, body,
    containers::{hijack, life_size},
};
use crate::{
    Docker,
    engine::streams::{Way, close},
    model::detach,
    model::{json, shape},
};

/// Adds the routes of execs.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table
        .post("/containers/{id}/exec", SOCKET, create)
        .post("/exec/{id}/start", SOCKET, start)
        .post("/exec/{id}/resize", SOCKET, resize)
        .get("/exec/{id}/json", SOCKET, inspect)
}

async fn create(mut call: Call) -> Result<Reply> {
    let body = body::needed(&mut call, shape::EXEC).await?;
    if body["Cmd"].as_array().is_none_or(Vec::is_empty) {
        return Err(Error::bad_request("No exec command specified"));
    }
    let id = call.state.create_exec(call.param("id"), body).await?;
    Reply::json(201, &json!({"Id": id}))
}

/// The answer's head goes out before anything that the process says. Whether the
/// client gets frames is said here, by `Tty`; whether there is a terminal was said when the exec was made.
async fn start(mut call: Call) -> Result<Reply> {
    let bytes = call.bytes().await?;
    let body: Value = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::bad_request(format!("invalid JSON: {}", json::reason(&bytes, &e))))?
    };
    shape::check(&body, shape::START)?;
    let docker = call.state.clone();
    let known = docker.startable(call.param("id")).await?;
    if body["Detach"] == json!(true) {
        let (exec, stream) = docker.start_exec(&known.id, false, &Value::Null).await?;
        tokio::spawn(async move { docker.carry_exec(&exec, stream, None).await });
        return Ok(Reply::empty(200));
    }
    let raw = body["Tty"] == json!(true);
    let size = if raw { body["ConsoleSize"].clone() } else { Value::Null };
    let (reply, client) = hijack::take_over(&mut call, raw)?;
    tokio::spawn(async move {
        // The process starts while the head is on its way; what it says waits for the client.
        let (client, started) = tokio::join!(client, docker.start_exec(&known.id, true, &size));
        match (started, client) {
            (Ok((exec, stream)), None) => docker.carry_exec(&exec, stream, None).await,
            (Ok((exec, stream)), Some(client)) => {
                let keys = if exec.keys.is_empty() { detach::DEFAULT.to_vec() } else { exec.keys.clone() };
                let tty = exec.tty();
                let keys = if tty { keys } else { Vec::new() };
                let way = Way { tty, framed: !raw, stdin: exec.on("AttachStdin"), keys };
                docker.carry_exec(&exec, stream, Some((client, way))).await;
            }
            (Err(e), Some(mut client)) => {
                hijack::tell(&mut client, &e, raw).await;
                close(&mut client).await;
            }
            (Err(_), None) => {}
        }
    });
    Ok(reply)
}

async fn resize(call: Call) -> Result<Reply> {
    let exec = call.state.begun_exec(call.param("id")).await?;
    let (rows, columns) = life_size(&call)?;
    call.state.host.resize_container(&exec.container, Some(&exec.id), rows, columns).await?;
    Ok(Reply::empty(200))
}

async fn inspect(call: Call) -> Result<Reply> {
    let exec = call.state.exec(call.param("id"))?;
    let code = call.state.exec_code(&exec).await?;
    let (entry, rest) =
        exec.args.split_first().map_or((String::new(), Vec::new()), |(e, r)| (e.clone(), r.to_vec()));
    let mut process = json!({
        "tty": exec.tty(), "entrypoint": entry, "arguments": rest, "privileged": exec.on("Privileged"),
    });
    if !exec.user.is_empty() {
        process["user"] = json!(exec.user);
    }
    Reply::ok(&json!({
        "ID": exec.id, "Running": exec.started && code.is_none(), "ExitCode": code, "ProcessConfig": process,
        "OpenStdin": exec.on("AttachStdin"), "OpenStderr": exec.on("AttachStderr"),
        "OpenStdout": exec.on("AttachStdout"), "CanRemove": code.is_some(), "ContainerID": exec.container,
        "DetachKeys": base64::engine::general_purpose::STANDARD.encode(&exec.keys), "Pid": exec.pid,
    }))
}
