//! A place taken and given back: addresses, MAC, link.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use pileus_base::{Error, Result, Scope};
use pileus_host::{EndpointSpec, Plug};
use pileus_store::Tx;

use super::{bridge, modes, parent, wanted};
use crate::{Container, Docker, Network, model::pools, new_id, store::Endpoint};

/// Takes addresses for an endpoint.
///
/// # Errors
/// 403 for one that is somebody's; 400 where none is left.
fn take(tx: &mut Tx<'_>, id: &str, endpoint: &str, asked: [Option<IpAddr>; 2]) -> Result<Vec<IpNet>> {
    let mut out = Vec::new();
    tx.update::<Network>(&Scope::All, id, |n| {
        for subnet in n.subnets.clone() {
            let v4 = subnet.subnet.addr().is_ipv4();
            if out.iter().any(|o: &IpNet| o.addr().is_ipv4() == v4) {
                continue;
            }
            let mut kept: Vec<IpAddr> = subnet.auxiliary.values().copied().collect();
            kept.push(subnet.gateway);
            let ip = match asked[usize::from(!v4)] {
                Some(ip) if !subnet.subnet.contains(&ip) => continue,
                Some(ip) if kept.contains(&ip) || n.addresses.contains_key(&ip) => {
                    return Err(Error::forbidden("Address already in use"));
                }
                Some(ip) => ip,
                None => pools::address(&subnet.subnet, subnet.ip_range.as_ref(), &kept, &n.addresses)
                    .ok_or_else(|| {
                        Error::bad_request(format!(
                            "no available IPv{} addresses on this network's address pools: {} ({})",
                            if v4 { 4 } else { 6 },
                            n.name,
                            n.id
                        ))
                    })?,
            };
            n.addresses.insert(ip, endpoint.to_owned());
            out.extend(IpNet::new(ip, subnet.subnet.prefix_len()));
        }
        Ok(())
    })?;
    Ok(out)
}

/// Gives back what an endpoint has.
fn release(tx: &mut Tx<'_>, network: &str, endpoint: &str) -> Result<()> {
    if tx.find::<Network>(&Scope::All, network)?.is_some() {
        tx.update::<Network>(&Scope::All, network, |n| {
            n.addresses.retain(|_, e| e != endpoint);
            Ok(())
        })?;
    }
    Ok(())
}

/// What an event of a network tells.
pub(crate) fn told(network: &str, driver: &str, container: Option<&str>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([("name".into(), network.to_owned()), ("type".into(), driver.to_owned())]);
    all.extend(container.map(|c| ("container".into(), c.to_owned())));
    all
}

impl Docker {
    /// Takes a container's place on the network `name`, and brings it about.
    pub(crate) async fn attach(&self, container: &mut Container, name: &str) -> Result<()> {
        let Some(mut place) = container.endpoints.get(name).cloned() else { return Ok(()) };
        let network = self.network(&place.network_id).await?;
        if network.config_only {
            return Err(Error::forbidden("cannot create endpoint on configuration-only network"));
        }
        if network.driver == "null" || network.driver == "host" {
            place.id = new_id();
            container.endpoints.insert(name.to_owned(), place);
            return Ok(());
        }
        if place.id.is_empty() {
            place.id = new_id();
            if network.driver == "pileus" {
                self.take_port(&network, container, &mut place).await?;
            } else {
                let asked = [
                    wanted::address(&place.config, "IPv4Address")?,
                    wanted::address(&place.config, "IPv6Address")?,
                ];
                let (id, endpoint) = (network.id.clone(), place.id.clone());
                let addresses = self.store.write(move |tx| take(tx, &id, &endpoint, asked)).await?;
                place.ipv4 = addresses.iter().find(|a| a.addr().is_ipv4()).copied();
                place.ipv6 = addresses.iter().find(|a| a.addr().is_ipv6()).copied();
                let asked = place.config["MacAddress"].as_str().filter(|m| !m.is_empty());
                let asked = asked.or(container.config["MacAddress"].as_str().filter(|m| !m.is_empty()));
                let ip = place.ipv4.or(place.ipv6).map(|a| a.addr());
                place.mac = match (asked, ip) {
                    (Some(mac), _) => mac.to_lowercase(),
                    (None, Some(ip)) => pools::mac(ip),
                    (None, None) => return Err(Error::internal("a network without a range")),
                };
            }
            let free = |n: &usize| !container.endpoints.values().any(|e| e.interface == format!("eth{n}"));
            let asked = place.config["DriverOpts"]["com.docker.network.endpoint.ifname"].as_str();
            place.interface = match asked.filter(|n| !n.is_empty()) {
                Some(name) => name.to_owned(),
                None => format!("eth{}", (0..).find(free).unwrap_or_default()),
            };
        } else if let Some(port) = place.port {
            self.neutron.ensure_port(port).await?;
        }
        // From here on the container's document holds it, and an undoing finds it.
        container.endpoints.insert(name.to_owned(), place.clone());
        let leads = self.leads_out(container).await?.is_none_or(|n| n == name);
        let spec = self.endpoint_spec(&container.id, &network, &place, leads).await?;
        self.host.ensure_endpoint(&spec).await?;
        self.port_up(&place).await?;
        self.events.emit("network", "connect", &network.id, told(name, &network.driver, Some(&container.id)));
        Ok(())
    }

