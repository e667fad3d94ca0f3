//! Files of containers: changes, export, archives, commit.

use std::path::Path;

use base64::Engine;
use futures_util::StreamExt;
use http::HeaderName;
use pileus_base::{Error, Kind, Result};
use pileus_host::{PathStat, Seen, TreeMount};
use pileus_http::{Body, Reply};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::hijack::chunks;
use crate::{
    Container,
    api::{Call, Flags, body},
    engine::volumes::mount,
    model::{reference::Reference, shape},
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

/// A container's files: as its first process sees them, or with its volumes and binds put in.
async fn seen(call: &Call, c: &Container) -> Result<Option<Seen>> {
    if c.runs() && c.state.pid > 0 {
        return Ok(Some(Seen::Process(c.state.pid)));
    }
    call.state.ensure_volumes(c).await?;
    let text = |m: &Value, key: &str| m[key].as_str().unwrap_or_default().to_owned();
    let bound = c.mounts.iter().filter(|m| m["Type"] != json!("tmpfs"));
    let mounts = bound.map(|m| TreeMount {
        source: text(m, "Source").into(),
        subpath: text(m, mount::SUBPATH).into(),
        destination: text(m, "Destination").into(),
        read_only: m["RW"] == json!(false),
    });
    Ok(Some(Seen::Mounts(mounts.collect())))
}

/// Errors name the container as it was asked for.
fn named<'a>(call: &'a Call, c: &'a Container) -> impl Fn(Error) -> Error + use<'a> {
    move |e| match e.kind() {
        Kind::NotFound => Error::not_found(e.message().replace(&c.id, call.param("id"))),
        _ => e,
    }
}

/// Refuses what would be written where nothing may be.
fn writable(c: &Container, path: &str) -> Result<()> {
    let path = mount::clean(path);
    let under = |m: &&Value| Path::new(&path).starts_with(m["Destination"].as_str().unwrap_or("/"));
    let at = c.mounts.iter().filter(under).max_by_key(|m| m["Destination"].as_str().map_or(0, str::len));
    match at {
        Some(m) if m["RW"] == json!(false) => Err(Error::bad_request("mounted volume is marked read-only")),
        None if c.host_config["ReadonlyRootfs"] == json!(true) => {
            Err(Error::bad_request("container rootfs is marked read-only"))
        }
        _ => Ok(()),
    }
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
    let stat = call
        .state
        .host
        .stat_path(&c.id, &c.rootfs, seen(&call, &c).await?.as_ref(), &path(&call)?)
        .await
        .map_err(named(&call, &c))?;
    with_stat(Reply::empty(200), &stat)
}

pub async fn get(call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let (path, seen) = (path(&call)?, seen(&call, &c).await?);
    let (stat, tar) =
        call.state.host.copy_out(&c.id, &c.rootfs, seen.as_ref(), &path).await.map_err(named(&call, &c))?;
    call.state.container_event(&c, "archive-path", &[("path", path)]);
    with_stat(Reply::stream(200, "application/x-tar", Body::stream(chunks(Some(tar)), None)), &stat)
}

pub async fn put(mut call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let path = path(&call)?;
    writable(&c, &path)?;
    let (strict, seen) = (call.flag("noOverwriteDirNonDir"), seen(&call, &c).await?);
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
    let unpack = call.state.host.copy_in(&c.id, &c.rootfs, seen.as_ref(), &path, Box::new(read), strict);
    let (fed, unpacked) = tokio::join!(feed, unpack);
    unpacked.map_err(named(&call, &c))?;
    fed?;
    call.state.container_event(&c, "extract-to-dir", &[("path", path.clone())]);
    Ok(Reply::empty(200))
}

pub async fn commit(mut call: Call) -> Result<Reply> {
    let config = body::maybe(&mut call, shape::COMMIT).await?;
    let changes: Vec<String> = call.query.all("changes").map(str::to_owned).collect();
    let repo = call.text("repo");
    let tag = match repo.as_str() {
        "" => None,
        repo => Some(Reference::of(repo, &call.text("tag"))?.tagged()),
    };
    let (name, author, comment) = (call.text("container"), call.text("author"), call.text("comment"));
    let id = call.state.commit_image(&name, tag, &author, &comment, &config, &changes).await?;
    Reply::json(201, &json!({"Id": id}))
}
