//! Stacks: the template with all that came with it, whose it is, and where its last action got.

use std::sync::Arc;

use pileus_base::{
    Caller, Ctx, Error, ProjectRef, Result, Scope, Time, UserRef,
    ids::{ProjectId, RequestId, StackId},
};
use pileus_store::{Indexes, Query, Read, Resource, Stored, Unique};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use uuid::Uuid;

use crate::model::{Environment, Json, Parameters, Parsed, Template, params::StackIdentity};

/// What is done to a stack or a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// Not made yet.
    Init,
    /// It is made.
    Create,
    /// It is removed.
    Delete,
    /// It is changed.
    Update,
    /// What was made is taken back.
    Rollback,
    /// It is compared with what is.
    Check,
    /// It is taken over.
    Adopt,
}

impl Action {
    /// In capitals, as Heat writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Update => "UPDATE",
            Self::Rollback => "ROLLBACK",
            Self::Check => "CHECK",
            Self::Adopt => "ADOPT",
        }
    }
    /// With only the first letter large: `Create timed out`.
    pub fn title(self) -> String {
        let word = self.word();
        format!("{}{}", &word[..1], word[1..].to_lowercase())
    }
}

/// Where an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Under way.
    InProgress,
    /// Well done.
    Complete,
    /// Gone wrong.
    Failed,
}

impl Status {
    /// In capitals, as Heat writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Complete => "COMPLETE",
            Self::Failed => "FAILED",
        }
    }
}

/// On whose behalf a stack acts, like a trust.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// The user.
    pub user: Option<UserRef>,
    /// The project.
    pub project: Option<ProjectRef>,
    /// The roles that the user held.
    pub roles: Vec<Arc<str>>,
}

impl Owner {
    /// The caller of `ctx`.
    pub fn of(ctx: &Ctx) -> Self {
        let caller = &ctx.caller;
        Self { user: caller.user.clone(), project: caller.project.clone(), roles: caller.roles.clone() }
    }
    /// A call by the owner.
    pub fn ctx(&self) -> Ctx {
        let (user, project, roles) = (self.user.clone(), self.project.clone(), self.roles.clone());
        Ctx::new(Arc::new(Caller { user, project, roles, ..Caller::default() }), RequestId::new())
    }
    /// The user's name.
    pub fn name(&self) -> Option<&str> {
        self.user.as_ref().map(|u| &*u.name)
    }
}

/// The resource of another stack that a nested stack stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// The other stack.
    pub stack: StackId,
    /// Its resource.
    pub resource: Uuid,
    /// That resource's name.
    pub name: String,
}

/// What a stack is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The template.
    pub template: Json,
    /// What came with it.
    pub files: Map<String, Json>,
    /// The environment, as [`Environment::to_json`] writes it.
    pub environment: Json,
}

/// A source, read.
pub struct Loaded {
    /// The template.
    pub template: Template,
    /// The environment.
    pub environment: Environment,
    /// The stack's parameters.
    pub parameters: Parameters,
    /// What came with the template.
    pub files: Map<String, Json>,
    /// Resources and outputs.
    pub parsed: Parsed,
}

impl Source {
    /// The environment.
    ///
    /// # Errors
    /// Never, for one that was accepted.
    pub fn environment(&self) -> Result<Environment> {
        let sections = self.environment.as_object().cloned().unwrap_or_default();
        Ok(Environment::from_sections(sections)?)
    }
    /// Reads it for the stack `identity`.
    ///
    /// # Errors
    /// Where the template is not right.
    pub fn load(&self, identity: &StackIdentity) -> Result<Loaded> {
        let template = Template::from_json(self.template.clone())?;
        let environment = self.environment()?;
        let parameters = template.parameters(identity, &environment)?;
        let parsed = template.parse_for(&parameters)?;
        Ok(Loaded { template, environment, parameters, files: self.files.clone(), parsed })
    }
}

/// A stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Its id.
    pub id: StackId,
    /// Its name.
    pub name: String,
    /// Its project.
    pub project_id: ProjectId,
    /// On whose behalf it acts.
    pub owner: Owner,
    /// What it is made from.
    pub source: Source,
    /// What it was made from before the update under way, for a rollback.
    pub previous: Option<Source>,
    /// What is done to it, or was last.
    pub action: Action,
    /// How that goes.
    pub status: Status,
    /// In words.
    pub reason: String,
    /// When it was asked for.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Option<Time>,
    /// When it was removed.
    pub deleted_at: Option<Time>,
    /// Whether what was made stays where a creation fails.
    pub disable_rollback: bool,
    /// How long an action may take.
    pub timeout_mins: Option<u32>,
    /// Tags.
    pub tags: Vec<String>,
    /// For which resource it stands, where it is nested.
    pub parent: Option<Parent>,
    /// How its maker reached the API, for addresses inside servers.
    pub base: String,
    /// The run of the action.
    pub run: Option<Uuid>,
    /// The project that Heat makes for a stack's users; here only an id.
    pub user_project_id: String,
}

impl Stack {
    /// What its pseudo parameters say.
    pub fn identity(&self) -> StackIdentity {
        StackIdentity {
            name: self.name.clone(),
            id: self.id.to_string(),
            project_id: self.project_id.to_string(),
        }
    }
    /// `CREATE_COMPLETE`.
    pub fn state(&self) -> String {
        format!("{}_{}", self.action.word(), self.status.word())
    }
    /// What it is made from, read.
    ///
    /// # Errors
    /// Where the template is not right.
    pub fn load(&self) -> Result<Loaded> {
        self.source.load(&self.identity())
    }
    /// The subject of its jobs.
    pub fn subject(id: StackId) -> String {
        format!("stack/{id}")
    }
}

impl Resource for Stack {
    const KIND: &'static str = "stack.stack";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("life", if self.deleted_at.is_some() { "deleted" } else { "live" });
        ix.text("name", &self.name);
        if let Some(parent) = &self.parent {
            ix.add("parent", parent.stack);
            ix.add("parent_resource", parent.resource);
        }
    }
    fn unique(&self, unique: &mut Unique) {
        if self.deleted_at.is_none() {
            unique.claim("stack.name", format!("{}/{}", self.project_id, self.name));
        }
    }
    fn not_found(id: &str) -> Error {
        not_found(id)
    }
}

/// Heat's 404 for a stack.
pub fn not_found(name: &str) -> Error {
    Error::not_found(format!("The Stack ({name}) could not be found.")).code("EntityNotFound")
}

/// The stack of this name (a living one) or id (a removed one too, for a while).
///
/// # Errors
/// 404 in Heat's words.
pub fn find(rd: &mut Read<'_>, scope: &Scope, name_or_id: &str) -> Result<Stored<Stack>> {
    if let Ok(id) = name_or_id.parse::<StackId>()
        && let Some(found) = rd.find(scope, id)?
    {
        return Ok(found);
    }
    let query = Query::by("name", name_or_id).eq("life", "live");
    rd.first(scope, query)?.ok_or_else(|| not_found(name_or_id))
}

/// The nested stack that stands for a resource.
///
/// # Errors
/// Those of the store.
pub fn nested(rd: &mut Read<'_>, resource: Uuid) -> Result<Option<Stored<Stack>>> {
    rd.first(&Scope::All, Query::by("parent_resource", resource).eq("life", "live"))
}

/// Every living stack directly below `stack`.
///
/// # Errors
/// Those of the store.
pub fn children(rd: &mut Read<'_>, stack: StackId) -> Result<Vec<Stored<Stack>>> {
    rd.list(&Scope::All, &Query::by("parent", stack).eq("life", "live"))
}
