//! Disks of servers and the images they come from.

use std::path::PathBuf;

use pileus_base::ids::{ImageId, ServerId};
use serde::{Deserialize, Serialize};

/// An image's data on the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageFile {
    /// The image.
    pub id: ImageId,
    /// Its file.
    pub path: PathBuf,
    /// `qcow2`, `raw`, `vmdk`, `vdi`, `iso`, `ami`.
    pub format: String,
    /// Names the content, so that a prepared copy is never taken for another's.
    pub checksum: String,
}

/// What examination found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// The size a guest sees, in bytes.
    pub virtual_size_bytes: u64,
}

/// Where a disk's first content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskSource {
    /// A copy-on-write overlay over an image.
    Image(ImageFile),
    /// Nothing.
    Blank,
    /// An ISO 9660 volume labelled `config-2` with these files (path, content).
    ConfigDrive(Vec<(String, Vec<u8>)>),
}

/// A disk of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpec {
    /// The owner.
    pub server: ServerId,
    /// `root`, `ephemeral0`, `swap`, `config`: unique within the server.
    pub name: String,
    /// Its first content.
    pub source: DiskSource,
    /// The size in GiB; 0 for the source's own.
    pub size_gib: u64,
}
