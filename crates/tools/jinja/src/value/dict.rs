//! The dict: shared, changed in place, in order of insertion, with Python's equality of keys (`1 == True == 1.0`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Origin, Value};

struct Inner {
    map: RwLock<IndexMap<Value, Value>>,
    origin: Option<Arc<Origin>>,
}

/// A dict. Clones are the same dict.
#[derive(Clone)]
pub struct Dict(Arc<Inner>);

/// A text key, for looking up without making a value.
pub struct Key<'a>(pub &'a str);

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        super::compare::hash_str(self.0, state);
    }
}

impl Equivalent<Value> for Key<'_> {
    fn equivalent(&self, key: &Value) -> bool {
        key.as_str() == Some(self.0)
    }
}

impl Dict {
    /// An empty dict.
    pub fn new() -> Self {
        Self::from_map(IndexMap::new())
    }
    /// A dict of `map`.
    pub fn from_map(map: IndexMap<Value, Value>) -> Self {
        Self::with_origin(map, None)
    }
    /// A dict of `map` written at `origin`.
    pub fn with_origin(map: IndexMap<Value, Value>, origin: Option<Arc<Origin>>) -> Self {
        Self(Arc::new(Inner { map: RwLock::new(map), origin }))
    }
    /// Where it was written.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.0.origin.as_ref()
    }
    /// How many pairs.
    pub fn len(&self) -> usize {
        self.0.map.read().len()
    }
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The value under the text `key`, unrendered.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.0.map.read().get(&Key(key)).cloned()
    }
    /// The value under `key`, unrendered.
    pub fn get_value(&self, key: &Value) -> Option<Value> {
        match key {
            Value::Str(s) => self.get(s),
            key => self.0.map.read().get(key).cloned(),
        }
    }
    /// Whether the text `key` is there.
    pub fn contains(&self, key: &str) -> bool {
        self.0.map.read().contains_key(&Key(key))
    }
    /// Puts `value` under `key`; a key that exists keeps its place.
    pub fn insert(&self, key: impl Into<Value>, value: impl Into<Value>) {
        self.0.map.write().insert(key.into(), value.into());
    }
    /// Takes the text `key` out.
    pub fn remove(&self, key: &str) -> Option<Value> {
        self.0.map.write().shift_remove(&Key(key))
    }
    /// The keys.
    pub fn keys(&self) -> Vec<Value> {
        self.0.map.read().keys().cloned().collect()
    }
    /// The values, unrendered.
    pub fn values(&self) -> Vec<Value> {
        self.0.map.read().values().cloned().collect()
    }
    /// The pairs, unrendered.
    pub fn items(&self) -> Vec<(Value, Value)> {
        self.0.map.read().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }
    /// A new dict of the same pairs.
    pub fn copy(&self) -> Self {
        Self::with_origin(self.0.map.read().clone(), self.0.origin.clone())
    }
    /// The pairs, locked for reading. Hold it briefly, and do not touch the dict meanwhile.
    pub fn read(&self) -> RwLockReadGuard<'_, IndexMap<Value, Value>> {
        self.0.map.read()
    }
    /// The pairs, locked for writing. Hold it briefly, and do not touch the dict meanwhile.
    pub fn write(&self) -> RwLockWriteGuard<'_, IndexMap<Value, Value>> {
        self.0.map.write()
    }
    /// Whether both are the same dict.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
    /// A number that tells dicts apart while they live.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

impl Default for Dict {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<(Value, Value)> for Dict {
    fn from_iter<T: IntoIterator<Item = (Value, Value)>>(iter: T) -> Self {
        Self::from_map(iter.into_iter().collect())
    }
}

impl fmt::Debug for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Value::Dict(self.clone()).repr())
    }
}
