//! A server's end: the machine, its ports on the host, its disks; then its row with all that hangs on it.

use std::sync::Arc;

use pileus_base::{Result, ids::ServerId};
use pileus_jobs::{End, Job, Outcome, Run, Step};
use pileus_store::Tx;
use serde::{Deserialize, Serialize};

use crate::{
    Compute,
    store::{actions, servers},
};

/// Removes a server. It has no way back: its steps have no undo, and are tried again.
pub struct ServerDeleteJob(pub Arc<Compute>);

/// What the job is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerDeleteInput {
    /// The server.
    pub server: ServerId,
    /// The request that asked for it.
    #[serde(default)]
    pub request_id: String,
}

/// Attempts at each step before the job is given up as failed.
const TRIES: u32 = 5;

impl Job for ServerDeleteJob {
    const KIND: &'static str = "compute.server_delete";
    type Input = ServerDeleteInput;

    fn steps(&self, _: &ServerDeleteInput) -> Vec<Step<Self>> {
        vec![
            Step::without_undo("remove_server", |job: Arc<Self>, run: Run<Self>| async move {
                job.0.host.remove_server(run.input.server).await?;
                Ok(Outcome::Done(serde_json::Value::Null))
            })
            .retry(TRIES),
            Step::without_undo("remove_ports", |job: Arc<Self>, run: Run<Self>| async move {
                job.0.remove_ports(run.input.server).await?;
                Ok(Outcome::Done(serde_json::Value::Null))
            })
            .retry(TRIES),
            Step::without_undo("remove_disks", |job: Arc<Self>, run: Run<Self>| async move {
                job.0.host.remove_disks(run.input.server).await?;
                Ok(Outcome::Done(serde_json::Value::Null))
            })
            .retry(TRIES),
        ]
    }

    fn ended(&self, tx: &mut Tx<'_>, input: &ServerDeleteInput, end: &End) -> Result<()> {
        match end {
            End::Done => servers::forget(tx, input.server),
            End::Undone(error) => {
                tx.update::<crate::Server>(&pileus_base::Scope::All, input.server, |server| {
                    server.fail(&error.message, &error.message, pileus_base::Time::now());
                    Ok(())
                })?;
                actions::end(tx, input.server, &input.request_id, Some(&error.message))
            }
            End::Cancelled => Ok(()),
        }
    }
}
