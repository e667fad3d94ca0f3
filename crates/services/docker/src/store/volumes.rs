//! A volume's document.

use std::collections::BTreeMap;

use pileus_base::{Error, ids::ProjectId};
use pileus_store::{Indexes, Resource};
use serde::{Deserialize, Serialize};

/// A volume. Its files are in `<state-dir>/volumes/<name>/_data`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name, which is its id.
    pub name: String,
    /// The project of the engine.
    pub project: ProjectId,
    /// Nanoseconds since the epoch.
    pub created_ns: i64,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it was made for one container and has no name of its own.
    pub anonymous: bool,
}

impl Resource for Volume {
    const KIND: &'static str = "docker.volume";
    fn id(&self) -> String {
        self.name.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.int("created", self.created_ns);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("get {id}: no such volume"))
    }
}
