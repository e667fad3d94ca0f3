//! Software configs: texts with inputs and outputs, kept for whoever asks.

use pileus_base::{Error, Time, ids::ProjectId};
use pileus_store::{Indexes, Resource};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::Json;

/// A software config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Its id.
    pub id: Uuid,
    /// Its project.
    pub project_id: ProjectId,
    /// Its name.
    pub name: String,
    /// What reads it: `Heat::Ungrouped`, `script`.
    pub group: String,
    /// The text, or a map.
    pub config: Json,
    /// What it takes.
    pub inputs: Json,
    /// What it gives.
    pub outputs: Json,
    /// For its tool.
    pub options: Json,
    /// When it was made.
    pub created_at: Time,
}

impl Resource for Config {
    const KIND: &'static str = "stack.software_config";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.time("created_at", self.created_at);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("The Software config ({id}) could not be found.")).code("EntityNotFound")
    }
}
