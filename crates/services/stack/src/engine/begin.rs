//! Actions begin: a stack, its items, the run with its steps and the job are written in one transaction.

use std::{cell::RefCell, collections::HashMap};

use pileus_base::{Ctx, Error, Result, Scope, Time, ids::ProjectId, ids::StackId};
use pileus_store::{Stored, Tx, taken};
use serde_json::{Map, json};
use uuid::Uuid;

use super::custom::{Checks, KnownTypes};
use crate::{
    Stacks,
    jobs::action::{ActionInput, StackAction},
    model::{DeletionPolicy, Graph, Template, environment::Mapped, names, plan, schema::Change as Diff},
    store::{
        events,
        resources::{self, Item},
        runs::{Op, Progress, Run, RunStep},
        stacks::{self, Action, Loaded, Owner, Parent, Source, Stack, Status},
    },
};

/// How deep stacks may stand in each other.
pub const MAX_DEPTH: usize = 5;
/// Resources of one stack.
const MAX_RESOURCES: usize = 1_000;
/// Minutes that an action may take where nobody said.
const TIMEOUT_MINS: u32 = 60;

/// A stack asked for.
#[derive(Clone)]
pub struct NewStack {
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub source: Source,
    /// On whose behalf it acts.
    pub owner: Owner,
    /// Its project.
    pub project_id: ProjectId,
    /// Whether what was made stays where the creation fails.
    pub disable_rollback: bool,
    /// How long an action may take.
    pub timeout_mins: Option<u32>,
    /// Tags.
    pub tags: Vec<String>,
    /// For which resource it stands.
    pub parent: Option<Parent>,
    /// How its maker reached the API.
    pub base: String,
}

/// A change asked for.
pub struct Change {
    /// What it is made from now.
    pub source: Source,
    /// Whether a failed update stays as it is.
    pub disable_rollback: Option<bool>,
    /// How long an action may take.
    pub timeout_mins: Option<u32>,
    /// Tags.
    pub tags: Option<Vec<String>>,
}

impl Default for Change {
    fn default() -> Self {
        let source = Source { template: json!({}), files: Map::new(), environment: json!({}) };
        Self { source, disable_rollback: None, timeout_mins: None, tags: None }
    }
}

/// A stack as it would be, before anything of it is written.
///
/// # Errors
/// 400 in Heat's words.
pub fn draft(stacks: &Stacks, tx: &mut Tx<'_>, ctx: &Ctx, new: NewStack) -> Result<(Stack, Loaded)> {
    if new.parent.is_none() {
        names::check_stack(&new.name)?;
    }
    let stack = Stack {
        id: StackId::new(),
        name: new.name,
        project_id: new.project_id,
        owner: new.owner,
        source: new.source,
        previous: None,
        action: Action::Create,
        status: Status::InProgress,
        reason: "Stack CREATE started".into(),
        created_at: Time::now(),
        updated_at: None,
        deleted_at: None,
        disable_rollback: new.disable_rollback,
        timeout_mins: new.timeout_mins,
        tags: new.tags,
        parent: new.parent,
        base: new.base,
        run: None,
        user_project_id: Uuid::new_v4().simple().to_string(),
    };
    let loaded = validated(stacks, tx, ctx, &stack)?;
    Ok((stack, loaded))
}

/// A stack's source, read and checked.
fn validated(stacks: &Stacks, tx: &mut Tx<'_>, ctx: &Ctx, stack: &Stack) -> Result<Loaded> {
    let template = Template::from_json(stack.source.template.clone())?;
    let environment = stack.source.environment()?;
    let parameters = template.parameters(&stack.identity(), &environment)?;
    let files = stack.source.files.clone();
    let rd = RefCell::new(&mut **tx);
    let known = KnownTypes { stacks, files: &files };
    let checks = Checks { stacks, ctx, rd: &rd };
    let parsed = template.validate(&parameters, &files, &environment, &known, &checks, true)?;
    if parsed.resources.len() > MAX_RESOURCES {
        let message = format!("Maximum resources per stack exceeded ({MAX_RESOURCES}).");
        return Err(Error::bad_request(message).code("RequestLimitExceeded"));
    }
    Ok(Loaded { template, environment, parameters, files, parsed })
}

