//! Real guests on QEMU. Each has a directory; what lies there is all that is known of it:
//!
//! ```text
//!   guests/<server>/  guest.json   what it was started as, and which process it is
//!                     end.json     how it ended (Off, Crashed, Suspended), once it has
//!                     qmp.sock serial.sock vnc.sock agent.sock   console.log qemu.log memory
//! ```
//! A QEMU has a session, a network namespace, a user and cgroups of its own and outlives the daemon; a
//! restarted one finds it by process id and start time and greets it again. Its end is waited for on a
//! pidfd. Verbs on one guest are one after the other.

mod cgroup;
mod command;
mod probe;
mod process;
mod qmp;

use std::{
    collections::HashMap,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use command::{Accelerator, CONSOLE, MEMORY, QMP, SERIAL, VNC};
use parking_lot::Mutex;
use pileus_base::{Error, InstanceId, Result, ids::ServerId};
use process::{Identity, Place};
use qmp::Qmp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    net::UnixStream,
    sync::{Mutex as AsyncMutex, broadcast},
};

use crate::{BoxFuture, Events, Facts, GuestSpec, GuestState, Hypervisor};

const PROGRAM: &str = "qemu-system-x86_64";
/// How long a new QEMU may take until it greets.
const START: Duration = Duration::from_secs(20);
/// How long a QEMU may take to end once told.
const END: Duration = Duration::from_secs(10);
/// Users that guests run as begin here, one each; the group is the first.
pub const FIRST_UID: u32 = 1_100_000;
const UIDS: u32 = 50_000;
/// Most that is kept of a console.
const CONSOLE_MAX: u64 = 1 << 20;
/// How often consoles are looked at.
const CONSOLE_TICK: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Started {
    spec: GuestSpec,
    process: Identity,
}

struct Guest {
    busy: AsyncMutex<()>,
    qmp: AsyncMutex<Option<Arc<Qmp>>>,
    /// Why the next end is no crash.
    expected: Mutex<Option<GuestState>>,
}

/// The driver.
pub struct Qemu(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    instance: InstanceId,
    guests: Mutex<HashMap<ServerId, Arc<Guest>>>,
    probed: OnceLock<(Accelerator, String)>,
    events: broadcast::Sender<ServerId>,
}

impl Qemu {
    /// Opens the driver over `dir` and adopts what runs.
    ///
    /// # Errors
    /// 500 where the directory can't be used.
    pub async fn open(dir: &Path, instance: InstanceId) -> Result<Self> {
        let failed = |e| Error::wrap(format!("failed to use `{}`", dir.display()), e);
        std::fs::create_dir_all(dir).map_err(failed)?;
        // Guests' own users pass through; they can't look around.
        let through = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(dir, through).map_err(failed)?;
        let inner = Arc::new(Inner {
            dir: dir.to_owned(),
            instance,
            guests: Mutex::default(),
            probed: OnceLock::new(),
            events: broadcast::channel(1024).0,
        });
        let probing = inner.clone();
        tokio::task::spawn_blocking(move || _ = probing.accelerator());
        for id in inner.ids()? {
            if let Some(started) = inner.started(id) {
                inner.watch(id, &started.process, None);
            }
        }
        let trimming = Arc::downgrade(&inner);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(CONSOLE_TICK).await;
                let Some(inner) = trimming.upgrade() else { return };
                inner.trim_consoles();
            }
        });
        Ok(Self(inner))
    }
}

impl Inner {
    fn accelerator(&self) -> &(Accelerator, String) {
        self.probed.get_or_init(|| match probe::kvm() {
            Ok(()) => (Accelerator::Kvm, "/dev/kvm runs guest code".into()),
            Err(why) => (Accelerator::Tcg, why),
        })
    }

    fn place(&self, id: ServerId) -> PathBuf {
        self.dir.join(id.to_string())
    }

