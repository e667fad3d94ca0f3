//! Layers as they came, by their digest: `<state-dir>/docker/blobs/sha256/<hex>`.
//!
//! A blob is written beside its place, digested while it is, synced and renamed: what bears a digest is whole.

use std::{collections::HashSet, path::PathBuf};

use bytes::Bytes;
use pileus_base::{Error, Result};
use sha2::{Digest, Sha256};
use tokio::{
    fs,
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
};

use super::hex;
use crate::Docker;

/// The folder of blobs.
#[derive(Clone)]
pub(crate) struct Blobs {
    /// `<state-dir>/docker/blobs/sha256`.
    folder: PathBuf,
    /// Where files are before they bear their name.
    pub incoming: PathBuf,
    /// What was fetched in part, to go on from.
    partial: PathBuf,
}

/// A file that is removed when it is dropped.
pub(crate) struct Scratch(pub PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may have been renamed.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Docker {
    /// The folder of blobs.
    pub(crate) fn blobs(&self) -> Blobs {
        Blobs::at(&self.options.state_dir.join("docker"))
    }
}

fn file_name(digest: &str) -> String {
    digest.strip_prefix("sha256:").unwrap_or(digest).replace(['/', '.'], "_")
}

fn failed(doing: &str) -> impl FnOnce(std::io::Error) -> Error {
    let doing = format!("failed to {doing}");
    move |e| Error::wrap(doing, e)
}

/// The digest so far of a file, and its size.
pub(crate) fn hash_file(path: &std::path::Path) -> std::io::Result<(Sha256, u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
    loop {
        let n = std::io::Read::read(&mut file, &mut buffer)?;
        if n == 0 {
            return Ok((hash, size));
        }
        hash.update(&buffer[..n]);
        size += n as u64;
    }
}

/// What a reader gives, piece by piece, as a body is sent.
pub(crate) fn chunks_of(
    from: impl AsyncRead + Unpin + Send,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::unfold(Some(from), |from| async move {
        let mut from = from?;
        let mut buffer = bytes::BytesMut::with_capacity(256 << 10);
        match from.read_buf(&mut buffer).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(buffer.freeze()), Some(from))),
            Err(e) => Some((Err(e), None)),
        }
    })
}

impl Blobs {
    /// Those in a folder of the engine's.
    pub(super) fn at(docker: &std::path::Path) -> Self {
        Self {
            folder: docker.join("blobs/sha256"),
            incoming: docker.join("incoming"),
            partial: docker.join("partial"),
        }
    }

    /// Makes the folders, and throws away what is half written.
    pub async fn open(&self) -> Result<()> {
        match fs::remove_dir_all(&self.incoming).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed("clear blobs")(e)),
            _ => {}
        }
        fs::create_dir_all(&self.folder).await.map_err(failed("make the folder of blobs"))?;
        fs::create_dir_all(&self.incoming).await.map_err(failed("make the folder of blobs"))?;
        fs::create_dir_all(&self.partial).await.map_err(failed("make the folder of blobs"))
    }

    /// A new name for a file that is being written.
    pub fn scratch(&self) -> Scratch {
        Scratch(self.incoming.join(crate::new_id()))
    }

    /// Where the blob of `digest` is, or would be.
    pub fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(file_name(digest))
    }

    /// Where the blob of `digest` is while it is fetched.
    pub fn partial(&self, digest: &str) -> PathBuf {
        self.partial.join(file_name(digest))
    }

    /// The size of a blob that is here.
    pub async fn size(&self, digest: &str) -> Option<u64> {
        fs::metadata(self.path(digest)).await.ok().map(|m| m.len())
    }

    /// Writes what `from` gives to a scratch file; it, its digest and its size.
    pub async fn take(&self, mut from: impl AsyncRead + Unpin) -> Result<(Scratch, String, u64)> {
        let scratch = self.scratch();
        let mut file = fs::File::create(&scratch.0).await.map_err(failed("make a blob"))?;
        let (mut digest, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
        loop {
            let n = from.read(&mut buffer).await.map_err(failed("read a blob"))?;
            if n == 0 {
                break;
            }
            digest.update(&buffer[..n]);
            file.write_all(&buffer[..n]).await.map_err(failed("write a blob"))?;
            size += n as u64;
        }
        file.flush().await.map_err(failed("write a blob"))?;
        file.sync_all().await.map_err(failed("sync a blob"))?;
        Ok((scratch, format!("sha256:{}", hex(&digest.finalize())), size))
    }

    /// Gives a whole scratch file its place.
    pub async fn place(&self, scratch: Scratch, digest: &str) -> Result<()> {
        self.place_file(&scratch.0, digest).await
    }

    /// Gives a file of the same file system its place among the blobs.
    pub async fn place_file(&self, from: &std::path::Path, digest: &str) -> Result<()> {
        self.rename(from, digest).await?;
        self.sync_folder().await
    }

    /// The same, before it is sure to last: [`Blobs::sync`] follows.
    pub async fn rename(&self, from: &std::path::Path, digest: &str) -> Result<()> {
        fs::rename(from, self.path(digest)).await.map_err(failed("keep a blob"))
    }

    /// Makes blobs last.
    pub async fn sync(&self, digests: &[String]) -> Result<()> {
        for digest in digests {
            self.read(digest).await?.sync_all().await.map_err(failed("sync a blob"))?;
        }
        self.sync_folder().await
    }

    async fn sync_folder(&self) -> Result<()> {
        let folder = fs::File::open(&self.folder).await.map_err(failed("sync blobs"))?;
        folder.sync_all().await.map_err(failed("sync blobs"))
    }

    /// Keeps what `from` gives; its digest and size.
    pub async fn keep(&self, from: impl AsyncRead + Unpin) -> Result<(String, u64)> {
        let (scratch, digest, size) = self.take(from).await?;
        self.place(scratch, &digest).await?;
        Ok((digest, size))
    }

    /// A blob, for reading.
    pub async fn read(&self, digest: &str) -> Result<fs::File> {
        fs::File::open(self.path(digest)).await.map_err(failed("open a blob"))
    }

    /// The digests of those that are here.
    pub async fn list(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let mut entries = fs::read_dir(&self.folder).await.map_err(failed("list blobs"))?;
        while let Some(entry) = entries.next_entry().await.map_err(failed("list blobs"))? {
            all.push(format!("sha256:{}", entry.file_name().to_string_lossy()));
        }
        all.sort();
        Ok(all)
    }

    /// Removes one; one that is not here is fine.
    pub async fn remove(&self, digest: &str) -> Result<()> {
        match fs::remove_file(self.path(digest)).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("remove a blob")(e)),
            _ => Ok(()),
        }
    }

    /// Removes all others.
    pub async fn keep_only(&self, digests: &HashSet<String>) -> Result<()> {
        for folder in [&self.folder, &self.partial] {
            let mut entries = fs::read_dir(folder).await.map_err(failed("list blobs"))?;
            while let Some(entry) = entries.next_entry().await.map_err(failed("list blobs"))? {
                let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
                if !digests.contains(&digest) {
                    fs::remove_file(entry.path()).await.map_err(failed("remove a blob"))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blob_bears_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::at(dir.path());
        blobs.open().await.unwrap();
        let (digest, size) = blobs.keep(&b"hello"[..]).await.unwrap();
        assert_eq!((size, &*digest), (5, &*super::super::digest_of(b"hello")));
        assert_eq!(blobs.size(&digest).await, Some(5));
        blobs.keep_only(&HashSet::new()).await.unwrap();
        assert_eq!(blobs.size(&digest).await, None);
    }
}
