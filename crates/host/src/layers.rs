//! Layers of images and the files of containers, as a host needs to know them.

use std::path::{Path, PathBuf};

use pileus_base::Result;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use crate::{BoxFuture, Rootfs};

/// A file that is read.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A layer that has been unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedLayer {
    /// Names it in [`Rootfs::layers`]: 16 hex digits.
    pub id: String,
    /// `sha256:…` of the uncompressed tar.
    pub diff_id: String,
    /// What its files take, in bytes.
    pub size_bytes: u64,
}

/// What a container changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// From the root.
    pub path: String,
    /// 0 modified, 1 added, 2 deleted: Docker's numbers.
    pub kind: u8,
}

/// What is at a path, as Docker's `X-Docker-Container-Path-Stat` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    /// The last name.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Go's `os.FileMode`.
    pub mode: u32,
    /// RFC 3339.
    pub mtime: String,
    /// Where a symbolic link leads, from the container's root.
    #[serde(rename = "linkTarget")]
    pub link_target: String,
}

/// A file or directory of the host that is at a place of a container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeMount {
    /// On the host.
    pub source: PathBuf,
    /// Below the source; empty for all of it.
    pub subpath: PathBuf,
    /// In the container.
    pub destination: PathBuf,
    /// Whether nothing may be written there.
    pub read_only: bool,
}

/// How a container's files are seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// As this process, its first, sees them.
    Process(u32),
    /// As they are on disk, with these mounts.
    Mounts(Vec<TreeMount>),
}

/// Layers and files. Tar is read and written as Docker does it (PAX, `.wh.` for what is deleted). No path
/// leaves the tree it belongs to.
pub trait Layers: Send + Sync + 'static {
    /// Unpacks a layer (tar; gzip and zstd are found out) above others, the lowest first. One that is there
    /// already is left as it is, if `diff_id` is given and names it.
    ///
    /// # Errors
    /// 400 that says what is wrong with the archive, and which entry.
    fn apply_layer<'a>(
        &'a self,
        tar: Reader,
        below: &'a [String],
        diff_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<AppliedLayer>>;
    /// Unpacks all layers of an image, the lowest first, at once: one digest of an uncompressed tar for each
    /// archive. Those that are here already are left as they are, and their archives unread.
    ///
    /// # Errors
    /// Those of [`Layers::apply_layer`]; whole layers may stay, which nothing uses.
    fn apply_layers<'a>(
        &'a self,
        tars: Vec<Reader>,
        diff_ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<AppliedLayer>>>;
    /// Removes a layer that no image and no container uses.
    fn remove_layer<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Layers that are here.
    fn layers(&self) -> BoxFuture<'_, Result<Vec<String>>>;
    /// A layer as a tar, the same bytes each time (its digest is the `diff_id`).
    fn export_layer<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Reader>>;
    /// What a container has written, as a layer of its own.
    fn commit_container<'a>(&'a self, id: &'a str, below: &'a Rootfs) -> BoxFuture<'a, Result<AppliedLayer>>;
    /// Makes a layer of what a container has written, as [`Layers::commit_container`] does it, of one that
    /// will not run again: its files become the layer's and are not copied. `ran` is whether it has run, so
    /// that some of its files stand only for mounts.
    fn turn_into_layer<'a>(
        &'a self,
        id: &'a str,
        below: &'a Rootfs,
        ran: bool,
    ) -> BoxFuture<'a, Result<AppliedLayer>>;
    /// What a container has changed, sorted.
    fn container_changes<'a>(&'a self, id: &'a str, rootfs: &'a Rootfs)
    -> BoxFuture<'a, Result<Vec<Change>>>;
    /// What a container has written, in bytes.
    fn container_size<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<u64>>;
    /// A container's whole filesystem as a tar.
    fn export_container<'a>(&'a self, id: &'a str, rootfs: &'a Rootfs) -> BoxFuture<'a, Result<Reader>>;
    /// What is at `path` in a container; without `seen`, as it is on disk.
    fn stat_path<'a>(
        &'a self,
        id: &'a str,
        rootfs: &'a Rootfs,
        seen: Option<&'a Seen>,
        path: &'a str,
    ) -> BoxFuture<'a, Result<PathStat>>;
    /// What is at `path` as a tar.
    fn copy_out<'a>(
        &'a self,
        id: &'a str,
        rootfs: &'a Rootfs,
        seen: Option<&'a Seen>,
        path: &'a str,
    ) -> BoxFuture<'a, Result<(PathStat, Reader)>>;
    /// Unpacks a tar into the directory `path`. `strict` refuses to put a file in a directory's place or
    /// the reverse.
    fn copy_in<'a>(
        &'a self,
        id: &'a str,
        rootfs: &'a Rootfs,
        seen: Option<&'a Seen>,
        path: &'a str,
        tar: Reader,
        strict: bool,
    ) -> BoxFuture<'a, Result<()>>;
    /// Copies what an image has at `path` into an empty volume's directory.
    fn seed_volume<'a>(
        &'a self,
        rootfs: &'a Rootfs,
        path: &'a str,
        volume: &'a Path,
    ) -> BoxFuture<'a, Result<()>>;
    /// The `/etc/passwd` or `/etc/group` (or any other small file) of an image or container, at most 1 MiB.
    fn read_small<'a>(
        &'a self,
        id: Option<&'a str>,
        rootfs: &'a Rootfs,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
}
