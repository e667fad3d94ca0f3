//! Control groups: one group per container, `<the instance's>/<id>` or where its configuration says, in
//! whichever hierarchies the host has.
//!
//! On cgroup v1 that is a directory under each mounted controller; on v2 it is one directory. A group is
//! only its paths: the kernel keeps its state, so it can be opened anew at any time. The root of the
//! hierarchies is a parameter (`*_in`), for the tests' sake.

mod devices;
mod path;
mod stats;
mod v1;
mod v2;

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use oci_spec::runtime::LinuxResources;
use pileus_base::{Error, Result};

pub use stats::Stats;

/// Where the hierarchies are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// How long a condition of the kernel's is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container's control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    V1(v1::Dirs),
    V2(PathBuf),
}

impl Group {
    /// Makes the group `id` below the instance's, `parent`, and sets its limits; one that exists already is taken as it is.
    ///
    /// # Errors
    /// Where a directory can't be made or the kernel refuses a limit.
    pub fn create(parent: &str, id: &str, resources: &LinuxResources) -> Result<Self> {
        Self::create_in(Path::new(ROOT), parent, id, resources)
    }

    /// [`Group::create`] with the hierarchies under `root`.
    ///
    /// # Errors
    /// As there.
    pub fn create_in(root: &Path, parent: &str, id: &str, resources: &LinuxResources) -> Result<Self> {
        let group = Self::open_in(root, parent, id);
        match &group.kind {
            Kind::V1(dirs) => v1::ensure(dirs)?,
            Kind::V2(dir) => v2::ensure(root, dir)?,
        }
        group.apply(resources)?;
        Ok(group)
    }

    /// The group of a container, whether or not it exists.
    pub fn open(parent: &str, id: &str) -> Self {
        Self::open_in(Path::new(ROOT), parent, id)
    }

    /// [`Group::open`] with the hierarchies under `root`.
    pub fn open_in(root: &Path, parent: &str, id: &str) -> Self {
        let relative = Path::new(parent).join(id);
        let kind = if root.join("cgroup.controllers").exists() {
            Kind::V2(root.join(relative))
        } else {
            Kind::V1(v1::Dirs::find(root, &relative))
        };
        Self { kind }
    }

    /// Whether this host's groups are cgroup v2's.
    pub fn is_v2(&self) -> bool {
        matches!(self.kind, Kind::V2(_))
    }

    /// The files into which a process of one thread writes `0` to join. On v1 these are `tasks`: the kernel
    /// then knows that nothing else of the process has to be kept still, and spares itself the grace period
    /// (6 to 14 ms) that a write to `cgroup.procs` begins with.
    pub fn join_files(&self) -> Vec<PathBuf> {
        let file = if self.is_v2() { "cgroup.procs" } else { "tasks" };
        self.dirs().into_iter().map(|dir| dir.join(file)).collect()
    }

