//! The host's `/proc`, by descriptor. What is written for a container (kernel parameters, security labels,
//! its readiness to be killed) goes through the host's own, opened before anything of the container's is in
//! reach, and never across a mount or a magic link: a container that mounts something else over its `/proc`
//! can neither swallow a label nor redirect a write (CVE-2025-52881, CVE-2019-16884).

use alloc::{format, string::ToString};

use crate::sys::{Answer, Doing, Errno, Fd, Result, filesystem, open, open_at, stat};

/// The first inode of a procfs is its root.
const ROOT_INODE: u64 = 1;
/// `PROC_SUPER_MAGIC`.
pub const MAGIC: u64 = 0x9fa0;

/// The host's `/proc`.
pub struct Proc(Fd);

impl Proc {
    /// Opens it, and makes sure that it is one.
    pub fn open() -> Result<Self> {
        let doing = || "/proc".to_string();
        let fd = open("/proc", libc::O_PATH | libc::O_DIRECTORY).doing(doing)?;
        let real =
            filesystem(&fd).doing(doing)? == MAGIC && stat(fd.raw(), "").doing(doing)?.stx_ino == ROOT_INODE;
        if real { Ok(Self(fd)) } else { Err(Errno::EXDEV).doing(doing) }
    }

    /// Writes into a file below it.
    pub fn write(&self, path: &str, text: &str) -> Answer<()> {
        let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_MAGICLINKS;
        let fd = open_at(self.0.raw(), path, libc::O_WRONLY, 0, resolve)?;
        if filesystem(&fd)? != MAGIC {
            return Err(Errno::EXDEV);
        }
        fd.write_all(text.as_bytes())
    }

    /// Sets a kernel parameter of the namespaces that we are in.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = format!("sys/{}", name.replace('.', "/"));
        self.write(&path, value).doing(|| format!("open sysctl {name} file"))
    }

    /// Has the next program be confined by an AppArmor profile.
    pub fn apparmor(&self, profile: &str) -> Result<()> {
        if profile.is_empty() {
            return Ok(());
        }
        let text = format!("exec {profile}");
        let new = self.write("self/attr/apparmor/exec", &text);
        // Kernels before 5.8 have it where SELinux has its own.
        let done = if new == Err(Errno::ENOENT) { self.write("self/attr/exec", &text) } else { new };
        done.doing(|| format!("unable to apply apparmor profile: apparmor failed to apply profile {profile}"))
    }
}
