//! Who may do what: role assignments, implied roles, trusts, application credentials, revoked tokens.

use pileus_base::{Error, Time, ids::ProjectId};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entity::{Entity, Is, Object};

/// Who holds a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Actor {
    /// One user.
    User(String),
    /// Every user of a group.
    Group(String),
}

impl Actor {
    /// As an index value.
    pub fn key(&self) -> String {
        match self {
            Actor::User(id) => format!("u:{id}"),
            Actor::Group(id) => format!("g:{id}"),
        }
    }
}

/// What a role is held on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// A project.
    Project(String),
    /// A domain.
    Domain(String),
    /// The whole cloud.
    System,
}

impl Target {
    /// As an index value.
    pub fn key(&self) -> String {
        match self {
            Target::Project(id) => format!("p:{id}"),
            Target::Domain(id) => format!("d:{id}"),
            Target::System => "s:all".into(),
        }
    }
}

/// A role that an actor holds on a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Assignment {
    /// Who.
    pub actor: Actor,
    /// On what.
    pub target: Target,
    /// Which role.
    pub role: String,
    /// On everything below the target rather than on it (`OS-INHERIT`).
    pub inherited: bool,
}

impl Resource for Assignment {
    const KIND: &'static str = "identity.assignment";
    fn id(&self) -> String {
        let (actor, target) = (self.actor.key(), self.target.key());
        format!("{actor}/{target}/{}/{}", self.role, if self.inherited { "inherited" } else { "direct" })
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("actor", self.actor.key());
        ix.text("target", self.target.key());
        ix.text("role", &self.role);
    }
}

/// That one role brings another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Implied {
    /// The role that brings it.
    pub prior: String,
    /// The role brought.
    pub implied: String,
}

impl Resource for Implied {
    const KIND: &'static str = "identity.implied";
    fn id(&self) -> String {
        format!("{}/{}", self.prior, self.implied)
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("prior", &self.prior);
        ix.text("implied", &self.implied);
    }
}

/// A trust: a user lets another act with some of their roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    /// The id.
    pub id: String,
    /// Who lends.
    pub trustor_user_id: String,
    /// Who borrows.
    pub trustee_user_id: String,
    /// On which project.
    pub project_id: Option<String>,
    /// Whether tokens name the trustor as their user.
    pub impersonation: bool,
    /// Ids of the roles lent.
    #[serde(rename = "_roles")]
    pub roles: Vec<String>,
    /// When it ends, in Keystone's form.
    pub expires_at: Option<String>,
    /// How many tokens are left.
    pub remaining_uses: Option<i64>,
    /// How often it may be lent on.
    pub redelegation_count: i64,
    /// The trust that it was lent on from.
    pub redelegated_trust_id: Option<String>,
    /// Always null: a deleted trust is gone.
    #[serde(default)]
    pub deleted_at: Option<String>,
}

impl Trust {
    /// Whether it has ended at `now`.
    pub fn expired(&self, now: Time) -> bool {
        let ends = self.expires_at.as_deref().and_then(|t| Time::parse(t).ok());
        ends.is_some_and(|t| t <= now)
    }
}

impl Resource for Trust {
    const KIND: &'static str = "identity.trust";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("trustor_user_id", &self.trustor_user_id);
        ix.text("trustee_user_id", &self.trustee_user_id);
        ix.text("project_id", self.project_id.as_deref().unwrap_or_default());
        ix.text("redelegated_trust_id", self.redelegated_trust_id.as_deref().unwrap_or_default());
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Could not find trust: {id}."))
    }
}

impl Entity for Trust {
    const ONE: &'static str = "trust";
    const MANY: &'static str = "trusts";
    const PATH: &'static str = "/v3/OS-TRUST/trusts";
    const FIELDS: &'static [(&'static str, Is)] = &[
        ("trustor_user_id", Is::Text),
        ("trustee_user_id", Is::Text),
        ("impersonation", Is::Bool),
        ("project_id", Is::TextOrNull),
        ("remaining_uses", Is::IntOrNull),
        ("expires_at", Is::TextOrNull),
        ("allow_redelegation", Is::Bool),
        ("redelegation_count", Is::IntOrNull),
        ("roles", Is::List),
    ];
    const REQUIRED: &'static [&'static str] = &["trustee_user_id", "trustor_user_id", "impersonation"];
    const FILTERS: &'static [&'static str] = &["trustor_user_id", "trustee_user_id"];
}

/// An application credential: a secret that stands for some of a user's roles on one project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppCred {
    /// The id.
    pub id: String,
    /// The name, unique for the user.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whose it is.
    pub user_id: String,
    /// For which project.
    pub project_id: String,
    /// Ids of its roles.
    #[serde(rename = "_roles")]
    pub roles: Vec<String>,
    /// When it ends, in Keystone's form.
    pub expires_at: Option<String>,
    /// Whether its tokens may make more of its kind, and trusts.
    pub unrestricted: bool,
    /// The bcrypt hash of the secret.
    #[serde(rename = "_secret")]
    pub secret: String,
    /// Ids of its access rules.
    #[serde(default, rename = "_access_rules")]
    pub access_rules: Vec<String>,
    /// Always null.
    #[serde(default)]
    pub system: Value,
}

impl AppCred {
    /// Whether it has ended at `now`.
    pub fn expired(&self, now: Time) -> bool {
        let ends = self.expires_at.as_deref().and_then(|t| Time::parse(t).ok());
        ends.is_some_and(|t| t <= now)
    }
}

impl Resource for AppCred {
    const KIND: &'static str = "identity.app_cred";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("user_id", &self.user_id);
        ix.text("project_id", &self.project_id);
        ix.text("name", &self.name);
    }
    fn unique(&self, unique: &mut Unique) {
        unique.claim("identity.app_cred.name", format!("{}/{}", self.user_id, self.name));
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Could not find Application Credential: {id}."))
    }
}

impl Entity for AppCred {
    const ONE: &'static str = "application_credential";
    const MANY: &'static str = "application_credentials";
    const PATH: &'static str = "/v3/users";
    const FIELDS: &'static [(&'static str, Is)] = &[
        ("name", Is::Name),
        ("description", Is::TextOrNull),
        ("secret", Is::TextOrNull),
        ("expires_at", Is::TextOrNull),
        ("roles", Is::List),
        ("unrestricted", Is::Bool),
        ("access_rules", Is::List),
    ];
    const REQUIRED: &'static [&'static str] = &["name"];
    const FILTERS: &'static [&'static str] = &["name"];
    fn duplicate(&self) -> String {
        format!("Duplicate entry found with name {}.", self.name)
    }
}

/// A rule of an application credential: which request it may make. Kept for clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessRule {
    /// The id.
    pub id: String,
    /// Whose it is.
    #[serde(rename = "_user")]
    pub user: String,
    /// `service`, `method`, `path`.
    #[serde(flatten)]
    pub body: Object,
}

impl Resource for AccessRule {
    const KIND: &'static str = "identity.access_rule";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("user", &self.user);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Could not find Access Rule: {id}."))
    }
}

/// A token that was revoked before its time, by its audit id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revocation {
    /// The token's audit id.
    pub audit_id: String,
    /// When the token would have ended anyway.
    pub until: Time,
}

impl Resource for Revocation {
    const KIND: &'static str = "identity.revocation";
    fn id(&self) -> String {
        self.audit_id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.time("until", self.until);
    }
}
