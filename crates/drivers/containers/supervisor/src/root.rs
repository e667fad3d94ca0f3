//! A container's root filesystem: its layers and mounts, its devices, and what is hidden in it. All of it
//! is done before the root is changed, and every target is opened inside the new root, so that nothing in
//! the image, and nobody in a volume, can lead a mount elsewhere.

use alloc::{borrow::ToOwned, format, string::String, string::ToString, vec::Vec};

use crate::{
    mounts,
    plan::{Device, Mount, Plan},
    procfs,
    sys::{
        Doing, Errno, Fd, Result, Sysno, c, chdir, fail, filesystem, kind, open, open_in, stat, syscall,
        words,
    },
    users,
};

const DIR: i32 = libc::O_PATH | libc::O_DIRECTORY;

/// What may be put inside `/proc`: what tells of the machine, and nothing that acts.
const IN_PROC: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "net/dev",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

/// Makes the root in the mount namespace that we are in, and opens it.
pub fn make(plan: &Plan, userns: Option<&Fd>) -> Result<Fd> {
    mounts::mount("", "/", "", libc::MS_REC | libc::MS_SLAVE, "")?;
    // Over a directory that nobody looks into by its path any more once it is mounted.
    let at = format!("{}/work", plan.dir);
    layers(plan, &at, userns)?;
    let root = open(&at, libc::O_RDONLY).doing(|| at)?;
    for one in &plan.mounts {
        if one.kind == "cgroup" || one.kind == "cgroup2" {
            cgroups(&root, one, plan)?
        } else {
            add(&root, one, plan, userns)?
        }
    }
    devices(&root, plan)?;
    Ok(root)
}

/// Mounts the layers. With a user namespace each is mounted by itself first, with its owners mapped; the
/// overlay above them then needs nothing.
fn layers(plan: &Plan, at: &str, userns: Option<&Fd>) -> Result<()> {
    let (upper, work) = (format!("{}/upper", plan.dir), format!("{}/work", plan.dir));
    let layer = |path: &str| {
        let mount = mounts::copy(libc::AT_FDCWD, path, false).doing(|| format!("layer {path}"))?;
        if let Some(userns) = userns {
            mounts::map_owners(&mount, userns)?;
        }
        Ok(mount)
    };
    if plan.lower.is_empty() {
        let target = open(at, DIR).doing(|| at.to_owned())?;
        return mounts::attach(&layer(&upper)?, &target).doing(|| "mount the layer".to_string()).map(drop);
    }
    chdir(&plan.layers_dir).doing(|| "layers".to_string())?;
    if userns.is_none() {
        let data = format!("lowerdir={},upperdir={upper},workdir={work}", plan.lower.join(":"));
        mounts::mount("overlay", at, "overlay", 0, &data)?;
    } else {
        let lower = plan.lower.iter().map(|one| layer(one)).collect::<Result<Vec<_>>>()?;
        // Upper and work directory have to be on one mount.
        let own = layer(&plan.dir)?;
        let places: Vec<String> = lower.iter().map(Fd::place).collect();
        let own = own.place();
        let data = format!("lowerdir={},upperdir={own}/upper,workdir={own}/work", places.join(":"));
        mounts::mount("overlay", at, "overlay", 0, &data)?;
    }
    chdir("/").doing(|| "/".to_string()).map(drop)
}

