//! Events: what happened to a stack and its resources, in order.

use std::sync::atomic::{AtomicI64, Ordering};

use pileus_base::{
    Result, Scope, Time,
    ids::{ProjectId, StackId},
};
use pileus_store::{Indexes, Query, Read, Resource, Stored, Tx};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use uuid::Uuid;

use super::{
    resources::Item,
    stacks::{Stack, Status},
};
use crate::model::Json;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// Where.
    pub stack: StackId,
    /// The stack's project.
    pub project_id: ProjectId,
    /// The resource, or the stack itself.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// The id of the thing.
    pub physical_id: Option<String>,
    /// `CREATE_COMPLETE`.
    pub status: String,
    /// In words.
    pub reason: String,
    /// When; no two in one process are alike.
    pub at: Time,
    /// The resource's properties.
    pub properties: Map<String, Json>,
}

impl Resource for Event {
    const KIND: &'static str = "stack.event";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.add("stack", self.stack);
        ix.time("at", self.at);
    }
}

/// The clock, but never the same twice: what happens later sorts later.
fn tick() -> Time {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = Time::now().0;
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
    Time(now.max(last.unwrap_or_else(|last| last) + 1))
}

/// Notes the state that a stack is in now.
///
/// # Errors
/// Those of the store.
pub fn of_stack(tx: &mut Tx<'_>, stack: &Stack) -> Result<()> {
    tx.insert(&Event {
        id: Uuid::new_v4(),
        stack: stack.id,
        project_id: stack.project_id.clone(),
        resource: stack.name.clone(),
        kind: "OS::Heat::Stack".into(),
        physical_id: Some(stack.id.to_string()),
        status: stack.state(),
        reason: stack.reason.clone(),
        at: tick(),
        properties: Map::new(),
    })
}

/// Notes the state that a resource is in now.
///
/// # Errors
/// Those of the store.
pub fn of_item(tx: &mut Tx<'_>, item: &Item) -> Result<()> {
    let reason = item.reason.clone();
    of_item_as(tx, item, &item.state(), &reason)
}

/// Notes something else about a resource: a signal, for one.
///
/// # Errors
/// Those of the store.
pub fn of_item_as(tx: &mut Tx<'_>, item: &Item, status: &str, reason: &str) -> Result<()> {
    let settled = item.status != Status::InProgress || !item.properties.is_empty();
    tx.insert(&Event {
        id: Uuid::new_v4(),
        stack: item.stack,
        project_id: item.project_id.clone(),
        resource: item.name.clone(),
        kind: item.kind.clone(),
        physical_id: item.physical_id.clone(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        at: tick(),
        properties: if settled { item.properties.clone() } else { Map::new() },
    })
}

/// The events of a stack, oldest first.
///
/// # Errors
/// Those of the store.
pub fn all(rd: &mut Read<'_>, stack: StackId) -> Result<Vec<Stored<Event>>> {
    rd.list(&Scope::All, &Query::by("stack", stack).sort("at"))
}
