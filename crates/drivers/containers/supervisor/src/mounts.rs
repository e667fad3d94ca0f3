//! Mounts by descriptor: each is made detached, with all its attributes, and only then put in its place, at
//! a descriptor that was opened inside the container's root. Nothing is looked up by a path twice, so that
//! nobody who moves links about can lead a mount elsewhere (CVE-2025-31133, -52565, -52881), and nothing is
//! writable for a moment that is to be read-only.

use alloc::{format, string::ToString};

use crate::{
    plan::RECURSIVE,
    sys::{Answer, Doing, Fd, Result, Sysno, c, syscall},
};

const EMPTY: i32 = libc::AT_EMPTY_PATH;
const OPEN_TREE_CLONE: i32 = 1;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
const MOUNT_ATTR_ATIME: u64 = 0x70;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

/// `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// `MS_…` as `MOUNT_ATTR_…`.
fn attributes(flags: u64) -> u64 {
    let pairs = [
        (libc::MS_RDONLY, 1),
        (libc::MS_NOSUID, 2),
        (libc::MS_NODEV, 4),
        (libc::MS_NOEXEC, 8),
        (libc::MS_NOATIME, 0x10),
        (libc::MS_STRICTATIME, 0x20),
        (libc::MS_NODIRATIME, 0x80),
    ];
    pairs.iter().filter(|(flag, _)| flags & flag != 0).fold(0, |all, (_, one)| all | one)
}

fn change(mount: &Fd, recursive: bool, to: &Attributes) -> Answer {
    let flags = EMPTY | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the attributes outlive the call, and their size is given.
    unsafe {
        let to = core::ptr::from_ref(to);
        syscall!(Sysno::mount_setattr, mount.raw(), c"".as_ptr(), flags, to, size_of::<Attributes>())
    }
}

/// Takes rights away from a mount that is in place or detached: what `flags` (`MS_…`) don't name stays.
pub fn restrict(mount: &Fd, flags: u64) -> Result<()> {
    let set = attributes(flags);
    if set == 0 {
        return Ok(());
    }
    let clear = if set & MOUNT_ATTR_ATIME == 0 { 0 } else { MOUNT_ATTR_ATIME };
    let to = Attributes { set, clear, ..Attributes::default() };
    change(mount, flags & RECURSIVE != 0, &to).doing(|| "mount_setattr".to_string()).map(drop)
}

/// Sets how mounts spread from and to it: `MS_PRIVATE` and its like, with or without `MS_REC`.
pub fn propagate(mount: &Fd, flags: u64) -> Result<()> {
    let to = Attributes { propagation: flags & !libc::MS_REC, ..Attributes::default() };
    change(mount, flags & libc::MS_REC != 0, &to).doing(|| "set the propagation".to_string()).map(drop)
}

/// Maps owners as the user namespace does.
pub fn map_owners(mount: &Fd, userns: &Fd) -> Result<()> {
    let to = Attributes { set: MOUNT_ATTR_IDMAP, userns: userns.raw() as u64, ..Attributes::default() };
    change(mount, false, &to).doing(|| "map the owners of a mount".to_string()).map(drop)
}

/// A detached copy of the mount at `path` from `dir`, or of the descriptor itself where it is empty.
pub fn copy(dir: i32, path: &str, recursive: bool) -> Answer<Fd> {
    let path = c(path)?;
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | EMPTY | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path outlives the call.
    unsafe { syscall!(Sysno::open_tree, dir, path.as_ptr(), flags) }.map(Fd::new)
}

/// Puts a detached mount in its place.
pub fn attach(mount: &Fd, at: &Fd) -> Answer {
    let (flags, empty) = (MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH, c"".as_ptr());
    // SAFETY: the strings are static.
    unsafe { syscall!(Sysno::move_mount, mount.raw(), empty, at.raw(), empty, flags) }
}

/// A new filesystem, detached.
pub fn new(kind: &str, source: &str, flags: u64, data: &str) -> Result<Fd> {
    let make = || {
        let name = c(kind)?;
        // SAFETY: all strings outlive the calls, and what takes none is given none.
        unsafe {
            let context = Fd::new(syscall!(Sysno::fsopen, name.as_ptr(), 1)?);
            let set = |key: &str, value: Option<&str>| {
                let key = c(key)?;
                match value {
                    Some(value) => {
                        let value = c(value)?;
                        let (key, value) = (key.as_ptr(), value.as_ptr());
                        syscall!(Sysno::fsconfig, context.raw(), FSCONFIG_SET_STRING, key, value, 0)
                    }
                    None => syscall!(Sysno::fsconfig, context.raw(), FSCONFIG_SET_FLAG, key.as_ptr(), 0, 0),
                }
            };
            if !source.is_empty() {
                set("source", Some(source))?;
            }
            for option in data.split(',').filter(|o| !o.is_empty()) {
                match option.split_once('=') {
                    Some((key, value)) => set(key, Some(value))?,
                    None => set(option, None)?,
                };
            }
            syscall!(Sysno::fsconfig, context.raw(), FSCONFIG_CMD_CREATE, 0, 0, 0)?;
            syscall!(Sysno::fsmount, context.raw(), 1, attributes(flags)).map(Fd::new)
        }
    };
    make().doing(|| format!("mount {source} ({kind})"))
}

/// `mount(2)`; empty strings are null.
pub fn mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) -> Result<()> {
    let call = || {
        let (s, t, k, d) = (c(source)?, c(target)?, c(kind)?, c(data)?);
        let data = if data.is_empty() { core::ptr::null() } else { d.as_ptr() };
        // SAFETY: all strings outlive the call.
        unsafe { syscall!(Sysno::mount, s.as_ptr(), t.as_ptr(), k.as_ptr(), flags, data) }
    };
    call().doing(|| format!("mount {source} ({kind})")).map(drop)
}
