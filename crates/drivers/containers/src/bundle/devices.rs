//! Devices of a bundle: the usual ones, those of the configuration, and the links in `/dev`.

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
};

use oci_spec::runtime::{Linux, LinuxDeviceCgroup, LinuxDeviceType, Spec};
use pileus_base::Result;

use super::{
    mounts::ensure,
    options,
    sys::{c, checked, doing, mount, open_in, place},
};

/// A device node.
struct Node {
    path: String,
    mode: u32,
    number: (u32, u32),
    owner: (u32, u32),
}

const USUAL: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes the devices, unless `/dev` is a bind of somebody else's.
///
/// # Errors
/// Where one can't be made.
pub fn make(root: &OwnedFd, spec: &Spec) -> Result<()> {
    let words =
        |m: &oci_spec::runtime::Mount| options::read(m.options().as_deref().unwrap_or_default()).flags;
    let foreign = spec.mounts().iter().flatten().any(|m| {
        let bind = m.typ().as_deref() == Some("bind") || words(m) & libc::MS_BIND != 0;
        bind && m.destination().to_string_lossy().trim_end_matches('/') == "/dev"
    });
    if foreign {
        return Ok(());
    }
    let own = spec.linux().as_ref().and_then(|l| l.devices().as_ref()).into_iter().flatten();
    let own: Vec<_> = own
        .map(|one| {
            let kind = match one.typ() {
                LinuxDeviceType::B => libc::S_IFBLK,
                LinuxDeviceType::P => libc::S_IFIFO,
                _ => libc::S_IFCHR,
            };
            Node {
                path: one.path().to_string_lossy().into_owned(),
                mode: kind | one.file_mode().unwrap_or(0o666) & 0o7777,
                number: (one.major() as u32, one.minor() as u32),
                owner: (one.uid().unwrap_or(0), one.gid().unwrap_or(0)),
            }
        })
        .collect();
    let usual = USUAL.iter().map(|(name, major, minor)| Node {
        path: format!("/dev/{name}"),
        mode: libc::S_IFCHR | 0o666,
        number: (*major, *minor),
        owner: (0, 0),
    });
    // The configuration's come first: where it names one of the usual ones, its own words count.
    let usual: Vec<_> = usual.filter(|u| own.iter().all(|o| o.path != u.path)).collect();
    for one in own.iter().chain(&usual) {
        node(root, one).map_err(doing(format!("error creating device nodes: {}", one.path)))?;
    }
    let dev = ensure(root, "/dev", true).map_err(doing("/dev"))?;
    for (name, to) in LINKS {
        let (name, to) = (c(name).map_err(doing(name))?, c(to).map_err(doing(to))?);
        // SAFETY: both names outlive the calls. What is there already may stay; only a `ptmx` of the image's
        // would be that of the host's terminals.
        unsafe {
            if name.as_bytes() == b"ptmx" {
                libc::unlinkat(dev.as_raw_fd(), name.as_ptr(), 0);
            }
            libc::symlinkat(to.as_ptr(), dev.as_raw_fd(), name.as_ptr());
        }
    }
    Ok(())
}

fn node(root: &OwnedFd, one: &Node) -> io::Result<()> {
    let (above, name) = one.path.rsplit_once('/').unwrap_or(("", &one.path));
    let (above, name) = (ensure(root, above, true)?, c(name)?);
    let number = libc::makedev(one.number.0, one.number.1);
    // SAFETY: the name outlives the calls.
    unsafe {
        libc::unlinkat(above.as_raw_fd(), name.as_ptr(), 0);
        match checked(libc::mknodat(above.as_raw_fd(), name.as_ptr(), one.mode, number).into()) {
            // In a user namespace no device can be made; the host's is shown.
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
                let at = ensure(root, &one.path, false)?;
                return mount(&one.path, &place(&at), "", libc::MS_BIND, "");
            }
            made => made?,
        };
        checked(libc::fchmodat(above.as_raw_fd(), name.as_ptr(), one.mode & 0o7777, 0).into())?;
        let (uid, gid) = one.owner;
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        checked(libc::fchownat(above.as_raw_fd(), name.as_ptr(), uid, gid, flags).into())?;
    }
    Ok(())
}

/// Device rules with those added that every container has: making nodes, and using the usual devices.
pub fn rules(linux: &Linux) -> Option<Vec<LinuxDeviceCgroup>> {
    let given = linux.resources().as_ref()?.devices().clone()?;
    let rule = |typ, major: Option<i64>, minor: Option<i64>, access: &str| {
        let mut one = LinuxDeviceCgroup::default();
        one.set_allow(true);
        one.set_typ(Some(typ));
        one.set_major(major);
        one.set_minor(minor);
        one.set_access(Some(access.to_owned()));
        one
    };
    let usual = USUAL.iter().map(|(_, major, minor)| {
        rule(LinuxDeviceType::C, Some((*major).into()), Some((*minor).into()), "rwm")
    });
    let more = [
        rule(LinuxDeviceType::C, None, None, "m"),
        rule(LinuxDeviceType::B, None, None, "m"),
        rule(LinuxDeviceType::C, Some(136), None, "rwm"),
        rule(LinuxDeviceType::C, Some(5), Some(2), "rwm"),
    ];
    Some(given.into_iter().chain(more).chain(usual).collect())
}

/// Opens a terminal of the container's: its master, and its slave's path from the root.
///
/// # Errors
/// Where there is no `/dev/pts` in it.
pub fn terminal(root: &impl AsRawFd) -> io::Result<(OwnedFd, OwnedFd)> {
    let master = open_in(root, "dev/pts/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0)?;
    let unlock = 0_i32;
    // SAFETY: each call is given what it asks for; the descriptor is a terminal's.
    let slave = unsafe {
        checked(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock).into())?;
        libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC)
    };
    Ok((master, super::sys::owned(slave.into())?))
}

/// Shows a terminal as `/dev/console`.
///
/// # Errors
/// Where the kernel refuses it.
pub fn console(root: &OwnedFd, slave: &OwnedFd) -> io::Result<()> {
    let path = fs::read_link(place(slave))?;
    let number = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let pts = open_in(root, &format!("dev/pts/{number}"), libc::O_PATH, 0)?;
    let console = ensure(root, "/dev/console", false)?;
    mount(&place(&pts), &place(&console), "", libc::MS_BIND, "")
}
