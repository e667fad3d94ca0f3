//! The resources of stacks: which thing of which service each is, and how it fares.

use pileus_base::{
    Error, Result, Scope, Time,
    ids::{ProjectId, StackId},
};
use pileus_store::{Indexes, Query, Read, Resource, Stored};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use uuid::Uuid;

use super::stacks::{Action, Status};
use crate::model::Json;

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its own id, which names use.
    pub id: Uuid,
    /// Its stack.
    pub stack: StackId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its name in the template.
    pub name: String,
    /// Its type as written.
    pub kind: String,
    /// The type that does the work.
    pub engine: String,
    /// The id of the thing in its service.
    pub physical_id: Option<String>,
    /// What is done to it, or was last.
    pub action: Action,
    /// How that goes.
    pub status: Status,
    /// In words.
    pub reason: String,
    /// When it was first asked for.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// The properties it was made with.
    pub properties: Map<String, Json>,
    /// Its metadata.
    pub metadata: Json,
    /// What its type remembers.
    pub data: Map<String, Json>,
    /// Whom it needs.
    pub requires: Vec<String>,
    /// Its definition as it stood in the template.
    pub definition: Json,
    /// Whether it stays when its stack lets go of it.
    pub retain: bool,
    /// Whether another has taken its place.
    pub superseded: bool,
    /// The run, and its step, whose request is made: one run may change an item and then remove it.
    pub started: Option<(Uuid, usize)>,
}

impl Item {
    /// The subject of its jobs.
    pub fn subject(id: Uuid) -> String {
        format!("resource/{id}")
    }
    /// `CREATE_COMPLETE`.
    pub fn state(&self) -> String {
        format!("{}_{}", self.action.word(), self.status.word())
    }
    /// Puts it into a state.
    pub fn set(&mut self, action: Action, status: Status, reason: impl Into<String>) {
        (self.action, self.status, self.reason) = (action, status, reason.into());
        self.updated_at = Time::now();
    }
    /// Whether there is something to take values from.
    pub fn is_made(&self) -> bool {
        !matches!(
            (self.action, self.status),
            (Action::Init | Action::Delete, _) | (Action::Create, Status::InProgress | Status::Failed)
        )
    }
}

impl Resource for Item {
    const KIND: &'static str = "stack.resource";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.add("stack", self.stack);
        if let Some(id) = &self.physical_id {
            ix.text("physical_id", id);
        }
        if self.status == Status::InProgress && self.physical_id.is_some() {
            ix.text("waiting", &self.engine);
        }
    }
}

/// Heat's 404 for a resource.
pub fn not_found(name: &str, stack: &str) -> Error {
    Error::not_found(format!("The Resource ({name}) could not be found in Stack {stack}."))
        .code("ResourceNotFound")
}

/// All of a stack, the superseded too, oldest first.
///
/// # Errors
/// Those of the store.
pub fn all(rd: &mut Read<'_>, stack: StackId) -> Result<Vec<Stored<Item>>> {
    let mut found: Vec<Stored<Item>> = rd.list(&Scope::All, &Query::by("stack", stack))?;
    found.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
    Ok(found)
}

/// Those of a stack that count now.
///
/// # Errors
/// Those of the store.
pub fn current(rd: &mut Read<'_>, stack: StackId) -> Result<Vec<Stored<Item>>> {
    let mut found = all(rd, stack)?;
    found.retain(|i| !i.superseded);
    Ok(found)
}

/// The resource `name` of a stack.
///
/// # Errors
/// 404 in Heat's words.
pub fn find(rd: &mut Read<'_>, stack: StackId, stack_name: &str, name: &str) -> Result<Stored<Item>> {
    let found = current(rd, stack)?.into_iter().find(|i| i.name == name);
    found.ok_or_else(|| not_found(name, stack_name))
}
