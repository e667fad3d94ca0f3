//! Rotated files, compressed: whoever writes the log only renames, the daemon does this afterwards.
//!
//! The writer may rename at any moment. So a file is read through a descriptor, and what came of it takes its
//! place only where it still bears the same number; where it doesn't, the next rotation tries again.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{Container, Docker, model::logging};

impl Docker {
    /// Compresses what is rotated of a container's log as long as it runs, where its options say so.
    pub(crate) fn watch_rotation(&self, c: &Container) {
        let Ok(Some(settings)) = logging::settings(&c.host_config["LogConfig"]) else { return };
        if !settings.compress {
            return;
        }
        let (id, path) = (c.id.clone(), self.log_path(c, settings.kind));
        let mut phases = self.phases(&id);
        let before = phases.borrow_and_update().ends;
        let watched = self.rotations.watch(&self.container_dir(&id));
        tokio::spawn(async move {
            let mut notice = match watched {
                Ok(notice) => notice,
                Err(e) => return tracing::warn!(container = %id, "failed to watch a log: {e}"),
            };
            loop {
                let path = path.clone();
                let done = tokio::task::spawn_blocking(move || compress(&path)).await;
                if let Ok(Err(e)) = done {
                    tracing::debug!(container = %id, "failed to compress a log: {e}");
                }
                tokio::select! {
                    () = notice.changed() => {}
                    _ = phases.wait_for(|p| p.ends > before || p.removed) => return,
                }
            }
        });
    }
}

/// Compresses what has been rotated of the log at `path`.
///
/// # Errors
/// Those of the files; nothing of the log is lost then.
pub fn compress(path: &Path) -> io::Result<()> {
    for n in 1u32.. {
        let plain = PathBuf::from(format!("{}.{n}", path.display()));
        let packed = PathBuf::from(format!("{}.{n}.gz", path.display()));
        let mut file = match File::open(&plain) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && packed.exists() => continue,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        let new = PathBuf::from(format!("{}.gz.new", path.display()));
        let old = PathBuf::from(format!("{}.old", path.display()));
        let mut gz = GzEncoder::new(File::create(&new)?, Compression::default());
        io::copy(&mut file, &mut gz)?;
        let of = file.metadata()?;
        // Who follows the log knows by the time which file comes after which.
        gz.finish()?.set_modified(of.modified()?)?;
        if fs::metadata(&plain)?.ino() != of.ino() {
            return fs::remove_file(&new);
        }
        fs::rename(&new, &packed)?;
        // Moved aside first: only then is it certain which file goes.
        fs::rename(&plain, &old)?;
        if fs::metadata(&old)?.ino() == of.ino() {
            fs::remove_file(&old)?;
        } else {
            renameat_with(CWD, &old, CWD, &plain, RenameFlags::NOREPLACE)?;
            return fs::remove_file(&packed);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_was_rotated_is_packed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "now").unwrap();
        fs::write(dir.path().join("log.1"), "before").unwrap();
        fs::write(dir.path().join("log.2.gz"), "older").unwrap();
        compress(&path).unwrap();
        compress(&path).unwrap();
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["log", "log.1.gz", "log.2.gz"]);
        let mut text = String::new();
        let file = File::open(dir.path().join("log.1.gz")).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "before");
    }
}
