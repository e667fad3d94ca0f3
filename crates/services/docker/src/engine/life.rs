//! Start, stop, kill, pause: a container's life.

use std::{sync::Arc, time::Duration};

use pileus_base::{Error, Kind, Result};
use serde_json::json;

use super::logs::ship::Sink;
use crate::{
    Container, Docker,
    events::now_ns,
    model::{logging::remote::Writer, signals},
    store::Status,
};

impl Docker {
    /// Starts a container; whether it did (`false`: it runs already).
    ///
    /// # Errors
    /// Those of the host: nothing of the start remains then.
    pub(crate) async fn start_container(self: &Arc<Self>, name: &str) -> Result<bool> {
        let id = self.container(name).await?.value.id;
        let lock = self.lock(&id);
        let held = lock.lock().await;
        let c = self.container(&id).await?.value;
        if c.state.status == Status::Paused {
            return Err(Error::conflict("cannot start a paused container, try unpause instead"));
        }
        if matches!(c.state.status, Status::Removing | Status::Dead) {
            return Err(Error::conflict("container is marked for removal and cannot be started"));
        }
        if c.runs() {
            return Ok(false);
        }
        let started = self.start_held(&id, false).await;
        drop(held);
        if started.is_err() && c.host_config["AutoRemove"] == json!(true) {
            self.remove_ended(&id).await?;
        }
        started.map(|()| true)
    }

    /// Starts by the restart policy, unless somebody stopped it meanwhile.
    pub(crate) async fn start_again(self: &Arc<Self>, id: &str) -> Result<()> {
        let lock = self.lock(id);
        let _held = lock.lock().await;
        match self.find_container(id).await? {
            Some(c) if c.state.status == Status::Restarting => self.start_held(id, true).await,
            _ => Ok(()),
        }
    }

    async fn start_held(self: &Arc<Self>, id: &str, by_policy: bool) -> Result<()> {
        let mut c = self
            .change(id, move |c| {
                c.state.status = Status::Starting;
                c.state.stopped_by_hand = false;
                c.state.error.clear();
                c.state.restarts = if by_policy { c.state.restarts + 1 } else { 0 };
            })
            .await?
            .value;
        let (pid, sink) = match self.bring_up(&mut c).await {
            Ok(up) => up,
            Err(e) => return Err(self.start_failed(c, e).await),
        };
        let (endpoints, published) = (c.endpoints, c.published);
        let health = crate::engine::health::first(&c.config);
        let c = self
            .change(id, move |c| {
                c.endpoints.clone_from(&endpoints);
                c.published.clone_from(&published);
                c.state.status = Status::Running;
                c.state.pid = pid;
                c.state.exit_code = 0;
                c.state.oom_killed = false;
                c.state.started_ns = now_ns();
                c.state.health.clone_from(&health);
            })
            .await?
            .value;
        self.container_event(&c, "start", &[]);
        self.watch_end(id);
        self.watch_health(&c);
        self.watch_rotation(&c);
        if let Some(sink) = sink {
            self.ship(&c, sink);
        }
        Ok(())
    }

    /// Starts it on the host: its process, and the way of its log where that goes elsewhere.
    async fn bring_up(&self, c: &mut Container) -> Result<(u32, Option<(Writer, Option<Sink>)>)> {
        no_driver(&c.host_config["DeviceRequests"])?;
        let netns = self.connect_all(c).await?;
        // What is mounted for the start alone goes with this, whatever comes of it.
        let parts = self.parts(c)?;
        let spec = self.spec(c, netns.as_deref(), &parts).await?;
        let sink = self.open_sink(c).await?;
        Ok((self.host.start_container(&spec).await?, sink))
    }

