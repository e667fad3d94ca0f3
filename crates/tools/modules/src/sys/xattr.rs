//! Extended attributes (the SELinux context) and the inode flags that chattr(1) shows.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

const SELINUX: &str = "security.selinux";

/// Whether SELinux is on.
pub fn selinux_enabled() -> bool {
    std::path::Path::new("/sys/fs/selinux/enforce").exists()
}

/// The SELinux context of a file, not following a link.
pub fn context(path: &str) -> Option<String> {
    let (c_path, c_name) = (CString::new(path).ok()?, CString::new(SELINUX).ok()?);
    let mut buffer = vec![0u8; 512];
    // SAFETY: both strings are ended and the buffer's length is passed.
    let n = unsafe {
        libc::lgetxattr(c_path.as_ptr(), c_name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
    };
    let n = usize::try_from(n).ok()?;
    buffer.truncate(n);
    Some(crate::py::text(&buffer).trim_end_matches('\0').to_string())
}

/// Sets the SELinux context of a file, not following a link.
pub fn set_context(path: &str, context: &str) -> std::io::Result<()> {
    let (c_path, c_name, value) = (CString::new(path)?, CString::new(SELINUX)?, CString::new(context)?);
    let bytes = value.as_bytes_with_nul();
    // SAFETY: both strings are ended and the value's length is passed.
    let rc =
        unsafe { libc::lsetxattr(c_path.as_ptr(), c_name.as_ptr(), bytes.as_ptr().cast(), bytes.len(), 0) };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Gives `to` the POSIX access list of `from`, where that has one beyond its mode (acl(5)).
pub fn copy_acl(from: &str, to: &str) -> std::io::Result<()> {
    let (c_from, c_to) = (CString::new(from)?, CString::new(to)?);
    let name = c"system.posix_acl_access";
    // The longest value an extended attribute can have (XATTR_SIZE_MAX).
    let mut buffer = vec![0u8; 64 * 1024];
    // SAFETY: both strings are ended and the buffer's length is passed.
    let n =
        unsafe { libc::getxattr(c_from.as_ptr(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let Ok(n) = usize::try_from(n) else { return Ok(()) };
    // SAFETY: both strings are ended and n bytes of the buffer were written above.
    let rc = unsafe { libc::setxattr(c_to.as_ptr(), name.as_ptr(), buffer.as_ptr().cast(), n, 0) };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Letters of the inode flags, by bit, in lsattr's order.
const FLAGS: [(u32, char, &str); 21] = [
    (0x0000_0001, 's', "zero"),
    (0x0000_0002, 'u', "undelete"),
    (0x0000_0008, 'S', "synchronous"),
    (0x0001_0000, 'D', "dirsync"),
    (0x0000_0010, 'i', "immutable"),
    (0x0000_0020, 'a', "append"),
    (0x0000_0040, 'd', "nodump"),
    (0x0000_0080, 'A', "noatime"),
    (0x0000_0004, 'c', "compressed"),
    (0x0000_0800, 'E', "encrypted"),
    (0x0000_4000, 'j', "journalled"),
    (0x0000_1000, 'I', "indexed"),
    (0x0000_8000, 't', "notail"),
    (0x0002_0000, 'T', "blockroot"),
    (0x0008_0000, 'e', "extents"),
    (0x0010_0000, 'V', ""),
    (0x0080_0000, 'C', "nocow"),
    (0x0200_0000, 'x', ""),
    (0x1000_0000, 'N', "inline"),
    (0x2000_0000, 'P', ""),
    (0x4000_0000, 'F', ""),
];

/// The flags of an inode and its version.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// Letters, as lsattr without the dashes.
    pub letters: String,
    /// Their names.
    pub names: Vec<String>,
    /// The inode's version (`lsattr -v`).
    pub version: Option<String>,
}

/// Reads them; `None` where the file system has none.
pub fn attributes(path: &str) -> Option<Attributes> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    if !meta.is_file() && !meta.is_dir() {
        return None;
    }
    let file =
        File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path).ok()?;
    let mut flags: libc::c_long = 0;
    // SAFETY: FS_IOC_GETFLAGS writes one long to the given place; the descriptor is open.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS as _, &mut flags) } != 0 {
        return None;
    }
    let mut version: libc::c_long = 0;
    // SAFETY: as above, with FS_IOC_GETVERSION.
    let has_version =
        unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETVERSION as _, &mut version) } == 0;
    let mut out =
        Attributes { version: has_version.then(|| (version as u32).to_string()), ..Attributes::default() };
    for (bit, letter, name) in FLAGS {
        if flags as u32 & bit != 0 {
            out.letters.push(letter);
            if !name.is_empty() {
                out.names.push(name.to_string());
            }
        }
    }
    Some(out)
}
