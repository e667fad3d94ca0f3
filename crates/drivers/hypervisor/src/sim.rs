//! A simulator of guests: they start, stop and say so, after a configurable while, failing as often as
//! asked. What runs is noted in one small file a guest, so that a restarted daemon finds it as it would
//! find QEMU's processes.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use pileus_base::{Error, Result, ids::ServerId};
use tokio::{io::AsyncWriteExt, net::UnixStream, sync::broadcast};

use crate::{BoxFuture, Events, Facts, GuestSpec, GuestState, Hypervisor};

/// How the simulation behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behaviour {
    /// How long starting or stopping takes.
    pub latency: Duration,
    /// Of a thousand starts, how many fail.
    pub failures_per_mille: u32,
    /// Makes the failures the same each time.
    pub seed: u64,
}

/// The simulator.
pub struct Sim {
    dir: PathBuf,
    behaviour: Behaviour,
    guests: Mutex<HashMap<ServerId, GuestState>>,
    drawn: AtomicU64,
    events: broadcast::Sender<ServerId>,
}

impl Sim {
    /// Opens the simulator over `dir`, with the guests that a former one left running.
    ///
    /// # Errors
    /// 500 where the directory can't be used.
    pub fn open(dir: &Path, behaviour: Behaviour) -> Result<Self> {
        let failed = |e| Error::wrap(format!("failed to use `{}`", dir.display()), e);
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut guests = HashMap::new();
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Some(id) = entry.file_name().to_str().and_then(|n| n.parse().ok()) {
                let state = std::fs::read(entry.path()).map_err(failed)?;
                // A file cut short by a crash is of a guest that was being changed: it is off.
                guests.insert(id, serde_json::from_slice(&state).unwrap_or(GuestState::Off));
            }
        }
        let (guests, drawn, events) = (Mutex::new(guests), AtomicU64::new(0), broadcast::channel(1024).0);
        Ok(Self { dir: dir.to_owned(), behaviour, guests, drawn, events })
    }

    /// Changes a guest as if it had done so itself.
    ///
    /// # Errors
    /// 500 where it can't be noted.
    pub fn happen(&self, id: ServerId, state: GuestState) -> Result<()> {
        self.set(id, state)?;
        // Nobody may be listening.
        let _ = self.events.send(id);
        Ok(())
    }

    fn set(&self, id: ServerId, state: GuestState) -> Result<()> {
        let path = self.dir.join(id.to_string());
        let failed = |e| Error::wrap(format!("failed to write `{}`", path.display()), e);
        if state == GuestState::Absent {
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
            self.guests.lock().remove(&id);
            return Ok(());
        }
        let text =
            serde_json::to_vec(&state).map_err(|e| Error::wrap("failed to write a guest's state", e))?;
        std::fs::write(&path, text).map_err(failed)?;
        self.guests.lock().insert(id, state);
        Ok(())
    }

    async fn pass_time(&self) {
        if !self.behaviour.latency.is_zero() {
            tokio::time::sleep(self.behaviour.latency).await;
        }
    }

    /// SplitMix64: the same failures for the same seed.
    fn fails(&self) -> bool {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut z = (self.behaviour.seed ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z >> 33) % 1000 < u64::from(self.behaviour.failures_per_mille)
    }

    fn known(&self, id: ServerId) -> GuestState {
        self.guests.lock().get(&id).cloned().unwrap_or(GuestState::Absent)
    }

    fn change<'a>(
        &'a self,
        id: ServerId,
        from: &'a [GuestState],
        to: GuestState,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let now = self.known(id);
            if now == to {
                return Ok(());
            }
            if !from.contains(&now) {
                return Err(Error::conflict(format!("the guest {id} is {now:?}")));
            }
            self.pass_time().await;
            self.set(id, to)
        })
    }
}

impl Hypervisor for Sim {
    fn facts(&self) -> BoxFuture<'_, Result<Facts>> {
        Box::pin(async {
            Ok(Facts {
                name: "simulator".into(),
                version: "1.0.0".into(),
                accelerator: "none".into(),
                reason: "guests are simulated (--simulate)".into(),
            })
        })
    }
    fn ensure_started<'a>(&'a self, spec: &'a GuestSpec, _: Vec<OwnedFd>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if matches!(self.known(spec.id), GuestState::Running | GuestState::Paused) {
                return Ok(());
            }
            self.pass_time().await;
            if self.fails() {
                return Err(Error::internal("the simulated guest failed to start, as asked"));
            }
            self.set(spec.id, GuestState::Running)
        })
    }
    fn stop(&self, id: ServerId, _: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if self.known(id) == GuestState::Absent {
                return Ok(());
            }
            self.pass_time().await;
            self.set(id, GuestState::Off)
        })
    }
    fn reset(&self, id: ServerId) -> BoxFuture<'_, Result<()>> {
        self.change(id, &[GuestState::Running], GuestState::Running)
    }
    fn pause(&self, id: ServerId, paused: bool) -> BoxFuture<'_, Result<()>> {
        match paused {
            true => self.change(id, &[GuestState::Running], GuestState::Paused),
            false => self.change(id, &[GuestState::Paused], GuestState::Running),
        }
    }
    fn suspend(&self, id: ServerId) -> BoxFuture<'_, Result<()>> {
        self.change(id, &[GuestState::Running, GuestState::Paused], GuestState::Suspended)
    }
    fn remove(&self, id: ServerId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.set(id, GuestState::Absent) })
    }
    fn state(&self, id: ServerId) -> BoxFuture<'_, Result<GuestState>> {
        Box::pin(async move { Ok(self.known(id)) })
    }
    fn list(&self) -> BoxFuture<'_, Result<Vec<(ServerId, GuestState)>>> {
        Box::pin(async move { Ok(self.guests.lock().iter().map(|(id, s)| (*id, s.clone())).collect()) })
    }
    fn console_log(&self, id: ServerId) -> BoxFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move {
            match self.known(id) {
                GuestState::Absent => Err(Error::not_found(format!("there is no guest {id}"))),
                state => Ok(format!("This guest is simulated; it is {state:?}.\n").into_bytes()),
            }
        })
    }
    fn serial(&self, id: ServerId) -> BoxFuture<'_, Result<UnixStream>> {
        Box::pin(async move {
            let log = self.console_log(id).await?;
            let failed = |e| Error::wrap("failed to open a simulated console", e);
            let (ours, mut theirs) = UnixStream::pair().map_err(failed)?;
            theirs.write_all(&log).await.map_err(failed)?;
            Ok(ours)
        })
    }
    fn vnc(&self, _: ServerId) -> BoxFuture<'_, Result<UnixStream>> {
        Box::pin(async { Err(Error::not_implemented("a simulated guest has no screen")) })
    }
    fn events(&self) -> Events {
        self.events.subscribe()
    }
}
