//! One step of a run: asks for the thing in one transaction, then waits until it is there.
//!
//! Neither step is undone: what a failed creation left is kept with the stack, as Heat does, and goes with
//! it. The request for the thing and the note of its id are one transaction, so none is ever lost.

use std::{cell::RefCell, sync::Arc};

use pileus_base::{Error, Result, Scope, ids::StackId};
use pileus_jobs::{End, Job, Outcome, Step};
use pileus_store::{Stored, Tx};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use uuid::Uuid;

use crate::{
    Stacks,
    engine::{
        begin,
        context::{Live, World},
        custom::{Checks, KnownTypes},
        finish,
    },
    model::{
        Json, Types,
        schema::{self, Change},
    },
    store::{
        events,
        resources::Item,
        runs::{Op, Progress, Run, RunStep},
        stacks::{Stack, Status},
    },
    types::{At, Kind},
};

/// The job of a step.
pub struct ResourceJob {
    stacks: Arc<Stacks>,
}

/// Which step of which run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ResourceInput {
    /// The stack.
    pub stack: StackId,
    /// The run.
    pub run: Uuid,
    /// The step's place.
    pub step: usize,
    /// The resource.
    pub item: Uuid,
    /// What is done to it.
    pub op: Op,
}

impl ResourceJob {
    /// The job over a service.
    pub fn new(stacks: Arc<Stacks>) -> Self {
        Self { stacks }
    }
}

impl Job for ResourceJob {
    const KIND: &'static str = "stack.resource";
    type Input = ResourceInput;

    fn steps(&self, _: &ResourceInput) -> Vec<Step<Self>> {
        vec![
            Step::without_undo("start", |job: Arc<Self>, run| async move {
                let (stacks, input) = (job.stacks.clone(), run.input);
                run.store().write(move |tx| start(&stacks, tx, input)).await?;
                Ok(Outcome::nothing())
            }),
            Step::without_undo("wait", |job: Arc<Self>, run| async move {
                let (stacks, input) = (job.stacks.clone(), run.input);
                run.store().write(move |tx| wait(&stacks, tx, input)).await
            }),
        ]
    }

    fn ended(&self, tx: &mut Tx<'_>, input: &ResourceInput, end: &End) -> Result<()> {
        let failed = match end {
            End::Done => None,
            End::Undone(error) => Some(error.message.clone()),
            End::Cancelled => Some(format!("{} aborted", input.op.action().word())),
        };
        settle(tx, *input, failed)
    }
}

/// The stack and the item, while both are there.
fn find(tx: &mut Tx<'_>, input: ResourceInput) -> Result<Option<(Stored<Stack>, Stored<Item>)>> {
    let Some(stack) = tx.find::<Stack>(&Scope::All, input.stack)? else { return Ok(None) };
    Ok(tx.find::<Item>(&Scope::All, input.item)?.map(|item| (stack, item)))
}

fn kind(stacks: &Stacks, item: &Item) -> Result<Arc<dyn Kind>> {
    let missing = || Error::bad_request(format!("The Resource Type ({}) could not be found.", item.engine));
    stacks.registry.kind(&item.engine).ok_or_else(missing)
}

fn start(stacks: &Stacks, tx: &mut Tx<'_>, input: ResourceInput) -> Result<()> {
    let Some((stack, mut item)) = find(tx, input)? else { return Ok(()) };
    // Done already, or another run counts now.
    if item.started == Some((input.run, input.step)) || stack.run != Some(input.run) {
        return Ok(());
    }
    item.started = Some((input.run, input.step));
    let done = act(stacks, tx, input, &stack, &mut item);
    done.map_err(|e| finish::failure(&item, &e))?;
    tx.put(&item)
}