    /// The files into which the number of a process is written to move it.
    pub fn procs_files(&self) -> Vec<PathBuf> {
        self.dirs().into_iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// Sets the limits that `resources` names and leaves the others.
    ///
    /// # Errors
    /// Where the kernel refuses one.
    pub fn apply(&self, resources: &LinuxResources) -> Result<()> {
        match &self.kind {
            Kind::V1(dirs) => v1::apply(dirs, resources),
            Kind::V2(dir) => v2::apply(dir, resources),
        }
    }

    /// Freezes every process of the group, or lets them go on; done when they are.
    ///
    /// # Errors
    /// Where there is no freezer, or it doesn't come to an end.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let set = || match &self.kind {
            Kind::V1(dirs) => v1::freeze(dirs, frozen),
            Kind::V2(dir) => v2::freeze(dir, frozen),
        };
        set()?;
        wait_until(|| self.paused() == frozen || (set().is_ok() && self.paused() == frozen))
            .then_some(())
            .ok_or_else(|| Error::internal("unable to freeze"))
    }

    /// Whether it is frozen.
    pub fn paused(&self) -> bool {
        match &self.kind {
            Kind::V1(dirs) => v1::paused(dirs),
            Kind::V2(dir) => v2::paused(dir),
        }
    }

    /// Its processes and those of groups below, as the host numbers them.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        if let Some(dir) = self.dirs().first() {
            gather_pids(dir, &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// What it uses.
    ///
    /// # Errors
    /// 404 where the group doesn't exist.
    pub fn stats(&self) -> Result<Stats> {
        if !self.exists() {
            return Err(Error::not_found("no such control group"));
        }
        Ok(match &self.kind {
            Kind::V1(dirs) => stats::v1(dirs),
            Kind::V2(dir) => stats::v2(dir),
        })
    }

    /// Whether the kernel ended a process of the group for want of memory.
    pub fn oom_killed(&self) -> bool {
        let text = match &self.kind {
            Kind::V1(dirs) => dirs.of("memory").map(|dir| read(&dir.join("memory.oom_control"))),
            Kind::V2(dir) => Some(read(&dir.join("memory.events"))),
        };
        stats::pairs(&text.unwrap_or_default()).iter().any(|(key, n)| key == "oom_kill" && *n > 0)
    }

    /// Whether any of it exists.
    pub fn exists(&self) -> bool {
        self.dirs().iter().any(|dir| dir.is_dir())
    }

    /// Takes the group away, and groups below. Its processes must be ending: they are waited for.
    ///
    /// # Errors
    /// Where processes stay.
    pub fn remove(&self) -> Result<()> {
        for dir in self.dirs() {
            remove_tree(&dir)?;
        }
        Ok(())
    }

    /// Removes it where nothing is in it any more; what guests still have there goes with the last of them.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn leave(&self) -> Result<()> {
        for dir in self.dirs() {
            match fs::remove_dir(&dir) {
                Err(e) if !matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EBUSY | libc::ENOTEMPTY)) => {
                    return Err(Error::wrap(format!("failed to remove {}", dir.display()), e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn dirs(&self) -> Vec<PathBuf> {
        match &self.kind {
            Kind::V1(dirs) => dirs.all(),
            Kind::V2(dir) => vec![dir.clone()],
        }
    }
}

/// What a file says; nothing where it isn't there.
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Writes one value into a file of the kernel's, which must exist.
fn write(path: &Path, value: &str) -> Result<()> {
    put(path, value).map_err(|e| Error::wrap(format!("failed to write {value:?} to {}", path.display()), e))
}

/// [`write`], where a kernel may lack the file: that is logged, and no error.
fn write_if_there(path: &Path, value: &str) -> Result<()> {
    if path.exists() {
        return write(path, value);
    }
    tracing::warn!(path = %path.display(), value, "this kernel doesn't have the control; limit discarded");
    Ok(())
}

fn put(path: &Path, value: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).truncate(true).open(path)?.write_all(value.as_bytes())
}

/// Makes one directory; one that is there will do.
fn ensure_dir(dir: &Path) -> Result<()> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::wrap(format!("failed to make {}", dir.display()), e))
        }
        _ => Ok(()),
    }
}

/// Looks again and again whether a condition of the kernel's, which it tells nobody about, holds.
fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    true
}

fn subdirs(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

fn gather_pids(dir: &Path, pids: &mut Vec<u32>) {
    pids.extend(read(&dir.join("cgroup.procs")).lines().filter_map(|l| l.parse::<u32>().ok()));
    for sub in subdirs(dir) {
        gather_pids(&sub, pids);
    }
}

fn remove_tree(dir: &Path) -> Result<()> {
    for sub in subdirs(dir) {
        remove_tree(&sub)?;
    }
    let mut last = None;
    let gone = wait_until(|| match fs::remove_dir(dir) {
        Ok(()) => true,
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) => {
            let busy = e.raw_os_error() == Some(libc::EBUSY);
            last = Some(e);
            !busy
        }
    });
    match last {
        Some(e) if !gone || dir.exists() => {
            Err(Error::wrap(format!("failed to remove {}", dir.display()), e))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
