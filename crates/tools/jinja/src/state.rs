//! What a running template has at hand: the engine, the variables, the bounds.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use crate::eval::{Context, Frame};
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
pub(crate) struct Run {
    pub steps: Cell<u64>,
    pub bytes: Cell<usize>,
    pub depth: Cell<u32>,
    pub deadline: Option<Instant>,
    /// The variables' templates being rendered, innermost last: the text's address and the scope's.
    pub stack: RefCell<Vec<(usize, usize)>>,
    /// Frames that hold macros, which hold them.
    pub frames: RefCell<Vec<Arc<Frame>>>,
    /// String constants that look like templates are rendered at once: conditionals.
    pub render_constants: bool,
}

impl Run {
    pub(crate) fn new(engine: &Engine, render_constants: bool) -> Self {
        Self {
            steps: Cell::new(0),
            bytes: Cell::new(0),
            depth: Cell::new(0),
            deadline: engine.limits().time.map(|t| Instant::now() + t),
            stack: RefCell::new(Vec::new()),
            frames: RefCell::new(Vec::new()),
            render_constants,
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for frame in self.frames.borrow_mut().drain(..) {
            frame.clear();
        }
    }
}

/// The state of a rendering, handed to filters, tests and functions.
pub struct State<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) scope: &'a dyn Scope,
    pub(crate) run: &'a Run,
    pub(crate) frame: Arc<Frame>,
    pub(crate) context: Arc<Context>,
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
    /// The variable `name`, of the template or of the scope, rendered.
    pub fn var(&self, name: &str) -> Option<Value> {
        self.name(name)
    }
    /// Renders the trusted template `text` with the scope's variables; what fails is an undefined value that
    /// raises the error when used.
    pub fn template(&self, text: &Str) -> Value {
        self.render_nested(text)
    }
    /// Applies the filter `name`; the piped value is the first argument.
    ///
    /// # Errors
    /// Where there is no such filter, or it fails.
    pub fn filter(&self, name: &str, args: Args) -> Result<Value, Error> {
        match self.engine.filter_entry(name) {
            Some(entry) => self.apply_filter(&entry, args)?.checked(),
            None => Err(Error::runtime(format!("No filter named {}.", crate::value::repr_str(name)))),
        }
    }
    /// Applies the test `name`; the tested value is the first argument.
    ///
    /// # Errors
    /// Where there is no such test, or it fails.
    pub fn test(&self, name: &str, args: Args) -> Result<bool, Error> {
        match self.engine.test_entry(name) {
            Some(entry) => self.apply_test(&entry, args)?.truth(),
            None => Err(Error::runtime(format!("No test named {}.", crate::value::repr_str(name)))),
        }
    }
}
