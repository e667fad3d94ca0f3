//! The path of a packet to a published port: what `pileus docker explain` tells.

use pileus_base::{Error, Result};
use pileus_host::{Gateway, PublishedPort};
use serde_json::{Value, json};

use super::modes;
use crate::{Container, Docker, Network};

/// How a packet gets from the host's port to the container's.
fn way(port: &PublishedPort, network: &Network) -> (&'static str, Option<String>) {
    let v4 = port.to.is_ipv4();
    let routed = modes::gateway(&network.options, if v4 { 4 } else { 6 });
    if routed.is_ok_and(|m| m == Gateway::Routed) {
        return ("routed", None);
    }
    if port.host_ip.is_ipv4() != v4 {
        return ("carried", None);
    }
    let family = if v4 { 4 } else { 6 };
    let key = match port.host_ip.is_unspecified() {
        true => format!("any{family} {{ {} . {}", port.protocol, port.host_port),
        false => format!("at{family} {{ {} . {} . {}", port.host_ip, port.protocol, port.host_port),
    };
    ("translated", Some(format!("map {key} : {} . {} }}", port.to, port.port)))
}

impl Docker {
    /// What becomes of packets to a port of the host: each container that has it, and other programs' rules
    /// that would drop them on their way.
    ///
    /// # Errors
    /// 404 where no container has the port.
    pub async fn explain(&self, port: &str) -> Result<Value> {
        let (number, protocol) = port.split_once('/').map_or((port, None), |(n, p)| (n, Some(p)));
        let bad = || Error::bad_request(format!("'{port}' is not a port: 8080, or 53/udp"));
        let number: u16 = number.parse().map_err(|_| bad())?;
        let mut paths = Vec::new();
        for c in self.containers().await? {
            let of = c.published.iter().filter(|p| c.runs() && p.host_port == number);
            for p in of.filter(|p| protocol.is_none_or(|asked| asked == p.protocol)) {
                paths.extend(self.path(&c, p).await?);
            }
        }
        if paths.is_empty() {
            return Err(Error::not_found(format!("no running container publishes the port {port}")));
        }
        Ok(json!({"port": port, "paths": paths, "drops": self.host.forward_drops().await?}))
    }

    async fn path(&self, c: &Container, p: &PublishedPort) -> Result<Option<Value>> {
        let has = |e: &&crate::store::Endpoint| {
            e.ipv4.is_some_and(|ip| ip.addr() == p.to) || e.ipv6.is_some_and(|ip| ip.addr() == p.to)
        };
        let Some(place) = c.endpoints.values().find(has) else { return Ok(None) };
        let network = self.network(&place.network_id).await?;
        let (way, rule) = way(p, &network);
        Ok(Some(json!({
            "protocol": p.protocol, "host_ip": p.host_ip, "host_port": p.host_port, "way": way, "rule": rule,
            "network": network.name, "bridge": network.link, "internal": network.internal,
            "container": c.name, "interface": place.interface, "to": p.to, "to_port": p.port,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn across_families_the_daemon_carries() {
        let network = Network {
            id: "n".into(),
            name: "app".into(),
            project: pileus_base::ids::ProjectId::from("demo".to_owned()),
            created_ns: 0,
            driver: "bridge".into(),
            ipv4: true,
            ipv6: false,
            internal: false,
            attachable: false,
            subnets: vec![],
            subnets_asked: false,
            options: Default::default(),
            ipam_options: None,
            labels: Default::default(),
            config_only: false,
            config_from: String::new(),
            link: "br".into(),
            tenant: None,
            addresses: Default::default(),
        };
        let port = |host: &str| PublishedPort {
            protocol: "tcp".into(),
            host_ip: host.parse().unwrap(),
            host_port: 80,
            to: [10, 0, 0, 2].into(),
            port: 8080,
        };
        assert_eq!(way(&port("::"), &network), ("carried", None));
        let (how, rule) = way(&port("127.0.0.1"), &network);
        assert_eq!(how, "translated");
        assert_eq!(rule.unwrap(), "map at4 { 127.0.0.1 . tcp . 80 : 10.0.0.2 . 8080 }");
    }
}
