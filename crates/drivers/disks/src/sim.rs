//! Disks that only exist by name: for simulated servers. Images are examined for real.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use parking_lot::Mutex;
use pileus_base::{Error, Result, ids::ServerId};

use crate::{Base, BoxFuture, DiskFile, DiskSpec, Disks, ImageInfo, inspect};

/// The simulator. It forgets with the program: a disk that is asked for again is there again.
#[derive(Default)]
pub struct Sim(Mutex<HashMap<ServerId, HashSet<String>>>);

impl Disks for Sim {
    fn inspect<'a>(&'a self, path: &'a Path, format: &'a str) -> BoxFuture<'a, Result<ImageInfo>> {
        Box::pin(async move {
            let (path, format) = (path.to_owned(), format.to_owned());
            let work = tokio::task::spawn_blocking(move || inspect::inspect(&path, &format));
            work.await.map_err(|e| Error::wrap("work on a disk was cut off", e))?
        })
    }
    fn ensure<'a>(&'a self, spec: &'a DiskSpec) -> BoxFuture<'a, Result<()>> {
        self.0.lock().entry(spec.server).or_default().insert(spec.name.clone());
        Box::pin(async { Ok(()) })
    }
    fn locate(&self, _: ServerId, name: &str) -> Result<DiskFile> {
        Ok(DiskFile { path: name.into(), format: "raw" })
    }
    fn remove(&self, server: ServerId) -> BoxFuture<'_, Result<()>> {
        self.0.lock().remove(&server);
        Box::pin(async { Ok(()) })
    }
    fn owners(&self) -> BoxFuture<'_, Result<Vec<ServerId>>> {
        let owners = self.0.lock().keys().copied().collect();
        Box::pin(async move { Ok(owners) })
    }
    fn prune<'a>(&'a self, _: &'a [Base]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
