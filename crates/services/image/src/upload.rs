//! Data on its way in: room reserved and hashed as it comes, synced, examined, and only then the image's.
//!
//! An upload that is cut off, by the client or by the daemon's death, leaves the image queued: the sweep
//! removes the file and gives back what was reserved.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use md5::Md5;
use pileus_base::{Error, Kind, Result, Time, ids::ImageId};
use pileus_store::Tx;
use sha2::{Digest, Sha512};
use tokio::io::AsyncWriteExt;

use crate::{
    Images, images,
    model::{Image, Status},
    transfers::{self, Received, Transfer},
    usage,
};

/// What a file of unfinished data ends in.
pub const PART: &str = ".part";

/// What a file of staged data ends in.
pub const STAGED: &str = ".staged";

/// Names of the files being written by this process.
static UNDER_WAY: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Whether a part is being written now, rather than left by a dead daemon.
pub fn under_way(name: &str) -> bool {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
}

/// Whether data of the image is being taken now.
pub fn taking(id: ImageId) -> bool {
    let start = format!("{id}.");
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|name| name.starts_with(&start))
}

/// A file of unfinished data; gone when dropped, unless it was taken.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    name: String,
}

impl Part {
    pub(crate) fn new(images: &Images, id: ImageId) -> Self {
        let name = format!("{id}.{}{PART}", pileus_base::ids::hex_id());
        UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        Self { path: images.dir.join(&name), name }
    }
}
impl Drop for Part {
    fn drop(&mut self) {
        // Renamed into place, or never made: both fine.
        let _ = std::fs::remove_file(&self.path);
        UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A failure to write `path`, where a full disk has Glance's words.
fn unwritten(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |e| match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::new(
            Kind::TooLarge,
            "Image storage media is full: There is not enough disk space on the image storage media.",
        )
        .caused_by(e),
        _ => Error::wrap(format!("failed to write `{}`", path.display()), e),
    }
}

/// Data for an image that a client sends.
pub(crate) struct Incoming<S> {
    /// The image.
    pub id: ImageId,
    /// Its pieces.
    pub data: S,
    /// How many bytes the client said that it sends.
    pub announced: Option<u64>,
}

impl Images {
    /// Takes an image's data.
    ///
    /// # Errors
    /// 409 where the image isn't queued; 413 where the data is too large or the disk full; 400 where it
    /// isn't what it was said to be. The image is queued again then.
    pub(crate) async fn upload(
        &self,
        incoming: Incoming<impl Stream<Item = Result<Bytes>> + Unpin>,
    ) -> Result<()> {
        let id = incoming.id;
        // Before the image is said to be saving, so that the sweep never takes it for a dead daemon's.
        let part = Part::new(self, id);
        let start = self.store.write(move |tx| begin(tx, id, Status::Saving));
        let image = start.await?;
        let taken = async {
            let mut received = self.receive(id, &part.path, incoming.data, incoming.announced).await?;
            let format = image.disk_format.as_deref().unwrap_or_default();
            let facts = self.host.inspect_image(&part.path, format).await?;
            received.virtual_size = Some(facts.virtual_size_bytes);
            let target = self.path(id);
            self.rename(&part.path, &target).await?;
            let done = self.store.write(move |tx| activate(tx, id, Status::Saving, &received)).await;
            if done.is_err() {
                // Deleted meanwhile: so is its data.
                let _ = tokio::fs::remove_file(&target).await;
            }
            done
        };
        let taken = taken.await;
        if let Err(e) = &taken {
            // First: on a full disk nothing can be noted before there is room.
            drop(part);
            self.broken_off(id, Status::Saving, e).await?;
        }
        taken
    }

    /// Takes data to be imported later. It is examined then, as its format may still change.
    ///
    /// # Errors
    /// As [`Images::upload`].
    pub(crate) async fn stage(
        &self,
        incoming: Incoming<impl Stream<Item = Result<Bytes>> + Unpin>,
    ) -> Result<()> {
        let id = incoming.id;
        let part = Part::new(self, id);
        self.store.write(move |tx| begin(tx, id, Status::Uploading)).await?;
        let taken = async {
            let received = self.receive(id, &part.path, incoming.data, incoming.announced).await?;
            let target = self.staged_path(id);
            self.rename(&part.path, &target).await?;
            let done = self.store.write(move |tx| staged(tx, id, &received)).await;
            if done.is_err() {
                let _ = tokio::fs::remove_file(&target).await;
            }
            done
        };
        let taken = taken.await;
        if let Err(e) = &taken {
            // First: on a full disk nothing can be noted before there is room.
            drop(part);
            self.broken_off(id, Status::Uploading, e).await?;
        }
        taken
    }

    /// The image is queued again.
    async fn broken_off(&self, id: ImageId, from: Status, e: &Error) -> Result<()> {
        tracing::info!(image_id = %id, error = e.chain(), "an upload failed");
        match self.store.write(move |tx| requeue(tx, id, from)).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }

