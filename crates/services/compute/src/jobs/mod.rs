//! What takes time: making a server, removing it, its power.

pub mod create;
pub mod delete;
pub mod power;
pub mod rebuild;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use pileus_base::{Result, Scope, Time, ids::ServerId};
use pileus_jobs::Jobs;
use pileus_store::{Stored, Tx};

use crate::{
    Compute,
    model::{servers::Server, states::TaskState},
};

/// Registers every job of this service.
pub fn register(compute: &Arc<Compute>, jobs: Jobs) -> Jobs {
    jobs.register(create::ServerCreateJob(compute.clone()))
        .register(delete::ServerDeleteJob(compute.clone()))
        .register(power::ServerPowerJob(compute.clone()))
        .register(rebuild::ServerRebuildJob(compute.clone()))
}

impl Compute {
    /// The server as it is now.
    async fn server(&self, id: ServerId) -> Result<Stored<Server>> {
        self.store.read(move |rd| rd.get::<Server>(&Scope::All, id)).await
    }
}

/// Changes a server at the end of a job, unless it is gone or on its way out.
fn settle(tx: &mut Tx<'_>, id: ServerId, change: impl FnOnce(&mut Server, Time)) -> Result<()> {
    let Some(mut server) = tx.find::<Server>(&Scope::All, id)? else { return Ok(()) };
    if server.task_state == Some(TaskState::Deleting) {
        return Ok(());
    }
    let now = Time::now();
    change(&mut server.value, now);
    server.updated_at = now;
    tx.put(&server)
}
