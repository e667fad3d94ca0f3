//! Where each host stands in a play: blocks, rescue, always, handlers.
//!
//! ```text
//!  SETUP ─► TASKS ──failed──► RESCUE ──failed──► ALWAYS ─► next block … ─► COMPLETE
//!             └──────ok────────────┴──────ok───────┘
//!  any of them ──flush──► HANDLERS ──► back
//! ```

mod failing;

use failing::{failed_in, mark};

use std::collections::HashMap;
use std::sync::Arc;

use crate::inventory::Name;
use crate::playbook::{Block, Node, Play, Task};

/// The part of a block (or of the play) a host is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Facts.
    Setup,
    /// `block`.
    Tasks,
    /// `rescue`.
    Rescue,
    /// `always`.
    Always,
    /// Handlers, flushed.
    Handlers,
    /// Nothing is left.
    Complete,
}

/// Bits of what has failed.
pub mod failed {
    /// Facts.
    pub const SETUP: u8 = 1;
    /// A task.
    pub const TASKS: u8 = 2;
    /// A task of `rescue`.
    pub const RESCUE: u8 = 4;
    /// A task of `always`.
    pub const ALWAYS: u8 = 8;
    /// A handler.
    pub const HANDLERS: u8 = 16;
}

/// Where a host stands.
#[derive(Debug, Clone)]
pub struct State {
    blocks: Vec<Arc<Block>>,
    handlers: Vec<Arc<Task>>,
    /// Names notified, not flushed yet.
    pub notifications: Vec<String>,
    block: usize,
    task: usize,
    rescue: usize,
    always: usize,
    handler: usize,
    /// The part it is in.
    pub phase: Phase,
    /// What has failed.
    pub fail: u8,
    before_flush: Phase,
    renew_handlers: bool,
    pending_setup: bool,
    child_tasks: Option<Box<State>>,
    child_rescue: Option<Box<State>>,
    child_always: Option<Box<State>>,
    rescued: bool,
    start: bool,
}

impl State {
    fn new(blocks: Vec<Arc<Block>>) -> Self {
        Self {
            blocks,
            handlers: Vec::new(),
            notifications: Vec::new(),
            block: 0,
            task: 0,
            rescue: 0,
            always: 0,
            handler: 0,
            phase: Phase::Setup,
            fail: 0,
            before_flush: Phase::Tasks,
            renew_handlers: true,
            pending_setup: false,
            child_tasks: None,
            child_rescue: None,
            child_always: None,
            rescued: false,
            start: false,
        }
    }
    fn inside(blocks: Vec<Arc<Block>>) -> Box<Self> {
        let mut s = Self::new(blocks);
        s.phase = Phase::Tasks;
        Box::new(s)
    }
    /// Goes to the handlers, to come back here.
    pub fn flush(&mut self) {
        self.before_flush = self.phase;
        self.phase = Phase::Handlers;
        self.renew_handlers = true;
    }
    /// The state that flushing acts on: the outermost.
    pub fn is_flushing(&self) -> bool {
        self.phase == Phase::Handlers
    }
    fn part(&mut self) -> Option<&mut Option<Box<State>>> {
        match self.phase {
            Phase::Tasks => Some(&mut self.child_tasks),
            Phase::Rescue => Some(&mut self.child_rescue),
            Phase::Always => Some(&mut self.child_always),
            _ => None,
        }
    }
    /// The part of the block it is in; while handlers run, that from which they were flushed.
    fn part_of(&self) -> Phase {
        if self.phase == Phase::Handlers { self.before_flush } else { self.phase }
    }
    /// Whether the innermost active state is in `rescue` or `always` of something.
    fn any(&self, test: &dyn Fn(&State) -> bool) -> bool {
        test(self)
            || match self.part_of() {
                Phase::Tasks => self.child_tasks.as_ref(),
                Phase::Rescue => self.child_rescue.as_ref(),
                Phase::Always => self.child_always.as_ref(),
                _ => None,
            }
            .is_some_and(|c| c.any(test))
    }
}

/// The hosts' places in a play.
#[derive(Debug)]
pub struct Iterator {
    states: HashMap<Name, State>,
    /// All tasks in order, for the lockstep of `linear`.
    pub tasks: Vec<Arc<Task>>,
    /// Where the lockstep is.
    pub cursor: usize,
    /// Hosts notified, by handler.
    pub notified: HashMap<u64, Vec<Name>>,
    setup: Option<Arc<Block>>,
    play: Arc<Play>,
}

