//! Links of the default network (`--link`): variables of the environment, names in the list, taken away again.
//! Networks of users have names of their own and need none.
//!
//! Source: Docker's documentation, "Legacy container links".

use pileus_base::{Error, Result, Scope};
use serde_json::{Value, json};

use super::{mode, wanted::texts};
use crate::{Container, Docker};

/// A link: whose, and by what name.
pub(super) struct Link {
    /// The name or id of the other container.
    pub to: String,
    /// What it is called by.
    pub alias: String,
}

/// `name:alias`, `name`, `/name:/own/alias`.
pub(super) fn parse(text: &str) -> Link {
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    Link {
        to: name.trim_start_matches('/').to_owned(),
        alias: alias.rsplit('/').next().unwrap_or(alias).to_owned(),
    }
}

/// The links of a container, where it has such.
pub(super) fn links(host_config: &Value) -> Vec<Link> {
    match mode(host_config) {
        "bridge" => texts(&host_config["Links"]).iter().map(|l| parse(l)).collect(),
        _ => Vec::new(),
    }
}

/// As `inspect` shows them: `/other:/own/alias`.
pub(crate) fn shown(c: &Container) -> Value {
    match c.host_config["Links"].as_array() {
        Some(all) if !all.is_empty() && mode(&c.host_config) == "bridge" => {
            let all = links(&c.host_config);
            json!(all.iter().map(|l| format!("/{}:/{}/{}", l.to, c.name, l.alias)).collect::<Vec<_>>())
        }
        _ => c.host_config["Links"].clone(),
    }
}

/// Names that a container has by the links of `all`: `/web/db`.
pub(crate) fn names<'a>(c: &Container, all: impl Iterator<Item = &'a Container>) -> Vec<String> {
    let linked = |other: &Container| -> Vec<String> {
        let to = links(&other.host_config).into_iter().filter(|l| l.to == c.name || c.id.starts_with(&l.to));
        to.map(|l| format!("/{}/{}", other.name, l.alias)).collect()
    };
    all.flat_map(linked).collect()
}

/// The variables that tell of a container by a link.
fn variables(owner: &str, alias: &str, other: &Container) -> Vec<String> {
    let prefix = alias.to_uppercase().replace('-', "_");
    let mut out = Vec::new();
    let ip = other.endpoints.get("bridge").and_then(|e| e.ipv4).map(|ip| ip.addr());
    let ports = other.config["ExposedPorts"].as_object().into_iter().flatten();
    let mut ports: Vec<(u16, &str)> = ports
        .filter_map(|(text, _)| {
            let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            Some((port.parse().ok()?, protocol))
        })
        .collect();
    // TCP first, then by number.
    ports.sort_by_key(|(port, protocol)| (*protocol != "tcp", *port));
    if let Some(ip) = ip {
        if let Some((port, protocol)) = ports.first() {
            out.push(format!("{prefix}_PORT={protocol}://{ip}:{port}"));
        }
        for (port, protocol) in &ports {
            let name = format!("{prefix}_PORT_{port}_{}", protocol.to_uppercase());
            out.push(format!("{name}={protocol}://{ip}:{port}"));
            out.push(format!("{name}_ADDR={ip}"));
            out.push(format!("{name}_PORT={port}"));
            out.push(format!("{name}_PROTO={protocol}"));
        }
    }
    out.push(format!("{prefix}_NAME=/{owner}/{alias}"));
    for variable in texts(&other.config["Env"]) {
        match variable.split_once('=') {
            None | Some(("HOME" | "PATH", _)) => {}
            Some((name, value)) => out.push(format!("{prefix}_ENV_{name}={value}")),
        }
    }
    out
}

impl Docker {
    /// The variables of a container's links, before its own.
    pub(crate) async fn linked_env(&self, c: &Container) -> Vec<String> {
        let links = links(&c.host_config);
        if links.is_empty() {
            return Vec::new();
        }
        let live = self.live.lock().await;
        let mut out = Vec::new();
        for link in links {
            let other = live.values().find(|o| o.name == link.to || o.id.starts_with(&link.to));
            out.extend(other.map(|o| variables(&c.name, &link.alias, o)).unwrap_or_default());
        }
        out
    }

    /// Whether a new container's links lead to containers of the default network.
    ///
    /// # Errors
    /// 400 in the reference's words.
    pub(super) async fn check_links(&self, host_config: &Value) -> Result<()> {
        for link in links(host_config) {
            let other = self.container(&link.to).await.map_err(|e| {
                let why = e.message().to_owned();
                Error::bad_request(format!("could not get container for {}: {why}", link.to)).caused_by(e)
            })?;
            if mode(&other.host_config) != "bridge" {
                return Err(Error::bad_request(format!(
                    "Cannot link to /{}, as it does not belong to the default network",
                    other.name
                )));
            }
        }
        Ok(())
    }

    /// Takes a link away: of the container `owner`, by its alias.
    ///
    /// # Errors
    /// 404 where there is none.
    pub(crate) async fn unlink(&self, owner: &str, alias: &str) -> Result<()> {
        let container = self.container(owner).await?.value;
        let has = |l: &String| parse(l).alias == alias;
        let all = texts(&container.host_config["Links"]);
        if mode(&container.host_config) != "bridge" || !all.iter().any(has) {
            return Err(Error::not_found(format!("Cannot get child link name /{owner}/{alias}: not found")));
        }
        let left: Vec<String> = all.into_iter().filter(|l| !has(l)).collect();
        let id = container.id.clone();
        let write = self.store.write(move |tx| {
            tx.update::<Container>(&Scope::All, &id, |c| {
                c.host_config["Links"] = if left.is_empty() { Value::Null } else { json!(left) };
                Ok(())
            })
        });
        let changed = write.await?.value;
        if changed.runs() { self.write_files(&changed).await } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_in_both_forms() {
        for text in ["db:store", "/db:/web/store"] {
            let link = parse(text);
            assert_eq!((link.to.as_str(), link.alias.as_str()), ("db", "store"));
        }
        assert_eq!(parse("db").alias, "db");
    }

    #[test]
    fn only_the_default_network_has_links() {
        assert_eq!(links(&json!({"NetworkMode": "app", "Links": ["a:b"]})).len(), 0);
        assert_eq!(links(&json!({"NetworkMode": "default", "Links": ["a:b"]})).len(), 1);
    }
}
