//! Owner, permissions, times and extended attributes of files, by directory and name.

use std::os::fd::{AsFd, AsRawFd};

use pileus_base::Result;
use rustix::{
    fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};

use crate::{os, root::by_fd, shown};

/// What makes a directory hide those below it.
pub(crate) const OPAQUE: &[u8] = b"trusted.overlay.opaque";

/// What is set on a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attrs {
    /// Permissions.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Names and values.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attrs {
    /// Those of a file that is there.
    pub(crate) fn of(dir: &impl AsFd, name: &[u8], stat: &Stat) -> Result<Self> {
        Ok(Self {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
            xattrs: xattrs(dir, name)?,
        })
    }

    /// Sets owner, permissions, extended attributes and times, in the order in which none undoes another.
    pub(crate) fn set(&self, dir: &impl AsFd, name: &[u8], link: bool) -> Result<()> {
        let doing = || format!("set attributes of {}", shown(name));
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let (uid, gid) = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
        fs::chownat(dir, name, uid, gid, nofollow).map_err(os(doing()))?;
        if !link {
            // A name could have become a link by now, which must not be followed: its file is held first.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let held = fs::openat(dir, name, flags, Mode::empty()).map_err(os(doing()))?;
            let stat = fs::fstat(&held).map_err(os(doing()))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                let path = format!("/proc/self/fd/{}", held.as_raw_fd());
                fs::chmod(path, Mode::from_raw_mode(self.mode)).map_err(os(doing()))?;
            }
        }
        for (key, value) in self.xattrs.iter().filter(|(key, _)| is_carried(key)) {
            match fs::lsetxattr(by_fd(dir, name), &key[..], value, XattrFlags::empty()) {
                // As the reference: not every filesystem takes every attribute.
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL) => {}
                Err(e) => return Err(os(doing())(e)),
            }
        }
        set_mtime(dir, name, self.mtime)
    }
}

impl Attrs {
    /// The same for a file that is open.
    pub(crate) fn set_open(&self, file: &impl AsFd) -> Result<()> {
        let doing = "set attributes of a file";
        let (uid, gid) = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
        fs::fchown(file, uid, gid).map_err(os(doing))?;
        fs::fchmod(file, Mode::from_raw_mode(self.mode)).map_err(os(doing))?;
        for (key, value) in self.xattrs.iter().filter(|(key, _)| is_carried(key)) {
            match fs::fsetxattr(file, &key[..], value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL) => {}
                Err(e) => return Err(os(doing)(e)),
            }
        }
        fs::futimens(file, &times(self.mtime)).map_err(os(doing))
    }
}

fn times((secs, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Sets when a file was changed last; its name is not followed.
pub(crate) fn set_mtime(dir: &impl AsFd, name: &[u8], mtime: (i64, u32)) -> Result<()> {
    fs::utimensat(dir, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(os(format!("set the time of {}", shown(name))))
}

/// An overlay's own attributes in an archive could lead out of a layer; they are ours to set.
pub(crate) fn is_carried(key: &[u8]) -> bool {
    !key.starts_with(b"trusted.overlay.")
        && !key.starts_with(b"user.overlay.")
        && key != b"security.selinux"
        && !key.contains(&0)
}

/// The extended attributes that archives carry, sorted.
pub(crate) fn xattrs(dir: &impl AsFd, name: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = by_fd(dir, name);
    let mut list = vec![0u8; 1 << 10];
    let length = loop {
        match fs::llistxattr(&path[..], &mut list[..]) {
            Err(Errno::RANGE) if list.len() < 1 << 17 => list.resize(list.len() * 4, 0),
            Err(Errno::OPNOTSUPP | Errno::NOENT) => return Ok(Vec::new()),
            other => break other.map_err(os(format!("list attributes of {}", shown(name))))?,
        }
    };
    let mut out = Vec::new();
    for key in list[..length].split(|b| *b == 0).filter(|key| !key.is_empty() && is_carried(key)) {
        let mut value = vec![0u8; 1 << 16];
        if let Ok(n) = fs::lgetxattr(&path[..], key, &mut value[..]) {
            value.truncate(n);
            out.push((key.to_vec(), value));
        }
    }
    out.sort();
    Ok(out)
}

/// Whether a directory hides those below it.
pub(crate) fn is_opaque(dir: &impl AsFd, name: &[u8]) -> bool {
    let mut value = [0u8; 8];
    matches!(fs::lgetxattr(by_fd(dir, name), OPAQUE, &mut value[..]), Ok(1) if value[0] == b'y')
}

/// Makes a directory hide those below it.
pub(crate) fn set_opaque(dir: &impl AsFd, name: &[u8]) -> Result<()> {
    fs::lsetxattr(by_fd(dir, name), OPAQUE, b"y", XattrFlags::empty())
        .map_err(os(format!("make {} opaque", shown(name))))
}
