//! Real guests on QEMU. Each has a directory; what lies there is all that is known of it:
//!
//! ```text
//!   guests/<server>/  guest.json   what it was started as, and which process it is
//!                     end.json     how it ended (Off, Crashed, Suspended), once it has
//!                     qmp.sock serial.sock vnc.sock agent.sock   console.log qemu.log memory
//! ```
//! A QEMU has a session, a network namespace, a user and cgroups of its own and outlives the daemon; a
//! restarted one finds it by process id and start time and greets it again. Its end is waited for on a
//! pidfd.

mod cgroup;
mod command;
mod console;
mod life;
mod probe;
mod process;
mod qmp;
mod verbs;

use std::{
    collections::HashMap,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use command::{Accelerator, QMP};
use parking_lot::Mutex;
use pileus_base::{Error, InstanceId, Result, ids::ServerId};
use process::Identity;
use qmp::Qmp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    net::UnixStream,
    sync::{Mutex as AsyncMutex, broadcast},
};

use crate::{GuestSpec, GuestState};

const PROGRAM: &str = "qemu-system-x86_64";
/// Users that guests run as begin here, one each; the group is the first.
pub const FIRST_UID: u32 = 1_100_000;

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
                tokio::time::sleep(console::TICK).await;
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
            let end = expected.unwrap_or_else(|| life::ending(&this.place(id), status));
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
}

/// Connects to a guest's socket; its path may be too long for an address, its directory's descriptor isn't.
async fn connect(dir: &Path, name: &str) -> Result<UnixStream> {
    let failed = |e| Error::unavailable(format!("the guest's {name} does not answer")).caused_by(e);
    let dir = std::fs::File::open(dir).map_err(failed)?;
    let path = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
    UnixStream::connect(path).await.map_err(failed)
}
