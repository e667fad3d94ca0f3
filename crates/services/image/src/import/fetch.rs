//! Downloads under way. They run beside the jobs, which look after them: a slow server holds no runner.
//!
//! They live in this process alone. After a restart the job finds none, and begins anew.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use pileus_base::{
    Error, Result, Scope,
    ids::{ImageId, JobId},
};
use tokio::{sync::Semaphore, task::JoinHandle, time::Duration};

use crate::{
    Images,
    transfers::{self, Transfer},
    upload::Part,
};

/// Downloads at once; the others wait in line.
const AT_ONCE: usize = 8;
/// How long one may take in all.
const TOTAL_MAX: Duration = Duration::from_secs(4 * 3600);

/// One of them, and the job that it is for.
type Running = (JobId, JoinHandle<Result<()>>);

/// All of them.
pub(crate) struct Fetches {
    running: Mutex<HashMap<ImageId, Running>>,
    gate: Semaphore,
}

impl Default for Fetches {
    fn default() -> Self {
        Self { running: Mutex::default(), gate: Semaphore::new(AT_ONCE) }
    }
}

impl Fetches {
    /// Begins the download of `uri` for `job`, unless it is under way; its end, once it has ended.
    pub async fn poll(&self, images: &Arc<Images>, id: ImageId, job: JobId, uri: &str) -> Option<Result<()>> {
        let ended = {
            let mut running = self.running.lock();
            match running.get(&id) {
                Some((of, task)) if *of == job && !task.is_finished() => return None,
                Some((of, _)) if *of == job => running.remove(&id),
                _ => {
                    let work = fetch(images.clone(), id, uri.to_owned());
                    if let Some((_, stale)) = running.insert(id, (job, tokio::spawn(work))) {
                        stale.abort();
                    }
                    return None;
                }
            }
        };
        let (_, task) = ended?;
        Some(task.await.unwrap_or_else(|e| Err(Error::wrap("a download was cut off", e))))
    }

    /// Ends the download of an image, if there is one; nothing of it is written afterwards.
    pub async fn cut(&self, id: ImageId) {
        let found = self.running.lock().remove(&id);
        if let Some((_, task)) = found {
            task.abort();
            // Cut off is how it should end.
            let _ = task.await;
        }
    }
}

/// Brings what lies at `uri` into the staging file, and wakes the job.
async fn fetch(images: Arc<Images>, id: ImageId, uri: String) -> Result<()> {
    let done = tokio::time::timeout(TOTAL_MAX, download(&images, id, &uri)).await;
    let done = done.unwrap_or_else(|_| Err(Error::bad_request("The download took too long.")));
    // The job looks by itself before long, should this fail.
    let _ = images.store.write(move |tx| pileus_jobs::wake(tx, super::subject(id))).await;
    done
}

async fn download(images: &Images, id: ImageId, uri: &str) -> Result<()> {
    let closed = |e| Error::wrap("no more downloads are begun", e);
    let _turn = images.fetches.gate.acquire().await.map_err(closed)?;
    // What an earlier daemon had reserved.
    let write = images.store.write(move |tx| {
        let mut transfer = tx.get::<Transfer>(&Scope::All, id)?;
        transfers::release(tx, &mut transfer)?;
        tx.put(&transfer)
    });
    write.await?;
    let url = images.web.check(uri)?;
    let download = images.web.get(&url).await?;
    let length = download.length;
    let part = Part::new(images, id);
    let received = images.receive(id, &part.path, download.into_stream(), length).await?;
    images.rename(&part.path, &images.staged_path(id)).await?;
    let write = images.store.write(move |tx| {
        let mut transfer = tx.get::<Transfer>(&Scope::All, id)?;
        transfer.staged = Some(received.clone());
        tx.put(&transfer)
    });
    write.await
}
