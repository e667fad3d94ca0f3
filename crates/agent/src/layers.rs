//! [`pileus_host::Layers`] over the driver: its blocking work on threads for that, its readers and writers
//! bridged to the runtime's.

use std::path::Path;

use pileus_base::{Error, Result};
use pileus_host::{
    AppliedLayer, BoxFuture, Change, Layers, PathStat, Reader, Rootfs, Seen,
    pipe::{Blocking, reader},
};

use crate::Agent;

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::wrap("work on layers", e))?
}

fn applied(layer: pileus_layers::AppliedLayer) -> AppliedLayer {
    let pileus_layers::AppliedLayer { id, diff_id, size_bytes } = layer;
    AppliedLayer { id, diff_id, size_bytes }
}

fn stat(stat: pileus_layers::PathStat) -> PathStat {
    let pileus_layers::PathStat { name, size, mode, mtime, link_target } = stat;
    PathStat { name, size, mode, mtime, link_target }
}

fn seen(seen: &Seen) -> pileus_layers::Seen {
    match seen {
        Seen::Process(pid) => pileus_layers::Seen::Process(*pid),
        Seen::Mounts(all) => pileus_layers::Seen::Mounts(
            all.iter()
                .map(|m| pileus_layers::TreeMount {
                    source: m.source.clone(),
                    subpath: m.subpath.clone(),
                    destination: m.destination.clone(),
                    read_only: m.read_only,
                })
                .collect(),
        ),
    }
}

impl Layers for Agent {
    fn apply_layer<'a>(
        &'a self,
        tar: Reader,
        below: &'a [String],
        diff_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<AppliedLayer>> {
        let (driver, below, diff_id) = (self.layers.clone(), below.to_vec(), diff_id.map(str::to_owned));
        Box::pin(async move {
            let tar = Blocking::new(tar);
            blocking(move || driver.apply(tar, &below, diff_id.as_deref()).map(applied)).await
        })
    }
    fn apply_layers<'a>(
        &'a self,
        tars: Vec<Reader>,
        diff_ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<AppliedLayer>>> {
        let (driver, diff_ids) = (self.layers.clone(), diff_ids.to_vec());
        Box::pin(async move {
            let tars = tars.into_iter().map(Blocking::new).collect();
            let all = blocking(move || driver.apply_all(tars, &diff_ids)).await?;
            Ok(all.into_iter().map(applied).collect())
        })
    }
    fn remove_layer<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        let (driver, id) = (self.layers.clone(), id.to_owned());
        Box::pin(blocking(move || driver.remove(&id)))
    }
    fn layers(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        let driver = self.layers.clone();
        Box::pin(blocking(move || driver.list()))
    }
    fn export_layer<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Reader>> {
        let (driver, id) = (self.layers.clone(), id.to_owned());
        Box::pin(async move {
            driver.check(&id)?;
            Ok(reader(move |out| driver.export(&id, out)))
        })
    }
    fn commit_container<'a>(&'a self, id: &'a str, below: &'a Rootfs) -> BoxFuture<'a, Result<AppliedLayer>> {
        let (driver, id, below) = (self.layers.clone(), id.to_owned(), below.layers.clone());
        Box::pin(blocking(move || driver.commit(&id, &below).map(applied)))
    }
    fn turn_into_layer<'a>(
        &'a self,
        id: &'a str,
        below: &'a Rootfs,
        ran: bool,
    ) -> BoxFuture<'a, Result<AppliedLayer>> {
        let (driver, id, below) = (self.layers.clone(), id.to_owned(), below.layers.clone());
        Box::pin(blocking(move || driver.turn_into_layer(&id, &below, ran).map(applied)))
    }
    fn container_changes<'a>(
        &'a self,
        id: &'a str,
        rootfs: &'a Rootfs,
    ) -> BoxFuture<'a, Result<Vec<Change>>> {
        let (driver, id, layers) = (self.layers.clone(), id.to_owned(), rootfs.layers.clone());
        Box::pin(blocking(move || {
            let changes = driver.changes(&id, &layers)?;
            Ok(changes.into_iter().map(|c| Change { path: c.path, kind: c.kind }).collect())
        }))
    }
    fn container_size<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<u64>> {
        let (driver, id) = (self.layers.clone(), id.to_owned());
        Box::pin(blocking(move || driver.size(&id)))
    }
    fn export_container<'a>(&'a self, id: &'a str, rootfs: &'a Rootfs) -> BoxFuture<'a, Result<Reader>> {
        let (driver, id, layers) = (self.layers.clone(), id.to_owned(), rootfs.layers.clone());
        Box::pin(async move {
            let write = blocking(move || driver.export_container(&id, &layers)).await?;
            Ok(reader(write))
        })
    }
    fn stat_path<'a>(
        &'a self,
        id: &'a str,
        rootfs: &'a Rootfs,
        seen: Option<&'a Seen>,
        path: &'a str,
    ) -> BoxFuture<'a, Result<PathStat>> {
        let (driver, id, layers) = (self.layers.clone(), id.to_owned(), rootfs.layers.clone());
        let (path, seen) = (path.to_owned(), seen.map(self::seen));
        Box::pin(blocking(move || driver.stat_path(&id, &layers, seen.as_ref(), &path).map(stat)))
    }
    fn copy_out<'a>(
        &'a self,
        id: &'a str,
        rootfs: &'a Rootfs,
        seen: Option<&'a Seen>,
        path: &'a str,
    ) -> BoxFuture<'a, Result<(PathStat, Reader)>> {
        let (driver, id, layers) = (self.layers.clone(), id.to_owned(), rootfs.layers.clone());
        let (path, seen) = (path.to_owned(), seen.map(self::seen));
        Box::pin(async move {
            let (found, write) =
                blocking(move || driver.copy_out(&id, &layers, seen.as_ref(), &path)).await?;
            Ok((stat(found), reader(write)))
        })
    }
    fn copy_in<'a>(
        &'a self,
        id: &'a str,
        rootfs: &'a Rootfs,
        seen: Option<&'a Seen>,
        path: &'a str,
        tar: Reader,
        strict: bool,
    ) -> BoxFuture<'a, Result<()>> {
        let (driver, id, layers) = (self.layers.clone(), id.to_owned(), rootfs.layers.clone());
        let (path, seen) = (path.to_owned(), seen.map(self::seen));
        Box::pin(async move {
            let tar = Blocking::new(tar);
            blocking(move || driver.copy_in(&id, &layers, seen.as_ref(), &path, tar, strict)).await
        })
    }
    fn seed_volume<'a>(
        &'a self,
        rootfs: &'a Rootfs,
        path: &'a str,
        volume: &'a Path,
    ) -> BoxFuture<'a, Result<()>> {
        let (driver, layers) = (self.layers.clone(), rootfs.layers.clone());
        let (path, volume) = (path.to_owned(), volume.to_path_buf());
        Box::pin(blocking(move || driver.seed_volume(&layers, &path, &volume)))
    }
    fn read_small<'a>(
        &'a self,
        id: Option<&'a str>,
        rootfs: &'a Rootfs,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        let (driver, layers) = (self.layers.clone(), rootfs.layers.clone());
        let (id, path) = (id.map(str::to_owned), path.to_owned());
        Box::pin(blocking(move || driver.read_small(id.as_deref(), &layers, &path)))
    }
}
