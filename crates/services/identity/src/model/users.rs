//! Users, their membership of groups, and the count of their failed logins.

use pileus_base::{Error, Time, ids::ProjectId};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    entity::{Entity, Is, Object},
    projects::{empty_object, yes},
};

/// A user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The id.
    pub id: String,
    /// The name, unique within the domain.
    pub name: String,
    /// The domain that owns the user.
    pub domain_id: String,
    /// Whether the user may log in.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The project of a token that names no scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_project_id: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// An address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When the password ends, in Keystone's form without a zone.
    #[serde(default)]
    pub password_expires_at: Option<String>,
    /// `ignore_lockout_failure_attempts` and its like.
    #[serde(default = "empty_object")]
    pub options: Value,
    /// The bcrypt hash; `None` for a user that can't log in by password.
    #[serde(default, rename = "_password")]
    pub password: Option<String>,
    /// Hashes of earlier passwords, newest first.
    #[serde(default, rename = "_history")]
    pub history: Vec<String>,
    /// When the password was set.
    #[serde(default, rename = "_password_at")]
    pub password_at: Time,
    /// Tokens issued up to here are revoked.
    #[serde(default, rename = "_revoked_before")]
    pub revoked_before: Time,
    /// What else clients have attached.
    #[serde(flatten)]
    pub extra: Object,
}

impl User {
    /// Whether the option `name` is set.
    pub fn option(&self, name: &str) -> bool {
        self.options[name] == Value::Bool(true)
    }
}

impl Resource for User {
    const KIND: &'static str = "identity.user";
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
        unique.claim("identity.user.name", format!("{}/{}", self.domain_id, self.name));
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Could not find user: {id}."))
    }
}

impl Entity for User {
    const ONE: &'static str = "user";
    const MANY: &'static str = "users";
    const PATH: &'static str = "/v3/users";
    const FIELDS: &'static [(&'static str, Is)] = &[
        ("name", Is::Name),
        ("description", Is::TextOrNull),
        ("domain_id", Is::Text),
        ("default_project_id", Is::TextOrNull),
        ("enabled", Is::Bool),
        ("email", Is::TextOrNull),
        ("password", Is::TextOrNull),
        ("options", Is::Object),
    ];
    const REQUIRED: &'static [&'static str] = &["name"];
    const FILTERS: &'static [&'static str] = &["name", "domain_id", "enabled"];
    fn duplicate(&self) -> String {
        format!("Duplicate entry found with name {} at domain ID {}.", self.name, self.domain_id)
    }
}

/// That a user is in a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// The group.
    pub group: String,
    /// The user.
    pub user: String,
}

impl Resource for Membership {
    const KIND: &'static str = "identity.membership";
    fn id(&self) -> String {
        format!("{}/{}", self.group, self.user)
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("group", &self.group);
        ix.text("user", &self.user);
    }
}

/// Failed logins of one user since the last good one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failures {
    /// The user.
    pub user: String,
    /// How many.
    pub count: u32,
    /// The last one.
    pub at: Time,
}

impl Resource for Failures {
    const KIND: &'static str = "identity.failures";
    fn id(&self) -> String {
        self.user.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
}
