//! What can be kept: a serde type with an id, an owner, indexes and unique keys.

use std::{
    fmt::Display,
    ops::{Deref, DerefMut},
};

use pileus_base::{Error, Result, Time, ids::ProjectId};
use serde::{Serialize, de::DeserializeOwned};

/// A kind of document.
pub trait Resource: Serialize + DeserializeOwned + Send + 'static {
    /// `service.noun`, the first word of every key.
    const KIND: &'static str;
    /// The document's version; raise it together with a step in [`Resource::migrate`].
    const VERSION: u32 = 1;

    /// The id, unique within the kind.
    fn id(&self) -> String;
    /// The project that owns it; `None` for what belongs to the cloud.
    fn project(&self) -> Option<&ProjectId>;
    /// What lists may select and sort by.
    fn indexes(&self, _ix: &mut Indexes) {}
    /// What no two of them may share.
    fn unique(&self, _unique: &mut Unique) {}
    /// Brings a document of an older `version` to the present shape.
    fn migrate(_version: u32, doc: serde_json::Value) -> Result<serde_json::Value> {
        Ok(doc)
    }
    /// The error for an id that is not there, in the API's words.
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("{} {id} could not be found.", Self::KIND))
    }
}

/// A document as the store has it: the value and the revision it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// The value.
    pub value: T,
    /// Rises by one at every change, from 1.
    pub revision: i64,
}

impl<T> Deref for Stored<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
impl<T> DerefMut for Stored<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// The index values of one document. A name may stand several times (a tag list).
#[derive(Debug, Default, PartialEq)]
pub struct Indexes(pub(crate) Vec<(&'static str, Vec<u8>)>);

/// Longest text kept in an index, in bytes; PostgreSQL's b-tree takes 2,704 a row.
const TEXT_MAX: usize = 1_024;

impl Indexes {
    /// A text, compared bytewise.
    pub fn text(&mut self, name: &'static str, value: impl AsRef<str>) {
        self.0.push((name, key_text(value.as_ref())));
    }
    /// Anything that prints: ids, enums.
    pub fn add(&mut self, name: &'static str, value: impl Display) {
        self.text(name, value.to_string());
    }
    /// An integer.
    pub fn int(&mut self, name: &'static str, value: i64) {
        self.0.push((name, key_int(value)));
    }
    /// A moment.
    pub fn time(&mut self, name: &'static str, value: Time) {
        self.int(name, value.0);
    }
}

/// Text as an index value: its bytes.
pub(crate) fn key_text(value: &str) -> Vec<u8> {
    let bytes = value.as_bytes();
    bytes[..bytes.len().min(TEXT_MAX)].to_vec()
}

/// An integer as an index value: big-endian with the sign flipped, so that bytes sort as numbers do.
pub(crate) fn key_int(value: i64) -> Vec<u8> {
    ((value as u64) ^ (1 << 63)).to_be_bytes().to_vec()
}

/// The unique keys of one document.
#[derive(Debug, Default, PartialEq)]
pub struct Unique(pub(crate) Vec<(&'static str, String)>);

impl Unique {
    /// Claims `value` under `name`; no other document of any kind may hold the same pair.
    pub fn claim(&mut self, name: &'static str, value: impl Display) {
        self.0.push((name, value.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_sort_as_bytes() {
        let mut keys: Vec<_> = [5, -3, 0, i64::MAX, i64::MIN, 255, 256].map(|n| (key_int(n), n)).into();
        keys.sort();
        let order: Vec<_> = keys.into_iter().map(|(_, n)| n).collect();
        assert_eq!(order, [i64::MIN, -3, 0, 5, 255, 256, i64::MAX]);
    }
}
