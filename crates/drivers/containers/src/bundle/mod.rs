//! Containers from plain OCI bundles, one command at a time: what `pileus oci` runs for other engines.
//!
//! Nothing of ours stays after a command has ended. The container's first process becomes a child of whoever
//! reaps orphans for the caller (a shim, or init), as it does with runc, and its standard streams are the
//! caller's own. All state is in `<root>/<id>/` and in the kernel.

mod config;
mod create;
mod devices;
mod exec;
mod hooks;
mod init;
mod mounts;
mod options;
mod process;
mod record;
mod seal;
pub(crate) mod sys;
mod userns;
mod watch;

use std::{
    fs,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
};

use oci_spec::runtime::LinuxResources;
use pileus_base::{Error, Result};

pub use config::{Bundle, process};
pub use create::create;
pub use exec::{Exec, exec};
pub use options::words as mount_options;
pub use record::{Record, State, Status, VERSION, began, now};
pub use seal::seal;
pub use watch::{Watch, console_pair};

use self::{
    record::FIFO,
    sys::{doing, fail, pidfd, readable},
};

/// How long the end of a process is waited for that has been killed.
const PATIENCE_MS: i32 = 10_000;

/// A container to be made.
pub struct Launch {
    /// Names it.
    pub id: String,
    /// Its bundle.
    pub bundle: Bundle,
    /// Its root filesystem, absolute.
    pub rootfs: PathBuf,
    /// Its control group's directories, by hierarchy.
    pub cgroups: Vec<(String, PathBuf)>,
    /// For each mount with a map of its own, a user namespace with that; `create` makes them.
    pub idmaps: Vec<Option<OwnedFd>>,
    /// Where the master of its terminal goes.
    pub console: Option<UnixStream>,
    /// Descriptors above the standard ones that it gets.
    pub preserve_fds: u32,
    /// Move the root rather than pivot to it.
    pub no_pivot: bool,
    /// Leave the session keyring as it is.
    pub no_new_keyring: bool,
}

/// A runtime whose containers are kept below a directory.
pub struct Runtime {
    /// That directory.
    pub root: PathBuf,
}

/// The words of a container that is in the wrong state.
fn wrong(words: String) -> Error {
    Error::conflict(words)
}

impl Runtime {
    /// What is kept of a container.
    ///
    /// # Errors
    /// Where there is none.
    pub fn load(&self, id: &str) -> Result<Record> {
        Record::load(&self.root, id)
    }

    /// All containers.
    pub fn all(&self) -> Vec<Record> {
        Record::all(&self.root)
    }

    /// How a container is.
    pub fn status(&self, record: &Record) -> Status {
        record.status(&self.root)
    }

    /// Runs the program of a container that has been created.
    ///
    /// # Errors
    /// Where it has been started already, or the program can't be run.
    pub fn start(&self, id: &str) -> Result<()> {
        let record = self.load(id)?;
        match self.status(&record) {
            Status::Created => {}
            Status::Stopped => return Err(wrong("cannot start a container that has stopped".into())),
            _ => return Err(wrong("cannot start an already running container".into())),
        }
        create::go_on(&Record::dir(&self.root, id)?.join(FIFO), record.pid)?;
        if let Some(given) = record.spec.hooks().as_ref().and_then(|h| h.poststart().as_ref())
            && let Err(e) = hooks::run("poststart", given, &record.state(Status::Running))
        {
            tracing::warn!("{}", e.message());
        }
        Ok(())
    }

