//! Where an overlay would find a file, without mounting one: an overlay's end waits for a grace period of the
//! kernel's (up to 18 ms on a busy machine), and every start and exec looks into two small files.
//!
//! Only the plain case is answered: directories and whiteouts. What has links on its way, or attributes by
//! which an overlay looks elsewhere, is left to a mount.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
};

use rustix::{
    fs::{self, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{attrs::OPAQUE, unpack::is_whiteout};

const REDIRECT: &[u8] = b"trusted.overlay.redirect";
const METACOPY: &[u8] = b"trusted.overlay.metacopy";

/// What was found.
#[derive(Debug)]
pub(crate) enum Peek {
    /// There is nothing, or no regular file.
    Absent,
    /// The regular file, opened as a place (`O_PATH`): whatever is put there later, this is the file.
    File(OwnedFd),
    /// An overlay has to say.
    Unclear,
}

/// Looks for a clean path in directories, the topmost first.
pub(crate) fn find(dirs: &[PathBuf], path: &[u8]) -> Peek {
    if path.is_empty() {
        return Peek::Unclear;
    }
    for dir in dirs {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(top) = fs::open(dir, flags, Mode::empty()) else { return Peek::Unclear };
        if let Some(answer) = within(top, path) {
            return answer;
        }
    }
    Peek::Absent
}

/// What one layer says; `None` where it leaves it to those below.
fn within(top: OwnedFd, path: &[u8]) -> Option<Peek> {
    let (mut here, mut hides) = (top, false);
    let mut parts = path.split(|b| *b == b'/').peekable();
    while let Some(name) = parts.next() {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let there = match fs::openat(&here, name, flags, Mode::empty()) {
            Ok(there) => there,
            Err(Errno::NOENT) => return hides.then_some(Peek::Absent),
            Err(_) => return Some(Peek::Unclear),
        };
        let Ok(stat) = fs::fstat(&there) else { return Some(Peek::Unclear) };
        let last = parts.peek().is_none();
        match FileType::from_raw_mode(stat.st_mode) {
            _ if is_whiteout(&stat) => return Some(Peek::Absent),
            FileType::Symlink => return Some(Peek::Unclear),
            FileType::Directory if !last => match (attribute(&there, REDIRECT), attribute(&there, OPAQUE)) {
                (None, None) => {}
                (None, Some(b'y')) => hides = true,
                _ => return Some(Peek::Unclear),
            },
            FileType::RegularFile if last => {
                let whole = attribute(&there, METACOPY).is_none();
                return Some(if whole { Peek::File(there) } else { Peek::Unclear });
            }
            _ => return Some(Peek::Absent),
        }
        here = there;
    }
    None
}

/// The first byte of an attribute, zero where it is empty or too long; `None` where there is none.
fn attribute(of: &OwnedFd, name: &[u8]) -> Option<u8> {
    let mut value = [0_u8; 1];
    match fs::getxattr(format!("/proc/self/fd/{}", of.as_raw_fd()), name, &mut value[..]) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => None,
        _ => Some(value[0]),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs as std_fs, os::unix::fs::symlink};

    use super::*;

    fn text(found: Peek) -> String {
        match found {
            Peek::Absent => "absent".into(),
            Peek::Unclear => "unclear".into(),
            Peek::File(fd) => std_fs::read_to_string(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap(),
        }
    }

    #[test]
    fn the_topmost_says_and_links_are_left_to_a_mount() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = ["top", "low"].map(|name| dir.path().join(name));
        for one in &dirs {
            std_fs::create_dir_all(one.join("etc")).unwrap();
        }
        std_fs::write(dirs[1].join("etc/passwd"), "low").unwrap();
        std_fs::write(dirs[1].join("etc/group"), "low").unwrap();
        std_fs::write(dirs[0].join("etc/group"), "top").unwrap();
        symlink("passwd", dirs[0].join("etc/link")).unwrap();
        let look = |path: &str| text(find(&dirs, path.as_bytes()));
        assert_eq!((look("etc/passwd"), look("etc/group")), ("low".into(), "top".into()));
        assert_eq!(
            (look("etc/none"), look("etc"), look("etc/group/x")),
            ("absent".into(), "absent".into(), "absent".into())
        );
        assert_eq!((look("etc/link"), look("")), ("unclear".into(), "unclear".into()));
    }
}
