//! Layers of images, and the files of containers.
//!
//! A layer is `<state-dir>/layers/<id>/diff`, ready to be a lower directory of an overlay, with `meta.json`
//! beside it; its id is the head of the OCI ChainID. It is unpacked beside its place and renamed, so what
//! is there is whole. A container's own files are `<state-dir>/containers/<id>/{upper,work}`. Whatever
//! comes from an archive or a caller is resolved by the kernel beneath a directory ([`root`]).
//!
//! Everything here blocks; who calls it does so on a thread for that.

#![forbid(unsafe_code)]

mod attrs;
mod chain;
mod changes;
mod decode;
mod files;
mod merged;
mod mounted;
mod pack;
mod peek;
mod root;
mod sparse;
mod store;
mod tarread;
mod unpack;

use std::path::PathBuf;

use pileus_base::Error;

pub use files::WriteTar;
pub use mounted::{Seen, TreeMount};
pub use store::Limits;

/// A layer that has been unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedLayer {
    /// 16 hex digits.
    pub id: String,
    /// `sha256:…` of the uncompressed tar.
    pub diff_id: String,
    /// What its files take, in bytes.
    pub size_bytes: u64,
}

/// What a container changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From the root.
    pub path: String,
    /// 0 modified, 1 added, 2 deleted.
    pub kind: u8,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub link_target: String,
}

/// The layers and the containers' files of one state directory.
#[derive(Debug, Clone)]
pub struct Layers {
    state_dir: PathBuf,
    limits: Limits,
}

/// Says what was being done when the system refused.
pub(crate) fn os<E: Into<std::io::Error>>(doing: impl std::fmt::Display) -> impl FnOnce(E) -> Error {
    move |e| {
        let e = e.into();
        Error::wrap(format!("{doing}: {e}"), e)
    }
}

/// Bytes of a path as they can be shown.
pub(crate) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
