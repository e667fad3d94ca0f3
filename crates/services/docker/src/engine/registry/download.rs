//! One blob on its way in: fetched in part, gone on from where it broke off, digested while it comes.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, LazyLock, Weak},
    time::Duration,
};

use futures_util::StreamExt;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use pileus_base::{Error, Kind, Result};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::{
    client::{Client, Payload},
    manifest::said,
};
use crate::engine::images::{
    blobs::{Blobs, hash_file},
    hex,
    progress::Progress,
};

/// How often a blob that doesn't get on is tried again, as the reference does.
const TRIES: u32 = 5;
/// How long a registry may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// One writer a blob.
static BUSY: LazyLock<Mutex<BTreeMap<String, Weak<tokio::sync::Mutex<()>>>>> = LazyLock::new(Mutex::default);

/// What is to be fetched.
pub(super) struct Download {
    /// From whom.
    pub client: Arc<Client>,
    /// The repository's path.
    pub path: String,
    /// Of the blob.
    pub digest: String,
    /// Of the blob, in bytes.
    pub size: u64,
    /// Where it goes.
    pub blobs: Blobs,
    /// Who is told.
    pub progress: Progress,
    /// How it is called to them.
    pub label: String,
}

fn turn(digest: &str) -> Arc<tokio::sync::Mutex<()>> {
    let mut all = BUSY.lock();
    all.retain(|_, lock| lock.strong_count() > 0);
    if let Some(lock) = all.get(digest).and_then(Weak::upgrade) {
        return lock;
    }
    let lock = Arc::new(tokio::sync::Mutex::new(()));
    all.insert(digest.to_owned(), Arc::downgrade(&lock));
    lock
}

fn failed(doing: &str) -> impl FnOnce(std::io::Error) -> Error {
    let doing = format!("failed to {doing}");
    move |e| Error::wrap(doing, e)
}

impl Download {
    /// Fetches it, unless it is here.
    ///
    /// # Errors
    /// 404 where the registry doesn't have it; 500 where it can't be had or is not what it should be. What
    /// has come stays, to go on from.
    pub async fn run(self) -> Result<()> {
        let turn = turn(&self.digest);
        let _mine = turn.lock().await;
        if self.blobs.size(&self.digest).await.is_some() {
            return Ok(());
        }
        let partial = self.blobs.partial(&self.digest);
        let (mut hash, mut have) = began(partial.clone()).await?;
        let mut tries = 0;
        loop {
            let before = have;
            match self.go_on(&partial, &mut hash, &mut have).await {
                Ok(()) => break,
                Err(e) if e.kind() != Kind::Unavailable => return Err(e),
                Err(e) => {
                    tries = if have > before { 1 } else { tries + 1 };
                    if tries > TRIES {
                        return Err(Error::internal(e.message().to_owned()));
                    }
                    let wait = u64::from(tries);
                    let plural = if wait == 1 { "" } else { "s" };
                    self.progress.step(&self.label, &format!("Retrying in {wait} second{plural}"));
                    tokio::time::sleep(Duration::from_secs(wait)).await;
                }
            }
        }
        self.progress.step(&self.label, "Verifying Checksum");
        if format!("sha256:{}", hex(&hash.finalize())) != self.digest {
            tokio::fs::remove_file(&partial).await.map_err(failed("remove a blob"))?;
            return Err(Error::internal(format!(
                "filesystem layer verification failed for digest {}",
                self.digest
            )));
        }
        self.blobs.place_file(&partial, &self.digest).await
    }

    /// Asks for what is missing and writes what comes. 503 for what another try may mend.
    async fn go_on(&self, partial: &Path, hash: &mut Sha256, have: &mut u64) -> Result<()> {
        if self.size > 0 && *have == self.size {
            return Ok(());
        }
        let path = format!("/v2/{}/blobs/{}", self.path, self.digest);
        let nothing = Payload::Bytes(bytes::Bytes::new(), String::new());
        let again = |why: String| Error::unavailable(why);
        let reply = self.client.fetch(Method::GET, &path, "", nothing, (*have > 0).then_some(*have)).await;
        let reply = reply.map_err(|e| match e.kind() {
            Kind::Internal => again(e.message().to_owned()),
            _ => e,
        })?;
        match reply.status() {
            StatusCode::OK => (*hash, *have) = (Sha256::new(), 0),
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::RANGE_NOT_SATISFIABLE => {
                (*hash, *have) = (Sha256::new(), 0);
                tokio::fs::write(partial, b"").await.map_err(failed("write a blob"))?;
                return Err(again("the registry has less than it had".into()));
            }
            StatusCode::NOT_FOUND => return Err(Error::not_found(format!("unknown blob: {}", self.digest))),
            status if status.is_server_error() => return Err(again(said(reply).await.1)),
            _ => return Err(Error::internal(said(reply).await.1)),
        }
        let open = tokio::fs::OpenOptions::new().create(true).write(true).truncate(false).open(partial).await;
        let mut file = open.map_err(failed("write a blob"))?;
        file.set_len(*have).await.map_err(failed("write a blob"))?;
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(*have))
            .await
            .map_err(failed("write a blob"))?;
        let mut body = reply.into_body().into_data_stream();
        let (mut told, step) = (*have, (self.size / 50).max(512 << 10));
        let ended = loop {
            let chunk = match tokio::time::timeout(SILENCE, body.next()).await {
                Err(_) => break Err(again("the registry is silent".into())),
                Ok(None) => break Ok(()),
                Ok(Some(Err(e))) => break Err(again(format!("unexpected EOF: {e}"))),
                Ok(Some(Ok(chunk))) => chunk,
            };
            if self.size > 0 && *have + chunk.len() as u64 > self.size {
                break Err(Error::internal(format!("blob {} is larger than announced", self.digest)));
            }
            file.write_all(&chunk).await.map_err(failed("write a blob"))?;
            hash.update(&chunk);
            *have += chunk.len() as u64;
            if *have - told >= step {
                told = *have;
                self.progress.layer(&self.label, "Downloading", *have, self.size);
            }
        };
        file.flush().await.map_err(failed("write a blob"))?;
        ended?;
        if self.size > 0 && *have < self.size {
            return Err(again("unexpected EOF".into()));
        }
        file.sync_all().await.map_err(failed("sync a blob"))
    }
}

/// What an earlier try has left.
async fn began(partial: std::path::PathBuf) -> Result<(Sha256, u64)> {
    let read = move || match hash_file(&partial) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok((Sha256::new(), 0)),
        read => read,
    };
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|e| Error::wrap("failed to read a blob", e))?.map_err(failed("read a blob"))
}
