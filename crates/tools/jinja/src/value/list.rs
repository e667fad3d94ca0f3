//! The list: shared, changed in place.

use std::fmt;
use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Origin, Value};

struct Inner {
    items: RwLock<Vec<Value>>,
    origin: Option<Arc<Origin>>,
}

/// A list. Clones are the same list.
#[derive(Clone)]
pub struct List(Arc<Inner>);

impl List {
    /// A list of `items`.
    pub fn new(items: Vec<Value>) -> Self {
        Self(Arc::new(Inner { items: RwLock::new(items), origin: None }))
    }
    /// A list of `items` written at `origin`.
    pub fn with_origin(items: Vec<Value>, origin: Option<Arc<Origin>>) -> Self {
        Self(Arc::new(Inner { items: RwLock::new(items), origin }))
    }
    /// Where it was written.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.0.origin.as_ref()
    }
    /// How many items.
    pub fn len(&self) -> usize {
        self.0.items.read().len()
    }
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The item at `i`.
    pub fn get(&self, i: usize) -> Option<Value> {
        self.0.items.read().get(i).cloned()
    }
    /// A copy of the items.
    pub fn items(&self) -> Vec<Value> {
        self.0.items.read().clone()
    }
    /// Adds `v` at the end.
    pub fn push(&self, v: Value) {
        self.0.items.write().push(v);
    }
    /// The items, locked for reading. Hold it briefly, and do not touch the list meanwhile.
    pub fn read(&self) -> RwLockReadGuard<'_, Vec<Value>> {
        self.0.items.read()
    }
    /// The items, locked for writing. Hold it briefly, and do not touch the list meanwhile.
    pub fn write(&self) -> RwLockWriteGuard<'_, Vec<Value>> {
        self.0.items.write()
    }
    /// Whether both are the same list.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
    /// A number that tells lists apart while they live.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
    /// Its items as they are when reached: items appended meanwhile come too, as in Python.
    pub fn iter_live(&self) -> impl Iterator<Item = Value> + Send + use<> {
        let list = self.clone();
        let mut i = 0;
        std::iter::from_fn(move || {
            let v = list.get(i)?;
            i += 1;
            Some(v)
        })
    }
}

impl FromIterator<Value> for List {
    fn from_iter<T: IntoIterator<Item = Value>>(iter: T) -> Self {
        Self::new(iter.into_iter().collect())
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Value::List(self.clone()).repr())
    }
}