/// Opens a place in the root, which is made where it is missing.
pub fn ensure(root: &Fd, path: &str, directory: bool) -> Result<Fd> {
    let doing = || format!("create mount point {path}");
    match open_in(root, path, libc::O_PATH, 0) {
        Err(Errno::ENOENT) => {}
        other => return other.doing(doing),
    }
    let (above, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
    let above = ensure(root, above, true)?;
    let name = c(name).doing(doing)?;
    // SAFETY: the name outlives the calls.
    let made = unsafe {
        if directory {
            syscall!(Sysno::mkdirat, above.raw(), name.as_ptr(), 0o755)
        } else {
            syscall!(Sysno::mknodat, above.raw(), name.as_ptr(), libc::S_IFREG | 0o644, 0)
        }
    };
    match made {
        // Somebody in a shared volume was faster.
        Ok(_) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(e).doing(doing),
    }
    open_in(root, path, libc::O_PATH, 0).doing(doing)
}

/// Refuses what would be put inside `/proc`, wherever links lead.
fn check_target(target: &Fd, one: &Mount, source: Option<&Fd>) -> Result<()> {
    let on_proc = |fd: &Fd| filesystem(fd).is_ok_and(|magic| magic == procfs::MAGIC);
    if !on_proc(target) || one.kind == "proc" {
        return Ok(());
    }
    let name = one.target.trim_end_matches('/').strip_prefix("/proc").unwrap_or("/");
    let name = name.trim_start_matches('/');
    let is = stat(target.raw(), "").doing(|| one.target.clone())?;
    let whole = name.is_empty() && source.is_some_and(on_proc);
    if whole || kind(&is) == libc::S_IFREG && IN_PROC.contains(&name) {
        return Ok(());
    }
    Err(fail(format!("\"{}\" cannot be mounted because it is inside /proc", one.target)))
}

fn add(root: &Fd, one: &Mount, plan: &Plan, userns: Option<&Fd>) -> Result<()> {
    let doing = || format!("mount {} at {}", one.source, one.target);
    if one.flags & libc::MS_BIND != 0 {
        let recursive = one.flags & libc::MS_REC != 0;
        let source = mounts::copy(libc::AT_FDCWD, &one.source, recursive)
            .map_err(|e| fail(format!("invalid mount: bind source path {}: {}", one.source, words(e))))?;
        let is = stat(source.raw(), "").doing(doing)?;
        if let (true, Some(userns)) = (one.idmap, userns) {
            mounts::map_owners(&source, userns)?;
        }
        mounts::restrict(&source, one.flags)?;
        if one.propagation != 0 {
            mounts::propagate(&source, one.propagation)?;
        }
        let target = ensure(root, &one.target, kind(&is) == libc::S_IFDIR)?;
        check_target(&target, one, Some(&source))?;
        return mounts::attach(&source, &target).doing(doing).map(drop);
    }
    let target = match &*one.kind {
        // An image that has a link there would have its mask elsewhere.
        "proc" | "sysfs" => ordinary(root, one)?,
        _ => ensure(root, &one.target, true)?,
    };
    check_target(&target, one, None)?;
    if !["proc", "sysfs", "tmpfs", "devpts", "mqueue"].contains(&&*one.kind) {
        mounts::mount(
            &one.source,
            &target.place(),
            &one.kind,
            one.flags & !crate::plan::RECURSIVE,
            &one.data,
        )?;
        if one.propagation != 0 {
            let there = open_in(root, &one.target, libc::O_PATH, 0).doing(doing)?;
            mounts::propagate(&there, one.propagation)?;
        }
        return Ok(());
    }
    // These belong to whoever makes them, which is the container's root; what else is named is a number of
    // the container's.
    let own = |option: &str| {
        let number = |name| option.strip_prefix(name).and_then(|id| id.parse().ok());
        match (number("uid="), number("gid=")) {
            (Some(uid), _) => format!("uid={}", users::mapped(&plan.uid_map, uid)),
            (_, Some(gid)) => format!("gid={}", users::mapped(&plan.gid_map, gid)),
            _ => option.to_owned(),
        }
    };
    let data = one.data.split(',').map(own).collect::<Vec<_>>().join(",");
    let mount = mounts::new(&one.kind, &one.source, one.flags, &data)?;
    if one.propagation != 0 {
        mounts::propagate(&mount, one.propagation)?;
    }
    mounts::attach(&mount, &target).doing(doing).map(drop)
}

/// A mount point that is a directory and reached by no link.
fn ordinary(root: &Fd, one: &Mount) -> Result<Fd> {
    let look = || open_in(root, &one.target, DIR, libc::RESOLVE_NO_SYMLINKS);
    let found = match look() {
        Err(Errno::ENOENT) => {
            ensure(root, &one.target, true)?;
            look()
        }
        other => other,
    };
    match found {
        Err(Errno::ELOOP | Errno::ENOTDIR) => {
            Err(fail(format!("filesystem \"{}\" must be mounted on ordinary directory", one.kind)))
        }
        other => other.doing(|| format!("create mount point {}", one.target)),
    }
}

/// The container's own control groups at `/sys/fs/cgroup`, of either version.
fn cgroups(root: &Fd, one: &Mount, plan: &Plan) -> Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let readonly = one.flags & libc::MS_RDONLY;
    let bind = |from: &str, to: &str| -> Result<()> {
        let group = mounts::copy(libc::AT_FDCWD, from, false).doing(|| format!("mount {from}"))?;
        mounts::restrict(&group, flags | readonly)?;
        mounts::attach(&group, &ensure(root, to, true)?).doing(|| format!("mount {from}")).map(drop)
    };
    let groups = plan.cgroups.iter().filter_map(|file| {
        let dir = file.rsplit_once('/')?.0;
        let (controller, _) = dir.strip_prefix("/sys/fs/cgroup/")?.split_once('/').unwrap_or((dir, ""));
        Some((dir, controller))
    });
    if stat(libc::AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers").is_ok() {
        return groups.take(1).try_for_each(|(dir, _)| bind(dir, &one.target));
    }
    let target = ensure(root, &one.target, true)?;
    let tmpfs = mounts::new("tmpfs", "tmpfs", flags, "mode=755")?;
    mounts::attach(&tmpfs, &target).doing(|| format!("mount {}", one.target))?;
    for (dir, controller) in groups {
        bind(dir, &format!("{}/{controller}", one.target))?;
    }
    mounts::restrict(&tmpfs, readonly)
}

