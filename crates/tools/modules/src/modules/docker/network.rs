//! `community.docker.docker_network`: a network with its driver, addresses and labels, and the containers on it.

use serde_json::{Value, json};

use super::client::{self, Docker, encode};
use super::diff::Diff;
use crate::cx::Cx;
use crate::result::{Fail, Map, Reply};

/// Which calls are done natively.
pub fn covers(params: &Map) -> bool {
    let absent = |name: &str| params.get(name).is_none_or(Value::is_null);
    client::covers(params) && ["config_from", "config_only", "ingress", "scope"].into_iter().all(absent)
}

/// One run of the module.
struct Work<'c, 'a> {
    cx: &'c mut Cx<'a>,
    docker: Docker,
    name: String,
    diff: Diff,
    actions: Vec<String>,
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    for subnet in cx.raw("ipam_config").as_array().into_iter().flatten().filter_map(|c| c["subnet"].as_str())
    {
        let whole = subnet.split_once('/').is_some_and(|(address, bits)| {
            let most = if address.contains(':') { 128 } else { 32 };
            address.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok_and(|b| b <= most)
        });
        if !whole {
            return Err(Fail::msg(format!("\"{subnet}\" is not a valid CIDR")));
        }
    }
    let docker = Docker::connect(cx)?;
    let name = cx.string("name");
    let mut work = Work { cx, docker, name, diff: Diff::default(), actions: Vec::new() };
    let present = work.cx.str("state") == Some("present");
    let network = if present { work.present()? } else { work.absent()? };
    let mut out = Map::new();
    out.insert("changed".into(), (!work.actions.is_empty()).into());
    if work.cx.check || work.cx.bool("debug") || !present {
        out.insert("actions".into(), json!(work.actions));
    }
    if let Some(network) = network {
        out.insert("network".into(), network);
    }
    out.insert("diff".into(), work.diff.into_value());
    Ok(out)
}

impl Work<'_, '_> {
    /// The network by its name, with its containers.
    fn find(&self) -> Result<Option<Value>, Fail> {
        let found = self.docker.find(&format!("/networks/{}", encode(&self.name)), &[])?;
        // An id's first digits find it too; the name is meant.
        Ok(found.filter(|n| n["Name"] == self.name.as_str()))
    }

    fn present(&mut self) -> Result<Option<Value>, Fail> {
        let existing = self.find()?;
        self.diff.add("exists", true.into(), existing.is_some().into());
        let mut network = existing.clone();
        if let Some(found) = &existing {
            let mut changes = Diff::default();
            different(self.cx, found, &mut changes);
            let differs = !changes.is_empty();
            self.diff.extend(changes);
            if self.cx.bool("force") || differs {
                self.remove(found)?;
                network = None;
            }
        }
        if network.is_none() {
            self.create()?;
            network = if self.cx.check { None } else { self.find()? };
        }
        self.connect(network.as_ref())?;
        // An empty list disconnects nothing: it is also what a task without one has.
        if !self.cx.bool("appends") && !self.cx.list("connected").is_empty() {
            self.disconnect_missing(network.as_ref())?;
        }
        self.find()
    }

    fn absent(&mut self) -> Result<Option<Value>, Fail> {
        let existing = self.find()?;
        self.diff.add("exists", false.into(), existing.is_some().into());
        if let Some(network) = &existing {
            self.remove(network)?;
        }
        Ok(None)
    }

