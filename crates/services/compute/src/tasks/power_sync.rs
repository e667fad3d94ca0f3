//! Power states follow the host (Nova's `_sync_power_states`): a guest that switched itself off becomes
//! SHUTOFF, one that crashed too, with its reason.
//!
//! At the daemon's first look it is the other way round where the host has rebooted: nothing runs and no
//! network stands, so what was ACTIVE is started again.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pileus_base::{Result, Scope, Time, ids::ServerId};
use pileus_host::{Power, ServerStatus};
use pileus_reconcile::{Reconciler, Report};
use pileus_store::Query;

use crate::{
    Compute,
    model::{
        servers::Server,
        states::{PowerState, VmState},
    },
};

/// The reconciler.
pub struct PowerSync {
    compute: Arc<Compute>,
    first: AtomicBool,
}

impl PowerSync {
    /// Over `compute`.
    pub fn new(compute: Arc<Compute>) -> Self {
        Self { compute, first: AtomicBool::new(true) }
    }
}

impl Reconciler for PowerSync {
    const NAME: &'static str = crate::POWER_SYNC;

    async fn reconcile(&self) -> Result<Report> {
        let compute = &self.compute;
        let read = compute.store.read(|rd| rd.list::<Server>(&Scope::All, &Query::all()));
        let servers: Vec<_> = read.await?.into_iter().filter(|s| s.task_state.is_none()).collect();
        let seen: HashMap<ServerId, ServerStatus> = compute.host.servers().await?.into_iter().collect();
        let (seen_count, mut changed) = (servers.len(), 0);
        if self.first.load(Ordering::Acquire) {
            let runs = |s: &ServerStatus| matches!(s.power, Power::Running | Power::Paused);
            let rebooted = compute.found_bare && !seen.values().any(runs);
            if rebooted && compute.options.resume_after_reboot {
                for server in servers.iter().filter(|s| s.vm_state == VmState::Active) {
                    changed += 1;
                    if let Err(e) = compute.bring_up(server.id).await {
                        tracing::warn!(server_id = %server.id, error = e.chain(), "a server did not start again");
                        settle_failed(compute, server.id, e.message().to_owned()).await?;
                    }
                }
            }
            self.first.store(false, Ordering::Release);
            if changed > 0 {
                return Ok(Report { seen: seen_count, changed, note: String::new() });
            }
        }
        for server in servers {
            let status = seen.get(&server.id);
            let power = status.map_or(Power::Absent, |s| s.power);
            let Some(after) = followed(server.vm_state, power) else { continue };
            let (id, revision) = (server.id, server.revision);
            let reason = status.and_then(|s| s.reason.clone());
            tracing::info!(server_id = %id, state = after.word(), reason, "a server changed by itself");
            let power = PowerState::from(power);
            let done = compute.store.write(move |tx| {
                let mut server = tx.get::<Server>(&Scope::All, id)?;
                if server.revision != revision {
                    return Ok(false);
                }
                server.vm_state = after;
                server.power_state = if power == PowerState::NoState { PowerState::Shutdown } else { power };
                server.updated_at = Time::now();
                tx.put(&server).map(|()| true)
            });
            match done.await {
                Ok(true) => changed += 1,
                Ok(false) => {}
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Report { seen: seen_count, changed, note: String::new() })
    }
}

/// What a server becomes when the host sees `power`; `None` where nothing is to change.
fn followed(vm: VmState, power: Power) -> Option<VmState> {
    match (vm, power) {
        (VmState::Active | VmState::Paused, Power::Shutdown | Power::Crashed | Power::Absent) => {
            Some(VmState::Stopped)
        }
        (VmState::Suspended, Power::Shutdown | Power::Crashed) => Some(VmState::Stopped),
        (VmState::Active | VmState::Stopped | VmState::Suspended, Power::Paused) => Some(VmState::Paused),
        (VmState::Active | VmState::Paused | VmState::Stopped, Power::Suspended) => Some(VmState::Suspended),
        (VmState::Paused | VmState::Stopped | VmState::Suspended, Power::Running) => Some(VmState::Active),
        _ => None,
    }
}

async fn settle_failed(compute: &Compute, id: ServerId, why: String) -> Result<()> {
    let write = compute.store.write(move |tx| {
        tx.update::<Server>(&Scope::All, id, |s| {
            s.vm_state = VmState::Stopped;
            s.power_state = PowerState::Shutdown;
            s.updated_at = Time::now();
            s.fault = Some(crate::model::servers::Fault {
                code: 500,
                message: why.clone(),
                details: String::new(),
                created: Time::now(),
            });
            Ok(())
        })
    });
    match write.await {
        Err(e) if !e.is_not_found() => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_the_host() {
        assert_eq!(followed(VmState::Active, Power::Shutdown), Some(VmState::Stopped));
        assert_eq!(followed(VmState::Active, Power::Running), None);
        assert_eq!(followed(VmState::Stopped, Power::Absent), None);
        assert_eq!(followed(VmState::Suspended, Power::Absent), None);
        assert_eq!(followed(VmState::Active, Power::Suspended), Some(VmState::Suspended));
        assert_eq!(followed(VmState::Suspended, Power::Running), Some(VmState::Active));
        assert_eq!(followed(VmState::Error, Power::Running), None);
    }
}
