//! Data on its way in: hashed as it comes, examined, synced, and only then the image's.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{LazyLock, Mutex, PoisonError},
};

use md5::Md5;
use pileus_base::{Error, Kind, Result, Scope, Time, ids::ImageId};
use pileus_http::Chunks;
use sha2::{Digest, Sha512};
use tokio::io::AsyncWriteExt;

use crate::{
    Images,
    model::{Image, Status},
};

/// What a file of unfinished data ends in.
pub const PART: &str = ".part";

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
struct Part {
    path: PathBuf,
    name: String,
}

impl Part {
    fn new(images: &Images, id: ImageId) -> Self {
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

impl Images {
    /// Takes an image's data.
    ///
    /// # Errors
    /// 409 where the image isn't queued; 413 where the data is too large; 400 where it isn't what it was
    /// said to be. The image is queued again then.
    pub(crate) async fn upload(&self, id: ImageId, data: Chunks) -> Result<()> {
        // Before the image is said to be saving, so that the sweep never takes it for a dead daemon's.
        let part = Part::new(self, id);
        let start = self.store.write(move |tx| {
            tx.update::<Image>(&Scope::All, id, |image| {
                if image.disk_format.is_none() || image.container_format.is_none() {
                    return Err(Error::bad_request(
                        "Properties disk_format, container_format must be set prior to saving data.",
                    ));
                }
                if image.status != Status::Queued {
                    return Err(Error::conflict(format!(
                        "Image status transition from {} to saving is not allowed",
                        image.status.word()
                    )));
                }
                image.status = Status::Saving;
                image.updated_at = Time::now();
                Ok(())
            })
        });
        let image = start.await?.value;
        let taken = self.take(&image, &part, data).await;
        if let Err(e) = &taken {
            tracing::info!(image_id = %id, error = e.chain(), "an upload failed");
            let back = self.store.write(move |tx| {
                tx.update::<Image>(&Scope::All, id, |image| {
                    if image.status == Status::Saving {
                        image.status = Status::Queued;
                    }
                    Ok(())
                })
            });
            match back.await {
                Err(e) if !e.is_not_found() => return Err(e),
                _ => {}
            }
        }
        taken
    }

    async fn take(&self, image: &Image, part: &Part, mut data: Chunks) -> Result<()> {
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::StorageFull => {
                Error::new(Kind::TooLarge, "There is not enough disk space on the image storage media.")
                    .caused_by(e)
            }
            _ => Error::wrap(format!("failed to write `{}`", part.path.display()), e),
        };
        let mut options = tokio::fs::OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&part.path).await.map_err(failed)?;
        let (mut md5, mut sha512, mut size) = (Md5::new(), Sha512::new(), 0u64);
        let limit = self.options.max_upload_bytes.min(self.room(image).await?);
        while let Some(chunk) = data.next().await? {
            size += chunk.len() as u64;
            if size > limit {
                return Err(Error::new(
                    Kind::TooLarge,
                    format!("Image storage quota or size limit exceeded: at most {limit} bytes."),
                ));
            }
            md5.update(&chunk);
            sha512.update(&chunk);
            file.write_all(&chunk).await.map_err(failed)?;
        }
        file.sync_all().await.map_err(failed)?;
        drop(file);
        let format = image.disk_format.clone().unwrap_or_default();
        let facts = self.host.inspect_image(&part.path, &format).await?;
        let (id, target) = (image.id, self.path(image.id));
        tokio::fs::rename(&part.path, &target).await.map_err(failed)?;
        let (checksum, hash) = (hex(&md5.finalize()), hex(&sha512.finalize()));
        let write = self.store.write(move |tx| {
            tx.update::<Image>(&Scope::All, id, |image| {
                image.status = Status::Active;
                image.size = Some(size);
                image.virtual_size = Some(facts.virtual_size_bytes);
                image.checksum = Some(checksum.clone());
                image.os_hash_algo = Some("sha512".into());
                image.os_hash_value = Some(hash.clone());
                image.updated_at = Time::now();
                Ok(())
            })
        });
        let done = write.await;
        if done.is_err() {
            // Deleted meanwhile: so is its data.
            let _ = tokio::fs::remove_file(&target).await;
        }
        done.map(drop)
    }

    /// What the owner may still store, in bytes.
    async fn room(&self, image: &Image) -> Result<u64> {
        let (Some(limit), Some(owner)) = (self.options.project_bytes, image.owner.clone()) else {
            return Ok(u64::MAX);
        };
        let read = self
            .store
            .read(move |rd| rd.list::<Image>(&Scope::Project(owner.clone()), &pileus_store::Query::all()));
        let used: u64 = read.await?.iter().filter_map(|i| i.size).sum();
        Ok(limit.saturating_sub(used))
    }
}