    /// Writes data to `path` as it comes, within the project's quota.
    ///
    /// # Errors
    /// 413 where it is too large or the disk full; those of `data`.
    pub(crate) async fn receive(
        &self,
        id: ImageId,
        path: &Path,
        mut data: impl Stream<Item = Result<Bytes>> + Unpin,
        announced: Option<u64>,
    ) -> Result<Received> {
        let max = self.options.max_upload_bytes;
        let within = |size: u64| match size > max {
            true => Err(Error::new(
                Kind::TooLarge,
                format!("The incoming image is too large: Image exceeds the size limit of {max} bytes."),
            )),
            false => Ok(()),
        };
        let mut room = 0;
        if let Some(announced) = announced {
            within(announced)?;
            room += self.reserve(id, announced).await?;
        }
        let mut options = tokio::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.await.map_err(unwritten(path))?;
        let (mut md5, mut sha512, mut size) = (Md5::new(), Sha512::new(), 0u64);
        while let Some(chunk) = data.next().await {
            let chunk = chunk?;
            size += chunk.len() as u64;
            within(size)?;
            if size > room {
                room += self.reserve(id, size - room).await?;
            }
            md5.update(&chunk);
            sha512.update(&chunk);
            file.write_all(&chunk).await.map_err(unwritten(path))?;
        }
        file.flush().await.map_err(unwritten(path))?;
        file.sync_all().await.map_err(unwritten(path))?;
        let (md5, sha512) = (hex(&md5.finalize()), hex(&sha512.finalize()));
        Ok(Received { size, md5, sha512, virtual_size: None })
    }

    /// Reserves `need` bytes for the transfer of the image; how many it may take beyond those before.
    async fn reserve(&self, id: ImageId, need: u64) -> Result<u64> {
        let Some(limit) = self.options.project_bytes else { return Ok(u64::MAX / 4) };
        let write = self.store.write(move |tx| {
            let mut transfer = tx.get::<Transfer>(&pileus_base::Scope::All, id)?;
            let taken = usage::reserve(tx, &mut transfer, limit, need)?;
            tx.put(&transfer)?;
            Ok(taken)
        });
        write.await
    }

    /// Renames, and has the name on disk before it counts.
    pub(crate) async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        tokio::fs::rename(from, to).await.map_err(unwritten(to))?;
        let dir = tokio::fs::File::open(&self.dir).await.map_err(unwritten(&self.dir))?;
        dir.sync_all().await.map_err(unwritten(&self.dir))
    }

    /// Where data lies that waits to be imported.
    pub(crate) fn staged_path(&self, id: ImageId) -> PathBuf {
        self.dir.join(format!("{id}{STAGED}"))
    }

    /// Removes an image's files, once its row is gone; the sweep takes what a crash leaves.
    pub async fn clear(&self, id: ImageId) {
        for path in [self.path(id), self.staged_path(id)] {
            match tokio::fs::remove_file(&path).await {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(image_id = %id, error = %e, "an image's data was not removed; the sweep will");
                }
                _ => {}
            }
        }
    }
}

/// Data for the image begins to come.
fn begin(tx: &mut Tx<'_>, id: ImageId, to: Status) -> Result<Image> {
    let image = images::update(tx, id, |image| {
        if to == Status::Saving && (image.disk_format.is_none() || image.container_format.is_none()) {
            return Err(Error::bad_request(
                "Properties disk_format, container_format must be set prior to saving data.",
            ));
        }
        if image.status != Status::Queued {
            return Err(Error::conflict(format!(
                "Image status transition from {} to {} is not allowed",
                image.status.word(),
                to.word()
            )));
        }
        image.status = to;
        image.updated_at = Time::now();
        Ok(())
    })?;
    transfers::open(tx, &image, None)?;
    Ok(image.value)
}

/// The image's data is staged.
fn staged(tx: &mut Tx<'_>, id: ImageId, received: &Received) -> Result<()> {
    let mut transfer = tx.get::<Transfer>(&pileus_base::Scope::All, id)?;
    transfers::release(tx, &mut transfer)?;
    transfer.staged = Some(received.clone());
    tx.put(&transfer)?;
    let staged = images::update(tx, id, |image| {
        image.size = Some(received.size);
        image.updated_at = Time::now();
        Ok(())
    });
    staged.map(drop)
}

/// The image has its data.
pub(crate) fn activate(tx: &mut Tx<'_>, id: ImageId, from: Status, received: &Received) -> Result<()> {
    images::update(tx, id, |image| {
        if image.status != from {
            return Err(Error::conflict(format!("Image {id} is {}.", image.status.word())));
        }
        image.status = Status::Active;
        image.size = Some(received.size);
        image.virtual_size = received.virtual_size;
        image.checksum = Some(received.md5.clone());
        image.os_hash_algo = Some("sha512".into());
        image.os_hash_value = Some(received.sha512.clone());
        image.updated_at = Time::now();
        Ok(())
    })?;
    transfers::close(tx, id)
}

/// The image is without data again, if it still is as `from` says; whether it was.
pub(crate) fn requeue(tx: &mut Tx<'_>, id: ImageId, from: Status) -> Result<bool> {
    let mut was = false;
    images::update(tx, id, |image| {
        was = image.status == from;
        if was {
            image.status = Status::Queued;
            image.size = None;
            image.virtual_size = None;
            image.updated_at = Time::now();
        }
        Ok(())
    })?;
    if was {
        transfers::close(tx, id)?;
    }
    Ok(was)
}
