//! Uploads: in one piece, in chunks, or as a blob of another repository that is mounted.
//!
//! ```text
//!   POST ─► (id) ─► PATCH … ─► PUT ?digest= ─► the blob, linked to the repository
//! ```
//! An upload is a scratch file and the digest of what it holds so far. Who writes to it takes it out of the
//! table, so there is one writer. A connection that breaks off leaves what had arrived, and the client goes
//! on from there; a daemon that is started again has forgotten it, and swept the file away. A blob that no manifest
//! names within a day is let go too ([`forgotten`]).

use http::{HeaderName, header};
use pileus_base::{Error, Kind, Result};
use pileus_http::Reply;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::{Call, Registry, access::Who, unknown, with_digest, wrong};
use crate::{
    engine::images::{blobs::Scratch, bringing_in, hex},
    events::now_ns,
    model::reference::is_digest,
    store::registry::{Link, Manifest, Repository},
};

/// After how long without a word an upload is given up, in nanoseconds.
const IDLE_NS: i64 = 24 * 3600 * 1_000_000_000;
/// Most uploads at once of one repository.
const MOST: usize = 256;

/// One under way.
pub(crate) struct Upload {
    at: Repository,
    scratch: Scratch,
    digest: Sha256,
    size: u64,
    touched_ns: i64,
}

impl Registry {
    fn take(&self, at: &Repository, id: &str) -> Result<Upload> {
        let mut all = self.uploads.lock();
        match all.remove(id) {
            Some(upload) if upload.at == *at => Ok(upload),
            other => {
                if let Some(upload) = other {
                    all.insert(id.to_owned(), upload);
                }
                Err(unknown("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))
            }
        }
    }

    /// Gives an upload its id, and gives up those that are forgotten.
    fn keep(&self, id: &str, mut upload: Upload) -> Result<()> {
        upload.touched_ns = now_ns();
        let mut all = self.uploads.lock();
        all.retain(|_, u| now_ns() - u.touched_ns < IDLE_NS);
        if all.values().filter(|u| u.at == upload.at).count() >= MOST {
            return Err(Error::new(Kind::TooMany, "too many uploads").code("TOOMANYREQUESTS"));
        }
        all.insert(id.to_owned(), upload);
        Ok(())
    }
}

impl Upload {
    fn new(registry: &Registry, at: Repository) -> Self {
        let scratch = registry.docker.blobs().scratch();
        Self { at, scratch, digest: Sha256::new(), size: 0, touched_ns: now_ns() }
    }

    /// Adds a request's body. What arrived before it broke off counts.
    async fn add(&mut self, call: &mut Call) -> Result<()> {
        let failed = |e| Error::wrap("failed to write an upload", e);
        let file = tokio::fs::OpenOptions::new().create(true).append(true).open(&self.scratch.0).await;
        let mut file = file.map_err(failed)?;
        let mut chunks = call.chunks();
        let broke = loop {
            match chunks.next().await {
                Ok(None) => break Ok(()),
                Err(e) => break Err(e),
                Ok(Some(chunk)) => {
                    if let Err(e) = file.write_all(&chunk).await {
                        // What a full disk took in part is let go; the digest is of whole chunks.
                        break file.set_len(self.size).await.map_err(failed).and(Err(failed(e)));
                    }
                    self.digest.update(&chunk);
                    self.size += chunk.len() as u64;
                }
            }
        };
        match file.flush().await {
            Err(e) => Err(failed(e)),
            Ok(()) => broke,
        }
    }

    /// Makes it a blob of its repository.
    async fn end(self, registry: &Registry, digest: &str) -> Result<()> {
        let found = format!("sha256:{}", hex(&self.digest.finalize()));
        if found != digest {
            return Err(wrong("DIGEST_INVALID", "provided digest did not match uploaded content"));
        }
        let failed = |e| Error::wrap("failed to keep an upload", e);
        let blobs = registry.docker.blobs();
        let _incoming = bringing_in().await;
        // One that is here already, an image's or another repository's, is not kept twice.
        if blobs.size(digest).await != Some(self.size) {
            let file = tokio::fs::OpenOptions::new().create(true).append(true).open(&self.scratch.0).await;
            file.map_err(failed)?.sync_all().await.map_err(failed)?;
            blobs.place(self.scratch, digest).await?;
        }
        registry.link(&self.at, digest).await
    }
}

/// Blobs of repositories whose push never came to its manifest: the ids of their links.
pub(crate) fn forgotten<'a>(links: &[&'a Link], manifests: &[&Manifest], now_ns: i64) -> Vec<&'a Link> {
    let named = |l: &Link| manifests.iter().any(|m| m.at == l.at && m.blobs.contains(&l.digest));
    links.iter().copied().filter(|l| now_ns - l.since_ns > IDLE_NS && !named(l)).collect()
}

fn url(call: &Call, id: &str) -> String {
    format!("/v2/{}/blobs/uploads/{id}", call.param("name"))
}

/// 201, and where the blob is.
fn made(call: &Call, digest: &str) -> Reply {
    let at = format!("/v2/{}/blobs/{digest}", call.param("name"));
    with_digest(Reply::empty(201).location(at), digest)
}

