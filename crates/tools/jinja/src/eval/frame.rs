//! The names that a template itself sets.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::Value;

/// One level of names: a loop's body, a macro's, a block's. Few names: a list is faster than a map.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    names: RwLock<Vec<(Arc<str>, Value)>>,
    parent: Option<Arc<Frame>>,
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
    /// The names of this level.
    pub fn own(&self) -> Vec<(Arc<str>, Value)> {
        self.names.read().clone()
    }
}