/// Who needs whom in `loaded`, with the edges that types add.
///
/// # Errors
/// Where something refers to what is not there.
pub fn graph(stacks: &Stacks, loaded: &Loaded) -> Result<Graph> {
    let parsed = &loaded.parsed;
    let plain = parsed.graph(&loaded.parameters, &[])?;
    let kind = |name: &str| match loaded.environment.map_type(&parsed.resources.get(name)?.kind, name) {
        Mapped::Type(kind) => stacks.registry.kind(&kind),
        Mapped::Template(_) => None,
    };
    let mut added = Vec::new();
    for name in plain.names() {
        let Some(first) = kind(name).map(|k| k.after_siblings()).filter(|k| !k.is_empty()) else { continue };
        let needs: Vec<&str> = plain.requires(name).collect();
        for other in
            plain.names().filter(|o| *o != name && kind(o).is_some_and(|k| first.contains(&k.name())))
        {
            let shared = plain.requires(other).any(|n| needs.contains(&n));
            if shared && !plain.requires(other).any(|n| n == name) {
                added.push((name.to_owned(), other.to_owned()));
            }
        }
    }
    Ok(parsed.graph(&loaded.parameters, &added)?)
}

/// An item of `stack` for the resource `name` of `loaded`.
pub fn item(stack: &Stack, loaded: &Loaded, graph: &Graph, name: &str) -> Item {
    let definition = &loaded.parsed.resources[name];
    let engine = match loaded.environment.map_type(&definition.kind, name) {
        crate::model::environment::Mapped::Type(kind) | crate::model::environment::Mapped::Template(kind) => {
            kind
        }
    };
    let now = Time::now();
    Item {
        id: Uuid::new_v4(),
        stack: stack.id,
        project_id: stack.project_id.clone(),
        name: name.to_owned(),
        kind: definition.kind.clone(),
        engine,
        physical_id: None,
        action: Action::Init,
        status: Status::Complete,
        reason: String::new(),
        created_at: now,
        updated_at: now,
        properties: Map::new(),
        metadata: json!({}),
        data: Map::new(),
        requires: graph.requires(name).map(str::to_owned).collect(),
        definition: definition.to_json(),
        retain: definition.deletion_policy != DeletionPolicy::Delete,
        superseded: false,
        started: None,
    }
}

/// Writes a stack and begins to make it.
///
/// # Errors
/// 400 in Heat's words, 409 where the name is taken.
pub fn create(stacks: &Stacks, tx: &mut Tx<'_>, ctx: &Ctx, new: NewStack) -> Result<Stack> {
    let (mut stack, loaded) = draft(stacks, tx, ctx, new)?;
    let graph = graph(stacks, &loaded)?;
    let plan = plan::create(&graph)?;
    let mut steps = Vec::new();
    for step in plan.steps {
        let item = item(&stack, &loaded, &graph, &step.resource);
        tx.insert(&item)?;
        steps.push(RunStep { item: item.id, op: Op::Create, after: step.after, progress: Progress::Waiting });
    }
    let run = run(tx, &stack, Action::Create, steps)?;
    stack.run = Some(run);
    let name = stack.name.clone();
    tx.insert(&stack).map_err(|e| {
        let exists = || Error::conflict(format!("The Stack ({name}) already exists.")).code("StackExists");
        if taken(&e).is_some() { exists() } else { e }
    })?;
    events::of_stack(tx, &stack)?;
    enqueue(tx, &stack, run)?;
    Ok(stack)
}

fn run(tx: &mut Tx<'_>, stack: &Stack, action: Action, steps: Vec<RunStep>) -> Result<Uuid> {
    let mins = stack.timeout_mins.filter(|m| *m > 0).unwrap_or(TIMEOUT_MINS);
    let run = Run {
        id: Uuid::new_v4(),
        stack: stack.id,
        project_id: stack.project_id.clone(),
        action,
        steps,
        deadline: Time::now().plus_secs(i64::from(mins) * 60),
        aborted: None,
    };
    tx.insert(&run)?;
    Ok(run.id)
}

fn enqueue(tx: &mut Tx<'_>, stack: &Stack, run: Uuid) -> Result<()> {
    let input = ActionInput { stack: stack.id, run };
    pileus_jobs::enqueue::<StackAction>(tx, Stack::subject(stack.id), &input).map(drop)
}

/// Begins `action` with `steps` on a stack that is there.
fn begin(tx: &mut Tx<'_>, stack: &mut Stored<Stack>, action: Action, steps: Vec<RunStep>) -> Result<()> {
    if let Some(old) = stack.run {
        tx.delete::<Run>(old)?;
    }
    let run = run(tx, stack, action, steps)?;
    stack.run = Some(run);
    (stack.action, stack.status) = (action, Status::InProgress);
    stack.reason = format!("Stack {} started", action.word());
    if matches!(action, Action::Update | Action::Rollback) {
        stack.updated_at = Some(Time::now());
    }
    tx.put(stack)?;
    stack.revision += 1;
    events::of_stack(tx, stack)?;
    enqueue(tx, stack, run)
}

