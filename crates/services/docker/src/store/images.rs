//! An image's document.

use std::collections::BTreeMap;

use pileus_base::{Error, ids::ProjectId};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:` and the digest of `config`.
    pub id: String,
    /// The configuration's bytes, as they were digested.
    pub config: String,
    /// Layers as the host names them, the lowest first.
    pub layers: Vec<String>,
    /// What each layer's files take, in bytes.
    pub layer_bytes: Vec<u64>,
    /// Tags, normalised: `docker.io/library/busybox:latest`.
    pub tags: Vec<String>,
    /// Digests it was pulled or pushed by, normalised: `docker.io/library/busybox@sha256:…`.
    pub digests: Vec<String>,
    /// The image it was built on, here.
    pub parent: String,
    /// Nanoseconds since the epoch: when it was last tagged.
    pub tagged_ns: i64,
    /// The compressed layers as they came, by position: `sha256:…` of the blob, for pushing and saving.
    pub blobs: BTreeMap<usize, String>,
}

impl Image {
    /// The configuration, read.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.config).unwrap_or_default()
    }
    /// All its files, in bytes.
    pub fn size(&self) -> u64 {
        self.layer_bytes.iter().sum()
    }
}

impl Resource for Image {
    const KIND: &'static str = "docker.image";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        self.tags.iter().for_each(|t| ix.text("tag", t));
        self.layers.iter().for_each(|l| ix.text("layer", l));
    }
    fn unique(&self, unique: &mut Unique) {
        self.tags.iter().for_each(|t| unique.claim("docker.image.tag", t));
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("No such image: {id}"))
    }
}
