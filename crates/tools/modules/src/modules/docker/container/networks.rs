//! The networks of a container: those a task names, what differs, connecting and disconnecting.

use serde_json::{Value, json};

use super::Work;
use super::compare::How;
use super::simple::Kind;
use crate::cx::Cx;
use crate::modules::docker::client::{Docker, encode};
use crate::result::{Fail, Map};

/// The networks of a task, with their ids.
///
/// # Errors
/// Where one does not exist.
pub fn wanted(cx: &Cx<'_>, docker: &Docker) -> Result<Option<Vec<Value>>, Fail> {
    let Some(networks) = cx.raw("networks").as_array() else { return Ok(None) };
    let mut out = Vec::new();
    for network in networks {
        let mut network = network.clone();
        let name = network["name"].as_str().unwrap_or_default().to_string();
        let Some(found) = docker.find(&format!("/networks/{}", encode(&name)), &[])? else {
            return Err(Fail::msg(format!(
                "Parameter error: network named {name} could not be found. Does it exist?"
            )));
        };
        network["id"] = found["Id"].clone();
        out.push(network);
    }
    Ok(Some(out))
}

/// A network's settings without its names, as the actions show them.
pub fn settings(network: &Value) -> Value {
    let mut out = network.as_object().cloned().unwrap_or_default();
    out.remove("name");
    out.remove("id");
    Value::Object(out)
}

/// `EndpointSettings` of the API.
pub fn endpoint(network: &Value) -> Value {
    let mut out = Map::new();
    let mut ipam = Map::new();
    for (name, field) in [("ipv4_address", "IPv4Address"), ("ipv6_address", "IPv6Address")] {
        if let Some(address) = network[name].as_str() {
            ipam.insert(field.into(), address.into());
        }
    }
    if !ipam.is_empty() {
        out.insert("IPAMConfig".into(), Value::Object(ipam));
    }
    for (name, field) in [("aliases", "Aliases"), ("links", "Links"), ("mac_address", "MacAddress")] {
        if !network[name].is_null() {
            out.insert(field.into(), network[name].clone());
        }
    }
    Value::Object(out)
}

/// What a container has of a network, in the words of the parameters.
fn present(name: &str, has: &Value) -> Value {
    json!({
        "name": name, "aliases": has["Aliases"], "links": has["Links"],
        "ipv4_address": has["IPAMConfig"]["IPv4Address"], "ipv6_address": has["IPAMConfig"]["IPv6Address"],
        "mac_address": if has["MacAddress"] == "" { Value::Null } else { has["MacAddress"].clone() },
    })
}

/// Whether a container's part in a network is what the task wants: nothing is asked of what the task leaves out.
fn fits(wanted: &Value, present: &Value) -> bool {
    let all_in = |name: &str| {
        let has = present[name].as_array().map_or(&[][..], Vec::as_slice);
        wanted[name].as_array().into_iter().flatten().all(|w| has.contains(w))
    };
    let equal = |name: &str| {
        wanted[name]
            .as_str()
            .is_none_or(|w| present[name].as_str().is_some_and(|p| p.eq_ignore_ascii_case(w)))
    };
    all_in("aliases")
        && all_in("links")
        && equal("ipv4_address")
        && equal("ipv6_address")
        && equal("mac_address")
}

impl Work<'_, '_> {
    /// Connects and disconnects what differs. True where something did.
    pub fn networks(&mut self, container: &Value) -> Result<bool, Fail> {
        let Some(wanted) = self.networks.clone() else { return Ok(false) };
        let id = container["Id"].as_str().unwrap_or_default().to_string();
        let mut changed = false;
        for network in &wanted {
            let name = network["name"].as_str().unwrap_or_default().to_string();
            let has = connected(container, network);
            let before = match has {
                Some((_, has)) => {
                    let before = present(&name, has);
                    if fits(network, &before) {
                        continue;
                    }
                    before
                }
                None => Value::Null,
            };
            let left = !before.is_null();
            self.diff.add(&format!("network.{name}"), network.clone(), before);
            changed = true;
            if left {
                self.disconnect(&name, &network["id"], &id)?;
            }
            self.actions.push(json!({"added_to_network": name, "network_parameters": network}));
            if !self.cx.check {
                let body = json!({"Container": id, "EndpointConfig": endpoint(network)});
                let path = format!("/networks/{}/connect", network["id"].as_str().unwrap_or_default());
                self.docker
                    .post(&path, &[], Some(&body))
                    .map_err(|e| Fail::msg(format!("Error connecting container to network {name} - {e}")))?;
            }
        }
        if self.comparisons.of("networks", Kind::Set) != How::Strict {
            return Ok(changed);
        }
        let has = container["NetworkSettings"]["Networks"].as_object();
        for (name, extra) in has.into_iter().flatten() {
            if wanted.iter().any(|w| connected(container, w).is_some_and(|(n, _)| n == name)) {
                continue;
            }
            let network = json!({"name": name, "id": extra["NetworkID"]});
            self.diff.add(&format!("network.{name}"), Value::Null, network);
            self.disconnect(name, &extra["NetworkID"], &id)?;
            changed = true;
        }
        Ok(changed)
    }

    fn disconnect(&mut self, name: &str, network: &Value, id: &str) -> Result<(), Fail> {
        self.actions.push(json!({"removed_from_network": name}));
        if self.cx.check {
            return Ok(());
        }
        let network = network.as_str().filter(|id| !id.is_empty()).unwrap_or(name);
        let path = format!("/networks/{}/disconnect", encode(network));
        self.docker
            .post(&path, &[], Some(&json!({"Container": id})))
            .map_err(|e| Fail::msg(format!("Error disconnecting container from network {name} - {e}")))?;
        Ok(())
    }
}

/// The container's part in a wanted network, found by name or id.
fn connected<'a>(container: &'a Value, network: &Value) -> Option<(&'a String, &'a Value)> {
    let all = container["NetworkSettings"]["Networks"].as_object()?;
    let name = network["name"].as_str().unwrap_or_default();
    all.iter().find(|(n, has)| *n == name || (has["NetworkID"] == network["id"] && !network["id"].is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_fits() {
        let has = json!({"Aliases": ["web", "x"], "IPAMConfig": {"IPv4Address": "10.0.0.2"}, "MacAddress": "02:AA"});
        let has = present("n", &has);
        assert!(fits(&json!({"aliases": ["web"], "ipv4_address": null}), &has));
        assert!(fits(&json!({"ipv4_address": "10.0.0.2", "mac_address": "02:aa"}), &has));
        assert!(
            !fits(&json!({"aliases": ["api"]}), &has) && !fits(&json!({"ipv4_address": "10.0.0.3"}), &has)
        );
        assert_eq!(
            endpoint(&json!({"name": "n", "ipv4_address": "1.2.3.4"})),
            json!({"IPAMConfig": {"IPv4Address": "1.2.3.4"}})
        );
    }
}
