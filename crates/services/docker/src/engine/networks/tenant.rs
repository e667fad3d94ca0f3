//! Places on a tenant's network: a port of Neutron's, made for the container and gone with it.

use std::net::IpAddr;

use ipnet::IpNet;
use pileus_base::{Ctx, Error, Result, Scope};
use pileus_network::{networks, ports};
use pileus_store::Query;
use serde_json::Value;

use super::wanted;
use crate::{Container, Docker, Network, store::Endpoint, store::Subnet};

impl Docker {
    /// The tenant's network that a new network of the driver `pileus` stands for.
    ///
    /// # Errors
    /// 400 without the option `network`; 404 for one that isn't there.
    pub(crate) async fn stand_for(&self, network: &mut Network) -> Result<()> {
        let missing = || Error::bad_request("driver pileus needs the option network=<name or id>");
        let name = network.options.get("network").cloned().ok_or_else(missing)?;
        let project = self.options.project.clone();
        let read = self.store.read(move |rd| {
            let found = networks::find(rd, &Ctx::internal(), &name)?;
            if found.project_id != project && !found.shared {
                return Err(Error::not_found(format!("Network {name} could not be found.")));
            }
            let subnets = found.subnets(rd)?;
            Ok((found.id, found.mtu, subnets))
        });
        let (id, mtu, subnets) = read.await?;
        network.tenant = Some(id);
        network.options.insert("com.docker.network.driver.mtu".into(), mtu.to_string());
        network.subnets = subnets
            .iter()
            .map(|s| Subnet {
                subnet: s.cidr,
                ip_range: None,
                gateway: s.gateway_ip.unwrap_or_else(|| match s.cidr {
                    IpNet::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                    IpNet::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
                }),
                auxiliary: std::collections::BTreeMap::new(),
            })
            .collect();
        Ok(())
    }

    /// Makes a port for a container and brings it about.
    pub(super) async fn take_port(
        &self,
        network: &Network,
        container: &Container,
        place: &mut Endpoint,
    ) -> Result<()> {
        let tenant = network.tenant.ok_or_else(|| Error::internal("a network that stands for none"))?;
        let mut fixed_ips = Vec::new();
        for name in ["IPv4Address", "IPv6Address"] {
            let ip = wanted::address(&place.config, name)?;
            fixed_ips.extend(ip.map(|ip| ports::FixedIpRequest { subnet_id: None, ip: Some(ip) }));
        }
        let host = self.host.facts().await?.hostname;
        let asked = ports::PortCreate {
            network_id: tenant,
            name: container.name.clone(),
            mac: place.config["MacAddress"].as_str().filter(|m| !m.is_empty()).map(str::to_owned),
            fixed_ips,
            device_id: container.id.clone(),
            device_owner: "docker:container".into(),
            host: Some(host),
            dns_name: dns_name(container),
            project_id: Some(self.options.project.clone()),
            ..ports::PortCreate::default()
        };
        let port = self.store.write(move |tx| ports::create(tx, &Ctx::internal(), asked.clone())).await?;
        place.port = Some(port.id);
        place.mac.clone_from(&port.mac);
        for fixed in &port.fixed_ips {
            let length = network.subnets.iter().find(|s| s.subnet.contains(&fixed.ip));
            let length = length.map_or(if fixed.ip.is_ipv4() { 32 } else { 128 }, |s| s.subnet.prefix_len());
            let address = IpNet::new(fixed.ip, length).ok();
            if fixed.ip.is_ipv4() {
                place.ipv4 = place.ipv4.or(address);
            } else {
                place.ipv6 = place.ipv6.or(address);
            }
        }
        self.neutron.ensure_port(port.id).await
    }

    /// Notes that a port carries traffic.
    pub(super) async fn port_up(&self, place: &Endpoint) -> Result<()> {
        let Some(id) = place.port else { return Ok(()) };
        self.store.write(move |tx| ports::set_status(tx, id, true)).await
    }

    /// Where a tenant's network answers for its names.
    pub(super) async fn name_server(&self, network: &Network) -> Result<Vec<IpAddr>> {
        let Some(tenant) = network.tenant else { return Ok(Vec::new()) };
        let read = self.store.read(move |rd| {
            let query = Query::by("network_id", tenant).eq("device_owner", "network:dhcp");
            ports::visible(rd, &Ctx::internal(), &query)
        });
        let served = read.await?;
        let mut all: Vec<IpAddr> = served.iter().flat_map(|p| p.fixed_ips.iter().map(|f| f.ip)).collect();
        all.sort_by_key(IpAddr::is_ipv6);
        Ok(all)
    }

    /// Removes the port of a place.
    pub(super) async fn give_port(&self, place: &Endpoint) -> Result<()> {
        let Some(id) = place.port else { return Ok(()) };
        let read = self.store.read(move |rd| match ports::get(rd, &Scope::All, id) {
            Ok(port) => Ok(Some(port.network_id)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        });
        let Some(network) = read.await? else { return Ok(()) };
        self.neutron.remove_port(network, id).await?;
        let write = self.store.write(move |tx| {
            ports::unbind(tx, id)?;
            ports::delete(tx, &Ctx::internal(), id)
        });
        write.await
    }
}

/// The name that servers of the network know a container by: the host name asked for, or else its own, as far
/// as it can be a name in the DNS.
fn dns_name(container: &Container) -> Option<String> {
    let host = container.config["Hostname"].as_str().unwrap_or("");
    let own = host.is_empty() || container.id.starts_with(host);
    let name = if own { container.name.replace(['_', '.'], "-") } else { host.to_owned() };
    let name = name.trim_matches('-').to_ascii_lowercase();
    (!name.is_empty() && name.len() < 64).then_some(name)
}

/// Nothing but an object with texts is an option map.
pub(crate) fn options(value: &Value) -> std::collections::BTreeMap<String, String> {
    let all = value.as_object().into_iter().flatten();
    all.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}
