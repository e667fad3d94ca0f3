//! The mounts of a bundle, made inside its root before that becomes the root: every target is opened below
//! it, so that no link of the image's leads a mount elsewhere, and `/proc` is still the host's.

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
};

use oci_spec::runtime::{LinuxIdMapping, Mount};
use pileus_base::Result;

use super::{
    options::{self, Options},
    sys::{
        MountAttr, c, checked, doing, fail, mount, move_mount, open_in, open_tree, place, set_attributes, why,
    },
};

const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// Opens a place below `root`, which is made where it is missing.
pub fn ensure(root: &OwnedFd, path: &str, directory: bool) -> io::Result<OwnedFd> {
    match open_in(root, path, libc::O_PATH, 0) {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {}
        opened => return opened,
    }
    let (above, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() || name == "." || name == ".." {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let above = ensure(root, above, true)?;
    let name = c(name)?;
    // SAFETY: the name outlives the calls.
    checked(i64::from(unsafe {
        if directory {
            libc::mkdirat(above.as_raw_fd(), name.as_ptr(), 0o755)
        } else {
            libc::mknodat(above.as_raw_fd(), name.as_ptr(), libc::S_IFREG | 0o755, 0)
        }
    }))?;
    open_in(root, path, libc::O_PATH, 0)
}

/// What is done once everything else is in place.
#[derive(Default)]
pub struct Later {
    /// Targets of filesystems that become read-only at the end: devices are made in them first.
    pub readonly: Vec<String>,
}

/// Makes a mount.
///
/// # Errors
/// Where the kernel refuses it.
pub fn add(
    root: &OwnedFd,
    one: &Mount,
    cgroups: &[(String, PathBuf)],
    idmap: Option<&OwnedFd>,
    later: &mut Later,
) -> Result<()> {
    let target = one.destination().to_string_lossy().into_owned();
    let source = one.source().as_ref().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let mut kind = one.typ().clone().unwrap_or_default();
    let words = one.options().as_deref().unwrap_or_default();
    let options = options::read(words);
    let failed =
        |e: io::Error| fail(format!("error mounting {source:?} to rootfs at {target:?}: {}", why(&e)));
    if options.flags & libc::MS_BIND != 0 {
        kind = "bind".into();
    }
    match &*kind {
        "bind" => bind(root, &source, &target, &options, idmap).map_err(failed)?,
        "cgroup" | "cgroup2" => groups(root, &target, &options, cgroups).map_err(failed)?,
        _ => {
            let early = options.flags & libc::MS_RDONLY != 0 && kind == "tmpfs";
            let flags = if early { options.flags & !libc::MS_RDONLY } else { options.flags };
            if kind == "proc" || kind == "sysfs" {
                real(root, &target).map_err(failed)?;
            }
            let at = ensure(root, &target, true).map_err(failed)?;
            let mode = fs::metadata(place(&at)).map_err(failed)?;
            let kept = options.copy_up.then(|| open_tree(&place(&at), false)).transpose().map_err(failed)?;
            let source = if source.is_empty() { &kind } else { &source };
            match mount(source, &place(&at), &kind, flags, &options.data) {
                // A message queue of another user namespace's can't be mounted; the host's can be shown.
                Err(e) if e.raw_os_error() == Some(libc::EPERM) && kind == "sysfs" => {
                    mount("/sys", &place(&at), "", libc::MS_BIND | libc::MS_REC, "").map_err(failed)?;
                }
                done => done.map_err(failed)?,
            }
            if kind == "tmpfs" && !options.data.split(',').any(|o| o.starts_with("mode=")) {
                use std::os::unix::fs::PermissionsExt as _;
                let there = open_in(root, &target, libc::O_PATH, 0).map_err(failed)?;
                fs::set_permissions(place(&there), fs::Permissions::from_mode(mode.permissions().mode()))
                    .map_err(failed)?;
            }
            if let Some(kept) = kept {
                let there = open_in(root, &target, libc::O_PATH, 0).map_err(failed)?;
                copy_up(&place(&kept), &place(&there)).map_err(failed)?;
            }
            if early {
                later.readonly.push(target.clone());
            }
            deep(root, &target, &options).map_err(failed)?;
        }
    }
    for flag in &options.propagation {
        let there = open_in(root, &target, libc::O_PATH, 0).map_err(failed)?;
        mount("", &place(&there), "", *flag, "").map_err(failed)?;
    }
    Ok(())
}

/// `/proc` and `/sys` must be directories of the image's own, not links (CVE-2019-19921).
fn real(root: &OwnedFd, target: &str) -> io::Result<()> {
    match open_in(root, target, libc::O_PATH | libc::O_NOFOLLOW, libc::RESOLVE_NO_SYMLINKS) {
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
        _ => Ok(()),
    }
}

fn bind(
    root: &OwnedFd,
    source: &str,
    target: &str,
    options: &Options,
    idmap: Option<&OwnedFd>,
) -> io::Result<()> {
    let directory = fs::metadata(source)?.is_dir();
    let at = ensure(root, target, directory)?;
    let recursive = options.flags & libc::MS_REC != 0;
    let tree = open_tree(source, recursive)?;
    let (set, clear) = options::attributes(options.flags, options.named);
    if let Some(userns) = idmap {
        let userns_fd = userns.as_raw_fd() as u64;
        let attr = MountAttr { set: MOUNT_ATTR_IDMAP, userns: userns_fd, ..MountAttr::default() };
        set_attributes(&tree, options.deep_idmap, &attr)?;
    } else if options.idmap {
        return Err(io::Error::other("idmap mounts need uidMappings and gidMappings"));
    }
    if set != 0 || clear != 0 {
        set_attributes(&tree, false, &MountAttr { set, clear, ..MountAttr::default() })?;
    }
    move_mount(&tree, &at)?;
    deep(root, target, options)
}

/// Attributes of the whole tree at `target`.
fn deep(root: &OwnedFd, target: &str, options: &Options) -> io::Result<()> {
    if options.deep_set == 0 && options.deep_clear == 0 {
        return Ok(());
    }
    let there = open_in(root, target, libc::O_PATH, 0)?;
    let clear = options.deep_clear & !options.deep_set;
    // Access times are one field: to set it, all of it is cleared.
    let clear = if options.deep_set & 0x70 != 0 { clear | 0x70 } else { clear };
    set_attributes(&there, true, &MountAttr { set: options.deep_set, clear, ..MountAttr::default() })
}

/// The container's control groups, of either version.
fn groups(root: &OwnedFd, target: &str, options: &Options, cgroups: &[(String, PathBuf)]) -> io::Result<()> {
    let put = |dir: &PathBuf, to: &str| {
        let at = ensure(root, to, true)?;
        let tree = open_tree(&dir.to_string_lossy(), false)?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | options.flags & libc::MS_RDONLY;
        let (set, _) = options::attributes(flags, flags);
        set_attributes(&tree, false, &MountAttr { set, ..MountAttr::default() })?;
        move_mount(&tree, &at)
    };
    if let [(name, dir)] = cgroups
        && name.is_empty()
    {
        return put(dir, target);
    }
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let at = ensure(root, target, true)?;
    mount("tmpfs", &place(&at), "tmpfs", flags, "mode=755")?;
    for (name, dir) in cgroups {
        put(dir, &format!("{target}/{name}"))?;
    }
    if options.flags & libc::MS_RDONLY != 0 {
        let there = open_in(root, target, libc::O_PATH, 0)?;
        let (set, _) = options::attributes(libc::MS_RDONLY, 0);
        set_attributes(&there, false, &MountAttr { set, ..MountAttr::default() })?;
    }
    Ok(())
}

/// Copies what a directory has into a filesystem mounted over it.
fn copy_up(from: &str, to: &str) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown, lchown, symlink};
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let (from, to) = (entry.path(), PathBuf::from(to).join(name));
        let about = entry.metadata()?;
        if about.is_dir() {
            fs::create_dir(&to)?;
            copy_up(&from.to_string_lossy(), &to.to_string_lossy())?;
        } else if about.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
            lchown(&to, Some(about.uid()), Some(about.gid()))?;
            continue;
        } else if about.is_file() {
            fs::copy(&from, &to)?;
        } else {
            continue;
        }
        chown(&to, Some(about.uid()), Some(about.gid()))?;
        fs::set_permissions(&to, about.permissions())?;
    }
    Ok(())
}

