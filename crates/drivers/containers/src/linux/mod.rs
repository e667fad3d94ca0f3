//! Containers on Linux. What is kept of one is in `<state>/containers/<id>/`: `upper` and `work` (its
//! writable layer; its root is mounted over `work`, in its own mount namespace only), `sup.sock`, `exit.json`
//! once it has ended, and `exec/<exec>` with the exit code of each exec that has and isn't forgotten yet. All
//! state is there and in the kernel; the driver keeps only who attached before the start.

mod launch;
pub(crate) mod options;
#[path = "../../supervisor/src/plan.rs"]
mod plan;
mod translate;

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixStream as StdStream},
    },
    path::PathBuf,
    sync::Arc,
};

use oci_spec::runtime::LinuxResources;
use parking_lot::Mutex;
use pileus_base::{Error, Result};
use serde::Deserialize;
use tokio::{io::AsyncReadExt, net::UnixStream};

use self::plan::{OUT_OF_MEMORY, Reply, Request};
use crate::{
    BoxFuture, ContainerSpec, ContainerState, Containers, ExecSpec, Stream, Wanted, apparmor,
    cgroups::{Group, Stats},
};

/// What is written of a control group that is elsewhere.
const GROUP: &str = "cgroup.json";

/// The driver.
pub struct Linux {
    dir: PathBuf,
    layers: PathBuf,
    /// The control group that those of containers are below.
    parent: String,
    program: Arc<File>,
    /// Who is attached to what doesn't run yet.
    early: Mutex<HashMap<String, Vec<(OwnedFd, u8)>>>,
}

/// How a container ended, as the supervisor wrote it.
#[derive(Deserialize)]
struct Exit {
    code: i32,
    oom_killed: bool,
    at_ns: i64,
}

fn missing(id: &str) -> Error {
    Error::not_found(format!("No such container: {id}"))
}

fn not_running(id: &str) -> Error {
    Error::conflict(format!("container {id} is not running"))
}

/// Refuses a name that is no name of a file.
fn name(name: &str) -> Result<&str> {
    let fine = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    fine.then_some(name).ok_or_else(|| Error::bad_request(format!("{name:?} is not an id")))
}

/// The error of a program that can't be run, in runc's words.
fn refused(before: &str, reply: Reply) -> Error {
    let inner = match reply.code {
        126 | 127 => reply.error,
        _ => format!("error during container init: {}", reply.error),
    };
    let words = format!("{before}: unable to start container process: {inner}: unknown");
    match reply.code {
        127 => Error::bad_request(words).code("exit-127"),
        126 => Error::bad_request(words).code("exit-126"),
        _ => Error::internal(words),
    }
}

/// Runs what blocks away from the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::wrap("a task panicked", e))?
}

impl Linux {
    /// Opens it on a state directory, with control groups below `parent`; containers that run are found again by themselves.
    ///
    /// # Errors
    /// Where the directory can't be made.
    pub fn open(state_dir: &std::path::Path, parent: &str) -> Result<Self> {
        let state_dir = std::path::absolute(state_dir).map_err(|e| Error::wrap("no such directory", e))?;
        let (dir, layers) = (state_dir.join("containers"), state_dir.join("layers"));
        for dir in [&dir, &layers] {
            fs::create_dir_all(dir)
                .map_err(|e| Error::wrap(format!("failed to make {}", dir.display()), e))?;
        }
        let (program, early) = (Arc::new(launch::program()?), Mutex::default());
        Ok(Self { dir, layers, parent: parent.to_owned(), program, early })
    }

    fn dir(&self, id: &str) -> Result<PathBuf> {
        Ok(self.dir.join(name(id)?))
    }

    /// Where a container's control group is: below ours, or where its configuration has put it.
    fn group(&self, id: &str) -> Group {
        let elsewhere = self.dir(id).ok().and_then(|dir| fs::read(dir.join(GROUP)).ok());
        let dirs = elsewhere.and_then(|text| serde_json::from_slice::<Vec<(String, PathBuf)>>(&text).ok());
        dirs.map_or_else(|| Group::open(&self.parent, id), |dirs| Group::of_dirs(&dirs))
    }

