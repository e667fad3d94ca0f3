//! Instance actions: what was asked of a server, by whom, and how it went.

use pileus_base::{
    Time,
    ids::{ProjectId, ServerId, UserId},
};
use pileus_store::{Indexes, Resource};
use serde::{Deserialize, Serialize};

/// An action on a server. The request's id names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The server.
    pub server_id: ServerId,
    /// The server's owner.
    pub project_id: ProjectId,
    /// Who asked.
    pub user_id: Option<UserId>,
    /// The request.
    pub request_id: String,
    /// `create`, `stop`, `reboot`, …
    pub action: String,
    /// `Error` where it failed.
    pub message: Option<String>,
    /// When it was asked.
    pub started_at: Time,
    /// When it last moved.
    pub updated_at: Time,
    /// What was done.
    pub events: Vec<Event>,
}

/// A step of an action, in Nova's naming: `compute__do_build_and_run_instance`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The step.
    pub event: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// `Success` or `Error`.
    pub result: Option<String>,
    /// What failed, for administrators.
    pub details: Option<String>,
    /// The host.
    pub host: Option<String>,
}

/// The id of an action in the store.
pub fn key(server: ServerId, request_id: &str) -> String {
    format!("{server}/{request_id}")
}

impl Resource for Action {
    const KIND: &'static str = "compute.action";
    fn id(&self) -> String {
        key(self.server_id, &self.request_id)
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.add("server_id", self.server_id);
        ix.time("started_at", self.started_at);
    }
    fn not_found(id: &str) -> pileus_base::Error {
        let request = id.rsplit('/').next().unwrap_or(id);
        pileus_base::Error::not_found(format!("Action for request_id {request} not found"))
    }
}