    fn ids(&self) -> Result<Vec<ServerId>> {
        let failed = |e| Error::wrap(format!("failed to read `{}`", self.dir.display()), e);
        let entries = std::fs::read_dir(&self.dir).map_err(failed)?;
        Ok(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
    }

    fn guest(&self, id: ServerId) -> Arc<Guest> {
        let new = || {
            Arc::new(Guest {
                busy: AsyncMutex::default(),
                qmp: AsyncMutex::default(),
                expected: Mutex::default(),
            })
        };
        self.guests.lock().entry(id).or_insert_with(new).clone()
    }

    fn started(&self, id: ServerId) -> Option<Started> {
        let text = std::fs::read(self.place(id).join("guest.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn running(&self, id: ServerId) -> Option<Identity> {
        self.started(id).map(|s| s.process).filter(Identity::alive)
    }

    fn write(&self, id: ServerId, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.place(id).join(name);
        let failed = |e| Error::wrap(format!("failed to write `{}`", path.display()), e);
        let text =
            serde_json::to_vec(value).map_err(|e| Error::wrap("failed to write a guest's state", e))?;
        let draft = path.with_extension("new");
        std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path)).map_err(failed)
    }

    /// Waits for a process to end, in the background, and notes how it did.
    fn watch(self: &Arc<Self>, id: ServerId, process: &Identity, child: Option<std::process::Child>) {
        let (this, process) = (Arc::downgrade(self), process.clone());
        tokio::spawn(async move {
            if let Some(open) = process.open()
                && let Err(e) = open.ended().await
            {
                tracing::error!(server_id = %id, error = e.chain(), "a guest can't be watched");
                return;
            }
            let status = child.and_then(|mut c| c.wait().ok());
            let Some(this) = this.upgrade() else { return };
            // After the verb that ended it, which may have removed it or put another in its place.
            let guest = this.guest(id);
            let _busy = guest.busy.lock().await;
            if this.started(id).is_none_or(|s| s.process != process) {
                return;
            }
            guest.qmp.lock().await.take();
            let expected = guest.expected.lock().take();
            let end = expected.unwrap_or_else(|| ending(&this.place(id), status));
            if let GuestState::Crashed(why) = &end {
                tracing::warn!(server_id = %id, why, "a guest ended by itself");
            }
            if let Err(e) = this.write(id, "end.json", &end) {
                tracing::warn!(server_id = %id, error = e.chain(), "a guest's end was not noted");
            }
            // Nobody may be listening.
            let _ = this.events.send(id);
        });
    }

    /// The guest's control connection, opened where it isn't.
    async fn qmp(self: &Arc<Self>, id: ServerId) -> Result<Arc<Qmp>> {
        let guest = self.guest(id);
        let mut held = guest.qmp.lock().await;
        if let Some(qmp) = &*held {
            return Ok(qmp.clone());
        }
        let stream = connect(&self.place(id), QMP).await?;
        // Weak both: the connection belongs to the guest, and goes with it.
        let (this, heard) = (Arc::downgrade(self), Arc::downgrade(&guest));
        let qmp = Qmp::open(stream, move |event, data| {
            if event == "SHUTDOWN" {
                let by_guest = data["guest"].as_bool().unwrap_or(false);
                tracing::debug!(server_id = %id, by_guest, "a guest shuts down");
                if let Some(guest) = heard.upgrade() {
                    guest.expected.lock().get_or_insert(GuestState::Off);
                }
            }
            if matches!(event, "STOP" | "RESUME" | "RESET" | "GUEST_PANICKED")
                && let Some(this) = this.upgrade()
            {
                // Nobody may be listening.
                let _ = this.events.send(id);
            }
        });
        let qmp = qmp.await?;
        *held = Some(qmp.clone());
        Ok(qmp)
    }

    async fn ask(self: &Arc<Self>, id: ServerId, command: &str, arguments: Value) -> Result<Value> {
        let asked = self.qmp(id).await?.ask(command, arguments).await;
        if asked.as_ref().is_err_and(|e| e.kind() == pileus_base::Kind::Unavailable) {
            self.guest(id).qmp.lock().await.take();
        }
        asked
    }

    async fn state(self: &Arc<Self>, id: ServerId) -> Result<GuestState> {
        if self.running(id).is_some() {
            let answer = match self.ask(id, "query-status", Value::Null).await {
                Ok(answer) => answer,
                // It may have ended just now.
                Err(e) if self.running(id).is_some() => return Err(e),
                Err(_) => return Ok(self.ended(id)),
            };
            return Ok(match answer["status"].as_str() {
                Some("paused" | "suspended" | "postmigrate") => GuestState::Paused,
                _ => GuestState::Running,
            });
        }
        Ok(self.ended(id))
    }

    /// How a guest that doesn't run ended.
    fn ended(&self, id: ServerId) -> GuestState {
        let dir = self.place(id);
        let noted = std::fs::read(dir.join("end.json")).ok().and_then(|t| serde_json::from_slice(&t).ok());
        match noted {
            Some(end) => end,
            None if dir.exists() => GuestState::Off,
            None => GuestState::Absent,
        }
    }

    async fn start(self: &Arc<Self>, spec: &GuestSpec, taps: Vec<OwnedFd>) -> Result<()> {
        let dir = self.place(spec.id);
        let resume = self.ended(spec.id) == GuestState::Suspended && dir.join(MEMORY).exists();
        let uid = FIRST_UID + 1 + u32::try_from(spec.id.0.as_u128() % u128::from(UIDS)).unwrap_or(0);
        let (this, spec_) = (self.clone(), spec.clone());
        let work = tokio::task::spawn_blocking(move || {
            let place = this.place(spec_.id);
            prepare(&place, &spec_, uid)?;
            let (accelerator, _) = *this.accelerator();
            let fds: Vec<_> = taps.iter().map(AsRawFd::as_raw_fd).collect();
            let arguments = command::arguments(&spec_, accelerator, &fds, resume);
            let cgroups = cgroup::ensure(&this.instance, spec_.id, spec_.vcpus);
            let place = Place { dir: &place, user: Some((uid, FIRST_UID)), cgroups };
            process::spawn(PROGRAM, &arguments, &place, &taps)
        });
        let child = work.await.map_err(|e| Error::wrap("a guest's start was cut off", e))??;
        let pid = i32::try_from(child.id()).unwrap_or(0);
        let process = Identity::of(pid);
        let Some(process) = process else {
            return Err(self.failed_start(&dir, child));
        };
        self.write(spec.id, "guest.json", &Started { spec: spec.clone(), process: process.clone() })?;
        let guest = self.guest(spec.id);
        guest.expected.lock().take();
        // The last process's connection is of no use to this one.
        guest.qmp.lock().await.take();
        let deadline = tokio::time::Instant::now() + START;
        // QEMU has no word for "my socket is there": look until it is, or until QEMU is gone.
        while !dir.join(QMP).exists() || connect(&dir, QMP).await.is_err() {
            if !process.alive() {
                return Err(self.failed_start(&dir, child));
            }
            if tokio::time::Instant::now() > deadline {
                return Err(Error::unavailable("QEMU did not open its control socket in time"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.watch(spec.id, &process, Some(child));
        let answer = self.ask(spec.id, "query-status", Value::Null).await?;
        if resume {
            self.finish_resume(spec.id, answer).await?;
        }
        Ok(())
    }

    /// Waits until the saved memory is back, and lets the guest run.
    async fn finish_resume(self: &Arc<Self>, id: ServerId, mut status: Value) -> Result<()> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
        while status["status"] == "inmigrate" && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
            status = self.ask(id, "query-status", Value::Null).await?;
        }
        if status["status"] != "running" {
            self.ask(id, "cont", Value::Null).await?;
        }
        // It would only be in the way of the next one.
        let _ = std::fs::remove_file(self.place(id).join(MEMORY));
        Ok(())
    }

    fn failed_start(&self, dir: &Path, mut child: std::process::Child) -> Error {
        let status = child.wait().ok();
        let why = match ending(dir, status) {
            GuestState::Crashed(why) => why,
            _ => "it ended at once".into(),
        };
        Error::internal(format!("QEMU did not start: {why}"))
    }

    async fn end(self: &Arc<Self>, id: ServerId, grace_ms: u64, how: GuestState) -> Result<()> {
        let Some(process) = self.running(id) else { return Ok(()) };
        let guest = self.guest(id);
        if grace_ms > 0 {
            // A guest that can't be asked is ended all the same.
            let asked = self.ask(id, "system_powerdown", Value::Null).await;
            let open = process.open().filter(|_| asked.is_ok());
            if let Some(open) = open {
                let _ = tokio::time::timeout(Duration::from_millis(grace_ms), open.ended()).await;
            }
        }
        if !process.alive() {
            return Ok(());
        }
        *guest.expected.lock() = Some(how);
        let asked = self.ask(id, "quit", Value::Null).await;
        let quit = process.open().filter(|_| asked.is_ok());
        let ended = match quit {
            Some(open) => tokio::time::timeout(END, open.ended()).await.is_ok(),
            None => false,
        };
        if !ended && let Some(open) = process.open() {
            open.kill();
            open.ended().await?;
        }
        Ok(())
    }

    /// Cuts consoles that have grown too long to their last half. QEMU appends, so nothing is torn.
    fn trim_consoles(&self) {
        for id in self.ids().unwrap_or_default() {
            let path = self.place(id).join(CONSOLE);
            let long = std::fs::metadata(&path).is_ok_and(|m| m.len() > CONSOLE_MAX);
            if !long {
                continue;
            }
            let cut = std::fs::read(&path).and_then(|all| {
                let keep = all.len().saturating_sub(usize::try_from(CONSOLE_MAX / 2).unwrap_or(0));
                std::fs::write(&path, &all[keep..])
            });
            if let Err(e) = cut {
                tracing::warn!(server_id = %id, error = %e, "a console's log was not cut");
            }
        }
    }
}

/// Makes the guest's directory ready: its user's own, without left-overs of the last run.
fn prepare(dir: &Path, spec: &GuestSpec, uid: u32) -> Result<()> {
    use std::os::unix::fs::{PermissionsExt, chown};
    let failed = |e| Error::wrap(format!("failed to prepare `{}`", dir.display()), e);
    std::fs::create_dir_all(dir).map_err(failed)?;
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).map_err(failed)?;
    for name in [QMP, SERIAL, VNC, command::AGENT, "end.json"] {
        match std::fs::remove_file(dir.join(name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
    }
    chown(dir, Some(uid), Some(FIRST_UID)).map_err(failed)?;
    for name in [CONSOLE, MEMORY] {
        if dir.join(name).exists() {
            chown(dir.join(name), Some(uid), Some(FIRST_UID)).map_err(failed)?;
        }
    }
    for disk in &spec.disks {
        chown(&disk.path, Some(uid), Some(FIRST_UID))
            .map_err(|e| Error::wrap(format!("failed to hand over the disk `{}`", disk.path.display()), e))?;
        if let Some(parent) = disk.path.parent() {
            chown(parent, Some(uid), Some(FIRST_UID)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Connects to a guest's socket; its path may be too long for an address, its directory's descriptor isn't.
async fn connect(dir: &Path, name: &str) -> Result<UnixStream> {
    let failed = |e| Error::unavailable(format!("the guest's {name} does not answer")).caused_by(e);
    let dir = std::fs::File::open(dir).map_err(failed)?;
    let path = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
    UnixStream::connect(path).await.map_err(failed)
}

/// How a process ended: by its status and by its last words.
fn ending(dir: &Path, status: Option<std::process::ExitStatus>) -> GuestState {
    use std::os::unix::process::ExitStatusExt;
    let log = std::fs::read(dir.join("qemu.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let last =
        log.lines().rev().map(str::trim).find(|l| !l.is_empty() && !l.contains("warning:")).unwrap_or("");
    match status {
        Some(s) if s.success() => GuestState::Off,
        Some(s) => {
            let how = s.signal().map_or_else(|| s.to_string(), |n| format!("killed by signal {n}"));
            GuestState::Crashed(if last.is_empty() { how } else { format!("{how}: {last}") })
        }
        None if last.is_empty() || last.contains("terminating on signal 15") => GuestState::Off,
        None => GuestState::Crashed(last.to_owned()),
    }
}

impl Hypervisor for Qemu {
    fn facts(&self) -> BoxFuture<'_, Result<Facts>> {
        Box::pin(async move {
            let this = self.0.clone();
            let work = tokio::task::spawn_blocking(move || {
                let Ok(output) = std::process::Command::new(PROGRAM).arg("--version").output() else {
                    // The rest of the cloud is of use without; a start will say the same.
                    return Ok(Facts {
                        name: "QEMU".into(),
                        version: "0.0.0".into(),
                        accelerator: "none".into(),
                        reason: format!("{PROGRAM} is not installed: install the package qemu-system-x86"),
                    });
                };
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let version =
                    text.split_whitespace().nth(3).unwrap_or("0.0.0").trim_end_matches(',').to_owned();
                let (accelerator, reason) = this.accelerator();
                let accelerator = if *accelerator == Accelerator::Kvm { "kvm" } else { "tcg" };
                Ok(Facts {
                    name: "QEMU".into(),
                    version,
                    accelerator: accelerator.into(),
                    reason: reason.clone(),
                })
            });
            work.await.map_err(|e| Error::wrap("a look at QEMU was cut off", e))?
        })
    }

    fn ensure_started<'a>(&'a self, spec: &'a GuestSpec, taps: Vec<OwnedFd>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let guest = self.0.guest(spec.id);
            let _busy = guest.busy.lock().await;
            if self.0.running(spec.id).is_some() {
                return Ok(());
            }
            let started = self.0.start(spec, taps).await;
            if started.is_err() {
                self.0.end(spec.id, 0, GuestState::Off).await?;
            }
            started
        })
    }

    fn stop(&self, id: ServerId, grace_ms: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let guest = self.0.guest(id);
            let _busy = guest.busy.lock().await;
            self.0.end(id, grace_ms, GuestState::Off).await?;
            // A suspended guest that is stopped gives up its memory.
            if self.0.ended(id) == GuestState::Suspended {
                let _ = std::fs::remove_file(self.0.place(id).join(MEMORY));
                self.0.write(id, "end.json", &GuestState::Off)?;
            }
            Ok(())
        })
    }

    fn reset(&self, id: ServerId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.0.ask(id, "system_reset", Value::Null).await.map(drop) })
    }

    fn pause(&self, id: ServerId, paused: bool) -> BoxFuture<'_, Result<()>> {
        let command = if paused { "stop" } else { "cont" };
        Box::pin(async move { self.0.ask(id, command, Value::Null).await.map(drop) })
    }

    fn suspend(&self, id: ServerId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let guest = self.0.guest(id);
            let _busy = guest.busy.lock().await;
            if self.0.running(id).is_none() {
                return match self.0.ended(id) {
                    GuestState::Suspended => Ok(()),
                    _ => Err(Error::conflict(format!("the guest {id} does not run"))),
                };
            }
            self.0.ask(id, "stop", Value::Null).await?;
            let saved = self.0.ask(id, "migrate", json!({"uri": format!("file:{MEMORY}")})).await;
            let done = async {
                saved?;
                loop {
                    let answer = self.0.ask(id, "query-migrate", Value::Null).await?;
                    match answer["status"].as_str() {
                        Some("completed") => return Ok(()),
                        Some("failed" | "cancelled") => {
                            let why = answer["error-desc"].as_str().unwrap_or("").to_owned();
                            return Err(Error::internal(format!("the guest's memory was not saved: {why}")));
                        }
                        _ => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            };
            if let Err(e) = done.await {
                self.0.ask(id, "cont", Value::Null).await?;
                return Err(e);
            }
            self.0.end(id, 0, GuestState::Suspended).await?;
            self.0.write(id, "end.json", &GuestState::Suspended)
        })
    }

    fn remove(&self, id: ServerId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let guest = self.0.guest(id);
            let _busy = guest.busy.lock().await;
            self.0.end(id, 0, GuestState::Off).await?;
            let dir = self.0.place(id);
            // First the identity: a watcher that comes later has nothing to note.
            let _ = std::fs::remove_file(dir.join("guest.json"));
            match std::fs::remove_dir_all(&dir) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::wrap(format!("failed to remove `{}`", dir.display()), e));
                }
                _ => {}
            }
            // The kernel lets a cgroup go once its last process has been reaped, moments from now.
            for _ in 0..100 {
                if cgroup::remove(&self.0.instance, id) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.0.guests.lock().remove(&id);
            Ok(())
        })
    }

    fn state(&self, id: ServerId) -> BoxFuture<'_, Result<GuestState>> {
        Box::pin(async move { self.0.state(id).await })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<(ServerId, GuestState)>>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for id in self.0.ids()? {
                all.push((id, self.0.state(id).await?));
            }
            Ok(all)
        })
    }

    fn console_log(&self, id: ServerId) -> BoxFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move {
            let path = self.0.place(id).join(CONSOLE);
            match tokio::fs::read(&path).await {
                Ok(log) => Ok(log),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(e) => Err(Error::wrap(format!("failed to read `{}`", path.display()), e)),
            }
        })
    }

    fn serial(&self, id: ServerId) -> BoxFuture<'_, Result<UnixStream>> {
        Box::pin(async move { connect(&self.0.place(id), SERIAL).await })
    }

    fn vnc(&self, id: ServerId) -> BoxFuture<'_, Result<UnixStream>> {
        Box::pin(async move { connect(&self.0.place(id), VNC).await })
    }

    fn events(&self) -> Events {
        self.0.events.subscribe()
    }
}