impl Iterator {
    /// At the play's beginning. `setup` is the task that gathers facts; `start_at` says from which task to run.
    pub fn new(
        play: &Arc<Play>,
        hosts: &[Name],
        blocks: Vec<Arc<Block>>,
        setup: Option<Arc<Block>>,
        gathers: &dyn Fn(&Name) -> bool,
        start: Option<&dyn Fn(&Task) -> bool>,
    ) -> Self {
        let mut tasks = Vec::new();
        if let Some(b) = &setup {
            tasks.extend(b.tasks());
        }
        for b in &blocks {
            tasks.extend(b.tasks());
        }
        let mut out = Self {
            states: HashMap::new(),
            tasks,
            cursor: 0,
            notified: HashMap::new(),
            setup,
            play: play.clone(),
        };
        for h in hosts {
            let mut s = State::new(blocks.clone());
            s.pending_setup = out.setup.is_some() && gathers(h);
            out.states.insert(h.clone(), s);
        }
        if let Some(matches) = start {
            for h in hosts {
                // go on until the task is found; forget it all where it is not
                let before = out.states[h].clone();
                let mut probe = before.clone();
                let mut found = false;
                loop {
                    let previous = probe.clone();
                    match out.step(&mut probe, h) {
                        None => break,
                        Some(t) => {
                            if matches(&t) {
                                probe = previous;
                                found = true;
                                break;
                            }
                        }
                    }
                }
                if found {
                    probe.start = true;
                    probe.pending_setup = before.pending_setup;
                    if before.pending_setup {
                        probe.phase = Phase::Setup;
                    }
                    out.states.insert(h.clone(), probe);
                } else {
                    let mut s = before;
                    s.phase = Phase::Complete;
                    out.states.insert(h.clone(), s);
                }
            }
        }
        out
    }
    /// A host's state.
    pub fn state(&self, host: &str) -> Option<&State> {
        self.states.get(host)
    }
    /// A host's state, to change.
    pub fn state_mut(&mut self, host: &str) -> Option<&mut State> {
        self.states.get_mut(host)
    }
    /// A host's next task, without going there.
    pub fn peek(&self, host: &str) -> Option<(State, Arc<Task>)> {
        let mut s = self.states.get(host)?.clone();
        if s.phase == Phase::Complete {
            return None;
        }
        let t = self.step(&mut s, host)?;
        Some((s, t))
    }
    /// Goes where [`Iterator::peek`] led.
    pub fn go(&mut self, host: &Name, state: State) {
        self.states.insert(host.clone(), state);
    }
    /// Ends the play for a host.
    pub fn complete(&mut self, host: &str) {
        if let Some(s) = self.states.get_mut(host) {
            // ended while it was being rescued, it has not failed
            if !failed_in(s) {
                s.fail = 0;
            }
            s.phase = Phase::Complete;
        }
    }

    fn step(&self, s: &mut State, host: &str) -> Option<Arc<Task>> {
        loop {
            match s.phase {
                Phase::Complete => return None,
                Phase::Setup => {
                    if s.pending_setup {
                        s.pending_setup = false;
                        if let Some(Node::Task(t)) = self.setup.as_ref().and_then(|b| b.block.first()) {
                            return Some(t.clone());
                        }
                    }
                    s.phase = Phase::Tasks;
                    if !s.start {
                        (s.block, s.task, s.rescue, s.always) = (0, 0, 0, 0);
                        (s.child_tasks, s.child_rescue, s.child_always) = (None, None, None);
                    }
                    s.start = false;
                }
                Phase::Handlers => {
                    if s.renew_handlers {
                        s.renew_handlers = false;
                        s.handlers = self.play.handler_blocks.read().iter().flat_map(|b| b.tasks()).collect();
                        s.handler = 0;
                    }
                    loop {
                        let Some(t) = s.handlers.get(s.handler).cloned() else {
                            s.handler = 0;
                            s.phase = s.before_flush;
                            s.renew_handlers = true;
                            break;
                        };
                        s.handler += 1;
                        if self.notified.get(&t.id).is_some_and(|hosts| hosts.iter().any(|h| &**h == host)) {
                            return Some(t);
                        }
                    }
                }
                Phase::Tasks | Phase::Rescue | Phase::Always => {
                    let Some(block) = s.blocks.get(s.block).cloned() else {
                        s.phase = Phase::Complete;
                        return None;
                    };
                    if let Some(t) = self.part(s, &block, host) {
                        return Some(t);
                    }
                }
            }
        }
    }

