//! Keeps the host's networks and ports as the rows say: what was removed by another hand comes back, what
//! has no row goes, what has changed is applied. Networks without a plugged-in port are not brought about.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use pileus_base::{Result, Scope, ids::NetworkId};
use pileus_host::{NetworkSpec, PortSpec};
use pileus_reconcile::{Reconciler, Report};
use pileus_store::{Query, Resource};

use crate::{
    HOST_SYNC, Networks,
    model::{networks::Network, ports::Port, subnets::Subnet},
    specs,
};

/// The reconciler.
pub struct HostSync(pub Arc<Networks>);

impl Reconciler for HostSync {
    const NAME: &'static str = HOST_SYNC;

    fn kinds(&self) -> &'static [&'static str] {
        &[Network::KIND, Subnet::KIND, Port::KIND]
    }

    async fn reconcile(&self) -> Result<Report> {
        let this = &self.0;
        let domain = this.options.dns_domain.clone();
        let mut applied = this.applied.lock().await;
        let read = this.store.read(move |rd| {
            let mut wanted: BTreeMap<NetworkId, (NetworkSpec, Vec<PortSpec>)> = BTreeMap::new();
            for port in rd.list::<Port>(&Scope::All, &Query::by("bound", "1"))? {
                let spec = specs::port(&port);
                if let Some((_, ports)) = wanted.get_mut(&port.network_id) {
                    ports.push(spec);
                } else {
                    let network = specs::network(rd, port.network_id, &domain)?;
                    wanted.insert(port.network_id, (network, vec![spec]));
                }
            }
            // A network that stands keeps standing while its row does: its last port may have just gone.
            let rows: HashSet<NetworkId> =
                rd.list::<Network>(&Scope::All, &Query::all())?.iter().map(|n| n.id).collect();
            Ok((wanted, rows))
        });
        let (wanted, rows) = read.await?;
        let standing: HashSet<NetworkId> = this.host.networks().await?.into_iter().collect();
        let (mut seen, mut changed) = (0, 0);
        for id in standing.iter().filter(|id| !rows.contains(id)) {
            this.host.remove_network(*id).await?;
            applied.networks.remove(id);
            changed += 1;
        }
        applied.networks.retain(|id, _| standing.contains(id));
        for (id, (network, ports)) in wanted {
            let there: HashSet<_> = if standing.contains(&id) {
                this.host.ports(id).await?.into_iter().collect()
            } else {
                HashSet::new()
            };
            for gone in there.iter().filter(|p| !ports.iter().any(|w| w.id == **p)) {
                this.host.remove_port(id, *gone).await?;
                applied.ports.remove(gone);
                changed += 1;
            }
            for port in ports {
                seen += 1;
                if !there.contains(&port.id) {
                    applied.ports.remove(&port.id);
                }
                let stale =
                    applied.ports.get(&port.id) != Some(&port) || applied.networks.get(&id) != Some(&network);
                if stale {
                    changed += 1;
                    this.apply(&mut applied, network.clone(), port).await?;
                }
            }
        }
        Ok(Report { seen, changed, note: String::new() })
    }
}
