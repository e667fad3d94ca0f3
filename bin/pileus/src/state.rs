//! The state directory: closed to others, locked by one daemon at a time, and what lies at its top.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use pileus_base::InstanceId;
use rustix::fs::{FlockOperation, Mode, flock};

/// An open state directory. Dropping it gives up the lock.
pub struct StateDir {
    /// Where it is.
    pub path: PathBuf,
    /// What marks everything on this host as this cloud's.
    pub instance: InstanceId,
    _lock: File,
}

/// The container engine's socket.
pub fn docker_socket(state_dir: &Path) -> PathBuf {
    state_dir.join("docker.sock")
}

/// The daemon's control socket.
pub fn socket(state_dir: &Path) -> PathBuf {
    state_dir.join("pileus.sock")
}

impl StateDir {
    /// Opens `path`, making it where missing.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        // Guests have users of their own and pass through to their disks; nobody else can look around.
        rustix::process::umask(Mode::from_raw_mode(0o077));
        let failed = || format!("failed to make the state directory `{}`", path.display());
        DirBuilder::new().recursive(true).mode(0o711).create(path).with_context(failed)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o711)).with_context(failed)?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.with_context(|| format!("failed to open `{}`", lock_path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "another pileus runs with the state directory `{}`: stop it with `pileus down`, or give another with --state-dir",
                path.display()
            );
        }
        let id_path = path.join("instance");
        let instance = match std::fs::read_to_string(&id_path) {
            Ok(text) => InstanceId::parse(text.trim()).with_context(|| {
                format!("`{}` is damaged: it should hold eight hex digits", id_path.display())
            })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let id = InstanceId::generate();
                write_private(&id_path, id.as_str().as_bytes())?;
                id
            }
            Err(e) => return Err(e).with_context(|| format!("failed to read `{}`", id_path.display())),
        };
        Ok(Self { path: path.to_owned(), instance, _lock: lock })
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("failed to write `{}`", path.display());
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).truncate(true).write(true).mode(0o600).open(&draft).with_context(failed)?;
    file.write_all(content).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    std::fs::rename(&draft, path).with_context(failed)
}
