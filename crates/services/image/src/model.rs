//! An image as it is kept.

use std::collections::BTreeMap;

use pileus_base::{
    Error, Time,
    ids::{ImageId, ProjectId},
};
use pileus_store::{Indexes, Resource};
use serde::{Deserialize, Serialize};

/// How far an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Without data.
    Queued,
    /// Its data is coming.
    Saving,
    /// Its data is being staged, or is staged and waits to be imported.
    Uploading,
    /// What was staged, or lies elsewhere, is becoming its data.
    Importing,
    /// Usable.
    Active,
    /// Not to be downloaded for now.
    Deactivated,
}

/// Who sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Everybody who asks for it.
    Community,
    /// The owner and its members.
    Shared,
    /// The owner.
    Private,
}

impl Status {
    /// Glance's word.
    pub fn word(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Saving => "saving",
            Status::Uploading => "uploading",
            Status::Importing => "importing",
            Status::Active => "active",
            Status::Deactivated => "deactivated",
        }
    }
}
impl Visibility {
    /// Glance's word.
    pub fn word(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Community => "community",
            Visibility::Shared => "shared",
            Visibility::Private => "private",
        }
    }
    /// From Glance's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Public, Self::Community, Self::Shared, Self::Private].into_iter().find(|v| v.word() == word)
    }
}

/// A project that an image is shared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The project.
    pub project_id: ProjectId,
    /// `pending`, `accepted`, `rejected`.
    pub status: String,
    /// When it was added.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// The id.
    pub id: ImageId,
    /// The name; need not be unique.
    pub name: Option<String>,
    /// The owner; `None` for the cloud's own.
    pub owner: Option<ProjectId>,
    /// How far it is.
    pub status: Status,
    /// Who sees it.
    pub visibility: Visibility,
    /// `qcow2`, `raw`, …
    pub disk_format: Option<String>,
    /// `bare`, …
    pub container_format: Option<String>,
    /// Of the data, in bytes.
    pub size: Option<u64>,
    /// What a guest sees, in bytes.
    pub virtual_size: Option<u64>,
    /// MD5 of the data.
    pub checksum: Option<String>,
    /// `sha512`.
    pub os_hash_algo: Option<String>,
    /// Of the data.
    pub os_hash_value: Option<String>,
    /// Disk that a server needs, in GiB.
    pub min_disk_gib: u64,
    /// Memory that a server needs, in MiB.
    pub min_ram_mib: u64,
    /// Whether it can't be deleted.
    pub protected: bool,
    /// Whether lists leave it out.
    pub hidden: bool,
    /// Tags.
    pub tags: Vec<String>,
    /// Further properties.
    pub properties: BTreeMap<String, String>,
    /// Projects that it is shared with.
    pub members: Vec<Member>,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl Image {
    /// One without data, name or formats.
    pub fn new(id: ImageId, owner: Option<ProjectId>, now: Time) -> Self {
        Self {
            id,
            name: None,
            owner,
            status: Status::Queued,
            visibility: Visibility::Shared,
            disk_format: None,
            container_format: None,
            size: None,
            virtual_size: None,
            checksum: None,
            os_hash_algo: None,
            os_hash_value: None,
            min_disk_gib: 0,
            min_ram_mib: 0,
            protected: false,
            hidden: false,
            tags: Vec::new(),
            properties: BTreeMap::new(),
            members: Vec::new(),
            created_at: now,
            updated_at: now,
        }
    }
    /// Shares it with these projects and no others; what a member said before stays.
    pub fn share_with(&mut self, projects: &[ProjectId], now: Time) {
        self.members.retain(|m| projects.contains(&m.project_id));
        for project in projects {
            if !self.members.iter().any(|m| m.project_id == *project) {
                let (project_id, status) = (project.clone(), "pending".to_owned());
                self.members.push(Member { project_id, status, created_at: now, updated_at: now });
            }
        }
    }
    /// Whether servers may be made of it.
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }
    /// Whether its data is in place.
    pub fn has_data(&self) -> bool {
        matches!(self.status, Status::Active | Status::Deactivated)
    }
}

impl Resource for Image {
    const KIND: &'static str = "image.image";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        self.owner.as_ref()
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", self.name.as_deref().unwrap_or(""));
        ix.text("visibility", self.visibility.word());
        self.members.iter().for_each(|m| ix.add("member", &m.project_id));
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Failed to find image {id}"))
    }
}
