//! Blobs: what a repository has of them, read whole or in part, and let go.

use http::header;
use pileus_base::{Error, Kind, Result, Scope};
use pileus_http::{Body, Reply};
use pileus_store::Query;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{Call, Registry, access::Who, unknown, with_digest, wrong};
use crate::{
    Image,
    engine::images::blobs::chunks_of,
    events::now_ns,
    model::reference::is_digest,
    store::registry::{Link, Manifest, Repository},
};

/// After how long a blob that is asked for is noted as such anew, in nanoseconds.
const RENEW_NS: i64 = 3600 * 1_000_000_000;

fn missing() -> Error {
    unknown("BLOB_UNKNOWN", "blob unknown to registry")
}

impl Registry {
    /// Whether a repository has a blob. What an image of the engine is made of is the engine's to share.
    pub async fn has(&self, at: &Repository, digest: &str, who: &Who) -> Result<bool> {
        let (key, digest_) = (Link::key(at, digest), digest.to_owned());
        let engine = matches!(who, Who::Engine);
        let (linked, held, old) = self
            .docker
            .store
            .read(move |rd| {
                let link = rd.find::<Link>(&Scope::All, &key)?;
                let linked = link.is_some();
                let old = link.is_some_and(|l| now_ns() - l.since_ns > RENEW_NS);
                let held = engine && !linked && {
                    let images = rd.list::<Image>(&Scope::All, &Query::all())?;
                    images.iter().any(|i| i.blobs.values().any(|b| *b == digest_))
                };
                Ok((linked, held, old))
            })
            .await?;
        if self.docker.blobs().size(digest).await.is_none() {
            return Ok(false);
        }
        if held || old {
            self.link(at, digest).await?;
        }
        Ok(linked || held)
    }

    /// Notes that a repository has a blob.
    pub async fn link(&self, at: &Repository, digest: &str) -> Result<()> {
        let link = Link { at: at.clone(), digest: digest.to_owned(), since_ns: now_ns() };
        self.docker
            .store
            .write(move |tx| match tx.find::<Link>(&Scope::All, Link::key(&link.at, &link.digest))? {
                // Asked for again: it is not forgotten.
                Some(_) => {
                    let renew = |l: &mut Link| {
                        l.since_ns = link.since_ns;
                        Ok(())
                    };
                    tx.update::<Link>(&Scope::All, Link::key(&link.at, &link.digest), renew).map(drop)
                }
                None => tx.insert(&link),
            })
            .await
    }
}

/// `GET` and `HEAD /v2/<name>/blobs/<digest>`
pub(super) async fn get(call: Call, at: Repository) -> Result<Reply> {
    let digest = digest_of(&call)?;
    let who = call.state.who(&call).await;
    if !call.state.has(&at, &digest, &who).await? {
        return Err(missing());
    }
    let blobs = call.state.docker.blobs();
    let mut file = blobs.read(&digest).await?;
    let size = blobs.size(&digest).await.ok_or_else(missing)?;
    let (status, from, to) = match call.header(header::RANGE.as_str()).and_then(|r| range(r, size)) {
        None => (200, 0, size),
        Some(Some((from, to))) => (206, from, to),
        Some(None) => {
            return Ok(Reply::empty(416).header(header::CONTENT_RANGE, format!("bytes */{size}")));
        }
    };
    file.seek(std::io::SeekFrom::Start(from)).await.map_err(|e| Error::wrap("failed to read a blob", e))?;
    let body = Body::stream(chunks_of(file.take(to - from)), Some(to - from));
    let mut reply = Reply::stream(status, "application/octet-stream", body)
        .header(header::ETAG, format!("\"{digest}\""))
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, "max-age=31536000");
    if status == 206 {
        reply = reply.header(header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", to - 1));
    }
    Ok(with_digest(reply, &digest))
}

/// `DELETE /v2/<name>/blobs/<digest>`
pub(super) async fn delete(call: Call, at: Repository) -> Result<Reply> {
    let digest = digest_of(&call)?;
    let gone = digest.clone();
    call.state
        .docker
        .store
        .write(move |tx| {
            let used = tx.list::<Manifest>(&Scope::All, &at.query())?;
            if let Some(by) = used.iter().find(|m| m.blobs.contains(&gone)) {
                let why = format!("blob is referenced by manifest {}", by.digest);
                return Err(Error::new(Kind::Conflict, why).code("DENIED"));
            }
            match tx.delete::<Link>(Link::key(&at, &gone))? {
                true => Ok(()),
                false => Err(missing()),
            }
        })
        .await?;
    call.state.docker.sweep_images().await?;
    Ok(with_digest(Reply::empty(202), &digest))
}

fn digest_of(call: &Call) -> Result<String> {
    let digest = call.param("digest");
    match is_digest(digest) {
        true => Ok(digest.to_owned()),
        false => Err(wrong("DIGEST_INVALID", "provided digest did not match uploaded content")),
    }
}

/// What a `Range` asks for: nothing that is understood (all of it), a part, or what isn't there.
fn range(text: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    if from.is_empty() {
        let last: u64 = to.parse().ok()?;
        return Some((last > 0).then(|| (size.saturating_sub(last), size)));
    }
    let from: u64 = from.parse().ok()?;
    let to = if to.is_empty() { size } else { to.parse::<u64>().ok()?.saturating_add(1).min(size) };
    Some((from < to).then_some((from, to)))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_parts_of_what_is_there() {
        assert_eq!(range("bytes=0-3", 10), Some(Some((0, 4))));
        assert_eq!(range("bytes=4-", 10), Some(Some((4, 10))));
        assert_eq!(range("bytes=4-99", 10), Some(Some((4, 10))));
        assert_eq!(range("bytes=-2", 10), Some(Some((8, 10))));
        assert_eq!(range("bytes=10-", 10), Some(None));
        assert_eq!(range("bytes=a-b", 10), None);
        assert_eq!(range("bytes=0-1,4-5", 10), None);
    }
}
