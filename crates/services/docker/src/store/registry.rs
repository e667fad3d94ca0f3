//! The documents of the registry that is built in: a manifest, a tag, and which blobs a repository has.
//!
//! The content of blobs is the engine's; these documents are the references that keep it.

use pileus_base::ids::ProjectId;
use pileus_store::{Indexes, Query, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A repository: the project that it belongs to, and its name there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// The project.
    pub project: ProjectId,
    /// `app/web`.
    pub name: String,
}

impl Repository {
    /// As the documents are indexed by it.
    pub fn key(&self) -> String {
        format!("{}/{}", self.project, self.name)
    }
    /// Documents of this repository.
    pub fn query(&self) -> Query {
        Query::by("repository", self.key())
    }
}

/// A manifest in a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Where it is.
    pub at: Repository,
    /// `sha256:…` of its bytes.
    pub digest: String,
    /// Its media type.
    pub media: String,
    /// Its bytes.
    pub text: String,
    /// Blobs that it refers to: configuration and layers.
    pub blobs: Vec<String>,
    /// Manifests that it refers to, where it is an index.
    pub manifests: Vec<String>,
    /// The manifest that it is about.
    pub subject: Option<String>,
    /// What kind of thing it is, where it says so.
    pub artifact: Option<String>,
    /// Its annotations.
    pub annotations: Value,
}

impl Manifest {
    /// The id of one.
    pub fn key(at: &Repository, digest: &str) -> String {
        format!("{}@{digest}", at.key())
    }
}

impl Resource for Manifest {
    const KIND: &'static str = "docker.registry_manifest";
    fn id(&self) -> String {
        Self::key(&self.at, &self.digest)
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.at.project)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("repository", self.at.key());
        ix.add("project", &self.at.project);
        self.subject.iter().for_each(|s| ix.text("subject", s));
    }
}

/// A tag in a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tag {
    /// Where it is.
    pub at: Repository,
    /// The tag.
    pub name: String,
    /// The manifest that it stands for.
    pub digest: String,
}

impl Tag {
    /// The id of one.
    pub fn key(at: &Repository, name: &str) -> String {
        format!("{}:{name}", at.key())
    }
}

impl Resource for Tag {
    const KIND: &'static str = "docker.registry_tag";
    fn id(&self) -> String {
        Self::key(&self.at, &self.name)
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.at.project)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("repository", self.at.key());
        ix.text("digest", &self.digest);
    }
}

/// That a repository has a blob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The repository.
    pub at: Repository,
    /// The blob.
    pub digest: String,
    /// Nanoseconds since the epoch: when it came.
    pub since_ns: i64,
}

impl Link {
    /// The id of one.
    pub fn key(at: &Repository, digest: &str) -> String {
        format!("{}#{digest}", at.key())
    }
}

impl Resource for Link {
    const KIND: &'static str = "docker.registry_blob";
    fn id(&self) -> String {
        Self::key(&self.at, &self.digest)
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.at.project)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("repository", self.at.key());
        ix.text("digest", &self.digest);
    }
}