    async fn ask(&self, id: &str, request: Request) -> Result<Option<(Reply, UnixStream)>> {
        launch::ask(&self.dir(id)?, &request).await
    }

    async fn pid(&self, id: &str) -> Result<Option<u32>> {
        let request = Request { verb: b's', ..Request::default() };
        Ok(self.ask(id, request).await?.map(|(reply, _)| reply.pid).filter(|pid| *pid != 0))
    }

    /// How it is where no supervisor answers.
    fn ended(&self, id: &str) -> Result<ContainerState> {
        let dir = self.dir(id)?;
        match fs::read(dir.join("exit.json")) {
            Ok(text) => {
                let exit: Exit = serde_json::from_slice(&text)
                    .map_err(|e| Error::wrap("the exit code makes no sense", e))?;
                Ok(ContainerState::Exited { code: exit.code, oom_killed: exit.oom_killed, at_ns: exit.at_ns })
            }
            // It was started, but its supervisor was ended, and it with that (its parent's death kills it);
            // or the host has gone down meanwhile.
            Err(_) => match fs::metadata(dir.join("sup.sock")) {
                Ok(socket) => {
                    let at = socket.modified().ok().and_then(|t| t.elapsed().ok().map(|_| t));
                    let at = at.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
                    let at_ns = at.map_or(0, |t| t.as_nanos() as i64);
                    Ok(ContainerState::Exited { code: 137, oom_killed: false, at_ns })
                }
                Err(_) => Ok(ContainerState::Absent),
            },
        }
    }

    async fn started(&self, spec: &ContainerSpec) -> Result<u32> {
        if let Some(pid) = self.pid(&spec.id).await? {
            return Ok(pid);
        }
        self.ensure(&spec.id).await?;
        let early = self.early.lock().remove(&spec.id).unwrap_or_default();
        let dir = self.dir(&spec.id)?;
        let (spec, layers, parent) = (spec.clone(), self.layers.clone(), self.parent.clone());
        let former = self.group(&spec.id);
        let program = self.program.clone();
        blocking(move || {
            let profile = spec.oci.process().as_ref().and_then(|p| p.apparmor_profile().clone());
            apparmor::ensure(profile.as_deref().unwrap_or_default())?;
            let resources = spec.oci.linux().as_ref().and_then(|l| l.resources().clone()).unwrap_or_default();
            // One left from before counts what was: kills for want of memory, and its peak.
            former.remove()?;
            let group = make_group(&spec, &parent, &dir, &resources)?;
            let run = || {
                match fs::remove_dir_all(dir.join("exec")) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => {
                        return Err(Error::wrap("failed to clear the exit codes of execs", e));
                    }
                    _ => {}
                }
                let mut plan = translate::plan(&spec, &dir, &layers, &group.join_files())?;
                plan.attached = early.iter().map(|(_, wanted)| *wanted).collect();
                let sockets: Vec<_> = early.into_iter().map(|(fd, _)| fd).collect();
                let reply = launch::run(&program, &plan, &sockets)?;
                if reply.pid == 0 {
                    // It never ran, and nobody shall think that it did.
                    let _ = fs::remove_file(dir.join("sup.sock"));
                    let before = "failed to create task for container: failed to create shim task: OCI runtime \
                                  create failed: runc create failed";
                    return Err(refused(before, reply));
                }
                Ok(reply.pid)
            };
            let result = run();
            if result.is_err() {
                // The first error is the one that counts.
                let _ = group.remove();
            }
            result
        })
        .await
    }

    async fn removed(&self, id: &str) -> Result<()> {
        self.early.lock().remove(id);
        let dir = self.dir(id)?;
        let group = self.group(id);
        // A frozen process doesn't die.
        let thaw = group.clone();
        blocking(move || if thaw.paused() { thaw.freeze(false) } else { Ok(()) }).await?;
        if let Some(pid) = self.pid(id).await? {
            kill(pid, libc::SIGKILL)?;
            self.waited(id, &|| {}).await?;
        }
        blocking(move || {
            for pid in group.pids() {
                // Those that another namespace's init keeps; one that has ended meanwhile is fine.
                let _ = kill(pid, libc::SIGKILL);
            }
            group.remove()?;
            match fs::remove_dir_all(&dir) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(Error::wrap(format!("failed to remove {}", dir.display()), e))
                }
                _ => Ok(()),
            }
        })
        .await
    }

    async fn waited(&self, id: &str, killed: &(dyn Fn() + Send + Sync)) -> Result<ContainerState> {
        let request = Request { verb: b'w', ..Request::default() };
        if let Some((_, mut stream)) = self.ask(id, request).await? {
            // The supervisor lets go once it has written down how it ended; any error says it is gone.
            while let Ok(OUT_OF_MEMORY) = stream.read_u8().await {
                killed();
            }
        }
        self.ended(id)
    }
}

