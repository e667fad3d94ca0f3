//! What a running template has at hand: the engine, the variables, the bounds.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use crate::eval::Frame;
use crate::{Args, Engine, Error, Str, Value};

/// The variable layer: asked by name, and only for what is read. Values are given as they are stored; templates
/// among them are rendered by the engine.
pub trait Scope {
    /// The variable `name`.
    fn get(&self, name: &str) -> Option<Value>;
}

/// No variables.
#[derive(Debug, Clone, Copy)]
pub struct EmptyScope;

impl Scope for EmptyScope {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }
}

impl Scope for crate::Dict {
    fn get(&self, name: &str) -> Option<Value> {
        crate::Dict::get(self, name)
    }
}

/// What one rendering has used, its nested ones included.
#[derive(Debug)]
pub(crate) struct Run {
    pub steps: Cell<u64>,
    pub bytes: Cell<usize>,
    pub depth: Cell<u32>,
    pub deadline: Option<Instant>,
    /// The templates being rendered, innermost last: text's address and scope's.
    pub stack: RefCell<Vec<(usize, usize)>>,
}

impl Run {
    pub(crate) fn new(engine: &Engine) -> Self {
        Self {
            steps: Cell::new(0),
            bytes: Cell::new(0),
            depth: Cell::new(0),
            deadline: engine.limits().time.map(|t| Instant::now() + t),
            stack: RefCell::new(Vec::new()),
        }
    }
}

/// The state of a rendering, handed to filters, tests and functions.
pub struct State<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) scope: &'a dyn Scope,
    pub(crate) run: &'a Run,
    pub(crate) frame: Arc<Frame>,
}

impl<'a> State<'a> {
    /// The engine.
    pub fn engine(&self) -> &'a Engine {
        self.engine
    }
    /// The variables, without those that the template itself set.
    pub fn scope(&self) -> &'a dyn Scope {
        self.scope
    }
}
