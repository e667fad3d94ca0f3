//! Removes files that no image owns and prepared copies of images that are gone, and queues images
//! again whose upload ended with a dead daemon.

use std::{collections::HashSet, path::Path, sync::Arc};

use pileus_base::{Error, Result, Scope, ids::ImageId};
use pileus_reconcile::{Reconciler, Report};
use pileus_store::{Query, Resource};

use crate::{
    Images,
    model::{Image, Status},
    upload,
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
        let known: HashSet<String> = all.iter().map(|i| i.id.to_string()).collect();
        let mut changed = 0;
        for name in names {
            let owned =
                if name.ends_with(upload::PART) { upload::under_way(&name) } else { known.contains(&name) };
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
        for image in all.iter().filter(|i| i.status == Status::Saving && !upload::taking(i.id)) {
            changed += requeue(images, image.id).await?;
        }
        let keep: Vec<_> = all.iter().filter(|i| i.size.is_some()).map(|i| images.file(i)).collect();
        images.host.prune_images(&keep).await?;
        Ok(Report { seen: known.len(), changed, note: String::new() })
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

/// Queues an image whose data nobody takes any more; how many were changed.
async fn requeue(images: &Images, id: ImageId) -> Result<usize> {
    let write = images.store.write(move |tx| {
        let Some(mut image) = tx.find::<Image>(&Scope::All, id)? else { return Ok(0) };
        if image.status != Status::Saving || upload::taking(id) {
            return Ok(0);
        }
        image.status = Status::Queued;
        tx.put(&image)?;
        Ok(1)
    });
    write.await
}
