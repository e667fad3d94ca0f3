//! A container's root filesystem: its layers and mounts, its devices, and what is hidden in it. All of it
//! is done before the root is changed, with the host's `/proc` in reach and every target opened inside the
//! new root, so that nothing in the image can lead a mount elsewhere (CVE-2025-31133, CVE-2025-52881).

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
};

use crate::{
    plan::{Device, Mount, Plan},
    sys::{Result, c, check, fail, mount, open_in, place, words},
};

const DIR: i32 = libc::O_PATH | libc::O_DIRECTORY;

/// Makes the root in the mount namespace that we are in, and opens it.
pub fn make(plan: &Plan) -> Result<OwnedFd> {
    mount("", "/", "", libc::MS_REC | libc::MS_SLAVE, "")?;
    let at = format!("{}/rootfs", plan.dir);
    let (upper, work) = (format!("{}/upper", plan.dir), format!("{}/work", plan.dir));
    if plan.lower.is_empty() {
        mount(&upper, &at, "", libc::MS_BIND, "")?;
    } else {
        std::env::set_current_dir(&plan.layers_dir).map_err(|e| fail(format!("layers: {e}")))?;
        let data = format!("lowerdir={},upperdir={upper},workdir={work}", plan.lower.join(":"));
        mount("overlay", &at, "overlay", 0, &data)?;
        std::env::set_current_dir("/").map_err(|e| fail(format!("/: {e}")))?;
    }
    let root = open(&at)?;
    for one in &plan.mounts {
        if one.kind == "cgroup" || one.kind == "cgroup2" {
            cgroups(&root, one, plan)?
        } else {
            add(&root, one)?
        }
    }
    devices(&root, plan)?;
    Ok(root)
}

fn open(path: &str) -> Result<OwnedFd> {
    fs::OpenOptions::new().read(true).open(path).map(Into::into).map_err(|e| fail(format!("{path}: {e}")))
}

/// Opens a place in the root, which is made where it is missing.
pub fn ensure(root: &OwnedFd, path: &str, directory: bool) -> Result<OwnedFd> {
    let failed = |e: io::Error| fail(format!("create mount point {path}: {}", words(&e)));
    match open_in(root.as_raw_fd(), path, libc::O_PATH, 0) {
        Ok(fd) => return Ok(fd),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {}
        Err(e) => return Err(failed(e)),
    }
    let (above, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
    let above = ensure(root, above, true)?;
    let name = c(name)?;
    let answer = if directory {
        // SAFETY: the name outlives the call.
        unsafe { libc::mkdirat(above.as_raw_fd(), name.as_ptr(), 0o755) }
    } else {
        // SAFETY: the same.
        unsafe { libc::mknodat(above.as_raw_fd(), name.as_ptr(), libc::S_IFREG | 0o644, 0) }
    };
    check(answer.into(), || format!("create mount point {path}"))?;
    open_in(root.as_raw_fd(), path, libc::O_PATH, 0).map_err(failed)
}

fn add(root: &OwnedFd, one: &Mount) -> Result<()> {
    let again = || open_in(root.as_raw_fd(), &one.target, libc::O_PATH, 0);
    let again = || again().map_err(|e| fail(format!("{}: {}", one.target, words(&e))));
    if one.flags & libc::MS_BIND != 0 {
        let source = fs::metadata(&one.source)
            .map_err(|e| fail(format!("invalid mount: bind source path {}: {}", one.source, words(&e))))?;
        let target = ensure(root, &one.target, source.is_dir())?;
        mount(&one.source, &place(&target), "", one.flags & (libc::MS_BIND | libc::MS_REC), "")?;
        let rest = one.flags & !(libc::MS_BIND | libc::MS_REC);
        if rest != 0 {
            mount("", &place(&again()?), "", rest | libc::MS_BIND | libc::MS_REMOUNT, "")?;
        }
    } else {
        let target = ensure(root, &one.target, true)?;
        mount(&one.source, &place(&target), &one.kind, one.flags, &one.data)?;
    }
    if one.propagation != 0 {
        mount("", &place(&again()?), "", one.propagation, "")?;
    }
    Ok(())
}

/// The container's own control groups at `/sys/fs/cgroup`, of either version.
fn cgroups(root: &OwnedFd, one: &Mount, plan: &Plan) -> Result<()> {
    let readonly = one.flags & libc::MS_RDONLY;
    let bind = |from: &str, to: &str| -> Result<()> {
        mount(from, &place(&ensure(root, to, true)?), "", libc::MS_BIND, "")?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_BIND | libc::MS_REMOUNT;
        let there = open_in(root.as_raw_fd(), to, libc::O_PATH, 0).map_err(|e| fail(format!("{to}: {e}")))?;
        mount("", &place(&there), "", flags | readonly, "")
    };
    let groups = plan.cgroups.iter().filter_map(|file| {
        let dir = file.rsplit_once('/')?.0;
        let (controller, _) = dir.strip_prefix("/sys/fs/cgroup/")?.split_once('/').unwrap_or((dir, ""));
        Some((dir, controller))
    });
    if fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap_or(false) {
        return groups.take(1).try_for_each(|(dir, _)| bind(dir, &one.target));
    }
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let target = ensure(root, &one.target, true)?;
    mount("tmpfs", &place(&target), "tmpfs", flags, "mode=755")?;
    for (dir, controller) in groups {
        bind(dir, &format!("{}/{controller}", one.target))?;
    }
    if readonly != 0 {
        let there = ensure(root, &one.target, true)?;
        mount("", &place(&there), "", flags | libc::MS_RDONLY | libc::MS_BIND | libc::MS_REMOUNT, "")?;
    }
    Ok(())
}

fn devices(root: &OwnedFd, plan: &Plan) -> Result<()> {
    let usual =
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
    let usual = usual.map(|(name, major, minor)| Device {
        path: format!("/dev/{name}"),
        mode: libc::S_IFCHR | 0o666,
        major,
        minor,
        ..Device::default()
    });
    for one in usual.iter().chain(&plan.devices) {
        let (above, name) = one.path.rsplit_once('/').unwrap_or(("", &one.path));
        let (above, name) = (ensure(root, above, true)?, c(name)?);
        let number = libc::makedev(one.major, one.minor);
        // SAFETY: the name outlives the calls.
        unsafe {
            libc::unlinkat(above.as_raw_fd(), name.as_ptr(), 0);
            let made = libc::mknodat(above.as_raw_fd(), name.as_ptr(), one.mode, number);
            check(made.into(), || format!("create device {}", one.path))?;
            libc::fchmodat(above.as_raw_fd(), name.as_ptr(), one.mode & 0o7777, 0);
            libc::fchownat(above.as_raw_fd(), name.as_ptr(), one.uid, one.gid, libc::AT_SYMLINK_NOFOLLOW);
        }
    }
    let dev = open_in(root.as_raw_fd(), "dev", DIR, 0).map_err(|e| fail(format!("/dev: {e}")))?;
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ];
    for (name, to) in links {
        let (name, to) = (c(name)?, c(to)?);
        // SAFETY: both names outlive the call. What is there already may stay.
        unsafe { libc::symlinkat(to.as_ptr(), dev.as_raw_fd(), name.as_ptr()) };
    }
    Ok(())
}

