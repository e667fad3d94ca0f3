//! A task: an import as Glance shows it while it runs and for two days afterwards.

use pileus_base::{
    Ctx, Error, Result, Scope, Time,
    ids::{ImageId, ProjectId},
};
use pileus_store::{Indexes, Query, Resource, Tx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{NewImport, STORE};

pileus_base::uuid_id! {
    /// A Glance task.
    TaskId;
}

/// How long an ended task is kept: Glance's `task_time_to_live`.
const KEPT_S: i64 = 48 * 3600;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Not begun.
    Pending,
    /// Under way.
    Processing,
    /// The image is active.
    Success,
    /// It is not, and `message` says why.
    Failure,
}

impl TaskStatus {
    /// Glance's word.
    pub fn word(self) -> &'static str {
        match self {
            TaskStatus::Pending => "pending",
            TaskStatus::Processing => "processing",
            TaskStatus::Success => "success",
            TaskStatus::Failure => "failure",
        }
    }
}

/// An import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The id.
    pub id: TaskId,
    /// `api_image_import` or `import`.
    pub kind: String,
    /// The image.
    pub image: ImageId,
    /// Who asked: the project.
    pub owner: Option<ProjectId>,
    /// Who asked: the user.
    pub user_id: Option<String>,
    /// By which request.
    pub request_id: String,
    /// What was asked.
    pub input: Value,
    /// How far it is.
    pub status: TaskStatus,
    /// Why it failed.
    pub message: String,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// When it goes, once it has ended.
    pub expires_at: Option<Time>,
}

impl Resource for Task {
    const KIND: &'static str = "image.task";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        self.owner.as_ref()
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.add("image", self.image);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("No task found with ID {id}"))
    }
}

impl Task {
    pub(super) fn new(ctx: &Ctx, new: &NewImport) -> Self {
        let now = Time::now();
        let input = match new.kind {
            "import" => new.request.clone(),
            _ => json!({"image_id": new.image, "import_req": new.request, "backend": [STORE]}),
        };
        Self {
            id: TaskId::new(),
            kind: new.kind.into(),
            image: new.image,
            owner: ctx.caller.project.as_ref().map(|p| p.id.clone()),
            user_id: ctx.user_id().map(ToString::to_string),
            request_id: ctx.request_id.to_string(),
            input,
            status: TaskStatus::Pending,
            message: String::new(),
            created_at: now,
            updated_at: now,
            expires_at: None,
        }
    }
}

/// Notes how far the task is; one that is gone stays so.
pub(super) fn set(tx: &mut Tx<'_>, id: TaskId, status: TaskStatus, message: &str) -> Result<()> {
    let Some(mut task) = tx.find::<Task>(&Scope::All, id)? else { return Ok(()) };
    let now = Time::now();
    task.status = status;
    task.message = message.to_owned();
    task.updated_at = now;
    if matches!(status, TaskStatus::Success | TaskStatus::Failure) {
        task.expires_at = Some(now.plus_secs(KEPT_S));
    }
    tx.put(&task)
}

/// Removes those whose time is over; how many.
pub(crate) fn expire(tx: &mut Tx<'_>, now: Time) -> Result<usize> {
    let mut gone = 0;
    for task in tx.list::<Task>(&Scope::All, &Query::all())? {
        if task.expires_at.is_some_and(|at| at <= now) && tx.delete::<Task>(task.id)? {
            gone += 1;
        }
    }
    Ok(gone)
}