/// Asks what is under way to end.
fn interrupt(tx: &mut Tx<'_>, stack: &Stack) -> Result<()> {
    pileus_jobs::cancel(tx, Stack::subject(stack.id))?;
    for item in resources::all(tx, stack.id)? {
        if item.status == Status::InProgress {
            pileus_jobs::cancel(tx, Item::subject(item.id))?;
        }
    }
    Ok(())
}

/// The graph of items by their ids, the superseded too.
fn graph_of(items: &[Stored<Item>]) -> Graph {
    let mut graph = Graph::new();
    let mut named: HashMap<&str, Vec<String>> = HashMap::new();
    for item in items {
        graph.add(&item.id.to_string());
        named.entry(&item.name).or_default().push(item.id.to_string());
    }
    for item in items {
        for needed in item.requires.iter().filter_map(|r| named.get(r.as_str())).flatten() {
            graph.edge(&item.id.to_string(), needed);
        }
    }
    graph
}

/// The steps that remove all of `items`, users first.
fn removal(items: &[Stored<Item>]) -> Result<Vec<RunStep>> {
    let by_id: HashMap<String, Uuid> = items.iter().map(|i| (i.id.to_string(), i.id)).collect();
    let plan = plan::delete(&graph_of(items))?;
    let step = |s: plan::Step| RunStep {
        item: by_id[&s.resource],
        op: Op::Delete,
        after: s.after,
        progress: Progress::Waiting,
    };
    Ok(plan.steps.into_iter().map(step).collect())
}

/// Begins to remove a stack; what is under way ends first. Asking twice is fine.
///
/// # Errors
/// Those of the store.
pub fn delete(_: &Stacks, tx: &mut Tx<'_>, mut stack: Stored<Stack>) -> Result<Stack> {
    if stack.deleted_at.is_some() || (stack.action == Action::Delete && stack.status == Status::InProgress) {
        return Ok(stack.value);
    }
    interrupt(tx, &stack)?;
    let items = resources::all(tx, stack.id)?;
    let steps = removal(&items)?;
    begin(tx, &mut stack, Action::Delete, steps)?;
    Ok(stack.value)
}

/// Takes back what a failed creation made.
///
/// # Errors
/// Those of the store.
pub fn rollback_create(tx: &mut Tx<'_>, mut stack: Stored<Stack>) -> Result<()> {
    let items = resources::all(tx, stack.id)?;
    let steps = removal(&items)?;
    begin(tx, &mut stack, Action::Rollback, steps)
}

/// Begins to compare a stack with what is.
///
/// # Errors
/// 409 where something is under way.
pub fn check(tx: &mut Tx<'_>, mut stack: Stored<Stack>) -> Result<()> {
    idle(&stack)?;
    let items = resources::current(tx, stack.id)?;
    let step = |i: &Stored<Item>| RunStep {
        item: i.id,
        op: Op::Check,
        after: Vec::new(),
        progress: Progress::Waiting,
    };
    let steps = items.iter().filter(|i| i.physical_id.is_some()).map(step).collect();
    begin(tx, &mut stack, Action::Check, steps)
}

/// Refuses where an action is under way.
///
/// # Errors
/// 409 in Heat's words.
pub fn idle(stack: &Stack) -> Result<()> {
    if stack.status != Status::InProgress {
        return Ok(());
    }
    let (name, action) = (&stack.name, stack.action.word());
    Err(Error::conflict(format!("Stack {name} already has an action ({action}) in progress."))
        .code("ActionInProgress"))
}

/// Begins to turn a stack into another.
///
/// # Errors
/// 400 in Heat's words, 409 where something is under way.
pub fn update(
    stacks: &Stacks,
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    mut stack: Stored<Stack>,
    change: Change,
) -> Result<Stack> {
    idle(&stack)?;
    let old = stack.load();
    let previous = std::mem::replace(&mut stack.source, change.source);
    stack.previous = Some(previous);
    stack.disable_rollback = change.disable_rollback.unwrap_or(stack.disable_rollback);
    stack.timeout_mins = change.timeout_mins.or(stack.timeout_mins);
    stack.tags = change.tags.unwrap_or(std::mem::take(&mut stack.tags));
    let loaded = validated(stacks, tx, ctx, &stack)?;
    if let Ok(old) = old {
        old.parameters.check_immutable(&loaded.parameters)?;
    }
    let steps = transition(stacks, tx, &stack, &loaded)?;
    begin(tx, &mut stack, Action::Update, steps)?;
    Ok(stack.value)
}

