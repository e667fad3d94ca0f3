//! `/run/docker.sock`, where clients look that are told nothing.

use std::path::{Path, PathBuf};

use crate::state;

/// Where clients look that are told nothing: a link to the engine's socket, where nobody else has one there. It goes
/// with this, if it still leads to us.
#[derive(Debug)]
pub struct Link {
    at: PathBuf,
    to: PathBuf,
}

impl Link {
    /// Makes it; `None` where another engine is there or this daemon may not write there.
    pub fn make(state_dir: &Path) -> Option<Self> {
        Self::at(Path::new("/run/docker.sock"), &state::docker_socket(state_dir))
    }

    fn at(at: &Path, to: &Path) -> Option<Self> {
        let link = std::fs::symlink_metadata(at).is_ok_and(|m| m.is_symlink());
        // One that a killed daemon left leads to nobody. A socket itself is never touched.
        if link && std::os::unix::net::UnixStream::connect(at).is_err() {
            std::fs::remove_file(at).ok()?;
        }
        std::os::unix::fs::symlink(to, at).ok()?;
        Some(Self { at: at.to_owned(), to: to.to_owned() })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if std::fs::read_link(&self.at).is_ok_and(|to| to == self.to) {
            let _ = std::fs::remove_file(&self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_takes_nobodys_place() {
        let dir = tempfile::tempdir().unwrap();
        let (at, to) = (dir.path().join("at"), dir.path().join("to"));
        let other = dir.path().join("other");
        std::os::unix::fs::symlink(&other, &at).unwrap();
        drop(Link::at(&at, &to).expect("a link to nobody is replaced"));
        assert!(std::fs::symlink_metadata(&at).is_err());
        let listener = std::os::unix::net::UnixListener::bind(&other).unwrap();
        std::os::unix::fs::symlink(&other, &at).unwrap();
        assert!(Link::at(&at, &to).is_none());
        drop(listener);
        std::fs::remove_file(&at).unwrap();
        std::fs::write(&at, "").unwrap();
        assert!(Link::at(&at, &to).is_none());
    }
}
