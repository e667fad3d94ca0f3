//! A rebuild: the machine and its disks go, new ones are made of the server's image; its cards stay.

use std::sync::Arc;

use pileus_base::{Result, ids::ServerId};
use pileus_jobs::{End, Job, Outcome, Run, Step};
use pileus_store::Tx;
use serde::{Deserialize, Serialize};

use super::settle;
use crate::{
    Compute,
    model::states::{PowerState, VmState},
    store::actions,
};

/// Makes a server anew. What was on its disks is gone with the first step, so there is no way back.
pub struct ServerRebuildJob(pub Arc<Compute>);

/// What the job is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerRebuildInput {
    /// The server, whose row names the image already.
    pub server: ServerId,
    /// Whether it was off, and is to stay so.
    pub stopped: bool,
    /// The request that asked for it.
    pub request_id: String,
}

impl Job for ServerRebuildJob {
    const KIND: &'static str = "compute.server_rebuild";
    type Input = ServerRebuildInput;

    fn steps(&self, input: &ServerRebuildInput) -> Vec<Step<Self>> {
        let mut steps = vec![
            Step::without_undo("remove", |job: Arc<Self>, run: Run<Self>| async move {
                job.0.host.remove_server(run.input.server).await?;
                job.0.host.remove_disks(run.input.server).await?;
                Ok(Outcome::nothing())
            }),
            Step::without_undo("ensure_disks", |job: Arc<Self>, run: Run<Self>| async move {
                job.0.ensure_disks(run.input.server).await.map(|()| Outcome::nothing())
            }),
        ];
        if !input.stopped {
            steps.push(Step::without_undo("spawn", |job: Arc<Self>, run: Run<Self>| async move {
                job.0.bring_up(run.input.server).await.map(|()| Outcome::nothing())
            }));
        }
        steps
    }

    fn ended(&self, tx: &mut Tx<'_>, input: &ServerRebuildInput, end: &End) -> Result<()> {
        let failure = match end {
            End::Done => None,
            End::Undone(error) => Some(error.message.as_str()),
            End::Cancelled => Some("The server was deleted meanwhile."),
        };
        settle(tx, input.server, |server, now| match failure {
            None => {
                (server.vm_state, server.power_state) = match input.stopped {
                    true => (VmState::Stopped, PowerState::Shutdown),
                    false => (VmState::Active, PowerState::Running),
                };
                server.task_state = None;
                server.fault = None;
                server.launched_at = Some(now);
            }
            Some(why) => server.fail(why, why, now),
        })?;
        actions::end(tx, input.server, &input.request_id, failure)
    }
}
