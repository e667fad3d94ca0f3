//! A new container's configuration: the client's merged with the image's, defaults filled in, names.

use pileus_base::{Error, Result};
use serde_json::{Map, Value, json};

const ADJECTIVES: [&str; 24] = [
    "admiring",
    "bold",
    "brave",
    "busy",
    "charming",
    "clever",
    "cool",
    "determined",
    "eager",
    "ecstatic",
    "elegant",
    "epic",
    "focused",
    "friendly",
    "gallant",
    "happy",
    "hopeful",
    "jolly",
    "keen",
    "lucid",
    "mystifying",
    "quirky",
    "serene",
    "zen",
];
const SURNAMES: [&str; 24] = [
    "archimedes",
    "babbage",
    "bohr",
    "curie",
    "darwin",
    "dijkstra",
    "einstein",
    "euler",
    "fermat",
    "feynman",
    "galileo",
    "gauss",
    "hamilton",
    "hopper",
    "kepler",
    "lamarr",
    "lovelace",
    "newton",
    "noether",
    "pasteur",
    "ritchie",
    "tesla",
    "turing",
    "wozniak",
];

/// A random name, `adjective_surname`; a digit behind it after the first try.
pub fn random_name(attempt: u32) -> String {
    use rand::RngExt;
    let mut rng = rand::rng();
    let a = ADJECTIVES[rng.random_range(0..ADJECTIVES.len())];
    let s = SURNAMES[rng.random_range(0..SURNAMES.len())];
    if attempt == 0 { format!("{a}_{s}") } else { format!("{a}_{s}{}", rng.random_range(0..1000)) }
}

/// Refuses a name that can't be one.
///
/// # Errors
/// 400 in the reference's words.
pub fn check_name(name: &str) -> Result<()> {
    let first = |c: char| c.is_ascii_alphanumeric();
    let rest = |c: char| first(c) || matches!(c, '_' | '.' | '-');
    if name.len() >= 2 && name.starts_with(first) && name.chars().all(rest) {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// A list of texts; `None` where there is none.
pub fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(all) => {
            Some(all.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect())
        }
        Value::String(one) => Some(vec![one.clone()]),
        _ => None,
    }
}

/// `Config` as it is kept: the client's with the image's under it.
///
/// # Errors
/// 400 where there is nothing to run.
pub fn merge(client: &Map<String, Value>, image: &Value, name: &str) -> Result<Value> {
    let of = |key: &str| client.get(key).cloned().unwrap_or(Value::Null);
    let under = |key: &str| match of(key) {
        Value::Null => image[key].clone(),
        Value::String(s) if s.is_empty() => image[key].clone(),
        value => value,
    };
    let text = |key: &str| under(key).as_str().unwrap_or("").to_owned();
    let flag = |key: &str| of(key).as_bool().unwrap_or(false);

    let mut env = texts(&of("Env")).unwrap_or_default();
    for entry in texts(&image["Env"]).unwrap_or_default() {
        let key = entry.split('=').next().unwrap_or("");
        if !env.iter().any(|e| e.split('=').next() == Some(key)) {
            env.push(entry);
        }
    }
    let (entrypoint, cmd) = {
        let asked = texts(&of("Entrypoint")).filter(|e| !e.is_empty());
        let cmd = texts(&of("Cmd")).filter(|c| !c.is_empty());
        match asked {
            // `[""]` takes the image's away, and its command.
            Some(e) if e == [""] => (None, cmd),
            Some(e) => (Some(e), cmd),
            None if cmd.is_some() => (texts(&image["Entrypoint"]), cmd),
            None => (texts(&image["Entrypoint"]), texts(&image["Cmd"])),
        }
    };
    if entrypoint.as_ref().is_none_or(Vec::is_empty) && cmd.as_ref().is_none_or(Vec::is_empty) {
        return Err(Error::bad_request("no command specified"));
    }
    let objects = |key: &str| -> Map<String, Value> {
        let mut all = image[key].as_object().cloned().unwrap_or_default();
        all.extend(of(key).as_object().cloned().unwrap_or_default());
        all
    };
    let health = match of("Healthcheck") {
        Value::Null => image["Healthcheck"].clone(),
        Value::Object(mut mine) => {
            // What the client leaves open is the image's.
            for (key, theirs) in image["Healthcheck"].as_object().into_iter().flatten() {
                let open = match mine.get(key) {
                    None | Some(Value::Null) => true,
                    Some(Value::Array(test)) => test.is_empty(),
                    Some(value) => value == &json!(0),
                };
                if open {
                    mine.insert(key.clone(), theirs.clone());
                }
            }
            Value::Object(mine)
        }
        other => other,
    };
    let mut config = json!({
        "Hostname": of("Hostname").as_str().unwrap_or(""),
        "Domainname": of("Domainname").as_str().unwrap_or(""),
        "User": text("User"),
        "AttachStdin": flag("AttachStdin"),
        "AttachStdout": flag("AttachStdout"),
        "AttachStderr": flag("AttachStderr"),
        "Tty": flag("Tty"),
        "OpenStdin": flag("OpenStdin"),
        "StdinOnce": flag("StdinOnce"),
        "Env": if env.is_empty() { Value::Null } else { json!(env) },
        "Cmd": cmd,
        "Image": name,
        "Volumes": null,
        "WorkingDir": text("WorkingDir"),
        "Entrypoint": entrypoint,
        "OnBuild": null,
        "Labels": objects("Labels"),
    });
    for (key, value) in [
        ("ExposedPorts", Value::Object(objects("ExposedPorts"))),
        ("Volumes", Value::Object(objects("Volumes"))),
        ("Healthcheck", health),
        ("StopSignal", under("StopSignal")),
        ("StopTimeout", of("StopTimeout")),
        ("Shell", under("Shell")),
        ("MacAddress", of("MacAddress")),
        ("NetworkDisabled", of("NetworkDisabled")),
        ("ArgsEscaped", of("ArgsEscaped")),
    ] {
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty) || value == json!("");
        if !empty {
            config[key] = value;
        }
    }
    Ok(config)
}

