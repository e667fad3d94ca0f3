//! Files of containers: changes, export, archives, commit.

use base64::Engine;
use futures_util::StreamExt;
use http::HeaderName;
use pileus_base::{Error, Result};
use pileus_host::PathStat;
use pileus_http::{Body, Reply};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::hijack::chunks;
use crate::{
    Container,
    api::{Call, Flags},
    engine::commit::normal,
};

pub async fn changes(call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let all = call.state.host.container_changes(&c.id, &c.rootfs).await?;
    if all.is_empty() {
        return Reply::ok(&Value::Null);
    }
    Reply::ok(&all.iter().map(|c| json!({"Path": c.path, "Kind": c.kind})).collect::<Vec<_>>())
}

pub async fn export(call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let tar = call.state.host.export_container(&c.id, &c.rootfs).await?;
    call.state.container_event(&c, "export", &[]);
    Ok(Reply::stream(200, "application/octet-stream", Body::stream(chunks(Some(tar)), None)))
}

fn pid(c: &Container) -> Option<u32> {
    (c.runs() && c.state.pid > 0).then_some(c.state.pid)
}

fn path(call: &Call) -> Result<String> {
    let path = call.text("path");
    if path.is_empty() { Err(Error::bad_request("bad parameter: path cannot be empty")) } else { Ok(path) }
}

fn with_stat(reply: Reply, stat: &PathStat) -> Result<Reply> {
    let text = serde_json::to_vec(stat).map_err(|e| Error::wrap("failed to write an answer", e))?;
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    Ok(reply.header(HeaderName::from_static("x-docker-container-path-stat"), text))
}

pub async fn stat(call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let stat = call.state.host.stat_path(&c.id, &c.rootfs, pid(&c), &path(&call)?).await?;
    with_stat(Reply::empty(200), &stat)
}

pub async fn get(call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let path = path(&call)?;
    let (stat, tar) = call.state.host.copy_out(&c.id, &c.rootfs, pid(&c), &path).await?;
    call.state.container_event(&c, "archive-path", &[("path", path)]);
    with_stat(Reply::stream(200, "application/x-tar", Body::stream(chunks(Some(tar)), None)), &stat)
}

pub async fn put(mut call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let path = path(&call)?;
    let strict = call.flag("noOverwriteDirNonDir");
    let (mut write, read) = tokio::io::duplex(256 << 10);
    let mut body = std::pin::pin!(call.chunks().into_stream());
    let feed = async move {
        while let Some(chunk) = body.next().await {
            if write.write_all(&chunk?).await.is_err() {
                // Whoever reads has seen enough.
                break;
            }
        }
        Ok::<_, Error>(())
    };
    let unpack = call.state.host.copy_in(&c.id, &c.rootfs, pid(&c), &path, Box::new(read), strict);
    let (fed, unpacked) = tokio::join!(feed, unpack);
    unpacked?;
    fed?;
    call.state.container_event(&c, "extract-to-dir", &[("path", path.clone())]);
    Ok(Reply::empty(200))
}

pub async fn commit(mut call: Call) -> Result<Reply> {
    let body = call.bytes().await?;
    let config: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).map_err(|e| Error::bad_request(format!("invalid JSON: {e}")))?
    };
    let changes: Vec<String> = call.query.all("changes").map(str::to_owned).collect();
    let repo = call.text("repo");
    let tag = (!repo.is_empty()).then(|| normal(&repo, &call.text("tag")));
    let (name, author, comment) = (call.text("container"), call.text("author"), call.text("comment"));
    let id = call.state.commit_image(&name, tag, &author, &comment, &config, &changes).await?;
    Reply::json(201, &json!({"Id": id}))
}
