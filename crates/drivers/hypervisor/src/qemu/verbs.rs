//! The driver's verbs. Those on one guest are one after the other.

use std::{os::fd::OwnedFd, time::Duration};

use pileus_base::{Error, Result, ids::ServerId};
use serde_json::Value;
use tokio::net::UnixStream;

use super::{
    PROGRAM, Qemu, cgroup,
    command::{Accelerator, MEMORY, SERIAL, VNC},
    connect, console,
};
use crate::{BoxFuture, Events, Facts, GuestSpec, GuestState, Hypervisor};

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
            self.0.suspend(id).await
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
        Box::pin(async move { console::read(&self.0.place(id)).await })
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
