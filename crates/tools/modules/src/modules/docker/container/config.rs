//! The options that are more than one field: command, environment, ports, devices …; [`mounts`] and [`health`] apart.
//!
//! [`Wanted`] is all that a task asks for, in the engine's terms; [`Wanted::properties`] sets it beside a container.

mod health;
mod mounts;

use serde_json::{Value, json};

use super::ports;
use super::simple::{Kind, TABLE};
use crate::cx::Cx;
use crate::modules::command::words;
use crate::result::Map;

/// An option beside what a container has.
#[derive(Debug, Clone)]
pub struct Property {
    /// Its name in `comparisons` and in the diff.
    pub option: &'static str,
    /// Its name in the diff, where that is another.
    pub shown: &'static str,
    /// How it is compared by default.
    pub kind: Kind,
    /// What the task wants.
    pub wanted: Value,
    /// What the container has.
    pub actual: Value,
    /// The field of `POST /containers/{id}/update` and its value, for those that can change.
    pub update: Option<(&'static str, Value)>,
}

/// What a task asks for.
#[derive(Default)]
pub struct Wanted {
    /// The top of the body of `POST /containers/create`.
    pub config: Map,
    /// Its `HostConfig`.
    pub host: Map,
    properties: Vec<(Property, Place)>,
}

/// Where an inspected container has it.
enum Place {
    Host(&'static str),
    Config(&'static str),
    Taken(fn(&Value) -> Value),
}

impl Wanted {
    fn add(&mut self, option: &'static str, kind: Kind, wanted: Value, place: Place) {
        let property = Property { option, shown: option, kind, wanted, actual: Value::Null, update: None };
        self.properties.push((property, place));
    }

    fn host_field(&mut self, option: &'static str, kind: Kind, field: &'static str, value: Value) {
        self.host.insert(field.into(), value.clone());
        self.add(option, kind, value, Place::Host(field));
    }

    /// The options beside a container's.
    pub fn properties(&self, container: &Value) -> Vec<Property> {
        let with = |(property, place): &(Property, Place)| {
            let mut property = property.clone();
            property.actual = match place {
                Place::Host(field) => container["HostConfig"][*field].clone(),
                Place::Config(field) => container["Config"][*field].clone(),
                Place::Taken(take) => take(container),
            };
            property
        };
        self.properties.iter().map(with).collect()
    }

    /// Reads the task's parameters. `image` is the image as inspected, whose settings are the container's too;
    /// `default_ip` the address of published ports without one.
    ///
    /// # Errors
    /// In the words of the reference, where a value is none.
    pub fn read(cx: &Cx<'_>, image: &Value, default_ip: &str) -> Result<Self, String> {
        let mut w = Wanted::default();
        for entry in TABLE {
            let Some(value) = entry.wanted(&cx.params)? else { continue };
            let into = if entry.host { &mut w.host } else { &mut w.config };
            into.insert(entry.field.into(), value.clone());
            let place = if entry.host { Place::Host(entry.field) } else { Place::Config(entry.field) };
            w.add(entry.name, entry.kind, value.clone(), place);
            if entry.changeable
                && let Some((property, _)) = w.properties.last_mut()
            {
                property.update = Some((entry.field, value));
            }
        }
        if let Some(mode) = cx.str("network_mode") {
            w.host_field("network_mode", Kind::Value, "NetworkMode", mode.into());
        }
        w.process(cx, image)?;
        w.labels(cx, image);
        w.ports(cx, image, default_ip)?;
        w.volumes(cx, image)?;
        w.limits(cx)?;
        w.health(cx)?;
        Ok(w)
    }

    /// Command, entry point and environment.
    fn process(&mut self, cx: &Cx<'_>, image: &Value) -> Result<(), String> {
        let command = match cx.raw("command") {
            Value::Null => None,
            Value::Array(items) => Some(items.iter().map(crate::py::str).collect()),
            other => Some(words::split(&crate::py::str(other))?),
        };
        if let Some(command) = command {
            self.config.insert("Cmd".into(), json!(command));
            self.add("command", Kind::List, json!(command), Place::Config("Cmd"));
        }
        if let Some(entrypoint) = cx.opt_list("entrypoint") {
            self.config.insert("Entrypoint".into(), json!(entrypoint));
            self.add("entrypoint", Kind::List, json!(entrypoint), Place::Config("Entrypoint"));
        }
        let Some(env) = environment(cx)? else { return Ok(()) };
        let line = |(k, v): (&String, &Value)| format!("{k}={}", v.as_str().unwrap_or_default());
        self.config.insert("Env".into(), json!(env.iter().map(line).collect::<Vec<_>>()));
        let mut all = Map::new();
        for set in image["Config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let (name, value) = set.split_once('=').unwrap_or((set, ""));
            all.insert(name.into(), value.into());
        }
        all.extend(env);
        let all = all.iter().map(line).collect::<Vec<_>>();
        self.add("env", Kind::Set, json!(all), Place::Config("Env"));
        Ok(())
    }

    fn labels(&mut self, cx: &Cx<'_>, image: &Value) {
        let Some(labels) = cx.raw("labels").as_object() else { return };
        let labels: Map = labels.iter().map(|(k, v)| (k.clone(), crate::py::str(v).into())).collect();
        self.config.insert("Labels".into(), Value::Object(labels.clone()));
        let mut all = image["Config"]["Labels"].as_object().cloned().unwrap_or_default();
        all.extend(labels);
        self.add("labels", Kind::Dict, Value::Object(all), Place::Config("Labels"));
    }

    fn ports(&mut self, cx: &Cx<'_>, image: &Value, default_ip: &str) -> Result<(), String> {
        let published = cx.opt_list("published_ports");
        let mut exposed = cx.opt_list("exposed_ports").map(|list| ports::exposed(&list));
        if let Some(published) = &published {
            let bindings = ports::bindings(published, default_ip)?;
            exposed.get_or_insert_with(Vec::new).extend(bindings.keys().cloned());
            self.host_field("published_ports", Kind::Dict, "PortBindings", Value::Object(bindings));
        }
        let mut all = exposed.clone().unwrap_or_default();
        all.sort();
        all.dedup();
        let object: Map = all.iter().map(|port| (port.clone(), json!({}))).collect();
        self.config.insert("ExposedPorts".into(), Value::Object(object));
        if exposed.is_some() {
            all.extend(
                image["Config"]["ExposedPorts"].as_object().into_iter().flatten().map(|(k, _)| k.clone()),
            );
            all.sort();
            all.dedup();
            self.add(
                "exposed_ports",
                Kind::Set,
                json!(all),
                Place::Taken(|c| keys(&c["Config"]["ExposedPorts"])),
            );
        }
        Ok(())
    }

    /// Restart policy, ulimits, devices, hosts, links and the log.
    fn limits(&mut self, cx: &Cx<'_>) -> Result<(), String> {
        if let Some(policy) = cx.str("restart_policy") {
            let retries = cx.int("restart_retries");
            let field = json!({"Name": policy, "MaximumRetryCount": retries});
            self.host.insert("RestartPolicy".into(), field.clone());
            let actual = |c: &Value| c["HostConfig"]["RestartPolicy"]["Name"].clone();
            self.add("restart_policy", Kind::Value, policy.into(), Place::Taken(actual));
            self.changeable("RestartPolicy", field.clone());
            if let Some(retries) = retries {
                let actual = |c: &Value| c["HostConfig"]["RestartPolicy"]["MaximumRetryCount"].clone();
                self.add("restart_retries", Kind::Value, retries.into(), Place::Taken(actual));
                self.changeable("RestartPolicy", field);
            }
        }
        if let Some(ulimits) = cx.opt_list("ulimits") {
            let parse = |text: &String| {
                let bad = || format!("Failed to parse ulimit \"{text}\"");
                let mut parts = text.split(':');
                let name = parts.next().unwrap_or_default();
                let soft: i64 = parts.next().and_then(|n| n.parse().ok()).ok_or_else(bad)?;
                let hard = parts.next().map_or(Ok(soft), |n| n.parse().map_err(|_| bad()))?;
                Ok(json!({"Name": name, "Soft": soft, "Hard": hard}))
            };
            let ulimits = ulimits.iter().map(parse).collect::<Result<Vec<_>, String>>()?;
            self.host_field("ulimits", Kind::Set, "Ulimits", json!(ulimits));
        }
        if let Some(devices) = cx.opt_list("devices") {
            let parse = |text: &String| {
                let mut parts = text.splitn(3, ':');
                let on_host = parts.next().unwrap_or_default();
                let inside = parts.next().unwrap_or(on_host);
                let permissions = parts.next().unwrap_or("rwm");
                json!({"PathOnHost": on_host, "PathInContainer": inside, "CgroupPermissions": permissions})
            };
            self.host_field("devices", Kind::Set, "Devices", devices.iter().map(parse).collect());
        }
        if let Some(hosts) = cx.raw("etc_hosts").as_object() {
            let lines: Vec<String> =
                hosts.iter().map(|(k, v)| format!("{k}:{}", crate::py::str(v))).collect();
            self.host_field("etc_hosts", Kind::Set, "ExtraHosts", json!(lines));
        }
        if let Some(links) = cx.opt_list("links") {
            let name = cx.string("name");
            let line = |link: &String| {
                let (other, alias) = link.split_once(':').unwrap_or((link, link));
                format!("/{other}:/{name}/{alias}")
            };
            self.host_field("links", Kind::Set, "Links", links.iter().map(line).collect());
        }
        if let Some(driver) = cx.str("log_driver") {
            let mut log = crate::map! {"Type" => driver};
            let actual = |c: &Value| c["HostConfig"]["LogConfig"]["Type"].clone();
            self.add("log_driver", Kind::Value, driver.into(), Place::Taken(actual));
            if let Some(options) = cx.raw("log_options").as_object() {
                let options: Map =
                    options.iter().map(|(k, v)| (k.clone(), crate::py::str(v).into())).collect();
                log.insert("Config".into(), Value::Object(options.clone()));
                let actual = |c: &Value| c["HostConfig"]["LogConfig"]["Config"].clone();
                self.add("log_options", Kind::Dict, Value::Object(options), Place::Taken(actual));
            }
            self.host.insert("LogConfig".into(), Value::Object(log));
        }
        Ok(())
    }

    fn changeable(&mut self, field: &'static str, value: Value) {
        if let Some((property, _)) = self.properties.last_mut() {
            property.update = Some((field, value));
        }
    }
}

/// The names in an object; null where there is none.
fn keys(object: &Value) -> Value {
    match object {
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort();
            json!(names)
        }
        _ => Value::Null,
    }
}

/// `env_file` and `env`, which comes last.
fn environment(cx: &Cx<'_>) -> Result<Option<Map>, String> {
    let mut out = Map::new();
    let file = cx.str("env_file");
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|e| crate::result::os_error(&e, Some(path)))?;
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let Some((name, value)) = line.split_once('=') else {
                return Err(format!("Invalid line in environment file {path}:\n{line}"));
            };
            out.insert(name.into(), value.into());
        }
    }
    let env = cx.raw("env").as_object();
    for (name, value) in env.into_iter().flatten() {
        if !value.is_string() {
            return Err(format!(
                "Non-string value found for env option. Ambiguous env options must be wrapped in quotes to avoid them being interpreted. Key: {name}"
            ));
        }
        out.insert(name.clone(), value.clone());
    }
    Ok((file.is_some() || env.is_some()).then_some(out))
}
