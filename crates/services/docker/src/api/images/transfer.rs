//! What goes in and out: load, save, import, pull, push.

use std::sync::Arc;

use bytes::Bytes;
use pileus_base::{Error, Result};
use pileus_http::{Body, Reply};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    api::{Call, Flags, body},
    engine::{
        images::{
            progress::{Progress, streamed},
            save::TarOut,
        },
        registry::{Credentials, Platform},
    },
    model::{
        reference::{Reference, is_digest, is_tag},
        shape,
    },
};

/// `POST /images/load`
pub(super) async fn load(mut call: Call) -> Result<Reply> {
    let quiet = call.flag("quiet");
    let docker = call.state.clone();
    let body = call.chunks();
    // As the reference does it, whatever is wrong is told in the stream.
    let work = |progress: Progress| async move {
        if let Err(e) = docker.load_images(body, quiet, &progress).await {
            progress.fail(&e);
        }
        Ok::<_, Error>(())
    };
    streamed(work).await
}

/// `GET /images/get`, `GET /images/{name}/get`
pub(super) async fn save(call: Call) -> Result<Reply> {
    let names: Vec<String> = match call.param("name") {
        "" => call.query.all("names").flat_map(|n| n.split(',')).map(str::to_owned).collect(),
        name => vec![name.to_owned()],
    };
    let docker = call.state.clone();
    let images = docker.images_to_save(&names).await?;
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(8);
    tokio::spawn(async move {
        let out = TarOut(sender.clone());
        if let Err(e) = docker.save_archive(images, &out).await {
            tracing::warn!("failed to save images: {}", e.chain());
            // The client sees the stream break off; it may be gone already.
            let _ = sender.send(Err(std::io::Error::other(e))).await;
        }
    });
    let chunks = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    Ok(Reply::stream(200, "application/x-tar", Body::stream(chunks, None)))
}

/// `POST /images/create`: import or pull.
pub(super) async fn create(mut call: Call) -> Result<Reply> {
    let (source, from) = (call.text("fromSrc"), call.text("fromImage"));
    if !from.is_empty() {
        return pull(call, &from).await;
    }
    if source != "-" {
        return Err(match source.is_empty() {
            true => Error::bad_request("fromImage or fromSrc is needed"),
            false => Error::not_implemented("importing from a URL is not supported"),
        });
    }
    let (repo, tag, message) = (call.text("repo"), call.text("tag"), call.text("message"));
    let to = match repo.is_empty() {
        true => None,
        false => Some(with_tag(&repo, &tag)?),
    };
    let changes: Vec<String> = call.query.all("changes").map(str::to_owned).collect();
    let docker = call.state.clone();
    let body = docker.receive(call.chunks()).await?;
    streamed(|progress| async move {
        let id = docker.import_image(body, to, &message, &changes).await?;
        progress.status(&id);
        Ok(())
    })
    .await
}

fn with_tag(name: &str, tag: &str) -> Result<Reference> {
    let mut reference = Reference::parse(name)?;
    if is_digest(tag) {
        reference.digest = Some(tag.to_owned());
        reference.tag = None;
    } else if !tag.is_empty() {
        if !is_tag(tag) {
            return Err(Error::bad_request("invalid tag format"));
        }
        reference.tag = Some(tag.to_owned());
    }
    Ok(reference)
}

fn credentials(call: &Call) -> Option<Credentials> {
    use base64::Engine;
    let text = call.header("x-registry-auth")?.trim_end_matches('=');
    let read = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text);
    let bytes = read.or_else(|_| base64::engine::general_purpose::STANDARD_NO_PAD.decode(text)).ok()?;
    Credentials::read(&serde_json::from_slice(&bytes).ok()?)
}

async fn pull(call: Call, from: &str) -> Result<Reply> {
    let reference = with_tag(from, &call.text("tag"))?;
    let platform = match call.text("platform") {
        none if none.is_empty() => None,
        text => Some(Platform::read(&text)?),
    };
    let (auth, docker) = (credentials(&call), call.state.clone());
    let work =
        |progress| async move { docker.pull_image(&reference, auth, platform.as_ref(), &progress).await };
    streamed(work).await
}

/// `POST /images/{name}/push`
pub(super) async fn push(call: Call) -> Result<Reply> {
    let mut reference = Reference::parse(call.param("name"))?;
    if reference.digest.is_some() {
        return Err(Error::bad_request("cannot push a digest reference"));
    }
    let tag = call.text("tag");
    if !tag.is_empty() {
        reference = with_tag(&reference.to_string(), &tag)?;
    }
    let auth = credentials(&call);
    let docker = call.state.clone();
    streamed(|progress| async move { docker.push_image(&reference, auth, &progress).await }).await
}

/// `GET /images/search`
pub(super) async fn search(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(&["is-automated", "is-official", "stars"])?;
    let limit: usize = match call.text("limit") {
        none if none.is_empty() => 25,
        text => text.parse().map_err(|_| Error::bad_request(format!("invalid limit {text:?}")))?,
    };
    let limit = if limit == 0 { 25 } else { limit };
    if limit > 100 {
        return Err(Error::bad_request(format!("limit {limit} is outside the range of [1, 100]")));
    }
    let mut found = call.state.search(&call.text("term")).await?;
    let truth = |name: &str| filters.of(name).first().map(|v| matches!(v.as_str(), "true" | "1"));
    if let Some(official) = truth("is-official") {
        found.retain(|one| one["is_official"] == official);
    }
    // None here is automated, and none has stars.
    let stars = filters.of("stars").iter().filter_map(|s| s.parse::<u64>().ok()).max().unwrap_or(0);
    if truth("is-automated") == Some(true) || stars > 0 {
        found.clear();
    }
    found.truncate(limit);
    Reply::ok(&found)
}

/// `GET /distribution/{name}/json`
pub(super) async fn distribution(call: Call) -> Result<Reply> {
    let reference = Reference::parse(call.param("name"))?.or_latest();
    let found: Value = call.state.distribution(&reference, credentials(&call)).await?;
    Reply::ok(&found)
}

/// `POST /auth`
pub(super) async fn auth(mut call: Call) -> Result<Reply> {
    let value = body::needed(&mut call, shape::AUTH).await?;
    let docker: Arc<_> = call.state.clone();
    let address = value["serveraddress"].as_str().unwrap_or_default().to_owned();
    docker.log_in(&address, Credentials::read(&value)).await?;
    Reply::ok(&json!({ "Status": "Login Succeeded", "IdentityToken": "" }))
}
