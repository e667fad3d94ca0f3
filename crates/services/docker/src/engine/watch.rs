//! What follows a container's end: a task for each that runs awaits it, writes what came, and starts it again
//! where its policy says so. Who waits for an end is woken through a channel per container.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pileus_host::ContainerState;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::{Container, Docker, events::now_ns, store::Status};

/// What waiters see of a container.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phase {
    /// How often it has ended since the daemon began.
    pub ends: u64,
    /// The last exit code.
    pub code: i32,
    /// Whether it is gone.
    pub removed: bool,
}

/// A container whose end is awaited.
#[derive(Debug)]
pub struct Watched(pub watch::Sender<Phase>);

/// The longest pause before a restart.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A container that ran this long is no longer failing.
const SETTLED_NS: i64 = 10_000_000_000;

impl Docker {
    /// The phases of a container.
    pub(crate) fn phases(&self, id: &str) -> watch::Receiver<Phase> {
        let mut all = self.watching.lock();
        all.entry(id.to_owned())
            .or_insert_with(|| Watched(watch::Sender::new(Phase::default())))
            .0
            .subscribe()
    }

    pub(crate) fn tell(&self, id: &str, f: impl FnOnce(&mut Phase)) {
        drop(self.phases(id));
        if let Some(w) = self.watching.lock().get(id) {
            w.0.send_modify(f);
        }
    }

    /// Awaits a running container's end in a task of its own.
    pub(crate) fn watch_end(self: &Arc<Self>, id: &str) {
        let (docker, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            let (to, mut kills) = mpsc::unbounded_channel();
            let killed = move || {
                // nobody waits any more once the container has ended
                let _ = to.send(());
            };
            let (state, ()) = tokio::join!(
                async {
                    let state = docker.host.watch_container(&id, &killed).await;
                    drop(killed);
                    state
                },
                async {
                    while kills.recv().await.is_some() {
                        if let Err(e) = docker.out_of_memory(&id).await {
                            tracing::warn!(container = %id, "failed to note a kill: {}", e.chain());
                        }
                    }
                }
            );
            if let Err(e) = docker.ended(&id, state.unwrap_or(ContainerState::Absent)).await {
                tracing::warn!(container = %id, "failed to note an end: {}", e.chain());
            }
        });
    }

    /// Notes that the kernel has killed something of a container that runs on.
    async fn out_of_memory(&self, id: &str) -> pileus_base::Result<()> {
        let runs = |c: &Container| c.runs();
        if self.find_container(id).await?.is_some_and(|c| runs(&c)) {
            let container = self.change(id, |c| c.state.oom_killed = true).await?;
            self.container_event(&container, "oom", &[]);
        }
        Ok(())
    }

    /// Writes an end, and does what follows from it.
    pub(crate) async fn ended(self: &Arc<Self>, id: &str, state: ContainerState) -> pileus_base::Result<()> {
        let lock = self.lock(id);
        let held = lock.lock().await;
        let Some(found) = self.find_container(id).await? else { return Ok(()) };
        let mut container = found.value;
        if !container.runs() {
            return Ok(());
        }
        let told = container.state.oom_killed;
        let (code, oom, at) = match state {
            ContainerState::Exited { code, oom_killed, at_ns } => (code, oom_killed, at_ns),
            _ => (255, false, now_ns()),
        };
        if let Err(e) = self.disconnect_all(&mut container).await {
            tracing::warn!(container = %id, "failed to unplug: {}", e.chain());
        }
        let again = restarts(&container, code) && !self.leaving.load(Ordering::Relaxed);
        let settled = at - container.state.started_ns > SETTLED_NS;
        let failures = if settled { 0 } else { container.state.failures };
        self.clear_shm(&container);
        let (endpoints, published) = (container.endpoints.clone(), container.published.clone());
        let container = self
            .change(id, move |c| {
                c.endpoints.clone_from(&endpoints);
                c.published.clone_from(&published);
                c.state.status = if again { Status::Restarting } else { Status::Exited };
                c.state.pid = 0;
                c.state.exit_code = code;
                c.state.oom_killed = oom || told;
                c.state.finished_ns = at;
                c.state.failures = if again { failures + 1 } else { 0 };
                c.execs.clear();
                if let Some(health) = &mut c.state.health {
                    health["Status"] = json!("unhealthy");
                }
            })
            .await?
            .value;
        self.execs.lock().retain(|_, e| e.container != id);
        if oom && !told {
            self.container_event(&container, "oom", &[]);
        }
        let ran = (at - container.state.started_ns).max(0) / 1_000_000_000;
        let told = [("execDuration", ran.to_string()), ("exitCode", code.to_string())];
        self.container_event(&container, "die", &told);
        self.tell(id, |p| {
            p.ends += 1;
            p.code = code;
        });
        drop(held);
        if again {
            self.restart_later(id, failures);
        } else if container.host_config["AutoRemove"] == json!(true) {
            self.remove_ended(id).await?;
        }
        Ok(())
    }

    fn restart_later(self: &Arc<Self>, id: &str, failures: u32) {
        let (docker, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            // The back-off itself is what the policy promises.
            tokio::time::sleep(pause(failures)).await;
            if docker.leaving.load(Ordering::Relaxed) {
                return;
            }
            if let Err(e) = docker.start_again(&id).await {
                tracing::warn!(container = %id, "failed to restart: {}", e.chain());
            }
        });
    }
}

/// How long is waited before a start by the policy, after so many failures in a row.
fn pause(failures: u32) -> Duration {
    (Duration::from_millis(100) * 2u32.pow(failures.min(10))).min(BACKOFF_MAX)
}

/// Whether the policy has it started again.
pub(crate) fn restarts(container: &Container, code: i32) -> bool {
    if container.state.stopped_by_hand {
        return false;
    }
    let policy = &container.host_config["RestartPolicy"];
    match policy["Name"].as_str().unwrap_or("no") {
        "always" | "unless-stopped" => true,
        "on-failure" => {
            let most = policy["MaximumRetryCount"].as_u64().unwrap_or(0);
            code != 0 && (most == 0 || u64::from(container.state.restarts) < most)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let ms = |n| pause(n).as_millis();
        assert_eq!((ms(0), ms(1), ms(3), ms(9), ms(40)), (100, 200, 800, 51_200, 60_000));
    }
}
