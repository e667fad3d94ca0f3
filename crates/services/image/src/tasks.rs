//! Removes files that no image owns and prepared copies of images that are gone, queues images again whose
//! upload ended with a dead daemon, removes old tasks, and recounts what projects take.

use std::{path::Path, sync::Arc};

use pileus_base::{Error, Result, Scope, Time, ids::ImageId};
use pileus_reconcile::{Reconciler, Report};
use pileus_store::{Query, Resource, Stored};

use crate::{
    Images, import,
    model::{Image, Status},
    transfers, upload, usage,
};

/// The reconciler.
pub struct Sweep(pub Arc<Images>);

impl Reconciler for Sweep {
    const NAME: &'static str = "image.sweep";

    fn kinds(&self) -> &'static [&'static str] {
        &[Image::KIND]
    }

    async fn reconcile(&self) -> Result<Report> {
        let images = &self.0;
        // Files before rows: an image's row is there before its file, so a file seen here whose row isn't
        // found below has lost it.
        let names = names(&images.dir).await?;
        let all = images.store.read(|rd| rd.list::<Image>(&Scope::All, &Query::all())).await?;
        let mut changed = 0;
        for name in names {
            let owned =
                if name.ends_with(upload::PART) { upload::under_way(&name) } else { owns(&all, &name) };
            if owned {
                continue;
            }
            let path = images.dir.join(&name);
            match tokio::fs::remove_file(&path).await {
                Ok(()) => changed += 1,
                // An upload came to its end meanwhile.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::wrap(format!("failed to remove `{}`", path.display()), e)),
            }
        }
        let coming = |i: &&Image| matches!(i.status, Status::Saving | Status::Uploading);
        for image in all.iter().map(|i| &i.value).filter(coming).filter(|i| !upload::taking(i.id)) {
            changed += requeue(images, image.id).await?;
        }
        changed +=
            images.store.write(|tx| Ok(usage::recount(tx)? + import::expire(tx, Time::now())?)).await?;
        let keep: Vec<_> = all.iter().filter(|i| i.has_data()).map(|i| images.file(i)).collect();
        images.host.prune_images(&keep).await?;
        Ok(Report { seen: all.len(), changed, note: String::new() })
    }
}

/// Names of the files in `dir`.
async fn names(dir: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::wrap(format!("failed to read `{}`", dir.display()), e);
    let mut entries = tokio::fs::read_dir(dir).await.map_err(failed)?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// Whether a file is that of an image, or what was staged for one.
fn owns(all: &[Stored<Image>], name: &str) -> bool {
    let (id, staged) = match name.strip_suffix(upload::STAGED) {
        Some(id) => (id, true),
        None => (name, false),
    };
    let Some(image) = all.iter().find(|i| i.id.to_string() == id) else { return false };
    !staged || matches!(image.status, Status::Uploading | Status::Importing)
}

/// Queues an image whose data nobody takes any more; how many were changed. What is staged whole waits on.
async fn requeue(images: &Images, id: ImageId) -> Result<usize> {
    let write = images.store.write(move |tx| {
        let Some(image) = tx.find::<Image>(&Scope::All, id)? else { return Ok(false) };
        let staged = transfers::find(tx, id)?.is_some_and(|t| t.staged.is_some());
        match image.status {
            _ if upload::taking(id) => Ok(false),
            Status::Saving => upload::requeue(tx, id, Status::Saving),
            Status::Uploading if !staged => upload::requeue(tx, id, Status::Uploading),
            _ => Ok(false),
        }
    });
    Ok(usize::from(write.await?))
}