    /// One step within a block: a task, or a change of phase.
    fn part(&self, s: &mut State, block: &Arc<Block>, host: &str) -> Option<Arc<Task>> {
        // inside of a nested block
        if let Some(slot) = s.part()
            && let Some(mut child) = slot.take()
        {
            let task = self.step(&mut child, host);
            if failed_in(&child) {
                mark(s);
                return None;
            }
            if let Some(t) = task {
                if let Some(slot) = s.part() {
                    *slot = Some(child);
                }
                return Some(t);
            }
            return None;
        }
        match s.phase {
            Phase::Tasks => {
                if s.fail != 0 && failed_in(s) {
                    s.phase = Phase::Rescue;
                    return None;
                }
                match block.block.get(s.task) {
                    None => {
                        s.phase = Phase::Always;
                        None
                    }
                    Some(node) => {
                        s.task += 1;
                        self.node(s, node)
                    }
                }
            }
            Phase::Rescue => {
                if s.fail & failed::RESCUE != 0 {
                    s.phase = Phase::Always;
                    return None;
                }
                match block.rescue.get(s.rescue) {
                    None => {
                        // a block without `rescue` passes here too: its failure stays one
                        if !block.rescue.is_empty() {
                            s.fail = 0;
                            s.rescued = true;
                        }
                        s.phase = Phase::Always;
                        None
                    }
                    Some(node) => {
                        s.rescue += 1;
                        self.node(s, node)
                    }
                }
            }
            _ => match block.always.get(s.always) {
                None => {
                    if s.fail != 0 {
                        s.phase = Phase::Complete;
                    } else {
                        s.block += 1;
                        (s.task, s.rescue, s.always) = (0, 0, 0);
                        s.phase = Phase::Tasks;
                        (s.child_tasks, s.child_rescue, s.child_always) = (None, None, None);
                        s.rescued = false;
                    }
                    None
                }
                Some(node) => {
                    s.always += 1;
                    self.node(s, node)
                }
            },
        }
    }

    fn node(&self, s: &mut State, node: &Node) -> Option<Arc<Task>> {
        match node {
            Node::Task(t) => Some(t.clone()),
            Node::Block(b) => {
                if let Some(slot) = s.part() {
                    *slot = Some(State::inside(vec![b.clone()]));
                }
                None
            }
        }
    }

    /// Puts blocks where a host stands now.
    pub fn insert(&mut self, host: &str, blocks: &[Arc<Block>]) {
        fn put(s: &mut State, blocks: &[Arc<Block>]) {
            let nodes = || blocks.iter().cloned().map(Node::Block);
            if s.fail != 0
                && s.phase != Phase::Rescue
                && s.phase != Phase::Always
                && s.phase != Phase::Handlers
            {
                return;
            }
            match s.phase {
                Phase::Tasks | Phase::Rescue | Phase::Always => {
                    let phase = s.phase;
                    if let Some(child) = s.part().and_then(Option::as_mut) {
                        put(child, blocks);
                        return;
                    }
                    let Some(old) = s.blocks.get(s.block) else { return };
                    let mut new = Block {
                        id: old.id,
                        block: old.block.clone(),
                        rescue: old.rescue.clone(),
                        always: old.always.clone(),
                        frame: old.frame.clone(),
                        keywords: old.keywords.clone(),
                        origin: old.origin.clone(),
                        implicit: old.implicit,
                    };
                    let (list, at) = match phase {
                        Phase::Tasks => (&mut new.block, s.task),
                        Phase::Rescue => (&mut new.rescue, s.rescue),
                        _ => (&mut new.always, s.always),
                    };
                    list.splice(at..at, nodes());
                    s.blocks[s.block] = Arc::new(new);
                }
                Phase::Handlers => {
                    let tasks: Vec<Arc<Task>> = blocks.iter().flat_map(|b| b.tasks()).collect();
                    s.handlers.splice(s.handler..s.handler, tasks);
                }
                Phase::Setup | Phase::Complete => {}
            }
        }
        if let Some(s) = self.states.get_mut(host) {
            put(s, blocks);
        }
    }
    /// Puts tasks into the lockstep, at its place.
    pub fn splice(&mut self, tasks: Vec<Arc<Task>>) {
        let at = self.cursor.min(self.tasks.len());
        self.tasks.splice(at..at, tasks);
    }

    /// Notes that a handler is to run on a host; whether it was not noted before.
    pub fn notify(&mut self, handler: &Task, host: &Name) -> bool {
        let hosts = self.notified.entry(handler.id).or_default();
        if hosts.contains(host) {
            return false;
        }
        hosts.push(host.clone());
        true
    }
    /// Notes that a handler has run on a host.
    pub fn handled(&mut self, handler: &Task, host: &Name) {
        if let Some(hosts) = self.notified.get_mut(&handler.id) {
            hosts.retain(|h| h != host);
        }
    }
    /// The handlers as they are looked for: the last block first.
    pub fn handlers_backwards(&self) -> Vec<Arc<Task>> {
        self.play.handler_blocks.read().iter().rev().flat_map(|b| b.tasks()).collect()
    }
    /// The play's handlers, and those that includes added.
    pub fn handlers(&self) -> Vec<Arc<Task>> {
        self.play.handler_blocks.read().iter().flat_map(|b| b.tasks()).collect()
    }
}
