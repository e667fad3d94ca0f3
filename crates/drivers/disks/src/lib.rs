//! Disks of servers: a [`Disks`] of a few verbs; `file` keeps them as qcow2 files, `sim` notes only that
//! they exist.

pub mod file;
mod inspect;
pub mod sim;

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
};

use pileus_base::{
    Result,
    ids::{ImageId, ServerId},
};

pub use inspect::ImageInfo;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An image's data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Base {
    /// The image.
    pub id: ImageId,
    /// Its file.
    pub path: PathBuf,
    /// Its format.
    pub format: String,
    /// Names the content.
    pub checksum: String,
}

/// Where a disk's first content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An overlay over a prepared image.
    Image(Base),
    /// Nothing.
    Blank,
    /// An ISO 9660 volume `config-2` with these files.
    ConfigDrive(Vec<(String, Vec<u8>)>),
}

/// A disk, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpec {
    /// The owner.
    pub server: ServerId,
    /// Unique for the owner: `root`, `config`.
    pub name: String,
    /// Its first content.
    pub source: Source,
    /// In GiB; 0 for the source's own size.
    pub size_gib: u64,
}

/// Where a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFile {
    /// The file.
    pub path: PathBuf,
    /// `qcow2` or `raw`.
    pub format: &'static str,
}

/// A driver of disks.
pub trait Disks: Send + Sync + 'static {
    /// Examines an image. It must be of `format` and refer to nothing outside itself.
    fn inspect<'a>(&'a self, path: &'a Path, format: &'a str) -> BoxFuture<'a, Result<ImageInfo>>;
    /// Makes a disk, unless it is there.
    fn ensure<'a>(&'a self, spec: &'a DiskSpec) -> BoxFuture<'a, Result<()>>;
    /// Where a server's disk of this name is, once made. A blank or root disk is qcow2, a config drive raw.
    fn locate(&self, server: ServerId, name: &str) -> Result<DiskFile>;
    /// Removes all disks of a server.
    fn remove(&self, server: ServerId) -> BoxFuture<'_, Result<()>>;
    /// Servers that have disks.
    fn owners(&self) -> BoxFuture<'_, Result<Vec<ServerId>>>;
    /// Drops prepared images but those in `keep`.
    fn prune<'a>(&'a self, keep: &'a [Base]) -> BoxFuture<'a, Result<()>>;
}