    /// Signals a container's first process, or all of them.
    ///
    /// # Errors
    /// Where it doesn't run.
    pub fn kill(&self, id: &str, signal: i32, all: bool) -> Result<()> {
        let record = self.load(id)?;
        let own_pids = record
            .spec
            .linux()
            .as_ref()
            .and_then(|l| l.namespaces().as_ref())
            .is_some_and(|n| n.iter().any(|n| n.typ() as u64 == libc::CLONE_NEWPID as u64));
        if all || (!own_pids && signal == libc::SIGKILL) {
            signal_all(&record, signal);
            return Ok(());
        }
        if self.status(&record) == Status::Stopped {
            return Err(wrong("container not running".into()));
        }
        let process = pidfd(record.pid).map_err(|_| wrong("container not running".into()))?;
        if !record::alive(record.pid, record.started) {
            return Err(wrong("container not running".into()));
        }
        match sys::signal(&process, signal) {
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Err(wrong("container not running".into())),
            done => done.map_err(doing("unable to signal init")),
        }?;
        // A frozen process doesn't die.
        let group = record.group();
        if signal == libc::SIGKILL && group.paused() { group.freeze(false) } else { Ok(()) }
    }

    /// Takes a container away.
    ///
    /// # Errors
    /// Where it runs, unless `force` is given.
    pub fn delete(&self, id: &str, force: bool) -> Result<()> {
        let record = match self.load(id) {
            Err(e) if e.is_not_found() => {
                // What a `create` left that was ended half way.
                let dir = Record::dir(&self.root, id)?;
                let left = dir.is_dir();
                if left {
                    fs::remove_dir_all(&dir).map_err(doing(format!("remove {}", dir.display())))?;
                }
                return if force || left { Ok(()) } else { Err(e) };
            }
            record => record?,
        };
        match self.status(&record) {
            Status::Stopped => {}
            Status::Created => end(&record)?,
            _ if force => end(&record)?,
            status => {
                let word = status.word();
                return Err(wrong(format!("cannot delete container {id} that is not stopped: {word}")));
            }
        }
        destroy(&self.root, &record)
    }

    /// Freezes a container, or lets it go on.
    ///
    /// # Errors
    /// Where it is not in a state for that.
    pub fn pause(&self, id: &str, pause: bool) -> Result<()> {
        let record = self.load(id)?;
        match (pause, self.status(&record)) {
            (true, Status::Running | Status::Created) | (false, Status::Paused) => {
                record.group().freeze(pause)
            }
            (true, _) => Err(wrong("container not running or created: paused".into())),
            (false, _) => Err(wrong("container not paused".into())),
        }
    }

    /// Sets limits anew.
    ///
    /// # Errors
    /// Where it has ended, or the kernel refuses one.
    pub fn update(&self, id: &str, resources: &LinuxResources) -> Result<()> {
        let record = self.load(id)?;
        if self.status(&record) == Status::Stopped {
            return Err(wrong("container not running".into()));
        }
        record.group().apply(resources)
    }

    /// Its processes, as the host numbers them.
    ///
    /// # Errors
    /// Where there is no such container.
    pub fn pids(&self, id: &str) -> Result<Vec<u32>> {
        Ok(self.load(id)?.group().pids())
    }
}

/// Kills a container and waits until it has ended.
fn end(record: &Record) -> Result<()> {
    let process = pidfd(record.pid);
    let group = record.group();
    if group.paused() {
        group.freeze(false)?;
    }
    if let Ok(process) = process
        && record::alive(record.pid, record.started)
    {
        let _ = sys::signal(&process, libc::SIGKILL);
        if !readable(&process, PATIENCE_MS) {
            return Err(fail("container init still running"));
        }
    }
    Ok(())
}

fn signal_all(record: &Record, signal: i32) {
    for pid in record.group().pids() {
        if let Ok(process) = pidfd(pid) {
            // One that has ended meanwhile is fine.
            let _ = sys::signal(&process, signal);
        }
    }
}

/// Takes away what is left of a container that has ended.
fn destroy(root: &Path, record: &Record) -> Result<()> {
    let group = record.group();
    signal_all(record, libc::SIGKILL);
    group.remove()?;
    let dir = Record::dir(root, &record.id)?;
    fs::remove_dir_all(&dir).map_err(doing(format!("remove {}", dir.display())))?;
    if let Some(given) = record.spec.hooks().as_ref().and_then(|h| h.poststop().as_ref())
        && let Err(e) = hooks::run("poststop", given, &record.state(Status::Stopped))
    {
        tracing::warn!("{}", e.message());
    }
    Ok(())
}