/// How far an upload is.
fn so_far(reply: Reply, call: &Call, id: &str, size: u64) -> Reply {
    reply
        .location(url(call, id))
        .header(header::RANGE, format!("0-{}", size.saturating_sub(1)))
        .header(HeaderName::from_static("docker-upload-uuid"), id)
}

/// `POST /v2/<name>/blobs/uploads/`
pub(super) async fn start(mut call: Call, at: Repository) -> Result<Reply> {
    let registry = call.state.clone();
    let query = |name: &str| call.query.get(name).unwrap_or_default().to_owned();
    let (mount, from, digest) = (query("mount"), query("from"), query("digest"));
    if is_digest(&mount) {
        let who = registry.who(&call).await;
        let _incoming = bringing_in().await;
        // A repository of another project is asked for by nobody here: then the client uploads.
        let near = match from.is_empty() {
            true => at.clone(),
            false => registry.repository(&from).await?,
        };
        let mine = near.project == at.project || matches!(who, Who::Engine);
        if mine && registry.has(&near, &mount, &who).await? {
            registry.link(&at, &mount).await?;
            return Ok(made(&call, &mount));
        }
    }
    let mut upload = Upload::new(&registry, at);
    if !digest.is_empty() {
        upload.add(&mut call).await?;
        upload.end(&registry, &digest).await?;
        return Ok(made(&call, &digest));
    }
    let id = crate::new_id();
    registry.keep(&id, upload)?;
    Ok(so_far(Reply::empty(202), &call, &id, 0))
}

/// `GET /v2/<name>/blobs/uploads/<id>`
pub(super) async fn status(call: Call, at: Repository) -> Result<Reply> {
    let id = call.param("id");
    let upload = call.state.take(&at, id)?;
    let size = upload.size;
    call.state.keep(id, upload)?;
    Ok(so_far(Reply::empty(204), &call, id, size))
}

/// Takes an upload to add to it; the answer instead where the client would go on from elsewhere.
fn resume(call: &Call, at: &Repository, id: &str) -> Result<std::result::Result<Upload, Reply>> {
    let upload = call.state.take(at, id)?;
    let begins = call.header(header::CONTENT_RANGE.as_str()).map(start_of);
    if begins.is_none_or(|start| start == Some(upload.size)) {
        return Ok(Ok(upload));
    }
    let size = upload.size;
    call.state.keep(id, upload)?;
    Ok(Err(so_far(Reply::empty(416), call, id, size)))
}

/// `PATCH /v2/<name>/blobs/uploads/<id>`
pub(super) async fn append(mut call: Call, at: Repository) -> Result<Reply> {
    let (registry, id) = (call.state.clone(), call.param("id").to_owned());
    let mut upload = match resume(&call, &at, &id)? {
        Ok(upload) => upload,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let added = upload.add(&mut call).await;
    let size = upload.size;
    registry.keep(&id, upload)?;
    added?;
    Ok(so_far(Reply::empty(202), &call, &id, size))
}

/// Where a chunk begins: `0-99`, with or without `bytes`.
fn start_of(range: &str) -> Option<u64> {
    let range = range.trim_start_matches("bytes").trim_start_matches([' ', '=']);
    range.split_once('-')?.0.parse().ok()
}

/// `PUT /v2/<name>/blobs/uploads/<id>?digest=`
pub(super) async fn finish(mut call: Call, at: Repository) -> Result<Reply> {
    let (registry, id) = (call.state.clone(), call.param("id").to_owned());
    let digest = call.query.get("digest").unwrap_or_default().to_owned();
    if !is_digest(&digest) {
        return Err(wrong("DIGEST_INVALID", "provided digest did not match uploaded content"));
    }
    let mut upload = match resume(&call, &at, &id)? {
        Ok(upload) => upload,
        Err(elsewhere) => return Ok(elsewhere),
    };
    if let Err(e) = upload.add(&mut call).await {
        registry.keep(&id, upload)?;
        return Err(e);
    }
    upload.end(&registry, &digest).await?;
    Ok(made(&call, &digest))
}

/// `DELETE /v2/<name>/blobs/uploads/<id>`
pub(super) async fn cancel(call: Call, at: Repository) -> Result<Reply> {
    call.state.take(&at, call.param("id")).map(drop)?;
    Ok(Reply::no_content())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_manifest_names_is_forgotten_after_a_day() {
        let at = |name: &str| Repository { project: "p".to_owned().into(), name: name.into() };
        let link =
            |name: &str, digest: &str, since_ns| Link { at: at(name), digest: digest.into(), since_ns };
        let manifest = Manifest {
            at: at("a"),
            digest: "m".into(),
            media: String::new(),
            text: String::new(),
            blobs: vec!["named".into()],
            manifests: vec![],
            subject: None,
            artifact: None,
            annotations: serde_json::Value::Null,
        };
        let all =
            [link("a", "named", 0), link("b", "named", 0), link("a", "half", 0), link("a", "new", IDLE_NS)];
        let gone = forgotten(&all.each_ref(), &[&manifest], IDLE_NS + 1);
        assert_eq!(gone, [&all[1], &all[2]]);
    }

    #[test]
    fn chunks_say_where_they_begin() {
        assert_eq!(start_of("5-9"), Some(5));
        assert_eq!(start_of("bytes 0-3"), Some(0));
        assert_eq!(start_of("x"), None);
    }
}
