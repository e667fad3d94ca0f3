//! Power actions: one step each, and the states that follow.

use std::sync::Arc;

use pileus_base::{Error, Result, ids::ServerId};
use pileus_host::{Power, Stop};
use pileus_jobs::{End, Job, Outcome, Run, Step};
use pileus_store::Tx;
use serde::{Deserialize, Serialize};

use super::settle;
use crate::{
    Compute,
    model::{
        servers::SHUTDOWN_TIMEOUT_MS,
        states::{PowerAction, VmState},
    },
    store::actions,
};

/// Does one power action.
pub struct ServerPowerJob(pub Arc<Compute>);

/// What the job is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerPowerInput {
    /// The server.
    pub server: ServerId,
    /// What to do.
    pub action: PowerAction,
    /// The request that asked for it.
    pub request_id: String,
}

impl Job for ServerPowerJob {
    const KIND: &'static str = "compute.server_power";
    type Input = ServerPowerInput;

    fn steps(&self, _: &ServerPowerInput) -> Vec<Step<Self>> {
        vec![Step::without_undo("act", |job: Arc<Self>, run: Run<Self>| async move {
            job.0.act(run.input.server, run.input.action).await?;
            Ok(Outcome::Done(serde_json::Value::Null))
        })]
    }

    fn ended(&self, tx: &mut Tx<'_>, input: &ServerPowerInput, end: &End) -> Result<()> {
        let failure = match end {
            End::Done => None,
            End::Undone(error) => Some(error.message.as_str()),
            End::Cancelled => Some("The server was deleted meanwhile."),
        };
        settle(tx, input.server, |server, now| match (failure, input.action) {
            (None, action) => {
                (server.vm_state, server.power_state) = action.after();
                server.task_state = None;
                server.fault = None;
            }
            // Nova: a start or hard reboot that fails leaves ERROR, the rest leaves the server as it was.
            (Some(why), PowerAction::Start | PowerAction::RebootHard | PowerAction::Resume) => {
                server.fail(why, why, now);
            }
            (Some(_), _) => server.task_state = None,
        })?;
        actions::end(tx, input.server, &input.request_id, failure)
    }
}

impl Compute {
    async fn act(&self, id: ServerId, action: PowerAction) -> Result<()> {
        let host = &self.host;
        match action {
            PowerAction::Start => self.bring_up(id).await,
            PowerAction::Stop => {
                host.stop_server(id, Stop::Graceful { timeout_ms: SHUTDOWN_TIMEOUT_MS }).await
            }
            PowerAction::RebootSoft => {
                host.stop_server(id, Stop::Graceful { timeout_ms: SHUTDOWN_TIMEOUT_MS }).await?;
                self.bring_up(id).await
            }
            PowerAction::RebootHard => {
                host.stop_server(id, Stop::Hard).await?;
                self.bring_up(id).await
            }
            PowerAction::Pause => host.pause_server(id).await,
            PowerAction::Unpause => host.unpause_server(id).await,
            PowerAction::Suspend => host.suspend_server(id).await,
            PowerAction::Resume => {
                self.ensure_cards(id).await?;
                let server = self.server(id).await?;
                host.resume_server(&server.spec()).await
            }
        }
    }

    /// Starts a server whose disks stand: its cards, then itself. Used after a reboot of the host, too.
    pub(crate) async fn bring_up(&self, id: ServerId) -> Result<()> {
        self.ensure_cards(id).await?;
        let server = self.server(id).await?;
        if server.vm_state == VmState::Suspended {
            // A hard reboot of a suspended server gives up its saved memory.
            self.host.remove_server(id).await?;
        }
        self.host.ensure_server(&server.spec()).await?;
        let status = self.host.server(id).await?;
        if matches!(status.power, Power::Running | Power::Paused) {
            return Ok(());
        }
        let why = status.reason.unwrap_or_else(|| "it ended at once".into());
        Err(Error::internal(format!("The server did not start: {why}")))
    }

    async fn ensure_cards(&self, id: ServerId) -> Result<()> {
        for nic in &self.server(id).await?.nics {
            self.networks.ensure_port(nic.port).await?;
        }
        Ok(())
    }
}
