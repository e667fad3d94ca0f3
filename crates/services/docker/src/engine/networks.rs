//! Networks: the default ones, places on them, ports published, names.
//!
//! A place is taken in one transaction (an address is a key of the network's document), then brought about on
//! the host. Who has a namespace is remembered in [`Docker`]'s `live`, so that names follow at once.

mod attach;
mod bridge;
mod configuration;
mod explain;
mod files;
pub(crate) mod links;
mod modes;
mod names;
mod parent;
mod ports;
mod tenant;
mod wanted;

use std::{collections::BTreeMap, collections::BTreeSet, path::PathBuf};

use pileus_base::{Error, Result, Scope};
use pileus_store::{Query, Resource, Stored};
use serde_json::Value;

pub(crate) use attach::told;
pub(crate) use bridge::{link, spec};
pub(crate) use configuration::{check_configuration, first, from};
pub(crate) use modes::check;
pub(crate) use tenant::options;
pub(crate) use wanted::place;

use crate::{Container, Docker, Network, events::now_ns, new_id, store::Endpoint, store::Subnet};

/// Whether a network is one of those that are always there.
pub(crate) fn predefined(name: &str) -> bool {
    matches!(name, "bridge" | "host" | "none" | "default")
}

/// The network mode of a container.
pub(crate) fn mode(host_config: &Value) -> &str {
    match host_config["NetworkMode"].as_str().unwrap_or("") {
        "" | "default" => "bridge",
        mode => mode,
    }
}

