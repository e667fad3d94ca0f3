//! The names that a template itself sets, and what one template's running shares.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::Value;
use crate::parse::Template;
use crate::parse::ast::Block;

/// One level of names: a loop's body, a macro's, a block's. Few names: a list is faster than a map.
#[derive(Default)]
pub(crate) struct Frame {
    names: RwLock<Vec<(Arc<str>, Value)>>,
    parent: Option<Arc<Frame>>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Frame")
    }
}

impl Frame {
    /// The outermost level.
    pub fn root() -> Arc<Self> {
        Arc::new(Self::default())
    }
    /// A level inside `parent`.
    pub fn child(parent: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { names: RwLock::new(Vec::new()), parent: Some(parent.clone()) })
    }
    /// The value of `name` here or further out.
    pub fn get(&self, name: &str) -> Option<Value> {
        let mut frame = self;
        loop {
            if let Some((_, v)) = frame.names.read().iter().find(|(n, _)| &**n == name) {
                return Some(v.clone());
            }
            frame = frame.parent.as_deref()?;
        }
    }
    /// Sets `name` here.
    pub fn set(&self, name: &Arc<str>, value: Value) {
        let mut names = self.names.write();
        match names.iter_mut().find(|(n, _)| n == name) {
            Some((_, v)) => *v = value,
            None => names.push((name.clone(), value)),
        }
    }
    /// The value of `name` of this level.
    pub fn get_own(&self, name: &str) -> Option<Value> {
        self.names.read().iter().find(|(n, _)| &**n == name).map(|(_, v)| v.clone())
    }
    /// Forgets every name of this level: macros hold the frame that holds them.
    pub fn clear(&self) {
        let names = std::mem::take(&mut *self.names.write());
        drop(names);
    }
}

/// What one template's running shares with its macros and blocks.
pub(crate) struct Context {
    pub template: Arc<Template>,
    pub root: Arc<Frame>,
    /// Blocks by name, the most derived first.
    pub blocks: Mutex<HashMap<Arc<str>, Vec<Arc<Block>>>>,
    /// Imported without context: the scope's variables are not seen.
    pub isolated: bool,
    /// Copies of the scope's lists and dicts, where the template changes values in place.
    pub copies: Mutex<HashMap<Arc<str>, Value>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

impl Context {
    pub fn new(template: Arc<Template>, root: Arc<Frame>, isolated: bool) -> Arc<Self> {
        let blocks = template.blocks.iter().map(|(k, v)| (k.clone(), vec![v.clone()])).collect();
        Arc::new(Self { template, root, blocks: Mutex::new(blocks), isolated, copies: Mutex::default() })
    }
}