/// Hides what is to be hidden, and takes away the right to write.
pub fn hide(root: &OwnedFd, plan: &Plan) -> Result<()> {
    let open = |path: &str| match open_in(root.as_raw_fd(), path, libc::O_PATH, libc::RESOLVE_NO_SYMLINKS) {
        Ok(fd) => Ok(Some(fd)),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        Err(e) => Err(fail(format!("{path}: {}", words(&e)))),
    };
    for path in &plan.readonly_paths {
        let Some(fd) = open(path)? else { continue };
        mount(&place(&fd), &place(&fd), "", libc::MS_BIND | libc::MS_REC, "")?;
        let Some(fd) = open(path)? else { continue };
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        mount("", &place(&fd), "", flags | libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, "")?;
    }
    for path in &plan.masked {
        let Some(fd) = open(path)? else { continue };
        if fs::metadata(place(&fd)).is_ok_and(|m| m.is_dir()) {
            mount("tmpfs", &place(&fd), "tmpfs", libc::MS_RDONLY, "size=0k")?;
        } else {
            mount("/dev/null", &place(&fd), "", libc::MS_BIND, "")?;
        }
    }
    Ok(())
}

/// Makes it the root of this process, with nothing of the old one left.
pub fn enter(root: OwnedFd, plan: &Plan) -> Result<()> {
    let (old, dot) = (open("/")?, c(".")?);
    // SAFETY: the descriptors are open and the strings outlive the calls.
    unsafe {
        check(libc::fchdir(root.as_raw_fd()).into(), || "enter the root".into())?;
        check(libc::syscall(libc::SYS_pivot_root, dot.as_ptr(), dot.as_ptr()), || "pivot_root".into())?;
        check(libc::fchdir(old.as_raw_fd()).into(), || "enter the old root".into())?;
        mount("", ".", "", libc::MS_SLAVE | libc::MS_REC, "")?;
        check(libc::umount2(dot.as_ptr(), libc::MNT_DETACH).into(), || "umount the old root".into())?;
    }
    std::env::set_current_dir("/").map_err(|e| fail(format!("/: {e}")))?;
    if plan.propagation != 0 {
        mount("", "/", "", plan.propagation, "")?;
    }
    if plan.readonly {
        mount("", "/", "", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, "")?;
    }
    Ok(())
}