/// The program and its arguments of a merged `Config`.
pub fn args(config: &Value) -> Vec<String> {
    let mut all = texts(&config["Entrypoint"]).unwrap_or_default();
    all.extend(texts(&config["Cmd"]).unwrap_or_default());
    all
}

/// `HostConfig` with the reference's defaults.
pub fn host_defaults(asked: &Value) -> Value {
    let mut all = json!({
        "Binds": null, "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": "bridge", "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": false, "VolumeDriver": "", "VolumesFrom": null, "ConsoleSize": [0, 0], "CapAdd": null,
        "CapDrop": null, "CgroupnsMode": "host", "Dns": null, "DnsOptions": null, "DnsSearch": null, "ExtraHosts": null,
        "GroupAdd": null, "IpcMode": "private", "Cgroup": "", "Links": null, "OomScoreAdj": 0, "PidMode": "",
        "Privileged": false, "PublishAllPorts": false, "ReadonlyRootfs": false, "SecurityOpt": null,
        "UTSMode": "", "UsernsMode": "", "ShmSize": 67_108_864, "Runtime": "runc", "Isolation": "",
        "CpuShares": 0, "Memory": 0, "NanoCpus": 0, "CgroupParent": "", "BlkioWeight": 0,
        "BlkioWeightDevice": null, "BlkioDeviceReadBps": null, "BlkioDeviceWriteBps": null, "BlkioDeviceReadIOps": null,
        "BlkioDeviceWriteIOps": null, "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": null, "DeviceCgroupRules": null,
        "DeviceRequests": null, "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": null,
        "OomKillDisable": false, "PidsLimit": null, "Ulimits": null, "CpuCount": 0, "CpuPercent": 0,
        "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
    });
    for (key, value) in asked.as_object().into_iter().flatten() {
        let unset = value.is_null() || (value == &json!("") && all[key].is_string());
        if !unset {
            all[key] = value.clone();
        }
    }
    if matches!(all["NetworkMode"].as_str(), Some("" | "default")) {
        all["NetworkMode"] = json!("bridge");
    }
    if all["RestartPolicy"]["Name"].as_str().unwrap_or("").is_empty() {
        all["RestartPolicy"] = json!({"Name": "no", "MaximumRetryCount": 0});
    }
    if all["RestartPolicy"]["MaximumRetryCount"].is_null() {
        all["RestartPolicy"]["MaximumRetryCount"] = json!(0);
    }
    if all["LogConfig"]["Type"].as_str().unwrap_or("").is_empty() {
        all["LogConfig"]["Type"] = json!("json-file");
    }
    if all["LogConfig"]["Config"].is_null() {
        all["LogConfig"]["Config"] = json!({});
    }
    // Both mean the host's own.
    if all["MemorySwappiness"] == json!(-1) {
        all["MemorySwappiness"] = Value::Null;
    }
    if all["PidsLimit"].as_i64().is_some_and(|n| n <= 0) {
        all["PidsLimit"] = Value::Null;
    }
    for binding in all["PortBindings"]
        .as_object_mut()
        .into_iter()
        .flatten()
        .flat_map(|(_, b)| b.as_array_mut())
        .flatten()
    {
        for key in ["HostIp", "HostPort"] {
            if binding[key].is_null() {
                binding[key] = json!("");
            }
        }
    }
    let shm = all["ShmSize"].as_i64().unwrap_or(0);
    if shm == 0 {
        all["ShmSize"] = json!(67_108_864);
    }
    let privileged = all["Privileged"].as_bool().unwrap_or(false);
    for (key, paths) in [("MaskedPaths", MASKED.as_slice()), ("ReadonlyPaths", READONLY.as_slice())] {
        if all[key].is_null() {
            all[key] = if privileged { Value::Null } else { json!(paths) };
        }
    }
    let memory = all["Memory"].as_i64().unwrap_or(0);
    if memory > 0 && all["MemorySwap"].as_i64().unwrap_or(0) == 0 {
        all["MemorySwap"] = json!(memory * 2);
    }
    all
}