impl Docker {
    /// Makes the default networks (`bridge`, `host`, `none`) and brings all bridges about again.
    pub(crate) async fn open_networks(&self) -> Result<()> {
        for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
            let here = self.store.read(move |rd| rd.first::<Network>(&Scope::All, Query::by("name", name)));
            if here.await?.is_some() {
                continue;
            }
            let mut network = self.blank(name, driver);
            if name == "bridge" {
                network.options = BTreeMap::from([
                    ("com.docker.network.bridge.default_bridge".into(), "true".into()),
                    ("com.docker.network.bridge.enable_icc".into(), "true".into()),
                    ("com.docker.network.bridge.enable_ip_masquerade".into(), "true".into()),
                    (
                        "com.docker.network.bridge.host_binding_ipv4".into(),
                        self.options.publish_ip.to_string(),
                    ),
                    ("com.docker.network.bridge.name".into(), network.link.clone()),
                    ("com.docker.network.driver.mtu".into(), "1500".into()),
                ]);
                network.subnets.extend(self.options.bip.map(|own| Subnet {
                    subnet: own.trunc(),
                    ip_range: None,
                    gateway: own.addr(),
                    auxiliary: BTreeMap::new(),
                }));
            }
            self.keep_network(network).await?;
        }
        let used: BTreeSet<String> = self
            .store
            .read(|rd| rd.list::<Container>(&Scope::All, &Query::all()))
            .await?
            .iter()
            .flat_map(|c| c.endpoints.values().map(|e| e.id.clone()).collect::<Vec<_>>())
            .collect();
        for network in self.networks().await? {
            // What a killed daemon had taken and not yet written down.
            if network.addresses.values().any(|e| !used.contains(e)) {
                let (id, used) = (network.id.clone(), used.clone());
                let write = self.store.write(move |tx| {
                    tx.update::<Network>(&Scope::All, &id, |n| {
                        n.addresses.retain(|_, e| used.contains(e));
                        Ok(())
                    })
                    .map(drop)
                });
                write.await?;
            }
            if let Some(spec) = bridge::spec(&network) {
                self.host.ensure_bridge(&spec).await?;
            } else if !network.link.is_empty()
                && let Err(e) = self.ensure_parent(&network).await
            {
                tracing::warn!(network = %network.name, "failed to make its link: {}", e.chain());
            }
        }
        Ok(())
    }

    /// A network without ranges.
    pub(crate) fn blank(&self, name: &str, driver: &str) -> Network {
        let id = new_id();
        Network {
            config_only: false,
            config_from: String::new(),
            link: if driver == "bridge" { link(&id) } else { String::new() },
            id,
            name: name.to_owned(),
            project: self.options.project.clone(),
            created_ns: now_ns(),
            driver: driver.to_owned(),
            ipv4: true,
            ipv6: false,
            internal: false,
            attachable: false,
            subnets: Vec::new(),
            subnets_asked: false,
            options: BTreeMap::new(),
            ipam_options: None,
            labels: BTreeMap::new(),
            tenant: None,
            addresses: BTreeMap::new(),
        }
    }

    /// Writes a new network down, with a range of the pools where it has none and needs one.
    ///
    /// # Errors
    /// 409 for the name, 403 for ranges that overlap, 400 where the pools are used up.
    pub(crate) async fn keep_network(&self, network: Network) -> Result<Network> {
        let routed = if network.driver == "bridge" { self.host.routed().await? } else { Vec::new() };
        let pools = self.options.address_pools.clone();
        let write = self.store.write(move |tx| {
            let mut network = network.clone();
            if let Some(other) = tx.first::<Network>(&Scope::All, Query::by("name", &network.name))? {
                return Err(Error::conflict(format!("network with name {} already exists", other.name)));
            }
            bridge::range(&mut network, &tx.list::<Network>(&Scope::All, &Query::all())?, &routed, &pools)?;
            tx.insert(&network)?;
            Ok(network)
        });
        write.await
    }

    /// All networks.
    pub(crate) async fn networks(&self) -> Result<Vec<Stored<Network>>> {
        self.store.read(|rd| rd.list::<Network>(&Scope::All, &Query::all())).await
    }

    /// The network of a name or an id (or its beginning).
    ///
    /// # Errors
    /// 404, `network X not found`.
    pub(crate) async fn network(&self, name: &str) -> Result<Stored<Network>> {
        let name = if name == "default" { "bridge" } else { name };
        let mut all = self.networks().await?;
        if let Some(n) = all.iter().position(|n| n.id == name || n.name == name) {
            return Ok(all.swap_remove(n));
        }
        let mut of: Vec<_> = all.into_iter().filter(|n| !name.is_empty() && n.id.starts_with(name)).collect();
        match (of.pop(), of.is_empty()) {
            (Some(network), true) => Ok(network),
            (Some(_), false) => Err(Error::bad_request(format!(
                "network {name} is ambiguous ({} matches found on ID prefix)",
                of.len() + 1
            ))),
            (None, _) => Err(Network::not_found(name)),
        }
    }

    /// The places that a new container will have: of `HostConfig.NetworkMode` and
    /// `NetworkingConfig.EndpointsConfig`; no address is taken yet.
    ///
    /// # Errors
    /// 404 for a network that isn't there, 400 for settings that don't fit it.
    pub(crate) async fn endpoints(
        &self,
        host_config: &Value,
        networking: &Value,
    ) -> Result<BTreeMap<String, Endpoint>> {
        let mode = mode(host_config);
        if mode.starts_with("container:") {
            return Ok(BTreeMap::new());
        }
        let main = match self.network(mode).await {
            // As with the reference, the start says so: a 404 here would be taken for a missing image.
            Err(e) if e.is_not_found() => return Ok(BTreeMap::new()),
            found => found?,
        };
        self.check_links(host_config).await?;
        let mut places = BTreeMap::from([(main.name.clone(), wanted::place(&main, &Value::Null)?)]);
        let asked = networking["EndpointsConfig"].as_object();
        for (name, config) in asked.into_iter().flatten() {
            let network = self.network(name).await?;
            if network.id != main.id && matches!(mode, "host" | "none") {
                return Err(Error::bad_request(
                    "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
                ));
            }
            places.insert(network.name.clone(), wanted::place(&network, config)?);
        }
        Ok(places)
    }

    /// Before a start: the namespace with its endpoints, addresses, published ports and names, and the
    /// files `hosts`, `hostname` and `resolv.conf` in `<state-dir>/containers/<id>/`. Gives the namespace's path
    /// (`None` for the host's own). Undone by [`Docker::disconnect_all`] where it fails.
    pub(crate) async fn connect_all(&self, container: &mut Container) -> Result<Option<PathBuf>> {
        self.ensure_volumes(container).await?;
        let mode = mode(&container.host_config).to_owned();
        if let Some(other) = mode.strip_prefix("container:") {
            return self.share(container, other).await;
        }
        if mode == "host" {
            self.write_files(container).await?;
            return Ok(None);
        }
        let main = self.network(&mode).await?.name.clone();
        if container.endpoints.is_empty() {
            container.endpoints = self.endpoints(&container.host_config, &Value::Null).await?;
        }
        let path = self.host.ensure_sandbox(&container.id).await?;
        let mut order: Vec<String> = container.endpoints.keys().cloned().collect();
        order.sort_by_key(|name| (*name != main, name.clone()));
        for name in order {
            self.attach(container, &name).await?;
        }
        self.publish(container).await?;
        self.write_files(container).await?;
        self.joined(container).await?;
        self.tell_linking(container).await;
        Ok(Some(path))
    }

    /// The namespace of another container.
    async fn share(&self, container: &Container, other: &str) -> Result<Option<PathBuf>> {
        let name = other.to_owned();
        let all = self.store.read(|rd| rd.list::<Container>(&Scope::All, &Query::all())).await?;
        let found = all.iter().find(|c| c.id == name || c.name == name || c.id.starts_with(&name));
        let other = found.ok_or_else(|| Container::not_found(other))?;
        if !other.runs() {
            return Err(Error::conflict(format!(
                "cannot join network of a non running container: {}",
                other.id
            )));
        }
        self.copy_files(&other.id, &container.id).await?;
        let none = mode(&other.host_config) == "host";
        Ok((!none).then(|| self.host.sandbox_path(&other.id)))
    }

    /// After an end: all of it away; done twice without complaint.
    pub(crate) async fn disconnect_all(&self, container: &mut Container) -> Result<()> {
        let mode = mode(&container.host_config);
        if mode == "host" || mode.starts_with("container:") {
            return Ok(());
        }
        self.host.remove_sandbox(&container.id).await?;
        for (name, place) in &mut container.endpoints {
            self.leave(&container.id, name, place).await?;
        }
        container.published.clear();
        self.left(&container.id).await
    }

    /// After the daemon's start, for a container that runs on: rules, proxies and resolver again.
    pub(crate) async fn reconnect(&self, container: &Container) -> Result<()> {
        let mode = mode(&container.host_config);
        if mode == "host" || mode.starts_with("container:") {
            return Ok(());
        }
        self.ensure_places(container).await?;
        self.host.publish(&container.id, &container.published).await?;
        self.joined(container).await
    }
}

/// The ranges' gateways, with the length of the prefix.
pub(crate) fn gateways(subnets: &[Subnet]) -> Vec<ipnet::IpNet> {
    subnets.iter().filter_map(|s| ipnet::IpNet::new(s.gateway, s.subnet.prefix_len()).ok()).collect()
}
