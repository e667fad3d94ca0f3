//! The options that are more than one field: command, environment, ports, volumes, mounts, devices, health …
//!
//! [`Wanted`] is all that a task asks for, in the engine's terms; [`Wanted::properties`] sets it beside a container.

use serde_json::{Value, json};

use super::ports;
use super::simple::{Kind, TABLE, bytes};
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

    fn volumes(&mut self, cx: &Cx<'_>, image: &Value) -> Result<(), String> {
        if let Some(volumes) = cx.opt_list("volumes") {
            let (mut binds, mut anonymous) = (Vec::new(), Map::new());
            for volume in &volumes {
                let parts: Vec<&str> = volume.split(':').collect();
                match parts[..] {
                    [path] => _ = anonymous.insert(path.to_string(), json!({})),
                    [source, path] if is_mode(path) => _ = anonymous.insert(source.to_string(), json!({})),
                    [source, path] => binds.push(format!("{}:{path}:rw", local(source))),
                    [source, path, mode] if mode.split(',').all(is_mode) => {
                        binds.push(format!("{}:{path}:{mode}", local(source)));
                    }
                    [_, _, mode] => return Err(format!("Found invalid volumes mode: {mode}")),
                    _ => return Err(format!("Invalid volume specification: {volume}")),
                }
            }
            let mut all: Vec<String> = anonymous.keys().cloned().collect();
            self.config.insert("Volumes".into(), Value::Object(anonymous));
            if !binds.is_empty() {
                self.host.insert("Binds".into(), json!(binds));
            }
            self.add("volumes", Kind::Set, json!(binds), Place::Host("Binds"));
            if let Some((property, _)) = self.properties.last_mut() {
                property.shown = "volume_binds";
            }
            all.extend(image["Config"]["Volumes"].as_object().into_iter().flatten().map(|(k, _)| k.clone()));
            self.add("volumes", Kind::Set, json!(all), Place::Taken(|c| keys(&c["Config"]["Volumes"])));
        }
        if let Some(mounts) = cx.raw("mounts").as_array() {
            let mounts = mounts.iter().map(mount).collect::<Result<Vec<_>, _>>()?;
            self.host.insert("Mounts".into(), json!(mounts));
            let plain: Vec<Value> = mounts.iter().map(flat_mount).collect();
            let actual = |c: &Value| match &c["HostConfig"]["Mounts"] {
                Value::Array(mounts) => json!(mounts.iter().map(flat_mount).collect::<Vec<_>>()),
                other => other.clone(),
            };
            self.add("mounts", Kind::Set, json!(plain), Place::Taken(actual));
        }
        if let Some(tmpfs) = cx.opt_list("tmpfs") {
            let pair = |text: &String| {
                let (path, options) = text.split_once(':').unwrap_or((text, ""));
                (path.to_string(), Value::from(options))
            };
            let tmpfs: Map = tmpfs.iter().map(pair).collect();
            self.host_field("tmpfs", Kind::Dict, "Tmpfs", Value::Object(tmpfs));
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

    fn health(&mut self, cx: &Cx<'_>) -> Result<(), String> {
        let Some(check) = cx.raw("healthcheck").as_object() else { return Ok(()) };
        let mut out = Map::new();
        match &check["test"] {
            Value::Array(items) => {
                out.insert("Test".into(), items.iter().map(crate::py::str).collect());
            }
            Value::Null if check["test_cli_compatible"] == true => {}
            Value::Null => _ = out.insert("Test".into(), json!(["NONE"])),
            other => _ = out.insert("Test".into(), json!(["CMD-SHELL", crate::py::str(other)])),
        }
        let off = out.get("Test").is_some_and(|test| test[0] == "NONE");
        if off {
            out.insert("Test".into(), json!(["NONE"]));
        } else {
            let times = [
                ("interval", "Interval"),
                ("timeout", "Timeout"),
                ("start_period", "StartPeriod"),
                ("start_interval", "StartInterval"),
            ];
            for (name, field) in times {
                if let Some(text) = check[name].as_str() {
                    out.insert(field.into(), nanoseconds(text)?.into());
                }
            }
            if let Some(retries) = check["retries"].as_i64() {
                out.insert("Retries".into(), retries.into());
            }
        }
        self.config.insert("Healthcheck".into(), Value::Object(out.clone()));
        let actual = |c: &Value| match &c["Config"]["Healthcheck"] {
            Value::Null => json!({"Test": ["NONE"]}),
            other => other.clone(),
        };
        self.add("healthcheck", Kind::Dict, Value::Object(out), Place::Taken(actual));
        Ok(())
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

/// Whether a word is a mode of a bind.
fn is_mode(word: &str) -> bool {
    const MODES: &[&str] = &[
        "rw",
        "ro",
        "z",
        "Z",
        "consistent",
        "delegated",
        "cached",
        "rprivate",
        "private",
        "rshared",
        "shared",
        "rslave",
        "slave",
        "nocopy",
    ];
    word.split(',').all(|w| MODES.contains(&w))
}

/// A bind's source: a path with `~`, or one beneath the working directory, becomes whole.
fn local(source: &str) -> String {
    if source.starts_with('~') {
        return crate::sys::path::expand(source);
    }
    if source.starts_with('.') {
        return std::env::current_dir()
            .map(|here| crate::sys::path::realpath(&here.join(source).to_string_lossy()))
            .unwrap_or_else(|_| source.to_string());
    }
    source.to_string()
}

/// A mount as the engine takes it.
fn mount(wanted: &Value) -> Result<Value, String> {
    let kind = wanted["type"].as_str().unwrap_or("volume");
    let target = wanted["target"].as_str().unwrap_or_default();
    if wanted["source"].is_null() && kind == "bind" {
        return Err(format!("source must be specified for mount \"{target}\" of type \"{kind}\""));
    }
    for (option, only) in [
        ("propagation", "bind"),
        ("no_copy", "volume"),
        ("labels", "volume"),
        ("volume_driver", "volume"),
        ("volume_options", "volume"),
        ("tmpfs_size", "tmpfs"),
        ("tmpfs_mode", "tmpfs"),
    ] {
        if !wanted[option].is_null() && kind != only {
            return Err(format!(
                "{option} cannot be specified for mount \"{target}\" of type \"{kind}\" (needs type \"{only}\")"
            ));
        }
    }
    let mut out = crate::map! {
        "Target" => target, "Source" => wanted["source"], "Type" => kind, "ReadOnly" => wanted["read_only"],
    };
    if let Some(consistency) = wanted["consistency"].as_str() {
        out.insert("Consistency".into(), consistency.into());
    }
    let mut options = Map::new();
    let place = match kind {
        "bind" => {
            if let Some(propagation) = wanted["propagation"].as_str() {
                options.insert("Propagation".into(), propagation.into());
            }
            "BindOptions"
        }
        "tmpfs" => {
            if let Some(size) = wanted["tmpfs_size"].as_str() {
                options.insert("SizeBytes".into(), bytes("tmpfs_size", size)?.into());
            }
            if let Some(mode) = wanted["tmpfs_mode"].as_str() {
                let mode = i64::from_str_radix(mode, 8)
                    .map_err(|_| format!("tmp_fs mode of mount \"{target}\" is not an octal string!"))?;
                options.insert("Mode".into(), mode.into());
            }
            "TmpfsOptions"
        }
        _ => {
            if let Some(no_copy) = wanted["no_copy"].as_bool() {
                options.insert("NoCopy".into(), no_copy.into());
            }
            if let Some(labels) = wanted["labels"].as_object() {
                options.insert("Labels".into(), json!(labels));
            }
            if let Some(driver) = wanted["volume_driver"].as_str() {
                options.insert(
                    "DriverConfig".into(),
                    json!({"Name": driver, "Options": wanted["volume_options"]}),
                );
            }
            "VolumeOptions"
        }
    };
    if !options.is_empty() {
        out.insert(place.into(), Value::Object(options));
    }
    Ok(Value::Object(out))
}

/// A mount in the words of the options, without what isn't set.
fn flat_mount(mount: &Value) -> Value {
    let fields = [
        ("type", "/Type"),
        ("source", "/Source"),
        ("target", "/Target"),
        ("read_only", "/ReadOnly"),
        ("consistency", "/Consistency"),
        ("propagation", "/BindOptions/Propagation"),
        ("no_copy", "/VolumeOptions/NoCopy"),
        ("labels", "/VolumeOptions/Labels"),
        ("volume_driver", "/VolumeOptions/DriverConfig/Name"),
        ("volume_options", "/VolumeOptions/DriverConfig/Options"),
        ("tmpfs_size", "/TmpfsOptions/SizeBytes"),
        ("tmpfs_mode", "/TmpfsOptions/Mode"),
    ];
    let mut out = Map::new();
    for (name, place) in fields {
        let value = mount.pointer(place).cloned().unwrap_or(Value::Null);
        if !matches!(&value, Value::Null | Value::Bool(false)) && value != "" {
            out.insert(name.into(), value);
        }
    }
    Value::Object(out)
}

/// `1m30s` in nanoseconds; `0` needs no unit.
fn nanoseconds(text: &str) -> Result<i64, String> {
    let bad = || format!("Invalid time duration - {text}");
    let (mut total, mut rest) = (0_i64, text.trim());
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: i64 = rest[..at].parse().map_err(|_| bad())?;
        rest = &rest[at..];
        let units = [
            ("us", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ];
        let (unit, size) = units.into_iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(bad)?;
        total = number.checked_mul(size).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
        rest = &rest[unit.len()..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(nanoseconds("1m30s"), Ok(90_000_000_000));
        assert_eq!(nanoseconds("5ms"), Ok(5_000_000));
        assert!(
            nanoseconds("5").is_err() && nanoseconds("x").is_err() && nanoseconds("99999999999h").is_err()
        );
    }

    #[test]
    fn a_mount_and_back() {
        let wanted = json!({"type": "tmpfs", "target": "/t", "source": null, "tmpfs_size": "1M"});
        let sent = mount(&wanted).expect("a mount");
        assert_eq!(sent["TmpfsOptions"]["SizeBytes"], 1_048_576);
        assert_eq!(flat_mount(&sent), json!({"type": "tmpfs", "target": "/t", "tmpfs_size": 1_048_576}));
        assert!(mount(&json!({"type": "bind", "target": "/t"})).is_err());
        assert!(mount(&json!({"type": "bind", "source": "/", "target": "/t", "no_copy": true})).is_err());
    }
}