    /// The network that leads out of a container: one that isn't internal, by `GwPriority`, then by name.
    pub(crate) async fn leads_out(&self, container: &Container) -> Result<Option<String>> {
        let mut places: Vec<_> =
            container.endpoints.iter().filter(|(_, e)| !e.interface.is_empty()).collect();
        // The highest priority, then the first by name, as the reference has it.
        places.sort_by_key(|(name, e)| (-e.config["GwPriority"].as_i64().unwrap_or(0), (*name).clone()));
        for (name, place) in places {
            if !parent::closed(&*self.network(&place.network_id).await?) {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }

    /// What the host is asked for.
    pub(crate) async fn endpoint_spec(
        &self,
        container: &str,
        network: &Network,
        place: &Endpoint,
        leads: bool,
    ) -> Result<EndpointSpec> {
        let plug = match (&*network.driver, place.port, network.tenant) {
            ("pileus", Some(port), Some(tenant)) => Plug::Port(tenant, port),
            ("macvlan" | "ipvlan", ..) => modes::plug(network)?,
            ("bridge", ..) => Plug::Bridge(network.id.clone()),
            (driver, ..) => {
                return Err(Error::not_implemented(format!("driver {driver} can't be plugged in")));
            }
        };
        let addresses: Vec<IpNet> = place.ipv4.into_iter().chain(place.ipv6).collect();
        let gateways = network
            .subnets
            .iter()
            .filter(|s| {
                leads && !parent::closed(network) && addresses.iter().any(|a| s.subnet.contains(&a.addr()))
            })
            .filter(|s| !s.gateway.is_unspecified() && network.driver != "null")
            .map(|s| s.gateway)
            .collect();
        Ok(EndpointSpec {
            id: place.id.clone(),
            container: container.to_owned(),
            plug,
            name: place.interface.clone(),
            mac: place.mac.clone(),
            addresses,
            gateways,
            mtu: bridge::mtu(network),
        })
    }

    /// All places of a container that runs, brought about again.
    pub(crate) async fn ensure_places(&self, container: &Container) -> Result<()> {
        let leads = self.leads_out(container).await?;
        for (name, place) in container.endpoints.iter().filter(|(_, e)| !e.interface.is_empty()) {
            let network = self.network(&place.network_id).await?;
            if let Some(port) = place.port {
                self.neutron.ensure_port(port).await?;
            }
            let leads = leads.as_deref() == Some(name);
            let spec = self.endpoint_spec(&container.id, &network, place, leads).await?;
            self.host.ensure_endpoint(&spec).await?;
        }
        Ok(())
    }

    /// Gives a place back; what was asked for stays.
    pub(crate) async fn leave(&self, container: &str, name: &str, place: &mut Endpoint) -> Result<()> {
        if place.id.is_empty() {
            return Ok(());
        }
        self.give_port(place).await?;
        let (network, endpoint) = (place.network_id.clone(), place.id.clone());
        let driver = match self.network(&network).await {
            Ok(network) => network.driver.clone(),
            Err(e) if e.is_not_found() => String::new(),
            Err(e) => return Err(e),
        };
        self.events.emit("network", "disconnect", &network, told(name, &driver, Some(container)));
        self.store.write(move |tx| release(tx, &network, &endpoint)).await?;
        *place = Endpoint {
            network_id: std::mem::take(&mut place.network_id),
            config: std::mem::take(&mut place.config),
            ..Endpoint::default()
        };
        Ok(())
    }
}
