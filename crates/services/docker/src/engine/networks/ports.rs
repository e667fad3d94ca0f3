//! Ports published: of `HostConfig.PortBindings`, and of all that are exposed where asked.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use pileus_base::{Error, Kind, Result};
use pileus_host::PublishedPort;
use serde_json::Value;

use super::modes;
use crate::{Container, Docker};

/// A port to publish, at one of a range of the host's.
struct Asked {
    port: PublishedPort,
    last: u16,
}

/// `80/tcp`, or `80`.
fn read(text: &str) -> Result<(u16, String)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let bad = || Error::bad_request(format!("invalid port specification: \"{text}\""));
    match (port.parse(), protocol) {
        (Ok(port), "tcp" | "udp" | "sctp") => Ok((port, protocol.to_owned())),
        _ => Err(bad()),
    }
}

/// `8000` or `8000-8010`; 0 for any.
fn range(text: &str) -> Result<(u16, u16)> {
    if text.is_empty() {
        return Ok((0, 0));
    }
    let bad = || Error::bad_request(format!("invalid port specification: \"{text}\""));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
    if first > last { Err(bad()) } else { Ok((first, last)) }
}

/// The ports a container asks for. One without an address is published at each of `default`.
fn asked(container: &Container, default: &[IpAddr], to: &[IpAddr]) -> Result<Vec<Asked>> {
    let mut out = Vec::new();
    let bindings = &container.host_config["PortBindings"];
    let one = |text: &str, ip: &str, host: &str| -> Result<Vec<Asked>> {
        let (port, protocol) = read(text)?;
        let (first, last) = range(host)?;
        let at = match ip {
            "" => default.to_vec(),
            ip => vec![ip.parse().map_err(|_| Error::bad_request(format!("invalid IP address: {ip}")))?],
        };
        let one = |host_ip: IpAddr| {
            let to = to.iter().find(|t| t.is_ipv4() == host_ip.is_ipv4()).or(to.first())?;
            let protocol = protocol.clone();
            Some(Asked { port: PublishedPort { protocol, host_ip, host_port: first, to: *to, port }, last })
        };
        Ok(at.into_iter().filter_map(one).collect())
    };
    for (text, hosts) in bindings.as_object().into_iter().flatten() {
        let hosts = hosts.as_array().map_or(&[][..], Vec::as_slice);
        if hosts.is_empty() {
            out.extend(one(text, "", "")?);
        }
        for h in hosts {
            out.extend(one(text, h["HostIp"].as_str().unwrap_or(""), h["HostPort"].as_str().unwrap_or(""))?);
        }
    }
    if container.host_config["PublishAllPorts"] == Value::Bool(true) {
        for text in container.config["ExposedPorts"].as_object().into_iter().flatten().map(|(k, _)| k) {
            if bindings[text].as_array().is_none_or(Vec::is_empty) && bindings.get(text).is_none() {
                out.extend(one(text, "", "")?);
            }
        }
    }
    Ok(out)
}

/// The ports, ranges settled with the `shift`th choice; none twice.
fn settle(asked: &[Asked], shift: u16) -> Vec<PublishedPort> {
    let mut used = BTreeSet::new();
    asked
        .iter()
        .map(|a| {
            let mut port = a.port.clone();
            if a.last > port.host_port {
                let from = port.host_port.saturating_add(shift).min(a.last);
                let key = |p: u16| (p, port.protocol.clone(), port.host_ip);
                port.host_port = (from..=a.last).find(|p| !used.contains(&key(*p))).unwrap_or(a.last);
            }
            used.insert((port.host_port, port.protocol.clone(), port.host_ip));
            port
        })
        .collect()
}

/// A failure in the reference's words: it names the endpoint.
fn failed(name: &str, endpoint: &str, e: Error) -> Error {
    let what = "driver failed programming external connectivity on endpoint";
    // With its causes: beside the words they'd be said twice.
    match e.chain().strip_prefix(&format!("{what}: ")) {
        Some(why) => Error::internal(format!("{what} {name} ({endpoint}): {why}")),
        None => e,
    }
}

impl Docker {
    /// Publishes a container's ports.
    pub(crate) async fn publish(&self, container: &mut Container) -> Result<()> {
        let mut to: Vec<IpAddr> = Vec::new();
        let leads = self.leads_out(container).await?;
        let (mut default, mut endpoint) = (self.options.publish_ip, String::new());
        if let Some(place) = leads.and_then(|name| container.endpoints.get(&name)) {
            to.extend(place.ipv4.iter().chain(&place.ipv6).map(ipnet::IpNet::addr));
            let network = self.network(&place.network_id).await?;
            let own = network.options.get(modes::HOST_BINDING).filter(|_| !super::predefined(&network.name));
            default = own.and_then(|ip| ip.parse().ok()).unwrap_or(default);
            endpoint.clone_from(&place.id);
        }
        let mut defaults = vec![default];
        if default == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && Path::new("/proc/net/if_inet6").exists() {
            defaults.push(Ipv6Addr::UNSPECIFIED.into());
        }
        let asked = asked(container, &defaults, &to)?;
        let choices = asked.iter().map(|a| a.last.saturating_sub(a.port.host_port)).max().unwrap_or(0);
        let mut shift = 0;
        container.published = loop {
            match self.host.publish(&container.id, &settle(&asked, shift)).await {
                Err(e) if e.kind() == Kind::Conflict && shift < choices => shift += 1,
                Ok(held) => break held,
                Err(e) => return Err(failed(&container.name, &endpoint, e)),
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_endpoint_and_says_its_reason_once() {
        let inner = Error::wrap(
            "driver failed programming external connectivity on endpoint: no room",
            std::io::Error::other("full"),
        );
        let words = failed("web", "e1", inner).chain();
        let before = "driver failed programming external connectivity on endpoint web (e1)";
        assert_eq!(words, format!("{before}: no room: full"));
        assert_eq!(failed("web", "e1", Error::internal("else")).chain(), "else");
    }

    #[test]
    fn ranges_give_each_its_own() {
        assert_eq!(range("8000-8010").unwrap(), (8000, 8010));
        assert!(range("9-8").is_err());
        assert_eq!(read("53/udp").unwrap(), (53, "udp".into()));
        let of = |port| Asked {
            port: PublishedPort {
                protocol: "tcp".into(),
                host_ip: [127, 0, 0, 1].into(),
                host_port: 8000,
                to: [10, 0, 0, 2].into(),
                port,
            },
            last: 8002,
        };
        let ports: Vec<u16> = settle(&[of(1), of(2)], 0).iter().map(|p| p.host_port).collect();
        assert_eq!(ports, [8000, 8001]);
    }
}
