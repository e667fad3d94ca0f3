//! What became of a task on a host.

use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::Error;
use crate::inventory::Name;
use crate::playbook::Task;

/// What became of a task on a host.
#[derive(Debug, Clone)]
pub struct TaskResult {
    /// The host.
    pub host: Name,
    /// The task.
    pub task: Arc<Task>,
    /// Its name, rendered.
    pub name: String,
    /// The result.
    pub value: Dict,
    /// Keywords rendered for this host.
    pub fields: Arc<super::fields::Fields>,
    /// Results of a loop's items, with their labels.
    pub items: Vec<Item>,
    /// Whether the task loops.
    pub looped: bool,
    /// Why it failed.
    pub error: Option<Error>,
}

/// One item of a loop.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its result.
    pub value: Dict,
    /// What is shown for it.
    pub label: Value,
    /// Why it failed.
    pub error: Option<Error>,
    /// An include waiting to be read.
    pub include: Option<super::include::Wanted>,
}

/// A flag of a result.
pub fn flag(d: &Dict, name: &str) -> bool {
    crate::truth::of(d.get(name), false)
}

/// What `failed_when` said, or why it could not be asked.
fn judged(d: &Dict) -> bool {
    d.get("failed_when_result").is_some_and(|v| v.truth().unwrap_or(true))
}

impl TaskResult {
    /// Whether it failed.
    /// What `failed_when` said counts more than what is told of the result.
    pub fn failed(&self) -> bool {
        const JUDGED: &str = "failed_when_result";
        if self.value.contains(JUDGED) {
            return judged(&self.value);
        }
        if self.items.iter().any(|i| i.value.contains(JUDGED)) {
            return self.items.iter().any(|i| judged(&i.value));
        }
        flag(&self.value, "failed")
    }
    /// Whether it changed something.
    pub fn changed(&self) -> bool {
        flag(&self.value, "changed")
    }
    /// Whether it was skipped.
    pub fn skipped(&self) -> bool {
        if self.looped && !self.items.is_empty() {
            return self.items.iter().all(|i| flag(&i.value, "skipped"));
        }
        flag(&self.value, "skipped")
    }
    /// Whether the host could not be reached.
    pub fn unreachable(&self) -> bool {
        flag(&self.value, "unreachable")
    }
}
