//! Runs: one action on one stack, its steps and how far each is.

use pileus_base::{
    Time,
    ids::{ProjectId, StackId},
};
use pileus_store::{Indexes, Resource};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::stacks::Action;

/// What a step does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Makes it.
    Create,
    /// Changes it, where what it is given changed.
    Update,
    /// Removes it.
    Delete,
    /// Looks whether it is there.
    Check,
}

impl Op {
    /// As an action of the resource.
    pub fn action(self) -> Action {
        match self {
            Self::Create => Action::Create,
            Self::Update => Action::Update,
            Self::Delete => Action::Delete,
            Self::Check => Action::Check,
        }
    }
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It waits for others.
    Waiting,
    /// It has a job.
    Working,
    /// It is done.
    Done,
    /// It failed, for this reason.
    Failed(String),
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    /// The resource.
    pub item: Uuid,
    /// What is done to it.
    pub op: Op,
    /// The steps that come before.
    pub after: Vec<usize>,
    /// How far it is.
    pub progress: Progress,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// Its stack.
    pub stack: StackId,
    /// The stack's project.
    pub project_id: ProjectId,
    /// What it does.
    pub action: Action,
    /// Its steps.
    pub steps: Vec<RunStep>,
    /// When it is given up.
    pub deadline: Time,
    /// Why it was given up already.
    pub aborted: Option<String>,
}

impl Resource for Run {
    const KIND: &'static str = "stack.run";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.add("stack", self.stack);
    }
}