const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Refuses settings that no container can have.
///
/// # Errors
/// 400 in the reference's words.
pub fn check_host(host: &Value) -> Result<()> {
    let policy = &host["RestartPolicy"];
    let (name, retries) =
        (policy["Name"].as_str().unwrap_or(""), policy["MaximumRetryCount"].as_i64().unwrap_or(0));
    let refuse = |why: &str| Err(Error::bad_request(format!("invalid restart policy: {why}")));
    match name {
        "no" | "always" | "unless-stopped" if retries > 0 => {
            return refuse("maximum retry count can only be used with 'on-failure'");
        }
        "no" | "always" | "unless-stopped" if retries < 0 => {
            return refuse("maximum retry count can only be used with 'on-failure' and cannot be negative");
        }
        "on-failure" if retries < 0 => return refuse("maximum retry count cannot be negative"),
        "no" | "always" | "unless-stopped" | "on-failure" => {}
        _ => {
            return refuse(&format!(
                "unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            ));
        }
    }
    if host["AutoRemove"] == json!(true) && name != "no" {
        return Err(Error::bad_request("can't create 'AutoRemove' container with restart policy"));
    }
    let runtime = host["Runtime"].as_str().unwrap_or("");
    if !matches!(runtime, "" | "runc" | "io.containerd.runc.v2") {
        return Err(Error::bad_request(format!("unknown or invalid runtime name: {runtime}")));
    }
    let asked = host["StorageOpt"].as_object().into_iter().flatten();
    if let Some((other, _)) = asked.clone().find(|(key, _)| !key.eq_ignore_ascii_case("size")) {
        return Err(Error::internal(format!("Unknown option {other}")));
    }
    if asked.count() > 0 {
        return Err(Error::internal(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_s_entry_point_drops_the_image_s_command() {
        let image = json!({"Entrypoint": ["/e"], "Cmd": ["c"], "Env": ["A=1", "B=2"]});
        let run = |client: Value| {
            let config = merge(client.as_object().unwrap(), &image, "x").unwrap();
            (args(&config), config["Env"].clone())
        };
        assert_eq!(run(json!({})).0, ["/e", "c"]);
        assert_eq!(run(json!({"Cmd": ["d"]})).0, ["/e", "d"]);
        assert_eq!(run(json!({"Entrypoint": ["/f"]})).0, ["/f"]);
        assert_eq!(run(json!({"Entrypoint": [""], "Cmd": ["d"]})).0, ["d"]);
        let bare = json!({"Entrypoint": [""]});
        assert!(merge(bare.as_object().unwrap(), &image, "x").is_err());
        assert_eq!(run(json!({"Env": ["B=3"]})).1, json!(["B=3", "A=1"]));
        assert!(merge(&Map::new(), &json!({}), "x").is_err());
        assert!(check_name("a").is_err() && check_name("a-1").is_ok());
    }
}
