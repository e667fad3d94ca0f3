//! The job of an import.

use std::{path::Path, sync::Arc, time::Duration};

use pileus_base::{Error, Result, Scope, Time, ids::ImageId};
use pileus_jobs::{End, Job, Outcome, Run, Step};
use pileus_store::Tx;
use serde::{Deserialize, Serialize};

use super::task::{self, TaskId, TaskStatus};
use crate::{
    Images, images,
    model::{Image, Status},
    transfers::{self, Transfer},
    upload,
};

/// How often a job looks after its download, where nothing wakes it sooner.
const LOOK: Duration = Duration::from_secs(15);

/// What to import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportInput {
    /// Into which image.
    pub image: ImageId,
    /// The task that shows it.
    pub task: TaskId,
    /// From where; `None` for what was staged.
    pub uri: Option<String>,
}

/// The handler.
pub struct ImportJob {
    images: Arc<Images>,
}

type Given = Run<ImportJob>;

impl ImportJob {
    /// The handler over the service.
    pub fn new(images: Arc<Images>) -> Self {
        Self { images }
    }

    async fn begin(self: Arc<Self>, run: Given) -> Result<Outcome> {
        let task = run.input.task;
        self.images.store.write(move |tx| task::set(tx, task, TaskStatus::Processing, "")).await?;
        Ok(Outcome::nothing())
    }

    /// Whatever there is of the data goes.
    async fn discard(self: Arc<Self>, run: Given) -> Result<()> {
        let id = run.input.image;
        self.images.fetches.cut(id).await;
        remove(&self.images.staged_path(id)).await?;
        remove(&self.images.path(id)).await
    }

    async fn fetch(self: Arc<Self>, run: Given) -> Result<Outcome> {
        let (id, uri) = (run.input.image, run.input.uri.as_deref().unwrap_or_default());
        let transfer = self.transfer(id).await?;
        if transfer.staged.is_some() && exists(&self.images.staged_path(id)).await {
            return Ok(Outcome::nothing());
        }
        match self.images.fetches.poll(&self.images, id, run.job_id, uri).await {
            None => Ok(Outcome::Later(LOOK)),
            Some(done) => done.map(|()| Outcome::nothing()),
        }
    }

    async fn examine(self: Arc<Self>, run: Given) -> Result<Outcome> {
        let (id, images) = (run.input.image, &self.images);
        let image = images.store.read(move |rd| rd.get::<Image>(&Scope::All, id)).await?;
        let format = image.disk_format.as_deref().unwrap_or_default();
        let facts = images.host.inspect_image(&images.staged_path(id), format).await?;
        let write = images.store.write(move |tx| {
            let mut transfer = tx.get::<Transfer>(&Scope::All, id)?;
            let staged = transfer.staged.as_mut();
            staged.ok_or_else(nothing_staged)?.virtual_size = Some(facts.virtual_size_bytes);
            tx.put(&transfer)
        });
        write.await?;
        Ok(Outcome::nothing())
    }

    async fn place(self: Arc<Self>, run: Given) -> Result<Outcome> {
        let id = run.input.image;
        let (from, to) = (self.images.staged_path(id), self.images.path(id));
        match self.images.rename(&from, &to).await {
            // Done before.
            Err(_) if !exists(&from).await && exists(&to).await => {}
            other => other?,
        }
        Ok(Outcome::nothing())
    }

    async fn transfer(&self, id: ImageId) -> Result<Transfer> {
        Ok(self.images.store.read(move |rd| rd.get::<Transfer>(&Scope::All, id)).await?.value)
    }

    fn done(&self, tx: &mut Tx<'_>, input: &ImportInput) -> Result<()> {
        let transfer = tx.find::<Transfer>(&Scope::All, input.image)?;
        let received = transfer.filter(|t| t.task == Some(input.task)).and_then(|t| t.value.staged);
        match received {
            Some(received) if tx.find::<Image>(&Scope::All, input.image)?.is_some() => {
                upload::activate(tx, input.image, Status::Importing, &received)?;
                task::set(tx, input.task, TaskStatus::Success, "")
            }
            _ => task::set(tx, input.task, TaskStatus::Failure, "The image was deleted."),
        }
    }

    fn undone(&self, tx: &mut Tx<'_>, input: &ImportInput, why: &str) -> Result<()> {
        task::set(tx, input.task, TaskStatus::Failure, why)?;
        let Some(mut transfer) = tx.find::<Transfer>(&Scope::All, input.image)? else { return Ok(()) };
        if transfer.task != Some(input.task) {
            return Ok(());
        }
        transfers::release(tx, &mut transfer)?;
        transfer.staged = None;
        transfer.failed = true;
        tx.put(&transfer)?;
        images::update(tx, input.image, |image| {
            image.status = Status::Queued;
            image.size = None;
            image.updated_at = Time::now();
            Ok(())
        })
        .map(drop)
    }
}

fn nothing_staged() -> Error {
    Error::conflict("Nothing of the image is staged.")
}

async fn exists(path: &Path) -> bool {
    tokio::fs::try_exists(path).await.unwrap_or(false)
}

async fn remove(path: &Path) -> Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::wrap(format!("failed to remove `{}`", path.display()), e))
        }
        _ => Ok(()),
    }
}

impl Job for ImportJob {
    const KIND: &'static str = "image.import";
    type Input = ImportInput;

    fn steps(&self, input: &ImportInput) -> Vec<Step<Self>> {
        let mut steps = vec![Step::new("begin", Self::begin, Self::discard)];
        if input.uri.is_some() {
            steps.push(Step::new("fetch", Self::fetch, Self::discard));
        }
        steps.push(Step::without_undo("examine", Self::examine));
        steps.push(Step::new("place", Self::place, Self::discard));
        steps
    }

    fn ended(&self, tx: &mut Tx<'_>, input: &ImportInput, end: &End) -> Result<()> {
        match end {
            End::Done => self.done(tx, input),
            End::Undone(e) => self.undone(tx, input, &e.message),
            End::Cancelled => self.undone(tx, input, "The image was deleted."),
        }
    }
}
