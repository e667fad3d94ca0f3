//! A container's mounts as they are kept: what `inspect` shows of each, and what it doesn't show.
//!
//! What isn't shown is in fields that no client knows ([`SUBPATH`], [`OPTIONS`]); [`shown`] leaves them out.

use std::path::{Path, PathBuf};

use pileus_base::{Error, Result};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
    mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount},
};
use serde_json::{Value, json};

use crate::{Container, Docker, model::spec::Bind};

/// The part of a volume that is mounted.
pub(crate) const SUBPATH: &str = "_subpath";
/// Words of the OCI's mount options: `bind` for what is below a bind not to follow, `rro` for all of it to be
/// read-only.
pub(crate) const OPTIONS: &str = "_options";

/// A path without `.`, `..`, double and trailing slashes.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The mounts as `inspect` shows them.
pub(crate) fn shown(mounts: &[Value]) -> Value {
    let one = |m: &Value| {
        let mut m = m.clone();
        if let Some(all) = m.as_object_mut() {
            all.retain(|k, _| !k.starts_with('_'));
        }
        m
    };
    mounts.iter().map(one).collect()
}

fn text(m: &Value, key: &str) -> String {
    m[key].as_str().unwrap_or_default().to_owned()
}

/// Parts of volumes, each mounted by itself for the time of a start: a link in the volume that is put in its
/// way meanwhile leads nowhere. They go with this.
#[derive(Debug, Default)]
pub(crate) struct Parts(Vec<(String, PathBuf)>);

impl Parts {
    /// Where the part for a place in the container is.
    fn of(&self, destination: &str) -> Option<&Path> {
        self.0.iter().find(|(to, _)| to == destination).map(|(_, path)| path.as_path())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for (_, path) in &self.0 {
            remove(path);
        }
    }
}

fn remove(path: &Path) {
    let _ = unmount(path, UnmountFlags::DETACH);
    // Whichever it is: nothing is in it, for what was mounted is gone.
    let _ = std::fs::remove_dir(path);
    let _ = std::fs::remove_file(path);
}

impl Docker {
    /// Mounts the parts of volumes that a container has.
    ///
    /// # Errors
    /// 400 where a part is not there or leads out of its volume.
    pub(crate) fn parts(&self, c: &Container) -> Result<Parts> {
        let mut parts = Parts::default();
        for (n, m) in c.mounts.iter().enumerate().filter(|(_, m)| m[SUBPATH].is_string()) {
            let dir = self.parts_dir();
            std::fs::create_dir_all(&dir)
                .map_err(|e| Error::wrap(format!("failed to make {}", dir.display()), e))?;
            let at = dir.join(format!("{}-{n}", c.id));
            remove(&at);
            part(Path::new(&text(m, "Source")), Path::new(&text(m, SUBPATH)), &at)?;
            parts.0.push((text(m, "Destination"), at));
        }
        Ok(parts)
    }

    /// Takes away parts that a killed daemon left.
    pub(crate) fn clear_parts(&self) {
        for entry in std::fs::read_dir(self.parts_dir()).into_iter().flatten().flatten() {
            remove(&entry.path());
        }
    }

    /// Beside the containers' directories, which are removed with all that is in them.
    fn parts_dir(&self) -> PathBuf {
        self.options.state_dir.join("parts")
    }
}

/// Mounts what is at `below` in `volume` at `at`.
fn part(volume: &Path, below: &Path, at: &Path) -> Result<()> {
    let whole = volume.join(below);
    let failed = |e: Errno| match e {
        Errno::XDEV | Errno::LOOP => Error::bad_request(format!(
            "path {} is not within volume {}: it resolves to a path outside of it",
            below.display(),
            volume.display()
        )),
        e => Error::bad_request(format!("cannot access path {}: {}", whole.display(), words(e))),
    };
    let wrapped = |e| Error::wrap(format!("failed to mount {}", whole.display()), e);
    let dir = rustix::fs::open(volume, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let dir = dir.map_err(wrapped)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(&dir, below, flags, Mode::empty(), resolve).map_err(failed)?;
    let stat = rustix::fs::fstat(&found).map_err(wrapped)?;
    let made = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::Directory => std::fs::create_dir_all(at),
        _ => std::fs::File::create(at).map(drop),
    };
    made.map_err(|e| Error::wrap(format!("failed to make {}", at.display()), e))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&found, "", clone).map_err(wrapped)?;
    move_mount(&tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(wrapped)
}

fn words(e: Errno) -> String {
    match e {
        Errno::NOENT => "no such file or directory".into(),
        e => std::io::Error::from(e).to_string(),
    }
}

/// What is bound into the container, parents before what is below them.
pub(crate) fn binds(mounts: &[Value], parts: &Parts) -> Vec<Bind> {
    let bound = mounts.iter().filter(|m| m["Type"] != json!("tmpfs"));
    let mut all: Vec<Bind> = bound
        .map(|m| {
            let destination = text(m, "Destination");
            let source = parts.of(&destination).map_or_else(|| text(m, "Source").into(), Path::to_owned);
            Bind {
                source,
                destination: destination.into(),
                read_only: m["RW"] == json!(false),
                propagation: Some(text(m, "Propagation")).filter(|p| !p.is_empty()),
                options: text(m, OPTIONS).split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect(),
            }
        })
        .collect();
    all.sort_by_key(|b| b.destination.components().count());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_bound_first() {
        let mount = |to: &str| json!({"Type": "bind", "Source": "/s", "Destination": to, "RW": false, OPTIONS: "rro"});
        let all = [mount("/a/b"), mount("/a"), json!({"Type": "tmpfs", "Destination": "/t"})];
        let bound = binds(&all, &Parts::default());
        let order: Vec<_> = bound.iter().map(|b| b.destination.to_str().unwrap()).collect();
        assert_eq!(order, ["/a", "/a/b"]);
        assert!(bound[0].read_only && bound[0].propagation.is_none() && bound[0].options == ["rro"]);
        assert!(!shown(&all).to_string().contains("rro"));
    }

    #[test]
    fn a_part_does_not_leave_its_volume() {
        let dir = tempfile::tempdir().unwrap();
        let (volume, at) = (dir.path().join("v"), dir.path().join("at"));
        std::fs::create_dir_all(volume.join("in")).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("out")).unwrap();
        for (bad, said) in [("out", "outside"), ("in/../../at", "outside"), ("none", "cannot access path")] {
            let e = part(&volume, Path::new(bad), &at).unwrap_err();
            assert!(e.message().contains(said), "{bad}: {}", e.message());
        }
        part(&volume, Path::new("in"), &at).unwrap();
        std::fs::write(volume.join("in/x"), "1").unwrap();
        assert!(at.join("x").exists());
        drop(Parts(vec![(String::new(), at.clone())]));
        assert!(!at.exists() && volume.join("in/x").exists());
    }
}