    async fn start_failed(&self, mut c: Container, e: Error) -> Error {
        if let Err(e) = self.disconnect_all(&mut c).await {
            tracing::warn!(container = %c.id, "failed to unplug: {}", e.chain());
        }
        let code = match e.code_word() {
            Some("exit-126") => 126,
            Some("exit-127") => 127,
            _ => 128,
        };
        self.clear_shm(&c);
        let text = e.message().to_owned();
        let (endpoints, published) = (c.endpoints.clone(), c.published.clone());
        let written = self
            .change(&c.id, move |c| {
                c.endpoints.clone_from(&endpoints);
                c.published.clone_from(&published);
                c.state.status = if c.state.started_ns == 0 { Status::Created } else { Status::Exited };
                c.state.pid = 0;
                c.state.exit_code = code;
                c.state.error.clone_from(&text);
            })
            .await;
        if let Err(e) = written {
            tracing::warn!(container = %c.id, "failed to note a failed start: {}", e.chain());
        }
        self.tell(&c.id, |p| {
            p.ends += 1;
            p.code = code;
        });
        e
    }

    /// Stops a container; whether it ran. `seconds` below 0 wait for ever.
    pub(crate) async fn stop_container(
        self: &Arc<Self>,
        name: &str,
        seconds: Option<i64>,
        signal: &str,
    ) -> Result<bool> {
        let c = self.container(name).await?.value;
        let id = c.id.clone();
        let asked = if signal.is_empty() { c.config["StopSignal"].as_str().unwrap_or("") } else { signal };
        let number = if asked.is_empty() { signals::TERM } else { signals::number(asked)? };
        let seconds = seconds.or(c.config["StopTimeout"].as_i64()).unwrap_or(10);
        let before = self.phases(&id).borrow().ends;
        let lock = self.lock(&id);
        let c = {
            // What it does is looked at while nobody starts it and its end isn't being written.
            let _held = lock.lock().await;
            let c = self.container(&id).await?.value;
            if c.state.status == Status::Restarting {
                self.stop_restarting(&c).await?;
                return Ok(true);
            }
            if !c.runs() {
                return Ok(false);
            }
            self.change(&id, |c| c.state.stopped_by_hand = true).await?.value
        };
        if c.state.status == Status::Paused {
            self.host.pause_container(&id, false).await?;
        }
        self.container_event(&c, "kill", &[("signal", number.to_string())]);
        self.host.signal_container(&id, number).await.or_else(gone)?;
        let over = async |mut phases: tokio::sync::watch::Receiver<super::watch::Phase>| {
            let _ = phases.wait_for(|p| p.ends > before || p.removed).await;
        };
        let still = async || self.find_container(&id).await.map(|c| c.is_some_and(|c| c.runs()));
        if still().await? {
            let done = match u64::try_from(seconds) {
                Ok(s) => tokio::time::timeout(Duration::from_secs(s), over(self.phases(&id))).await.is_ok(),
                Err(_) => {
                    over(self.phases(&id)).await;
                    true
                }
            };
            if !done {
                self.container_event(&c, "kill", &[("signal", signals::KILL.to_string())]);
                self.host.signal_container(&id, signals::KILL).await.or_else(gone)?;
                over(self.phases(&id)).await;
            }
        }
        self.container_event(&c, "stop", &[]);
        Ok(true)
    }

    /// Has one not be started again that waits for that; its lock is held.
    async fn stop_restarting(&self, c: &Container) -> Result<()> {
        let change = |c: &mut Container| {
            c.state.stopped_by_hand = true;
            c.state.status = Status::Exited;
        };
        self.change(&c.id, change).await?;
        self.container_event(c, "stop", &[]);
        self.tell(&c.id, |p| {
            p.ends += 1;
            p.code = c.state.exit_code;
        });
        Ok(())
    }