    fn create(&mut self) -> Result<(), Fail> {
        let cx = &*self.cx;
        let mut body = crate::map! {
            "Name" => self.name, "Driver" => cx.raw("driver"), "Options" => texts(cx.raw("driver_options")),
            "Labels" => texts(cx.raw("labels")), "CheckDuplicate" => true,
        };
        let ipam = cx.raw("ipam_config").as_array();
        if ipam.is_some() || !cx.raw("ipam_driver").is_null() || !cx.raw("ipam_driver_options").is_null() {
            let mut out = Map::new();
            out.insert("Driver".into(), cx.str("ipam_driver").unwrap_or("default").into());
            if let Some(pools) = ipam {
                out.insert("Config".into(), pools.iter().map(pool).collect());
            }
            if !cx.raw("ipam_driver_options").is_null() {
                out.insert("Options".into(), texts(cx.raw("ipam_driver_options")));
            }
            body.insert("IPAM".into(), Value::Object(out));
        }
        for (name, field) in [
            ("internal", "Internal"),
            ("attachable", "Attachable"),
            ("enable_ipv6", "EnableIPv6"),
            ("enable_ipv4", "EnableIPv4"),
        ] {
            if let Some(flag) = cx.flag(name) {
                body.insert(field.into(), flag.into());
            }
        }
        if !cx.check {
            let made = self
                .docker
                .post("/networks/create", &[], Some(&Value::Object(body)))
                .map_err(|e| Fail::msg(format!("An unexpected Docker error occurred: {e}")))?;
            if let Some(warning) = made["Warning"].as_str().filter(|w| !w.is_empty()) {
                self.cx.warn(format!("Docker warning: {warning}"));
            }
        }
        let driver = self.cx.string("driver");
        self.actions.push(format!("Created network {} with driver {driver}", self.name));
        Ok(())
    }

    /// Disconnects all containers and removes the network.
    fn remove(&mut self, network: &Value) -> Result<(), Fail> {
        for container in names_on(network) {
            self.disconnect(&container)?;
            if self.cx.str("state") == Some("absent") {
                self.diff.add(&format!("connected.{container}"), false.into(), true.into());
            }
        }
        if !self.cx.check {
            self.docker.delete(&format!("/networks/{}", encode(&self.name)), &[])?;
        }
        self.actions.push(format!("Removed network {}", self.name));
        Ok(())
    }

    fn connect(&mut self, network: Option<&Value>) -> Result<(), Fail> {
        let on = network.map(names_on).unwrap_or_default();
        for name in self.cx.list("connected") {
            let there = self.docker.find(&format!("/containers/{}/json", encode(&name)), &[])?;
            let Some(there) = there else {
                return Err(Fail::msg(format!(
                    "An unexpected Docker error occurred: no such container: {name}"
                )));
            };
            let known = there["Name"].as_str().unwrap_or_default().trim_start_matches('/');
            if on.iter().any(|n| n == known) {
                continue;
            }
            if !self.cx.check {
                let path = format!("/networks/{}/connect", encode(&self.name));
                let body = json!({"Container": name, "EndpointConfig": {}});
                self.docker.post(&path, &[], Some(&body))?;
            }
            self.actions.push(format!("Connected container {name}"));
            self.diff.add(&format!("connected.{name}"), true.into(), false.into());
        }
        Ok(())
    }

    fn disconnect_missing(&mut self, network: Option<&Value>) -> Result<(), Fail> {
        let wanted = self.cx.list("connected");
        for name in network.map(names_on).unwrap_or_default() {
            if wanted.contains(&name) {
                continue;
            }
            self.disconnect(&name)?;
            self.diff.add(&format!("connected.{name}"), false.into(), true.into());
        }
        Ok(())
    }

    fn disconnect(&mut self, container: &str) -> Result<(), Fail> {
        if !self.cx.check {
            let path = format!("/networks/{}/disconnect", encode(&self.name));
            self.docker.post(&path, &[], Some(&json!({"Container": container, "Force": true})))?;
        }
        self.actions.push(format!("Disconnected container {container}"));
        Ok(())
    }
}

/// The containers on a network, by name.
fn names_on(network: &Value) -> Vec<String> {
    let all = network["Containers"].as_object();
    all.into_iter().flatten().filter_map(|(_, c)| c["Name"].as_str().map(str::to_string)).collect()
}

