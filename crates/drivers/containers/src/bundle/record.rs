//! What is kept of a container, in `<root>/<id>/state.json`, and how it is now, which only the kernel knows.
//!
//! ```text
//! create ──► created ──start──► running ◄─pause/resume─► paused
//!               │                  │
//!               └──────ends────────┴──► stopped ──delete──► (gone)
//! ```
//! A container is `created` for as long as `exec.fifo` is in its directory: its first process waits there.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use oci_spec::runtime::Spec;
use pileus_base::{Error, Result};
use serde::{Deserialize, Serialize};

use super::sys::{doing, fail};
use crate::cgroups::Group;

/// The fifo at which the first process waits for `start`.
pub const FIFO: &str = "exec.fifo";
const FILE: &str = "state.json";
/// The version of the runtime specification that is kept to.
pub const VERSION: &str = "1.0.2-dev";

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// Its first process waits to become the program.
    Created,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It has ended.
    Stopped,
}

impl Status {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// What is kept of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Names it.
    pub id: String,
    /// Its first process, as the host numbers it.
    pub pid: u32,
    /// When that began, in the kernel's ticks: a number that is used again is another process.
    pub started: u64,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// The root filesystem.
    pub rootfs: PathBuf,
    /// When it was made, seconds since the epoch, and nanoseconds.
    pub created: (u64, u32),
    /// Its control group's directories.
    pub cgroups: Vec<(String, PathBuf)>,
    /// What it was made from.
    pub spec: Spec,
}

/// The state as the specification has it; hooks read it and `state` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The specification's version.
    pub oci_version: &'static str,
    /// Names it.
    pub id: String,
    /// How it is.
    pub status: Status,
    /// Its first process; 0 once that has ended.
    pub pid: u32,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// Annotations of the configuration.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub annotations: HashMap<String, String>,
}

/// Refuses what is no id.
///
/// # Errors
/// Then.
pub fn check_id(id: &str) -> Result<&str> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"_+-.".contains(&b);
    if id.is_empty() || id == "." || id == ".." || !id.bytes().all(fine) {
        return Err(Error::bad_request("invalid container ID format: ".to_owned() + id));
    }
    Ok(id)
}

impl Record {
    /// A container's directory below `root`.
    ///
    /// # Errors
    /// Where that is no id.
    pub fn dir(root: &Path, id: &str) -> Result<PathBuf> {
        Ok(root.join(check_id(id)?))
    }

    /// Makes the directory of a new container.
    ///
    /// # Errors
    /// Where there is such a container already.
    pub fn make_dir(root: &Path, id: &str) -> Result<PathBuf> {
        let dir = Self::dir(root, id)?;
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o711)
            .create(root)
            .map_err(doing(format!("mkdir {}", root.display())))?;
        match builder.recursive(false).create(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Error::conflict(format!("container with id exists: {id}")).code("exists"))
            }
            done => done.map_err(doing(format!("mkdir {}", dir.display()))).map(|()| dir),
        }
    }

    /// Reads what is kept of a container.
    ///
    /// # Errors
    /// Where there is none.
    pub fn load(root: &Path, id: &str) -> Result<Self> {
        let dir = Self::dir(root, id)?;
        let text = match fs::read(dir.join(FILE)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::not_found("container does not exist"));
            }
            read => read.map_err(doing("read the container's state"))?,
        };
        serde_json::from_slice(&text).map_err(|e| fail(format!("{}: {e}", dir.join(FILE).display())))
    }

    /// Writes it down.
    ///
    /// # Errors
    /// Where that fails.
    pub fn save(&self, root: &Path) -> Result<()> {
        let dir = Self::dir(root, &self.id)?;
        let text = serde_json::to_vec(self).map_err(|e| fail(format!("the container's state: {e}")))?;
        let new = dir.join("state.json.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, dir.join(FILE)))
            .map_err(doing("write the state"))
    }

    /// All containers below `root`, by id.
    pub fn all(root: &Path) -> Vec<Self> {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let mut all: Vec<_> =
            entries.filter_map(|e| Self::load(root, e.file_name().to_str()?).ok()).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Its control group.
    pub fn group(&self) -> Group {
        Group::of_dirs(&self.cgroups)
    }

    /// How it is.
    pub fn status(&self, root: &Path) -> Status {
        if !alive(self.pid, self.started) {
            return Status::Stopped;
        }
        if self.group().paused() {
            return Status::Paused;
        }
        let fifo = Self::dir(root, &self.id).is_ok_and(|dir| dir.join(FIFO).exists());
        if fifo { Status::Created } else { Status::Running }
    }

    /// The state for hooks and `state`.
    pub fn state(&self, status: Status) -> State {
        State {
            oci_version: VERSION,
            id: self.id.clone(),
            status,
            pid: if status == Status::Stopped { 0 } else { self.pid },
            bundle: self.bundle.clone(),
            annotations: self.spec.annotations().clone().unwrap_or_default(),
        }
    }
}

/// Now, as seconds and nanoseconds since the epoch.
pub fn now() -> (u64, u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs(), now.subsec_nanos())
}

/// When a process began, in ticks since the boot; `None` where it has ended (a zombie has).
pub fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    let state = rest.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    rest.nth(18)?.parse().ok()
}

/// Whether the process still is.
pub fn alive(pid: u32, started: u64) -> bool {
    pid != 0 && began(pid) == Some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names_of_files() {
        assert!(check_id("a.b_c+d-1").is_ok());
        assert!(["", ".", "..", "a/b", "a b"].iter().all(|id| check_id(id).is_err()));
    }

    #[test]
    fn a_process_is_known_by_when_it_began() {
        let pid = std::process::id();
        let started = began(pid).unwrap();
        assert!(alive(pid, started) && !alive(pid, started + 1) && !alive(0, started));
    }
}
