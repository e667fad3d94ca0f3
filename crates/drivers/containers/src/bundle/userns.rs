//! User namespaces: their maps, and one made only to be the map of a mount.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use oci_spec::runtime::LinuxIdMapping;

use super::{
    mounts::map_lines,
    sys::{clone, exit, hear, put, tell, wait},
};

/// Writes the maps of a process's user namespace.
///
/// # Errors
/// Where the kernel refuses them.
pub fn map(pid: u32, ids: &[LinuxIdMapping], groups: &[LinuxIdMapping]) -> io::Result<()> {
    put(&format!("/proc/{pid}/uid_map"), &map_lines(ids))?;
    put(&format!("/proc/{pid}/gid_map"), &map_lines(groups))
}

/// A user namespace with these maps, kept by its descriptor alone.
///
/// # Errors
/// Where the kernel gives none.
pub fn of(ids: &[LinuxIdMapping], groups: &[LinuxIdMapping]) -> io::Result<OwnedFd> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    let child = clone(libc::CLONE_NEWUSER as u64)?;
    if child == 0 {
        drop(ours);
        let _ = tell(&mut theirs, b'u', "");
        // Stays until the maps are written and the namespace is open.
        let _ = hear(&mut theirs);
        exit(0);
    }
    drop(theirs);
    let made = (|| {
        hear(&mut ours);
        map(child, ids, groups)?;
        File::open(format!("/proc/{child}/ns/user")).map(OwnedFd::from)
    })();
    drop(ours);
    wait(child)?;
    made
}
