//! What must stay true: what a killed daemon left between is finished or undone.

use std::{collections::BTreeSet, sync::Arc};

use pileus_base::Result;
use pileus_host::ContainerState;

use crate::{Container, Docker, events::now_ns, store::Status};

/// Brings documents and host together again: adopts what runs, notes what ended, removes what was being
/// removed or is nobody's.
pub async fn recover(docker: &Arc<Docker>) -> Result<()> {
    docker.clear_parts();
    let all = docker.containers().await?;
    let known: BTreeSet<&str> = all.iter().map(|c| c.id.as_str()).collect();
    for id in docker.host.containers().await? {
        if !known.contains(id.as_str()) {
            docker.host.remove_container(&id).await?;
        }
    }
    for c in all {
        let id = c.id.clone();
        docker.ship_on(&c);
        if let Err(e) = settle(docker, c).await {
            tracing::warn!(container = %id, "failed to recover: {}", e.chain());
        }
    }
    crate::engine::build::sweep(docker).await
}

async fn settle(docker: &Arc<Docker>, mut c: Container) -> Result<()> {
    match c.state.status {
        Status::Removing | Status::Dead => {
            let volumes = c.state.remove_volumes;
            docker.finish_removal(&mut c, volumes, false).await
        }
        Status::Starting => undo_start(docker, c).await,
        Status::Running | Status::Paused => adopt(docker, c).await,
        Status::Restarting => docker.start_again(&c.id).await,
        // One that was cut off between its end and its removal.
        Status::Exited if c.host_config["AutoRemove"] == true => docker.remove_ended(&c.id).await,
        Status::Exited if starts_with_daemon(&c) => docker.start_container(&c.id).await.map(drop),
        Status::Created | Status::Exited => Ok(()),
    }
}

/// `always` means a new daemon too, even where somebody had stopped it.
fn starts_with_daemon(c: &Container) -> bool {
    match c.host_config["RestartPolicy"]["Name"].as_str() {
        Some("always") => true,
        Some("unless-stopped") => !c.state.stopped_by_hand && c.state.started_ns > 0,
        _ => false,
    }
}

/// A start that was cut off: whatever came of it is ended, and it starts anew where its policy says so.
async fn undo_start(docker: &Arc<Docker>, mut c: Container) -> Result<()> {
    if let ContainerState::Running { .. } = docker.host.container(&c.id).await? {
        docker
            .host
            .signal_container(&c.id, crate::model::signals::KILL)
            .await
            .or_else(crate::engine::life::gone)?;
        docker.host.wait_container(&c.id).await?;
    }
    docker.disconnect_all(&mut c).await?;
    docker.clear_shm(&c);
    let again = crate::engine::watch::restarts(&c, 128);
    let (endpoints, published) = (c.endpoints.clone(), c.published.clone());
    docker
        .change(&c.id, move |c| {
            c.endpoints.clone_from(&endpoints);
            c.published.clone_from(&published);
            c.state.pid = 0;
            c.state.status = if c.state.started_ns == 0 { Status::Created } else { Status::Exited };
            if again {
                c.state.status = Status::Restarting;
            }
        })
        .await?;
    if again { docker.start_again(&c.id).await } else { Ok(()) }
}

/// One that ran when the daemon went: it runs on, or its end is noted.
async fn adopt(docker: &Arc<Docker>, c: Container) -> Result<()> {
    // Execs of an earlier daemon are not known any more.
    docker.change(&c.id, |c| c.execs.clear()).await?;
    match docker.host.container(&c.id).await? {
        ContainerState::Running { pid, paused } => {
            docker.reconnect(&c).await?;
            let c = docker
                .change(&c.id, move |c| {
                    c.state.pid = pid;
                    c.state.status = if paused { Status::Paused } else { Status::Running };
                })
                .await?;
            docker.watch_end(&c.id);
            docker.watch_health(&c);
            docker.watch_rotation(&c);
            Ok(())
        }
        // A host that was booted again knows nothing of it.
        ContainerState::Absent => {
            let gone = ContainerState::Exited { code: 255, oom_killed: false, at_ns: now_ns() };
            docker.ended(&c.id, gone).await
        }
        ended => docker.ended(&c.id, ended).await,
    }
}