/// The properties and metadata of an item as they come to now.
fn values(stacks: &Stacks, tx: &mut Tx<'_>, stack: &Stack, item: &Item) -> Result<(Map<String, Json>, Json)> {
    let world = World::of(tx, stack)?;
    let gone = || Error::internal(format!("the resource {} is not in its template", item.name));
    let definition = world.loaded.parsed.resources.get(&item.name).ok_or_else(gone)?;
    let known = KnownTypes { stacks, files: &world.loaded.files };
    let schema = known.properties(&item.engine).unwrap_or_default();
    let rd = RefCell::new(&mut **tx);
    let live = Live { stacks, stack, world: &world, rd: &rd };
    let checks = Checks { stacks, ctx: &world.ctx, rd: &rd };
    schema::validate(&schema, &definition.properties, &live, &checks)?;
    let properties = schema::resolve(&schema, &definition.properties, &live)?;
    let metadata = definition.metadata.resolve(&live)?;
    Ok((properties, metadata))
}

fn act(
    stacks: &Stacks,
    tx: &mut Tx<'_>,
    input: ResourceInput,
    stack: &Stack,
    item: &mut Stored<Item>,
) -> Result<()> {
    let kind = kind(stacks, item)?;
    let ctx = stack.owner.ctx();
    match input.op {
        Op::Create => {
            let (properties, metadata) = values(stacks, tx, stack, item)?;
            (item.properties, item.metadata) = (properties, metadata);
            let external = external_id(stacks, tx, stack, item)?;
            if external.is_some() {
                item.physical_id = external;
                return Ok(());
            }
            kind.create(&mut At { tx, stacks, ctx: &ctx, stack, item: &mut item.value })
        }
        Op::Update => update(stacks, tx, input, stack, item, &*kind),
        Op::Delete if item.retain || item.physical_id.is_none() => Ok(()),
        Op::Delete => kind.delete(&mut At { tx, stacks, ctx: &ctx, stack, item: &mut item.value }),
        Op::Check => kind.check(&mut At { tx, stacks, ctx: &ctx, stack, item: &mut item.value }),
    }
}

/// The id of something that exists already, where the template names one.
fn external_id(stacks: &Stacks, tx: &mut Tx<'_>, stack: &Stack, item: &Item) -> Result<Option<String>> {
    let world = World::of(tx, stack)?;
    let Some(definition) = world.loaded.parsed.resources.get(&item.name) else { return Ok(None) };
    let Some(id) = &definition.external_id else { return Ok(None) };
    let rd = RefCell::new(&mut **tx);
    let live = Live { stacks, stack, world: &world, rd: &rd };
    Ok(id.resolve(&live)?.as_str().map(str::to_owned))
}

/// Changes an item in place, or puts another in its place, or leaves it.
fn update(
    stacks: &Stacks,
    tx: &mut Tx<'_>,
    input: ResourceInput,
    stack: &Stack,
    item: &mut Stored<Item>,
    kind: &dyn Kind,
) -> Result<()> {
    let loaded = stack.load()?;
    let graph = begin::graph(stacks, &loaded)?;
    let mut next = begin::item(stack, &loaded, &graph, &item.name);
    let ctx = stack.owner.ctx();
    let broken = item.status == Status::Failed || item.physical_id.is_none();
    if broken || next.engine != item.engine {
        kind.replaced(&mut At { tx, stacks, ctx: &ctx, stack, item: &mut item.value })?;
        return replace(tx, input, item, next);
    }
    let (properties, metadata) = values(stacks, tx, stack, item)?;
    let known = KnownTypes { stacks, files: &loaded.files };
    let schema = known.properties(&item.engine).unwrap_or_default();
    let change = schema::change(&schema, &item.properties, &properties)?;
    let nested = crate::types::is_template(&item.engine);
    if change == Change::Replace {
        next.metadata = metadata;
        kind.replaced(&mut At { tx, stacks, ctx: &ctx, stack, item: &mut item.value })?;
        return replace(tx, input, item, next);
    }
    let changed: Vec<String> =
        schema::differing(&schema, &item.properties, &properties).into_iter().map(str::to_owned).collect();
    item.requires = next.requires;
    item.retain = next.retain;
    item.definition = next.definition;
    item.kind = next.kind;
    if change == Change::None && item.metadata == metadata && !nested {
        return Ok(());
    }
    item.metadata = metadata;
    let old = std::mem::replace(&mut item.properties, properties);
    item.set(Op::Update.action(), Status::InProgress, "state changed");
    events::of_item(tx, item)?;
    if change == Change::None && !nested {
        return Ok(());
    }
    kind.update(&mut At { tx, stacks, ctx: &ctx, stack, item: &mut item.value }, &old, &changed)
}