/// Goes back to what a stack was before a failed update.
///
/// # Errors
/// Those of the store; 400 where the old template does not hold any more.
pub fn rollback_update(stacks: &Stacks, tx: &mut Tx<'_>, mut stack: Stored<Stack>) -> Result<()> {
    let Some(previous) = stack.previous.take() else { return Ok(()) };
    stack.source = previous;
    let ctx = stack.owner.ctx();
    let loaded = validated(stacks, tx, &ctx, &stack)?;
    let steps = transition(stacks, tx, &stack, &loaded)?;
    begin(tx, &mut stack, Action::Rollback, steps)
}

/// Interrupts an update; with `back`, what it did is taken back.
///
/// # Errors
/// 400 where no update is under way.
pub fn cancel_update(stacks: &Stacks, tx: &mut Tx<'_>, mut stack: Stored<Stack>, back: bool) -> Result<()> {
    if stack.action != Action::Update || stack.status != Status::InProgress {
        let message = format!("Cancelling update when stack is {}", stack.state());
        return Err(Error::bad_request(message).code("NotSupported"));
    }
    interrupt(tx, &stack)?;
    if back {
        return rollback_update(stacks, tx, stack);
    }
    stack.status = Status::Failed;
    stack.reason = "Stack UPDATE cancelled".into();
    tx.put(&stack)?;
    events::of_stack(tx, &stack)
}

/// The steps from the items that are there to those of `loaded`; items that are new are written.
fn transition(stacks: &Stacks, tx: &mut Tx<'_>, stack: &Stack, loaded: &Loaded) -> Result<Vec<RunStep>> {
    let current = resources::current(tx, stack.id)?;
    let graph = graph(stacks, loaded)?;
    let mut old = Graph::new();
    for item in &current {
        old.add(&item.name);
        let known = |n: &&String| current.iter().any(|i| i.name == **n);
        item.requires.iter().filter(known).for_each(|n| old.edge(&item.name, n));
    }
    // Whether something changed is seen when its turn comes: only then are its values known.
    let plan = plan::update(&old, &graph, &mut |_| Ok(Diff::None))?;
    let mut ids: HashMap<String, Uuid> = current.iter().map(|i| (i.name.clone(), i.id)).collect();
    let mut steps = Vec::new();
    for step in plan.steps {
        let op = match step.action {
            plan::Action::Create => {
                let item = item(stack, loaded, &graph, &step.resource);
                tx.insert(&item)?;
                ids.insert(step.resource.clone(), item.id);
                Op::Create
            }
            plan::Action::Delete => Op::Delete,
            _ => Op::Update,
        };
        steps.push(RunStep { item: ids[&step.resource], op, after: step.after, progress: Progress::Waiting });
    }
    // What an earlier update could not remove goes with this one.
    let all: Vec<usize> = (0..steps.len()).collect();
    for left in resources::all(tx, stack.id)?.into_iter().filter(|i| i.superseded) {
        steps.push(RunStep {
            item: left.id,
            op: Op::Delete,
            after: all.clone(),
            progress: Progress::Waiting,
        });
    }
    Ok(steps)
}

/// How many stacks stand around `stack`, itself included.
///
/// # Errors
/// Those of the store.
pub fn depth(tx: &mut Tx<'_>, stack: &Stack) -> Result<usize> {
    let (mut depth, mut parent) = (1, stack.parent.clone());
    while let Some(p) = parent {
        depth += 1;
        parent = tx.find::<Stack>(&Scope::All, p.stack)?.and_then(|s| s.value.parent);
    }
    Ok(depth)
}

/// The outermost stack around `stack`.
///
/// # Errors
/// Those of the store.
pub fn root(rd: &mut pileus_store::Read<'_>, stack: &Stack) -> Result<StackId> {
    let (mut id, mut parent) = (stack.id, stack.parent.clone());
    while let Some(p) = parent {
        id = p.stack;
        parent = rd.find::<Stack>(&Scope::All, p.stack)?.and_then(|s| s.value.parent);
    }
    Ok(id)
}

/// Every living stack below `stack`, down to `depth`.
///
/// # Errors
/// Those of the store.
pub fn below(rd: &mut pileus_store::Read<'_>, stack: &Stack, depth: usize) -> Result<Vec<Stack>> {
    let mut out = Vec::new();
    if depth > 0 {
        for child in stacks::children(rd, stack.id)? {
            let mut further = below(rd, &child, depth - 1)?;
            out.push(child.value);
            out.append(&mut further);
        }
    }
    Ok(out)
}