/// A container's control group with its limits; where it isn't below ours is written down in `dir`.
fn make_group(
    spec: &ContainerSpec,
    parent: &str,
    dir: &std::path::Path,
    resources: &LinuxResources,
) -> Result<Group> {
    let note = dir.join(GROUP);
    let failed = |e| Error::wrap(format!("failed to write {}", note.display()), e);
    match spec.oci.linux().as_ref().and_then(|l| l.cgroups_path().as_deref()) {
        None => {
            match fs::remove_file(&note) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
            Group::create(parent, &spec.id, resources)
        }
        Some(path) => {
            let group = Group::at(Some(path), &spec.id)?;
            let text = serde_json::to_vec(&group.named_dirs()).map_err(|e| failed(e.into()))?;
            fs::write(&note, text).map_err(failed)?;
            group.remove()?;
            group.make()?;
            group.apply(resources)?;
            Ok(group)
        }
    }
}

/// Signals a process that the kernel still knows by that number.
fn kill(pid: u32, signal: i32) -> Result<()> {
    let failed = || {
        let e = io::Error::last_os_error();
        if e.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(Error::wrap("failed to signal", e)) }
    };
    // SAFETY: takes numbers; the descriptor is checked before it is owned.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 {
            return failed();
        }
        let fd = OwnedFd::from_raw_fd(fd as i32);
        if libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, 0, 0) < 0 {
            return failed();
        }
    }
    Ok(())
}

