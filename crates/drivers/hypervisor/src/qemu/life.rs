//! A guest's life: how its QEMU is started, how its memory is saved, and how it ends.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    sync::Arc,
    time::Duration,
};

use pileus_base::{Error, Result, ids::ServerId};
use serde_json::{Value, json};

use super::{
    FIRST_UID, Inner, PROGRAM, Started, cgroup,
    command::{self, CONSOLE, MEMORY, QMP, SERIAL, VNC},
    connect,
    process::{self, Identity, Place},
};
use crate::{GuestSpec, GuestState};

/// How long a new QEMU may take until it greets.
const START: Duration = Duration::from_secs(20);
/// How long a QEMU may take to end once told.
const END: Duration = Duration::from_secs(10);
/// How many users there are for guests.
const UIDS: u32 = 50_000;

impl Inner {
    /// Runs a guest; with its saved memory, where it was suspended.
    pub(super) async fn start(self: &Arc<Self>, spec: &GuestSpec, taps: Vec<OwnedFd>) -> Result<()> {
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

    /// Ends a guest: asked first, where it has time for that; then for certain.
    pub(super) async fn end(self: &Arc<Self>, id: ServerId, grace_ms: u64, how: GuestState) -> Result<()> {
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

    /// Saves a running guest's memory and ends it.
    pub(super) async fn suspend(self: &Arc<Self>, id: ServerId) -> Result<()> {
        self.ask(id, "stop", Value::Null).await?;
        let saved = self.ask(id, "migrate", json!({"uri": format!("file:{MEMORY}")})).await;
        let done = async {
            saved?;
            loop {
                let answer = self.ask(id, "query-migrate", Value::Null).await?;
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
            self.ask(id, "cont", Value::Null).await?;
            return Err(e);
        }
        self.end(id, 0, GuestState::Suspended).await?;
        self.write(id, "end.json", &GuestState::Suspended)
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

/// How a process ended: by its status and by its last words.
pub(super) fn ending(dir: &Path, status: Option<std::process::ExitStatus>) -> GuestState {
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
