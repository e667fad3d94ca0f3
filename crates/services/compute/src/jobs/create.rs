//! A server's birth: disks, config drive, ports, spawn. Each step is undone where a later one fails.

use std::sync::Arc;

use pileus_base::{Result, ids::ServerId};
use pileus_host::{DiskSource, DiskSpec};
use pileus_jobs::{End, Job, Outcome, Run, Step};
use pileus_network::ports;
use pileus_store::Tx;
use serde::{Deserialize, Serialize};

use super::settle;
use crate::{
    Compute, metadata,
    model::states::{PowerState, VmState},
    store::actions,
};

/// Makes a server whose row, ports and claim stand already.
pub struct ServerCreateJob(pub Arc<Compute>);

/// What the job is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerCreateInput {
    /// The server.
    pub server: ServerId,
    /// The request that asked for it.
    pub request_id: String,
}

impl Job for ServerCreateJob {
    const KIND: &'static str = "compute.server_create";
    type Input = ServerCreateInput;

    fn steps(&self, _: &ServerCreateInput) -> Vec<Step<Self>> {
        vec![
            Step::new(
                "ensure_disks",
                |job: Arc<Self>, run: Run<Self>| async move {
                    job.0.ensure_disks(run.input.server).await.map(|()| Outcome::nothing())
                },
                |job: Arc<Self>, run: Run<Self>| async move { job.0.host.remove_disks(run.input.server).await },
            ),
            Step::new(
                "ensure_ports",
                |job: Arc<Self>, run: Run<Self>| async move { job.ensure_ports(run.input.server).await },
                |job: Arc<Self>, run: Run<Self>| async move { job.0.remove_ports(run.input.server).await },
            ),
            Step::new(
                "spawn",
                |job: Arc<Self>, run: Run<Self>| async move {
                    let server = job.0.server(run.input.server).await?;
                    job.0.host.ensure_server(&server.spec()).await?;
                    Ok(Outcome::Done(serde_json::Value::Null))
                },
                |job: Arc<Self>, run: Run<Self>| async move { job.0.host.remove_server(run.input.server).await },
            ),
        ]
    }

    fn ended(&self, tx: &mut Tx<'_>, input: &ServerCreateInput, end: &End) -> Result<()> {
        let failure = match end {
            End::Done => None,
            End::Undone(error) => Some(error.message.clone()),
            End::Cancelled => Some("The server was deleted while it was being made.".to_owned()),
        };
        settle(tx, input.server, |server, now| match &failure {
            None => {
                server.vm_state = VmState::Active;
                server.task_state = None;
                server.power_state = PowerState::Running;
                server.launched_at = Some(now);
            }
            Some(why) => server.fail(why, why, now),
        })?;
        if failure.is_none() {
            let server = tx.find::<crate::Server>(&pileus_base::Scope::All, input.server)?;
            for nic in server.iter().flat_map(|s| &s.nics) {
                ports::set_status(tx, nic.port, true)?;
            }
        }
        actions::end(tx, input.server, &input.request_id, failure.as_deref())
    }
}

impl ServerCreateJob {
    async fn ensure_ports(&self, id: ServerId) -> Result<Outcome> {
        let server = self.0.server(id).await?;
        for nic in &server.nics {
            self.0.networks.ensure_port(nic.port).await?;
        }
        Ok(Outcome::Done(serde_json::Value::Null))
    }
}

impl Compute {
    /// Makes a server's disks, the config drive among them.
    pub(super) async fn ensure_disks(&self, id: ServerId) -> Result<()> {
        let server = self.server(id).await?;
        for disk in server.disks() {
            self.host.ensure_disk(&disk).await?;
        }
        if server.config_drive {
            let source = DiskSource::ConfigDrive(metadata::config_drive(self, &server));
            let spec = DiskSpec { server: id, name: "config".into(), source, size_gib: 0 };
            self.host.ensure_disk(&spec).await?;
        }
        Ok(())
    }

    /// Takes a server's ports off the host. A server whose row is gone has none.
    pub(super) async fn remove_ports(&self, id: ServerId) -> Result<()> {
        let server = match self.server(id).await {
            Err(e) if e.is_not_found() => return Ok(()),
            found => found?,
        };
        for nic in &server.nics {
            self.networks.remove_port(nic.network, nic.port).await?;
        }
        Ok(())
    }
}