/// Makes what was put off read-only.
///
/// # Errors
/// Where the kernel refuses it.
pub fn finish(root: &OwnedFd, later: &Later) -> Result<()> {
    for target in &later.readonly {
        readonly(root, target).map_err(doing(format!("make {target} read-only")))?;
    }
    Ok(())
}

fn readonly(root: &OwnedFd, target: &str) -> io::Result<()> {
    let there = open_in(root, target, libc::O_PATH, 0)?;
    set_attributes(&there, false, &MountAttr { set: 1, ..MountAttr::default() })
}

/// Hides what is to be hidden, and takes away the right to write.
///
/// # Errors
/// Where the kernel refuses it.
pub fn hide(root: &OwnedFd, masked: &[String], readonly_paths: &[String]) -> Result<()> {
    let open = |path: &str| match open_in(root, path, libc::O_PATH, libc::RESOLVE_NO_SYMLINKS) {
        Ok(fd) => Ok(Some(fd)),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        // A link is followed, within the root.
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => {
            open_in(root, path, libc::O_PATH, 0).map(Some).or(Ok(None))
        }
        Err(e) => Err(doing(path)(e)),
    };
    for path in readonly_paths {
        let Some(fd) = open(path)? else { continue };
        let set = || -> io::Result<()> {
            mount(&place(&fd), &place(&fd), "", libc::MS_BIND | libc::MS_REC, "")?;
            readonly(root, path)
        };
        set().map_err(doing(format!("make {path} read-only")))?;
    }
    for path in masked {
        let Some(fd) = open(path)? else { continue };
        let at = place(&fd);
        let masked = if fs::metadata(&at).is_ok_and(|m| m.is_dir()) {
            mount("tmpfs", &at, "tmpfs", libc::MS_RDONLY, "")
        } else {
            mount("/dev/null", &at, "", libc::MS_BIND, "")
        };
        masked.map_err(doing(format!("mask {path}")))?;
    }
    Ok(())
}

/// The lines of a `uid_map`.
pub fn map_lines(map: &[LinuxIdMapping]) -> String {
    map.iter().map(|m| format!("{} {} {}\n", m.container_id(), m.host_id(), m.size())).collect()
}
