//! A stopped container's tree with its volumes and binds where they would be: in a mount namespace of its own,
//! which lives as long as who looks into it. The host's own mounts do not change, and no path leads there.

use std::path::{Path, PathBuf};

use pileus_base::{Error, Result};
use rustix::{
    fs::{self, AtFlags, CWD, FileType, Mode, OFlags},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, mount_remount,
        move_mount, open_tree,
    },
};

use crate::{
    os,
    root::{Root, clean_abs, split},
};

/// A file or directory of the host that is at a place of the container's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeMount {
    /// On the host.
    pub source: PathBuf,
    /// Below the source; no link in it leads out.
    pub subpath: PathBuf,
    /// In the container.
    pub destination: PathBuf,
    /// Whether nothing may be written there.
    pub read_only: bool,
}

/// How a container's files are seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// As this process sees them.
    Process(u32),
    /// As they are on disk, with these mounts.
    Mounts(Vec<TreeMount>),
}

/// `root`, an overlay that is mounted nowhere yet, with `mounts` in it; `at` is any directory to put it.
///
/// # Errors
/// Where a source is gone or the kernel refuses.
pub(crate) fn mounted(root: Root, mounts: &[TreeMount], at: &Path) -> Result<Root> {
    let mut mounts = mounts.to_vec();
    mounts.sort_by_key(|m| m.destination.components().count());
    let at = at.to_owned();
    // The namespace is the thread's alone; descriptors, which all threads share, keep it alive.
    let thread = std::thread::Builder::new().name("mounted".into()).spawn(move || put(root, &mounts, &at));
    let thread = thread.map_err(os("start a thread"))?;
    thread.join().map_err(|_| Error::internal("putting a tree together failed"))?
}

fn put(root: Root, mounts: &[TreeMount], at: &Path) -> Result<Root> {
    let doing = "mount a container's volumes";
    #[expect(deprecated, reason = "unsafe for tables of descriptors only, and those stay shared")]
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS).map_err(os(doing))?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(os(doing))?;
    let mut ready = Vec::new();
    for m in mounts {
        let clone = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_EMPTY_PATH;
        let source = source(m)?;
        ready.push((m, open_tree(&source, "", clone).map_err(os(format!("open {}", m.source.display())))?));
    }
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&root, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(os(doing))?;
    for (m, tree) in ready {
        let stat = fs::fstat(&tree).map_err(os(doing))?;
        let dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let place = place(&root, &m.destination, dir)?;
        let failed = || os(format!("mount {} at {}", m.source.display(), m.destination.display()));
        move_mount(&tree, "", &place, "", empty).map_err(failed())?;
        if m.read_only {
            let path = format!("/proc/thread-self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&tree));
            mount_remount(path, MountFlags::BIND | MountFlags::RDONLY, "").map_err(failed())?;
        }
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let ns = fs::open("/proc/thread-self/ns/mnt", flags, Mode::empty()).map_err(os(doing))?;
    Ok(root.within(ns))
}

/// What is mounted, opened so that no link leads out of it.
fn source(m: &TreeMount) -> Result<std::os::fd::OwnedFd> {
    let path = || m.source.join(&m.subpath).display().to_string();
    let whole = fs::open(&m.source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let whole = whole.map_err(os(format!("open {}", m.source.display())))?;
    if m.subpath.as_os_str().is_empty() {
        return Ok(whole);
    }
    let below = clean_abs(std::os::unix::ffi::OsStrExt::as_bytes(m.subpath.as_os_str()));
    Root::new(whole).at(&below, OFlags::PATH).map_err(os(format!("cannot access path {}", path())))
}

/// Where a mount is put; made where it is missing, as a start does.
fn place(root: &Root, destination: &Path, dir: bool) -> Result<std::os::fd::OwnedFd> {
    let clean = clean_abs(std::os::unix::ffi::OsStrExt::as_bytes(destination.as_os_str()));
    let failed = || os(format!("open {}", destination.display()));
    // Whatever this process's umask is, the container's users pass here.
    let open = |dir: &std::os::fd::OwnedFd, name: &[u8], _: &[u8]| {
        fs::chmodat(dir, name, Mode::from_raw_mode(0o755), AtFlags::empty()).map_err(failed())
    };
    match root.at(&clean, OFlags::PATH) {
        Err(Errno::NOENT) if dir => root.ensure_dir(&clean, open),
        Err(Errno::NOENT) => {
            let (parent, name) = split(&clean);
            let parent = root.ensure_dir(parent, open)?;
            let mode = Mode::from_raw_mode(0o755);
            fs::mknodat(&parent, name, FileType::RegularFile, mode, 0).map_err(failed())?;
            open(&parent, name, name)?;
            root.at(&clean, OFlags::PATH).map_err(failed())
        }
        other => other.map_err(failed()),
    }
}
