//! Interoperable import: what was staged, or lies elsewhere, becomes an image's data.
//!
//! ```text
//!   PUT /stage ─► <id>.staged, UPLOADING ─┐
//!                                         ├─ POST /import ─► tx { IMPORTING, task, job } ─► 202
//!   a URL (web-download), QUEUED ─────────┘
//!   job:  begin ─► fetch (web-download) ─► examine ─► place ─► ended(tx): ACTIVE, task `success`
//!           └────────────── undone ◄───────────┴──────────────────────────► QUEUED, task `failure`
//! ```
//! Killed at any step, the job goes on from there; a download begins anew.

mod fetch;
mod job;
mod task;

use pileus_base::{Ctx, Error, Result, Scope, Time, ids::ImageId};
use pileus_store::Tx;
use serde_json::{Value, json};

use crate::{
    images,
    model::{Image, Status},
    transfers,
};

pub(crate) use fetch::Fetches;
pub use job::{ImportInput, ImportJob};
pub(crate) use task::expire;
pub use task::{Task, TaskId, TaskStatus};

/// The import methods, in Glance's words.
pub const METHODS: [&str; 2] = ["glance-direct", "web-download"];

/// The one store that images are kept in.
pub const STORE: &str = "file";

/// What an image's jobs work on.
pub fn subject(id: ImageId) -> String {
    format!("image/{id}")
}

/// An import that is asked for.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The image.
    pub image: ImageId,
    /// The request, as the task shows it.
    pub request: Value,
    /// Where the data lies; `None` for what was staged.
    pub uri: Option<String>,
    /// `api_image_import`, or `import` for those of the tasks' own API.
    pub kind: &'static str,
}

/// Begins to import, in the caller's transaction.
///
/// # Errors
/// 409 where the image is in no state for it.
pub fn begin(tx: &mut Tx<'_>, ctx: &Ctx, new: &NewImport) -> Result<TaskId> {
    let input = prepare(tx, ctx, new)?;
    pileus_jobs::enqueue::<ImportJob>(tx, subject(new.image), &input)?;
    Ok(input.task)
}

/// All of [`begin`] but the job: what that is to be asked.
///
/// # Errors
/// As [`begin`].
pub fn prepare(tx: &mut Tx<'_>, ctx: &Ctx, new: &NewImport) -> Result<ImportInput> {
    let image = tx.get::<Image>(&Scope::All, new.image)?;
    let transfer = transfers::find(tx, new.image)?;
    let busy = transfer.as_ref().is_some_and(|t| t.task.is_some() && !t.failed);
    check(&image, new.uri.is_some(), transfer.as_ref().is_some_and(|t| t.staged.is_some()), busy)?;
    let task = Task::new(ctx, new);
    tx.insert(&task)?;
    if new.uri.is_some() {
        transfers::open(tx, &image, Some(task.id))?;
    } else if let Some(mut transfer) = transfer {
        transfer.task = Some(task.id);
        transfer.failed = false;
        tx.put(&transfer)?;
    }
    images::update(tx, new.image, |image| {
        image.status = Status::Importing;
        image.updated_at = Time::now();
        Ok(())
    })?;
    Ok(ImportInput { image: new.image, task: task.id, uri: new.uri.clone() })
}

/// The order and words are Glance's.
fn check(image: &Image, web: bool, staged: bool, busy: bool) -> Result<()> {
    let refused = |why: &str| Err(Error::conflict(why));
    if image.has_data() {
        return refused("Image with status active cannot be target for import");
    }
    if busy {
        return Err(Error::conflict(format!(
            "New operation on image '{}' is not permitted as prior operation is still in progress",
            image.id
        )));
    }
    if web && image.status != Status::Queued {
        return refused("Image needs to be in 'queued' state to use 'web-download' method");
    }
    if !web && (image.status != Status::Uploading || !staged) {
        return refused("Image needs to be staged before 'glance-direct' method can be used");
    }
    if image.container_format.is_none() {
        return refused("'container_format' needs to be set before import");
    }
    if image.disk_format.is_none() {
        return refused("'disk_format' needs to be set before import");
    }
    Ok(())
}

/// Begins to bring what lies at `uri` into the queued image, for whoever `ctx` is: another service's stack.
///
/// # Errors
/// As [`begin`]; 400 where the daemon may not fetch from there.
pub fn begin_web(
    images: &crate::Images,
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    image: ImageId,
    uri: &str,
) -> Result<()> {
    images.web.check(uri)?;
    let request = json!({"method": {"name": "web-download", "uri": uri}});
    let new = NewImport { image, request, uri: Some(uri.to_owned()), kind: "api_image_import" };
    begin(tx, ctx, &new).map(drop)
}

/// Why the image's last import failed; `None` where it did not.
///
/// # Errors
/// Those of the store.
pub fn failure(rd: &mut pileus_store::Read<'_>, image: ImageId) -> Result<Option<String>> {
    let Some(transfer) = transfers::find(rd, image)?.filter(|t| t.failed) else { return Ok(None) };
    let Some(id) = transfer.task else { return Ok(None) };
    Ok(Some(rd.find::<Task>(&Scope::All, id)?.map_or_else(String::new, |t| t.value.message)))
}
