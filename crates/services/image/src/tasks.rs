//! Removes files that no image owns, and prepared copies of images that are gone.

use std::{collections::HashSet, sync::Arc};

use pileus_base::{Error, Result, Scope};
use pileus_reconcile::{Reconciler, Report};
use pileus_store::{Query, Resource};

use crate::{Images, model::Image, upload};

/// The reconciler.
pub struct Sweep(pub Arc<Images>);

impl Reconciler for Sweep {
    const NAME: &'static str = "image.sweep";

    fn kinds(&self) -> &'static [&'static str] {
        &[Image::KIND]
    }

    async fn reconcile(&self) -> Result<Report> {
        let images = &self.0;
        let all = images.store.read(|rd| rd.list::<Image>(&Scope::All, &Query::all())).await?;
        let known: HashSet<String> = all.iter().map(|i| i.id.to_string()).collect();
        let failed = |e| Error::wrap(format!("failed to read `{}`", images.dir.display()), e);
        let mut entries = tokio::fs::read_dir(&images.dir).await.map_err(failed)?;
        let mut removed = 0;
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = name.split('.').next().unwrap_or("").to_owned();
            let owned =
                if name.ends_with(upload::PART) { upload::under_way(&name) } else { known.contains(&id) };
            if !owned {
                removed += 1;
                tokio::fs::remove_file(entry.path()).await.map_err(failed)?;
            }
        }
        let keep: Vec<_> = all.iter().filter(|i| i.size.is_some()).map(|i| images.file(i)).collect();
        images.host.prune_images(&keep).await?;
        Ok(Report { seen: known.len(), changed: removed, note: String::new() })
    }
}
