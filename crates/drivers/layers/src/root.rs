//! A directory that paths can't leave: the kernel resolves them beneath it (`openat2` with
//! `RESOLVE_IN_ROOT`), so symbolic links in the tree lead where they would for a process in it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use pileus_base::{Error, Result};
use rustix::{
    fs::{self, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::{os, shown};

/// A tree.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
    /// The mount namespace that it is in, kept alive.
    _ns: Option<OwnedFd>,
}

impl Root {
    /// The tree at `fd`, a directory.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, _ns: None }
    }

    /// The same, with the namespace that it is mounted in.
    pub(crate) fn within(self, ns: OwnedFd) -> Self {
        Self { fd: self.fd, _ns: Some(ns) }
    }

    /// The tree at a path of the host.
    pub(crate) fn open(path: &std::path::Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::open(path, flags, Mode::empty()).map_err(os(format!("open {}", path.display())))?;
        Ok(Self::new(fd))
    }

    /// The root of a process's tree.
    pub(crate) fn of_process(pid: u32) -> Result<Self> {
        Self::open(std::path::Path::new(&format!("/proc/{pid}/root")))
    }

    /// Opens what is at `path`.
    pub(crate) fn at(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = trimmed(path);
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // A rename elsewhere makes the kernel ask for another try.
        for _ in 0..64 {
            match fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Opens the directory at `path`.
    pub(crate) fn dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        self.at(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// Opens the directory at `path` and makes what is missing on the way; `made` hears of each.
    pub(crate) fn ensure_dir(
        &self,
        path: &[u8],
        mut made: impl FnMut(&OwnedFd, &[u8], &[u8]) -> Result<()>,
    ) -> Result<OwnedFd> {
        match self.dir(path) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(|e| refused(path, e)),
        }
        let mut here = self.dir(b"").map_err(|e| refused(path, e))?;
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let upto = &path[..end];
            here = match self.dir(upto) {
                Err(Errno::NOENT) => {
                    let name = split(upto).1;
                    fs::mkdirat(&here, name, Mode::from_raw_mode(0o755)).map_err(|e| refused(path, e))?;
                    let new = self.dir(upto).map_err(|e| refused(path, e))?;
                    // The daemon's umask took away what others need. By its descriptor: the name may be
                    // another's by now.
                    let by_fd = format!("/proc/self/fd/{}", new.as_raw_fd());
                    fs::chmod(by_fd, Mode::from_raw_mode(0o755)).map_err(|e| refused(path, e))?;
                    made(&here, name, upto)?;
                    new
                }
                other => other.map_err(|e| refused(path, e))?,
            };
        }
        Ok(here)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn trimmed(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

fn refused(path: &[u8], e: Errno) -> Error {
    match e {
        Errno::NOTDIR | Errno::EXIST | Errno::LOOP | Errno::NAMETOOLONG => {
            Error::bad_request(format!("directory \"{}\" of the archive can't be made: {e}", shown(path)))
                .caused_by(e)
        }
        e => os(format!("open directory {}", shown(path)))(e),
    }
}

/// The path of `name` in a directory, for calls that know no directories' descriptors. The last name is
/// followed or not as the call does it; what is before it is our own descriptor.
pub(crate) fn by_fd(dir: &impl AsFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()).into_bytes();
    path.push(b'/');
    // The descriptor's own name is a link, which these calls would not follow.
    path.extend_from_slice(if name.is_empty() { b"." } else { name });
    path
}

/// Parent and last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// A path without empty parts, `.` and `..`; nothing where `..` leads out of it.
pub(crate) fn clean(path: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// The same from the root, where `..` stays.
pub(crate) fn clean_abs(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        assert_eq!(clean(b"./a//b/../c/").unwrap(), b"a/c");
        assert_eq!(clean(b"/a").unwrap(), b"a");
        assert_eq!(clean(b"a/../../b"), None);
        assert_eq!(clean_abs(b"/../../b"), b"b");
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
    }

    #[test]
    fn links_stay_in_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert_eq!(root.at(b"out/passwd", OFlags::RDONLY).unwrap_err(), Errno::NOENT);
        root.ensure_dir(b"x/y", |_, _, _| Ok(())).unwrap();
        assert!(dir.path().join("x/y").is_dir());
        assert!(root.ensure_dir(b"out/z", |_, _, _| Ok(())).is_err());
    }
}
