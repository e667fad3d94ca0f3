//! An action: gives each step of its run a job when those before it are done, and ends the run.

use std::{sync::Arc, time::Duration};

use pileus_base::{Result, Scope, Time, ids::JobId, ids::StackId};
use pileus_jobs::{End, Job, Outcome, Step};
use pileus_store::{Stored, Tx};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::resource::{ResourceInput, ResourceJob};
use crate::{
    Stacks,
    engine::finish,
    store::{
        events,
        resources::Item,
        runs::{Op, Progress, Run},
        stacks::{Action, Stack, Status},
    },
};

/// The job of an action.
pub struct StackAction {
    stacks: Arc<Stacks>,
}

/// Which run of which stack.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ActionInput {
    /// The stack.
    pub stack: StackId,
    /// The run.
    pub run: Uuid,
}

impl StackAction {
    /// The job over a service.
    pub fn new(stacks: Arc<Stacks>) -> Self {
        Self { stacks }
    }
}

impl Job for StackAction {
    const KIND: &'static str = "stack.action";
    type Input = ActionInput;

    fn steps(&self, _: &ActionInput) -> Vec<Step<Self>> {
        vec![Step::without_undo("run", |job: Arc<Self>, run| async move {
            let (stacks, input, id) = (job.stacks.clone(), run.input, run.job_id);
            run.store().write(move |tx| advance(&stacks, tx, id, input)).await
        })]
    }

    fn ended(&self, tx: &mut Tx<'_>, input: &ActionInput, end: &End) -> Result<()> {
        let reason = match end {
            End::Undone(error) => error.message.clone(),
            // Whoever cancelled it began another run, or wrote the state.
            End::Done | End::Cancelled => return Ok(()),
        };
        match current(tx, *input)? {
            Some((stack, _)) => finish::finish(&self.stacks, tx, stack, Some(&reason)),
            None => Ok(()),
        }
    }
}

/// The stack and the run, while that is the one that counts.
fn current(tx: &mut Tx<'_>, input: ActionInput) -> Result<Option<(Stored<Stack>, Stored<Run>)>> {
    let Some(stack) = tx.find::<Stack>(&Scope::All, input.stack)? else { return Ok(None) };
    if stack.run != Some(input.run) || stack.status != Status::InProgress {
        return Ok(None);
    }
    Ok(tx.find::<Run>(&Scope::All, input.run)?.map(|run| (stack, run)))
}

/// Goes as far as it can now.
fn advance(stacks: &Stacks, tx: &mut Tx<'_>, job: JobId, input: ActionInput) -> Result<Outcome> {
    let Some((stack, mut run)) = current(tx, input)? else { return Ok(Outcome::nothing()) };
    let now = Time::now();
    let failed = |run: &Run| {
        run.steps.iter().find_map(|s| match &s.progress {
            Progress::Failed(reason) => Some((s.op, reason.clone())),
            _ => None,
        })
    };
    if run.aborted.is_none() {
        if now >= run.deadline {
            run.aborted = Some(format!("{} timed out", run.action.title()));
        } else if let Some((op, reason)) = failed(&run).filter(|_| run.action != Action::Check) {
            run.aborted = Some(format!("Resource {} failed: {reason}", op.action().word()));
        }
        if run.aborted.is_some() {
            // Removals finish; nobody gains from a thing half gone.
            for step in run.steps.iter().filter(|s| s.progress == Progress::Working && s.op != Op::Delete) {
                pileus_jobs::cancel(tx, Item::subject(step.item))?;
            }
            tx.put(&run)?;
            run.revision += 1;
        }
    }
    let may_begin = run.aborted.is_none() || matches!(run.action, Action::Delete) && now < run.deadline;
    if may_begin {
        let ready: Vec<usize> = (0..run.steps.len())
            .filter(|n| run.steps[*n].progress == Progress::Waiting)
            .filter(|n| run.steps[*n].after.iter().all(|a| run.steps[*a].progress == Progress::Done))
            .collect();
        for n in &ready {
            let step = run.steps[*n].clone();
            start(tx, job, input, *n, step.item, step.op)?;
            run.value.steps[*n].progress = Progress::Working;
        }
        if !ready.is_empty() {
            tx.put(&run)?;
        }
    }
    if run.steps.iter().any(|s| s.progress == Progress::Working) {
        let left = (run.deadline.0 - now.0).max(1_000_000);
        let left = Duration::from_micros(left.unsigned_abs()).min(Duration::from_secs(30));
        return Ok(Outcome::Later(left));
    }
    let failed = run
        .aborted
        .clone()
        .or_else(|| failed(&run).map(|(op, r)| format!("Resource {} failed: {r}", op.action().word())));
    finish::finish(stacks, tx, stack, failed.as_deref())?;
    Ok(Outcome::nothing())
}

/// Gives a step its job.
fn start(tx: &mut Tx<'_>, job: JobId, input: ActionInput, step: usize, item: Uuid, op: Op) -> Result<()> {
    if let Some(mut found) = tx.find::<Item>(&Scope::All, item)? {
        // An update says so only where there is something to change.
        if op != Op::Update {
            found.set(op.action(), Status::InProgress, "state changed");
            tx.put(&found)?;
            events::of_item(tx, &found)?;
        }
    }
    let input = ResourceInput { stack: input.stack, run: input.run, step, item, op };
    pileus_jobs::enqueue_child::<ResourceJob>(tx, job, Item::subject(item), &input).map(drop)
}