impl Containers for Linux {
    fn ensure<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for part in ["upper", "work"] {
                let dir = self.dir(id)?.join(part);
                let failed = |e| Error::wrap(format!("failed to make {}", dir.display()), e);
                let new = !dir.exists();
                fs::create_dir_all(&dir).map_err(failed)?;
                // The upper directory's mode is that of the container's `/`, which its users pass through.
                if new && part == "upper" {
                    fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).map_err(failed)?;
                }
            }
            Ok(())
        })
    }
    fn start<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<u32>> {
        Box::pin(self.started(spec))
    }
    fn attach<'a>(&'a self, id: &'a str, wanted: Wanted) -> BoxFuture<'a, Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let wanted = translate::wanted(wanted);
            let request = Request { verb: b'a', wanted, ..Request::default() };
            if let Some((reply, stream)) = self.ask(id, request).await?
                && reply.error.is_empty()
            {
                return Ok(Box::new(stream) as Box<dyn Stream>);
            }
            if !self.dir(id)?.exists() {
                return Err(missing(id));
            }
            let failed = |e| Error::wrap("failed to attach", e);
            let (ours, theirs) = StdStream::pair().map_err(failed)?;
            ours.set_nonblocking(true).map_err(failed)?;
            self.early.lock().entry(id.to_owned()).or_default().push((theirs.into(), wanted));
            Ok(Box::new(UnixStream::from_std(ours).map_err(failed)?) as Box<dyn Stream>)
        })
    }
    fn wait<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerState>> {
        Box::pin(self.waited(id, &|| {}))
    }
    fn watch<'a>(
        &'a self,
        id: &'a str,
        killed: &'a (dyn Fn() + Send + Sync),
    ) -> BoxFuture<'a, Result<ContainerState>> {
        Box::pin(self.waited(id, killed))
    }
    fn state<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerState>> {
        Box::pin(async move {
            match self.pid(id).await? {
                Some(pid) => Ok(ContainerState::Running { pid, paused: self.group(id).paused() }),
                None => self.ended(id),
            }
        })
    }
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async move {
            let failed = |e| Error::wrap("failed to list containers", e);
            let mut found = Vec::new();
            for entry in fs::read_dir(&self.dir).map_err(failed)? {
                found.extend(entry.map_err(failed)?.file_name().into_string());
            }
            found.sort();
            Ok(found)
        })
    }
    fn signal<'a>(&'a self, id: &'a str, signal: i32) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // The supervisor answers only while the process is its child and not reaped.
            let pid = self.pid(id).await?.ok_or_else(|| not_running(id))?;
            kill(pid, signal)
        })
    }
    fn pause<'a>(&'a self, id: &'a str, pause: bool) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.pid(id).await?.ok_or_else(|| not_running(id))?;
            let group = self.group(id);
            blocking(move || group.freeze(pause)).await
        })
    }
    fn update<'a>(&'a self, id: &'a str, resources: &'a LinuxResources) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match self.pid(id).await? {
                Some(_) => self.group(id).apply(resources),
                // What doesn't run gets its limits when it starts.
                None => Ok(()),
            }
        })
    }
    fn resize<'a>(
        &'a self,
        id: &'a str,
        exec: Option<&'a str>,
        rows: u16,
        columns: u16,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let exec = exec.unwrap_or_default().to_owned();
            let request = Request { verb: b'r', exec, rows, columns, ..Request::default() };
            let (reply, _) = self.ask(id, request).await?.ok_or_else(|| not_running(id))?;
            if reply.error.is_empty() { Ok(()) } else { Err(not_running(id)) }
        })
    }
    fn exec<'a>(&'a self, id: &'a str, exec: &'a ExecSpec) -> BoxFuture<'a, Result<(u32, Box<dyn Stream>)>> {
        Box::pin(async move {
            let request = Request {
                verb: b'e',
                wanted: translate::wanted(exec.wanted),
                exec: name(&exec.id)?.to_owned(),
                program: Some(translate::program(&exec.process)?),
                ..Request::default()
            };
            let (reply, stream) = self.ask(id, request).await?.ok_or_else(|| not_running(id))?;
            if reply.pid == 0 {
                return Err(refused("OCI runtime exec failed: exec failed", reply));
            }
            Ok((reply.pid, Box::new(stream) as Box<dyn Stream>))
        })
    }
    fn exec_exit<'a>(&'a self, id: &'a str, exec: &'a str) -> BoxFuture<'a, Result<Option<i32>>> {
        Box::pin(async move {
            let path = self.dir(id)?.join("exec").join(name(exec)?);
            let read = || fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            if let Some(code) = read() {
                return Ok(Some(code));
            }
            // An exec ends with its container; the last look is for one that did so just now.
            let alive = self.pid(id).await?.is_some();
            Ok(read().or(if alive { None } else { Some(137) }))
        })
    }
    fn forget_exec<'a>(&'a self, id: &'a str, exec: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match fs::remove_file(self.dir(id)?.join("exec").join(name(exec)?)) {
                Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    Err(Error::wrap("failed to forget how an exec ended", e))
                }
                _ => Ok(()),
            }
        })
    }
    fn pids<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Vec<u32>>> {
        Box::pin(async move {
            self.pid(id).await?.ok_or_else(|| not_running(id))?;
            Ok(self.group(id).pids())
        })
    }
    fn stats<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Stats>> {
        Box::pin(async move { self.group(id).stats() })
    }
    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.removed(id))
    }
    fn leave(&self) -> BoxFuture<'_, Result<()>> {
        let all = Group::open(&self.parent, "");
        Box::pin(blocking(move || all.leave()))
    }
}
