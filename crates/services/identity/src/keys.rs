//! The Fernet keys of tokens and of credentials at rest, rotated as Keystone rotates them.
//!
//! ```text
//!   <dir>/0        staged: the next primary
//!   <dir>/<max>    primary: encrypts
//!   <dir>/between  secondary: still decrypt, until they are more than `max_active`
//! ```
//!
//! Files are 0600 in a directory of 0700, written beside and renamed: a crash leaves whole keys.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use fernet::Fernet;
use parking_lot::RwLock;
use pileus_base::{Error, Result};

/// A directory of keys.
pub(crate) struct Keys {
    dir: PathBuf,
    max_active: usize,
    loaded: RwLock<Arc<Vec<Fernet>>>,
}

impl Keys {
    /// Opens `dir`, making the first keys where there are none. Blocks.
    pub fn open(dir: &Path, max_active: usize) -> Result<Self> {
        let failed = |e| Error::wrap(format!("failed to make {}", dir.display()), e);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let keys = Self { dir: dir.into(), max_active: max_active.max(2), loaded: RwLock::default() };
        let files = keys.files()?;
        if !files.contains_key(&0) {
            keys.put(0)?;
        }
        if files.keys().all(|n| *n == 0) {
            keys.put(1)?;
        }
        keys.load()?;
        Ok(keys)
    }

    /// Makes the staged key primary, stages a new one, and drops the oldest beyond the limit. Blocks.
    pub fn rotate(&self) -> Result<()> {
        let mut files = self.files()?;
        let next = files.keys().max().map_or(1, |n| n + 1);
        let failed = |e| Error::wrap("failed to rotate a key", e);
        fs::rename(self.dir.join("0"), self.dir.join(next.to_string())).map_err(failed)?;
        self.put(0)?;
        files = self.files()?;
        while files.len() > self.max_active {
            let Some(oldest) = files.keys().copied().find(|n| *n != 0) else { break };
            fs::remove_file(self.dir.join(oldest.to_string())).map_err(failed)?;
            files.remove(&oldest);
        }
        self.load()
    }

    /// Seconds since the primary key became one. Blocks.
    pub fn age_s(&self) -> Result<u64> {
        let files = self.files()?;
        let newest = files.keys().max().copied().unwrap_or_default();
        let meta = fs::metadata(self.dir.join(newest.to_string()));
        let changed =
            meta.and_then(|m| m.modified()).map_err(|e| Error::wrap("failed to look at a key", e))?;
        Ok(SystemTime::now().duration_since(changed).map_or(0, |d| d.as_secs()))
    }

    /// Encrypts with the primary key; no `=` at the end, as in Keystone's tokens.
    pub fn seal(&self, plain: &[u8]) -> Result<String> {
        let keys = self.loaded.read().clone();
        let primary = keys.first().ok_or_else(|| Error::internal("there is no key"))?;
        Ok(primary.encrypt(plain).trim_end_matches('=').to_owned())
    }

    /// Decrypts with whichever key fits.
    pub fn open_sealed(&self, sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > 4_096 {
            return None;
        }
        let mut padded = sealed.trim_end_matches('=').to_owned();
        while !padded.len().is_multiple_of(4) {
            padded.push('=');
        }
        let keys = self.loaded.read().clone();
        keys.iter().find_map(|k| k.decrypt(&padded).ok())
    }

    fn files(&self) -> Result<BTreeMap<u64, PathBuf>> {
        let failed = |e| Error::wrap(format!("failed to list {}", self.dir.display()), e);
        let mut out = BTreeMap::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let Some(n) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok()) {
                out.insert(n, path);
            }
        }
        Ok(out)
    }

    fn put(&self, number: u64) -> Result<()> {
        let (path, beside) = (self.dir.join(number.to_string()), self.dir.join(".new"));
        let write = || {
            let mut file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(Fernet::generate_key().as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(|e| Error::wrap(format!("failed to write {}", path.display()), e))
    }

    fn load(&self) -> Result<()> {
        let mut keys = Vec::new();
        for path in self.files()?.into_values().rev() {
            let failed = |e| Error::wrap(format!("failed to read {}", path.display()), e);
            let text = fs::read_to_string(&path).map_err(failed)?;
            let broken = || Error::internal(format!("{} is not a Fernet key", path.display()));
            keys.push(Fernet::new(text.trim()).ok_or_else(broken)?);
        }
        *self.loaded.write() = Arc::new(keys);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_until_its_key_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(&dir.path().join("keys"), 3).unwrap();
        let sealed = keys.seal(b"x").unwrap();
        keys.rotate().unwrap();
        assert_eq!(keys.open_sealed(&sealed).as_deref(), Some(&b"x"[..]));
        let again = Keys::open(&dir.path().join("keys"), 3).unwrap();
        assert_eq!(again.open_sealed(&sealed).as_deref(), Some(&b"x"[..]));
        keys.rotate().unwrap();
        assert_eq!(keys.open_sealed(&sealed), None);
        assert_eq!(keys.open_sealed("rubbish"), None);
    }
}