/// Values as texts, as the engine takes them: booleans in small letters.
fn texts(value: &Value) -> Value {
    let text = |v: &Value| match v {
        Value::Bool(b) => b.to_string(),
        other => crate::py::str(other),
    };
    let pairs = value.as_object().into_iter().flatten();
    Value::Object(pairs.map(|(k, v)| (k.clone(), text(v).into())).collect())
}

/// One pool of addresses.
fn pool(wanted: &Value) -> Value {
    let mut out = Map::new();
    for (name, field) in [
        ("subnet", "Subnet"),
        ("iprange", "IPRange"),
        ("gateway", "Gateway"),
        ("aux_addresses", "AuxiliaryAddresses"),
    ] {
        if !wanted[name].is_null() {
            out.insert(field.into(), wanted[name].clone());
        }
    }
    Value::Object(out)
}

/// What differs between a network and the task; only what the task names counts.
fn different(cx: &Cx<'_>, network: &Value, diff: &mut Diff) {
    if *cx.raw("driver") != network["Driver"] {
        diff.add("driver", cx.raw("driver").clone(), network["Driver"].clone());
    }
    let options = texts(cx.raw("driver_options"));
    let has = network["Options"].as_object();
    let wanted = options.as_object().into_iter().flatten();
    if has.is_none_or(Map::is_empty) && options.as_object().is_some_and(|o| !o.is_empty()) {
        diff.add("driver_options", options.clone(), network["Options"].clone());
    } else {
        for (key, value) in wanted {
            if has.and_then(|h| h.get(key)) != Some(value) {
                diff.add(&format!("driver_options.{key}"), value.clone(), network["Options"][key].clone());
            }
        }
    }
    let plain = [
        ("internal", "/Internal"),
        ("attachable", "/Attachable"),
        ("enable_ipv6", "/EnableIPv6"),
        ("enable_ipv4", "/EnableIPv4"),
        ("ipam_driver", "/IPAM/Driver"),
    ];
    for (name, place) in plain {
        let has = network.pointer(place).unwrap_or(&Value::Null);
        let unset = cx.raw(name) == &Value::Bool(false) && has.is_null();
        if !cx.raw(name).is_null() && cx.raw(name) != has && !unset {
            diff.add(name, cx.raw(name).clone(), has.clone());
        }
    }
    if !cx.raw("ipam_driver_options").is_null() {
        let wanted = texts(cx.raw("ipam_driver_options"));
        let has = network["IPAM"]["Options"].as_object().cloned().unwrap_or_default();
        if wanted != Value::Object(has.clone()) {
            diff.add("ipam_driver_options", wanted, Value::Object(has));
        }
    }
    let pools = network["IPAM"]["Config"].as_array().map_or(&[][..], Vec::as_slice);
    for (i, wanted) in cx.raw("ipam_config").as_array().into_iter().flatten().map(pool).enumerate() {
        let same_subnet = pools.iter().find(|p| p["Subnet"] == wanted["Subnet"]);
        for (key, value) in wanted.as_object().into_iter().flatten() {
            let has = same_subnet.map_or(&Value::Null, |p| &p[key]);
            if value != has {
                let name = match key.as_str() {
                    "AuxiliaryAddresses" => "aux_addresses".to_string(),
                    other => other.to_lowercase(),
                };
                diff.add(&format!("ipam_config[{i}].{name}"), value.clone(), has.clone());
            }
        }
    }
    for (key, value) in texts(cx.raw("labels")).as_object().into_iter().flatten() {
        let has = &network["Labels"][key];
        if value != has {
            diff.add(&format!("labels.{key}"), value.clone(), has.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_and_options() {
        assert_eq!(pool(&json!({"subnet": "10.0.0.0/8", "gateway": null})), json!({"Subnet": "10.0.0.0/8"}));
        assert_eq!(texts(&json!({"a": true, "b": 1})), json!({"a": "true", "b": "1"}));
        let network = json!({"Containers": {"1": {"Name": "web"}}});
        assert_eq!(names_on(&network), ["web"]);
    }
}
