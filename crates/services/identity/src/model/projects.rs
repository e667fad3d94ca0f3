//! Projects and domains (a domain is a project that acts as one, as in Keystone), groups and roles.

use pileus_base::{Error, Time, ids::ProjectId};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entity::{Entity, Is, Object};

pub(crate) fn yes() -> bool {
    true
}
pub(crate) fn empty_object() -> Value {
    Value::Object(Object::new())
}

/// A project, or a domain where `is_domain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// The id.
    pub id: ProjectId,
    /// The name, unique within the domain.
    pub name: String,
    /// The domain that owns it; `None` for a domain.
    #[serde(default)]
    pub domain_id: Option<String>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether tokens for it are given out and accepted.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The parent; the domain at the top; `None` for a domain.
    #[serde(default)]
    pub parent_id: Option<String>,
    /// Whether it acts as a domain.
    #[serde(default)]
    pub is_domain: bool,
    /// Labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Options (`immutable`).
    #[serde(default = "empty_object")]
    pub options: Value,
    /// Tokens issued up to here are revoked.
    #[serde(default, rename = "_revoked_before")]
    pub revoked_before: Time,
    /// What else clients have attached.
    #[serde(flatten)]
    pub extra: Object,
}

impl Resource for Project {
    const KIND: &'static str = "identity.project";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        ix.add("is_domain", self.is_domain);
        ix.text("domain_id", self.domain_id.as_deref().unwrap_or_default());
        ix.text("parent_id", self.parent_id.as_deref().unwrap_or_default());
    }
    fn unique(&self, unique: &mut Unique) {
        let domain = self.domain_id.as_deref().unwrap_or_default();
        unique.claim("identity.project.name", format!("{domain}/{}", self.name));
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Could not find project: {id}."))
    }
}

impl Entity for Project {
    const ONE: &'static str = "project";
    const MANY: &'static str = "projects";
    const PATH: &'static str = "/v3/projects";
    const FIELDS: &'static [(&'static str, Is)] = &[
        ("name", Is::ShortName),
        ("description", Is::TextOrNull),
        ("domain_id", Is::TextOrNull),
        ("parent_id", Is::TextOrNull),
        ("enabled", Is::Bool),
        ("is_domain", Is::Bool),
        ("tags", Is::List),
        ("options", Is::Object),
    ];
    const REQUIRED: &'static [&'static str] = &["name"];
    const FILTERS: &'static [&'static str] = &["name", "domain_id", "enabled", "parent_id", "is_domain"];
    fn duplicate(&self) -> String {
        if self.is_domain {
            let what = "it is not permitted to have two projects acting as domains with the same name";
            return format!("{what}: {}.", self.name);
        }
        let what = "it is not permitted to have two projects with the same name in the same domain";
        format!("{what}: {}.", self.name)
    }
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The id.
    pub id: String,
    /// The name, unique within the domain.
    pub name: String,
    /// The domain that owns it.
    pub domain_id: String,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
    /// What else clients have attached.
    #[serde(flatten)]
    pub extra: Object,
}

impl Resource for Group {
    const KIND: &'static str = "identity.group";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        ix.text("domain_id", &self.domain_id);
    }
    fn unique(&self, unique: &mut Unique) {
        unique.claim("identity.group.name", format!("{}/{}", self.domain_id, self.name));
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Could not find group: {id}."))
    }
}

impl Entity for Group {
    const ONE: &'static str = "group";
    const MANY: &'static str = "groups";
    const PATH: &'static str = "/v3/groups";
    const FIELDS: &'static [(&'static str, Is)] =
        &[("name", Is::ShortName), ("description", Is::TextOrNull), ("domain_id", Is::Text)];
    const REQUIRED: &'static [&'static str] = &["name"];
    const FILTERS: &'static [&'static str] = &["name", "domain_id"];
    fn duplicate(&self) -> String {
        format!("Duplicate entry found with name {} at domain ID {}.", self.name, self.domain_id)
    }
}

/// A role, of the whole cloud or of one domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The domain that owns it, where it is of one.
    #[serde(default)]
    pub domain_id: Option<String>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
    /// Options (`immutable`).
    #[serde(default = "empty_object")]
    pub options: Value,
    /// What else clients have attached.
    #[serde(flatten)]
    pub extra: Object,
}

impl Resource for Role {
    const KIND: &'static str = "identity.role";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
    }
    fn unique(&self, unique: &mut Unique) {
        let domain = self.domain_id.as_deref().unwrap_or_default();
        unique.claim("identity.role.name", format!("{domain}/{}", self.name));
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Could not find role: {id}."))
    }
}

impl Entity for Role {
    const ONE: &'static str = "role";
    const MANY: &'static str = "roles";
    const PATH: &'static str = "/v3/roles";
    const FIELDS: &'static [(&'static str, Is)] = &[
        ("name", Is::Name),
        ("description", Is::TextOrNull),
        ("domain_id", Is::TextOrNull),
        ("options", Is::Object),
    ];
    const REQUIRED: &'static [&'static str] = &["name"];
    const FILTERS: &'static [&'static str] = &["name", "domain_id"];
    fn duplicate(&self) -> String {
        match &self.domain_id {
            None => format!("Duplicate entry found with name {}.", self.name),
            Some(d) => format!("Duplicate entry found with name {} at domain ID {d}.", self.name),
        }
    }
}
