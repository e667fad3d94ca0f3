//! Routes of execs.

use std::sync::Arc;

use pileus_base::{Error, Result};
use pileus_http::{Reply, Routes};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::{
    Call, SOCKET,
    containers::{life_size, streams::hand_over},
};
use crate::Docker;

/// Adds the routes of execs.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table
        .post("/containers/{id}/exec", SOCKET, create)
        .post("/exec/{id}/start", SOCKET, start)
        .post("/exec/{id}/resize", SOCKET, resize)
        .get("/exec/{id}/json", SOCKET, inspect)
}

async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let id = call.state.create_exec(call.param("id"), body).await?;
    Reply::json(201, &json!({"Id": id}))
}

async fn start(mut call: Call) -> Result<Reply> {
    let bytes = call.bytes().await?;
    let body: Value = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).map_err(|e| Error::bad_request(format!("invalid JSON: {e}")))?
    };
    let detach = body["Detach"] == json!(true);
    let id = call.param("id").to_owned();
    let docker = call.state.clone();
    if detach {
        let mut stream = docker.start_exec(&id, true, false).await?;
        tokio::spawn(async move {
            let mut sink = vec![0; 4096];
            while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
        });
        return Ok(Reply::empty(200));
    }
    let exec = docker.startable(&id).await?;
    let tty = exec.tty() || body["Tty"] == json!(true);
    let stdin = exec.config["AttachStdin"] == json!(true);
    let open = async move { docker.start_exec(&id, false, tty).await.map(Some) };
    hand_over(&mut call, open, None, tty, stdin).await
}

async fn resize(call: Call) -> Result<Reply> {
    let exec = call.state.exec(call.param("id"))?;
    let (rows, columns) = life_size(&call)?;
    call.state.host.resize_container(&exec.container, Some(&exec.id), rows, columns).await?;
    Ok(Reply::empty(200))
}

async fn inspect(call: Call) -> Result<Reply> {
    let exec = call.state.exec(call.param("id"))?;
    let code = call.state.exec_code(&exec).await?;
    let on = |key: &str| exec.config[key] == json!(true);
    let (entry, rest) =
        exec.args.split_first().map_or((String::new(), Vec::new()), |(e, r)| (e.clone(), r.to_vec()));
    Reply::ok(&json!({
        "ID": exec.id, "Running": exec.started && code.is_none(), "ExitCode": code,
        "ProcessConfig": {
            "tty": exec.tty(), "entrypoint": entry, "arguments": rest, "privileged": on("Privileged"),
            "user": exec.config["User"].as_str().unwrap_or(""),
        },
        "OpenStdin": on("AttachStdin"), "OpenStderr": on("AttachStderr"), "OpenStdout": on("AttachStdout"),
        "CanRemove": code.is_some(), "ContainerID": exec.container, "DetachKeys": "", "Pid": exec.pid,
    }))
}
