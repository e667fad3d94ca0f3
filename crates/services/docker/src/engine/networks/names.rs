//! Names: what each container's resolver answers, told anew when one joins or leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use pileus_base::Result;
use pileus_host::Names;

use super::wanted::texts;
use crate::{Container, Docker};

/// The names of a container on one of its networks.
fn own(container: &Container, network: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([container.name.clone(), container.id.chars().take(12).collect()]);
    if let Some(place) = container.endpoints.get(network) {
        all.extend(texts(&place.config["Aliases"]));
        all.extend(texts(&place.config["DNSNames"]));
    }
    if let Some(host) = container.config["Hostname"].as_str().filter(|h| !h.is_empty()) {
        all.insert(host.to_owned());
    }
    all
}

/// What the resolver of `container` answers.
fn names(container: &Container, live: &BTreeMap<String, Container>) -> Vec<(String, Vec<IpAddr>)> {
    let mut out: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    // An address is asked back to the first name that has it.
    let mut first: Vec<(String, Vec<IpAddr>)> = Vec::new();
    for (network, place) in &container.endpoints {
        if place.interface.is_empty() || super::predefined(network) {
            continue;
        }
        let links = texts(&place.config["Links"]);
        for other in live.values() {
            let Some(there) = other.endpoints.get(network).filter(|e| e.network_id == place.network_id)
            else {
                continue;
            };
            let addresses: Vec<IpAddr> =
                there.ipv4.iter().chain(&there.ipv6).map(ipnet::IpNet::addr).collect();
            first.push((format!("{}.{network}", other.name).to_lowercase(), addresses.clone()));
            let linked = links.iter().filter_map(|l| {
                let (name, alias) = l.split_once(':').unwrap_or((l, l));
                (name == other.name || other.id.starts_with(name)).then(|| alias.to_owned())
            });
            for name in own(other, network).into_iter().chain(linked) {
                // A resolver that searches asks for the name within the network too.
                let scoped = format!("{name}.{network}");
                for name in [name, scoped] {
                    let all = out.entry(name.to_lowercase()).or_default();
                    all.extend(addresses.iter().filter(|a| !all.contains(a)).copied().collect::<Vec<_>>());
                }
            }
        }
    }
    for (name, _) in &first {
        out.remove(name);
    }
    first.extend(out);
    first
}

/// Whether a container is on a network whose names are served.
pub(super) fn served(container: &Container) -> bool {
    container.endpoints.iter().any(|(n, e)| !super::predefined(n) && !e.interface.is_empty())
}

impl Docker {
    /// Tells a container's names, and it those of others.
    pub(crate) async fn joined(&self, container: &Container) -> Result<()> {
        let mut live = self.live.lock().await;
        let before = live.insert(container.id.clone(), container.clone());
        self.tell_names(&live, container, before.as_ref()).await
    }

    /// A container's names are gone.
    pub(crate) async fn left(&self, id: &str) -> Result<()> {
        let mut live = self.live.lock().await;
        match live.remove(id) {
            Some(gone) => self.tell_names(&live, &gone, None).await,
            None => Ok(()),
        }
    }

    /// Whom a container's resolver asks, where nobody else was named: on a tenant's network the servers'
    /// own name server, which knows them, and then the host's.
    async fn upstream(&self, container: &Container) -> Result<Vec<IpAddr>> {
        let mut all = Vec::new();
        for place in container.endpoints.values().filter(|e| e.port.is_some()) {
            let network = self.network(&place.network_id).await?;
            all.extend(self.name_server(&network).await?);
        }
        if all.is_empty() {
            all = self.host.host_resolvers().0;
            if all.is_empty() && self.leads_out(container).await?.is_some() {
                all = self.host.own_resolvers();
            }
        }
        Ok(all)
    }

    /// Tells everybody who shares a network with `changed`, as it is or was.
    async fn tell_names(
        &self,
        live: &BTreeMap<String, Container>,
        changed: &Container,
        before: Option<&Container>,
    ) -> Result<()> {
        let networks: BTreeSet<&String> =
            changed.endpoints.keys().chain(before.into_iter().flat_map(|b| b.endpoints.keys())).collect();
        for other in live.values().filter(|c| c.endpoints.keys().any(|n| networks.contains(n))) {
            if !served(other) {
                continue;
            }
            let upstream: Vec<IpAddr> =
                texts(&other.host_config["Dns"]).iter().filter_map(|d| d.parse().ok()).collect();
            let upstream = if upstream.is_empty() { self.upstream(other).await? } else { upstream };
            let answer = Names { names: names(other, live), upstream };
            match self.host.serve_names(&other.id, &answer).await {
                // Another one's trouble isn't this one's.
                Err(e) if other.id != changed.id => {
                    tracing::warn!(container = other.id, error = e.chain(), "failed to tell names");
                }
                done => done?,
            }
        }
        Ok(())
    }
}