fn devices(root: &Fd, plan: &Plan) -> Result<()> {
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
        let doing = || format!("create device {}", one.path);
        let (above, name) = one.path.rsplit_once('/').unwrap_or(("", &one.path));
        let (above, name) = (ensure(root, above, true)?, c(name).doing(doing)?);
        let number = libc::makedev(one.major, one.minor);
        let (uid, gid) = (users::mapped(&plan.uid_map, one.uid), users::mapped(&plan.gid_map, one.gid));
        let (dir, name) = (above.raw(), name.as_ptr());
        // SAFETY: the name outlives the calls.
        unsafe {
            let _ = syscall!(Sysno::unlinkat, dir, name, 0);
            syscall!(Sysno::mknodat, dir, name, one.mode, number).doing(doing)?;
            let _ = syscall!(Sysno::fchmodat, dir, name, one.mode & 0o7777);
            let _ = syscall!(Sysno::fchownat, dir, name, uid, gid, libc::AT_SYMLINK_NOFOLLOW);
        }
    }
    let dev = open_in(root, "dev", DIR, 0).doing(|| "/dev".to_string())?;
    let links = [
        (c"fd", c"/proc/self/fd"),
        (c"stdin", c"/proc/self/fd/0"),
        (c"stdout", c"/proc/self/fd/1"),
        (c"stderr", c"/proc/self/fd/2"),
        (c"ptmx", c"pts/ptmx"),
    ];
    for (name, to) in links {
        // SAFETY: both names are static. What is there already may stay.
        let _ = unsafe { syscall!(Sysno::symlinkat, to.as_ptr(), dev.raw(), name.as_ptr()) };
    }
    Ok(())
}

/// The host's `/dev/null`, and nothing else that is called so.
fn null() -> Result<Fd> {
    let doing = || "/dev/null".to_string();
    let fd = open("/dev/null", libc::O_PATH | libc::O_NOFOLLOW).doing(doing)?;
    let is = stat(fd.raw(), "").doing(doing)?;
    if kind(&is) == libc::S_IFCHR && (is.stx_rdev_major, is.stx_rdev_minor) == (1, 3) {
        return Ok(fd);
    }
    Err(fail("/dev/null is not the null device"))
}

/// Hides what is to be hidden, and takes away the right to write.
pub fn hide(root: &Fd, plan: &Plan) -> Result<()> {
    let open = |path: &str| match open_in(root, path, libc::O_PATH, libc::RESOLVE_NO_SYMLINKS) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        other => other.doing(|| path.to_owned()).map(Some),
    };
    for path in &plan.readonly_paths {
        let Some(fd) = open(path)? else { continue };
        let same = mounts::copy(fd.raw(), "", true).doing(|| format!("readonly {path}"))?;
        mounts::restrict(&same, libc::MS_RDONLY)?;
        mounts::attach(&same, &fd).doing(|| format!("readonly {path}"))?;
    }
    let null = null()?;
    for path in &plan.masked {
        let Some(fd) = open(path)? else { continue };
        let is = stat(fd.raw(), "").doing(|| format!("mask {path}"))?;
        let cover = if kind(&is) == libc::S_IFDIR {
            mounts::new("tmpfs", "tmpfs", libc::MS_RDONLY, "nr_blocks=1,nr_inodes=1")?
        } else {
            mounts::copy(null.raw(), "", false).doing(|| format!("mask {path}"))?
        };
        mounts::attach(&cover, &fd).doing(|| format!("mask {path}"))?;
    }
    Ok(())
}

/// Makes it the root of this process, with nothing of the old one left.
pub fn enter(root: Fd, plan: &Plan) -> Result<()> {
    let old = open("/", libc::O_RDONLY | libc::O_DIRECTORY).doing(|| "/".to_string())?;
    let dot = c".".as_ptr();
    let swap = || {
        // SAFETY: the descriptors are open and the strings static.
        unsafe {
            syscall!(Sysno::fchdir, root.raw())?;
            syscall!(Sysno::pivot_root, dot, dot)?;
            syscall!(Sysno::fchdir, old.raw())
        }
    };
    swap().doing(|| "pivot_root".to_string())?;
    mounts::mount("", ".", "", libc::MS_SLAVE | libc::MS_REC, "")?;
    // SAFETY: the string is static.
    unsafe { syscall!(Sysno::umount2, dot, libc::MNT_DETACH) }.doing(|| "umount the old root".to_string())?;
    chdir("/").doing(|| "/".to_string())?;
    let root = open("/", DIR).doing(|| "/".to_string())?;
    if plan.propagation != 0 {
        mounts::propagate(&root, plan.propagation)?;
    }
    if plan.readonly {
        mounts::restrict(&root, libc::MS_RDONLY)?;
    }
    Ok(())
}