    /// Stops it where it runs, and starts it.
    pub(crate) async fn restart_container(
        self: &Arc<Self>,
        name: &str,
        seconds: Option<i64>,
        signal: &str,
    ) -> Result<()> {
        let c = self.container(name).await?.value;
        self.stop_container(&c.id, seconds, signal).await?;
        self.start_container(&c.id).await?;
        self.container_event(&c, "restart", &[]);
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// 409 where it doesn't run.
    pub(crate) async fn kill_container(&self, name: &str, signal: &str) -> Result<()> {
        let number = if signal.is_empty() { signals::KILL } else { signals::number(signal)? };
        let c = self
            .running(name, |id| format!("container {id} is not running"))
            .await
            .map_err(|e| Error::new(e.kind(), format!("cannot kill container: {name}: {}", e.message())))?;
        let stop =
            c.config["StopSignal"].as_str().and_then(|s| signals::number(s).ok()).unwrap_or(signals::TERM);
        let mut phases = self.phases(&c.id);
        let before = phases.borrow_and_update().ends;
        if number == signals::KILL || number == stop {
            let lock = self.lock(&c.id);
            let _held = lock.lock().await;
            self.change(&c.id, |c| c.state.stopped_by_hand = true).await?;
        }
        if number == signals::KILL && c.state.status == Status::Paused {
            self.host.pause_container(&c.id, false).await?;
        }
        self.host.signal_container(&c.id, number).await.or_else(gone)?;
        self.container_event(&c, "kill", &[("signal", number.to_string())]);
        if number == signals::KILL && self.find_container(&c.id).await?.is_some_and(|c| c.runs()) {
            let ended = phases.wait_for(|p| p.ends > before || p.removed);
            let _ = tokio::time::timeout(Duration::from_secs(10), ended).await;
        }
        Ok(())
    }

    /// Freezes it, or lets it go on.
    ///
    /// # Errors
    /// 409 where it is not in the state for it.
    pub(crate) async fn pause_container(&self, name: &str, pause: bool) -> Result<()> {
        let c = self.container(name).await?.value;
        let lock = self.lock(&c.id);
        let _held = lock.lock().await;
        let c = self.container(&c.id).await?.value;
        match (c.state.status, pause) {
            (Status::Running, true) | (Status::Paused, false) => {}
            (Status::Paused, true) => {
                return Err(Error::conflict(format!("Container {} is already paused", c.id)));
            }
            (Status::Running, false) => {
                return Err(Error::conflict(format!("Container {} is not paused", c.id)));
            }
            (_, true) => return Err(Error::conflict(format!("container {} is not running", c.id))),
            (_, false) => return Err(Error::conflict(format!("Container {} is not paused", c.id))),
        }
        self.host.pause_container(&c.id, pause).await?;
        let status = if pause { Status::Paused } else { Status::Running };
        self.change(&c.id, move |c| c.state.status = status).await?;
        self.container_event(&c, if pause { "pause" } else { "unpause" }, &[]);
        Ok(())
    }

    /// The container, where it runs.
    pub(crate) async fn running(&self, name: &str, text: impl Fn(&str) -> String) -> Result<Container> {
        let c = self.container(name).await?.value;
        if c.runs() { Ok(c) } else { Err(Error::conflict(text(&c.id))) }
    }
}

/// Devices by a driver (`--gpus`): there are no such drivers here.
fn no_driver(requests: &serde_json::Value) -> Result<()> {
    let Some(request) = requests.as_array().and_then(|all| all.first()) else { return Ok(()) };
    let sets = request["Capabilities"].as_array().into_iter().flatten();
    let sets: Vec<String> = sets
        .map(|set| {
            let names = set.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
            format!("[{}]", names.collect::<Vec<_>>().join(" "))
        })
        .collect();
    Err(Error::bad_request(format!(
        "could not select device driver {:?} with capabilities: [{}]",
        request["Driver"].as_str().unwrap_or(""),
        sets.join(" ")
    )))
}

/// What has ended needs no signal.
pub(crate) fn gone(e: Error) -> Result<()> {
    match e.kind() {
        Kind::NotFound | Kind::Conflict => Ok(()),
        _ => Err(e),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn devices_by_a_driver_are_refused() {
        assert!(super::no_driver(&serde_json::Value::Null).is_ok());
        let gpus = serde_json::json!([{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]);
        let said = super::no_driver(&gpus).unwrap_err();
        assert_eq!(said.message(), "could not select device driver \"\" with capabilities: [[gpu]]");
    }
}