/// Puts `next` in the place of `item`: the step makes it, and the old one goes when all is done.
fn replace(tx: &mut Tx<'_>, input: ResourceInput, item: &mut Item, next: Item) -> Result<()> {
    item.superseded = true;
    let id = next.id;
    tx.insert(&next)?;
    let Some(mut run) = tx.find::<Run>(&Scope::All, input.run)? else { return Ok(()) };
    let after = (0..run.steps.len()).collect();
    let step = &mut run.value.steps[input.step];
    (step.item, step.op, step.progress) = (id, Op::Create, Progress::Waiting);
    run.value.steps.push(RunStep { item: item.id, op: Op::Delete, after, progress: Progress::Waiting });
    tx.put(&run)
}

fn wait(stacks: &Stacks, tx: &mut Tx<'_>, input: ResourceInput) -> Result<Outcome> {
    let Some((stack, mut item)) = find(tx, input)? else { return Ok(Outcome::nothing()) };
    let skip = item.superseded && input.op == Op::Update
        || input.op == Op::Delete && (item.retain || item.physical_id.is_none())
        || input.op == Op::Update && item.status != Status::InProgress
        || stack.run != Some(input.run);
    if skip {
        return Ok(Outcome::nothing());
    }
    let kind = kind(stacks, &item)?;
    let (ctx, before) = (stack.owner.ctx(), item.value.clone());
    let mut at = At { tx, stacks, ctx: &ctx, stack: &stack, item: &mut item.value };
    let there = match input.op {
        Op::Create => kind.created(&mut at),
        Op::Update => kind.updated(&mut at),
        Op::Delete => kind.deleted(&mut at),
        Op::Check => Ok(true),
    };
    let there = there.map_err(|e| finish::failure(&before, &e))?;
    if item.value != before {
        tx.put(&item)?;
    }
    Ok(if there { Outcome::nothing() } else { Outcome::Later(kind.pace()) })
}

/// Notes how a step ended, in the item, its event and the run.
fn settle(tx: &mut Tx<'_>, input: ResourceInput, failed: Option<String>) -> Result<()> {
    if let Some(mut item) = tx.find::<Item>(&Scope::All, input.item)? {
        let mine = item.action == input.op.action() && item.status == Status::InProgress;
        let failing_update = input.op == Op::Update && failed.is_some() && !item.superseded;
        if mine || failing_update {
            let (status, reason) = match &failed {
                None => (Status::Complete, "state changed"),
                Some(reason) => (Status::Failed, reason.as_str()),
            };
            item.set(input.op.action(), status, reason);
            events::of_item(tx, &item)?;
            if input.op == Op::Delete && failed.is_none() {
                tx.delete::<Item>(item.id)?;
            } else {
                tx.put(&item)?;
            }
        }
    }
    let Some(mut run) = tx.find::<Run>(&Scope::All, input.run)? else { return Ok(()) };
    let Some(step) = run.value.steps.get_mut(input.step) else { return Ok(()) };
    // A replaced item's step belongs to its successor now.
    if step.item != input.item || step.op != input.op {
        return Ok(());
    }
    step.progress = failed.map_or(Progress::Done, Progress::Failed);
    tx.put(&run)
}
