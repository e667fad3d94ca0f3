//! `hosts`, `hostname` and `resolv.conf` of a container.

use std::{fmt::Write as _, net::IpAddr, path::PathBuf};

use pileus_base::{Error, Result};

use super::{links, mode, names::served, wanted::texts};
use crate::{Container, Docker, engine::open};

/// The line of a link.
fn linked(ip: IpAddr, alias: &str, target: &Container) -> String {
    let short: String = target.id.chars().take(12).collect();
    format!("{ip}\t{alias} {short} {}\n", target.name)
}

/// A file `hosts` with a link's line as it is now; what else is in it stays.
fn relinked(hosts: &str, ip: IpAddr, alias: &str, target: &Container) -> String {
    let new = linked(ip, alias, target);
    let names = new.split_once('\t').map_or("", |(_, names)| names);
    let is_it = |line: &&str| line.split_once('\t').is_some_and(|(_, n)| n.trim_end() == names.trim_end());
    if !hosts.split_inclusive('\n').any(|l| is_it(&l)) {
        return format!("{hosts}{new}");
    }
    hosts.split_inclusive('\n').map(|l| if is_it(&l) { new.as_str() } else { l }).collect()
}

const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

impl Docker {
    /// Where a container's own files are.
    pub(crate) fn container_dir(&self, id: &str) -> PathBuf {
        self.options.state_dir.join("containers").join(id)
    }

    /// Writes them, in place: the container has them mounted.
    pub(crate) async fn write_files(&self, container: &Container) -> Result<()> {
        let dir = self.container_dir(&container.id);
        let doing = |e| Error::wrap(format!("failed to write {}", dir.display()), e);
        tokio::fs::create_dir_all(&dir).await.map_err(doing)?;
        let host = container.config["Hostname"].as_str().filter(|h| !h.is_empty());
        let host = match host {
            Some(host) => host.to_owned(),
            None if mode(&container.host_config) == "host" => self.host.facts().await?.hostname,
            None => container.id.chars().take(12).collect(),
        };
        let full = match container.config["Domainname"].as_str() {
            Some(domain) if !domain.is_empty() => format!("{host}.{domain}"),
            _ => host.clone(),
        };
        let hosts = self.hosts(container, &host, &full).await?;
        open::write(&dir.join("hosts"), hosts).await.map_err(doing)?;
        open::write(&dir.join("hostname"), format!("{full}\n")).await.map_err(doing)?;
        open::write(&dir.join("resolv.conf"), self.resolv_conf(container)).await.map_err(doing)
    }

    /// Those of the container whose namespace is shared.
    pub(crate) async fn copy_files(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.container_dir(from), self.container_dir(to));
        let doing = |e| Error::wrap(format!("failed to write {}", to.display()), e);
        tokio::fs::create_dir_all(&to).await.map_err(doing)?;
        for name in ["hosts", "hostname", "resolv.conf"] {
            tokio::fs::copy(from.join(name), to.join(name)).await.map_err(doing)?;
        }
        Ok(())
    }

    /// Tells running containers that link to `target` its present address.
    pub(crate) async fn tell_linking(&self, target: &Container) {
        let Some(ip) = target.endpoints.get("bridge").and_then(|e| e.ipv4).map(|ip| ip.addr()) else {
            return;
        };
        let linking: Vec<(String, String)> = {
            let live = self.live.lock().await;
            let of = |c: &Container| {
                let all = links::links(&c.host_config).into_iter();
                let to = all.filter(|l| l.to == target.name || target.id.starts_with(&l.to));
                to.map(|l| (c.id.clone(), l.alias)).collect::<Vec<_>>()
            };
            live.values().filter(|c| c.id != target.id).flat_map(of).collect()
        };
        for (id, alias) in linking {
            let path = self.container_dir(&id).join("hosts");
            let told = async {
                let text = tokio::fs::read_to_string(&path).await?;
                open::write(&path, relinked(&text, ip, &alias, target)).await
            };
            if let Err(e) = told.await {
                tracing::warn!(container = %id, "failed to tell a link's new address: {e}");
            }
        }
    }

    async fn hosts(&self, container: &Container, host: &str, full: &str) -> Result<String> {
        let mut out = match mode(&container.host_config) {
            "host" => tokio::fs::read_to_string("/etc/hosts").await.unwrap_or_else(|_| HOSTS.to_owned()),
            _ => HOSTS.to_owned(),
        };
        for extra in texts(&container.host_config["ExtraHosts"]) {
            let Some((name, ip)) = extra.split_once([':', '=']) else {
                return Err(Error::bad_request(format!("bad format for add-host: \"{extra}\"")));
            };
            let ip = if ip == "host-gateway" {
                self.network("bridge")
                    .await?
                    .subnets
                    .first()
                    .map(|s| s.gateway.to_string())
                    .unwrap_or_default()
            } else {
                ip.trim_matches(['[', ']']).to_owned()
            };
            if ip.parse::<IpAddr>().is_err() {
                return Err(Error::bad_request(format!("invalid IP address in add-host: \"{ip}\"")));
            }
            let _ = writeln!(out, "{ip}\t{name}");
        }
        if mode(&container.host_config) == "bridge" {
            let live = self.live.lock().await;
            for link in links::links(&container.host_config) {
                let (name, alias) = (link.to.as_str(), link.alias.as_str());
                let other = live.values().find(|c| c.name == name || c.id.starts_with(name));
                let Some(ip) = other.and_then(|o| o.endpoints.get("bridge")?.ipv4.map(|n| (n.addr(), o)))
                else {
                    if container.runs() {
                        // It comes back with the other's start.
                        continue;
                    }
                    return Err(Error::conflict(format!(
                        "Cannot link to a non running container: /{name} AS /{}/{alias}",
                        container.name
                    )));
                };
                out += &linked(ip.0, alias, ip.1);
            }
        }
        let names = if host == full { host.to_owned() } else { format!("{full} {host}") };
        let mut places: Vec<_> = container.endpoints.values().filter(|e| !e.interface.is_empty()).collect();
        places.sort_by_key(|e| e.interface.clone());
        for ip in places.iter().flat_map(|e| e.ipv4.iter().chain(&e.ipv6)) {
            let _ = writeln!(out, "{}\t{names}", ip.addr());
        }
        Ok(out)
    }

    fn resolv_conf(&self, container: &Container) -> String {
        let own = |name: &str| texts(&container.host_config[name]);
        let (servers, search) = self.host.host_resolvers();
        let mut options = own("DnsOptions");
        let named = served(container);
        let mut servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        if !own("Dns").is_empty() {
            servers = own("Dns");
        }
        if named {
            servers = vec!["127.0.0.11".into()];
            if !options.iter().any(|o| o.starts_with("ndots:")) {
                options.push("ndots:0".into());
            }
        }
        let search = if own("DnsSearch").is_empty() { search } else { own("DnsSearch") };
        let search: Vec<String> = search.into_iter().filter(|s| s != ".").collect();
        let mut out: String = servers.iter().map(|s| format!("nameserver {s}\n")).collect();
        if !search.is_empty() {
            let _ = writeln!(out, "search {}", search.join(" "));
        }
        if !options.is_empty() {
            let _ = writeln!(out, "options {}", options.join(" "));
        }
        out
    }
}
