//! Containers as `inspect` and the list show them.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::{Map, Value, json};

use crate::{
    Container, Network,
    engine::volumes::mount,
    events::{now_ns, rfc3339},
    store::{Endpoint, Status},
};

/// The status' word.
pub fn word(status: Status) -> &'static str {
    match status {
        Status::Created | Status::Starting => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Exited => "exited",
        Status::Removing => "removing",
        Status::Dead => "dead",
    }
}

fn state(c: &Container) -> Value {
    let s = &c.state;
    let is = |status: Status| s.status == status;
    let mut all = json!({
        "Status": word(s.status), "Running": c.runs() || is(Status::Restarting), "Paused": is(Status::Paused),
        "Restarting": is(Status::Restarting), "OOMKilled": s.oom_killed, "Dead": is(Status::Dead), "Pid": s.pid,
        "ExitCode": s.exit_code, "Error": s.error, "StartedAt": rfc3339(s.started_ns),
        "FinishedAt": rfc3339(s.finished_ns),
    });
    if let Some(health) = &s.health {
        all["Health"] = health.clone();
    }
    all
}

fn endpoint(c: &Container, e: &Endpoint, networks: &BTreeMap<String, Network>) -> Value {
    let gateway = |v4: bool| -> String {
        let subnets = networks.get(&e.network_id).map_or(&[][..], |n| n.subnets.as_slice());
        let asked = if v4 { e.ipv4.is_some() } else { e.ipv6.is_some() };
        let found = subnets.iter().map(|s| s.gateway).find(|g| matches!(g, IpAddr::V4(_)) == v4);
        found.filter(|_| asked).map_or_else(String::new, |g| g.to_string())
    };
    let ip = |net: Option<ipnet::IpNet>| net.map_or_else(String::new, |n| n.addr().to_string());
    let length = |net: Option<ipnet::IpNet>| net.map_or(0, |n| n.prefix_len());
    let aliases = &e.config["Aliases"];
    let mut names = vec![json!(c.name), json!(&c.id[..12.min(c.id.len())])];
    names.extend(aliases.as_array().into_iter().flatten().cloned());
    names.extend(c.config["Hostname"].as_str().filter(|h| !h.is_empty()).map(|h| json!(h)));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|n| seen.insert(n.to_string()));
    let user = !matches!(
        networks.get(&e.network_id).map(|n| n.name.as_str()),
        None | Some("bridge" | "host" | "none")
    );
    json!({
        "IPAMConfig": e.config["IPAMConfig"], "Links": e.config["Links"], "Aliases": aliases,
        "MacAddress": if e.mac.is_empty() { e.config["MacAddress"].as_str().unwrap_or("") } else { &e.mac },
        "DriverOpts": e.config["DriverOpts"], "GwPriority": e.config["GwPriority"].as_i64().unwrap_or(0),
        "NetworkID": e.network_id, "EndpointID": e.id, "Gateway": gateway(true), "IPAddress": ip(e.ipv4),
        "IPPrefixLen": length(e.ipv4), "IPv6Gateway": gateway(false), "GlobalIPv6Address": ip(e.ipv6),
        "GlobalIPv6PrefixLen": length(e.ipv6), "DNSNames": if user { json!(names) } else { Value::Null },
    })
}

fn endpoints(c: &Container, networks: &BTreeMap<String, Network>) -> Value {
    Value::Object(c.endpoints.iter().map(|(name, e)| (name.clone(), endpoint(c, e, networks))).collect())
}

fn ports(c: &Container) -> Value {
    let mut all: Map<String, Value> = Map::new();
    let mode = c.host_config["NetworkMode"].as_str().unwrap_or("");
    if c.runs() && mode != "host" && mode != "none" && !mode.starts_with("container:") {
        for port in c.config["ExposedPorts"].as_object().into_iter().flatten() {
            all.insert(port.0.clone(), Value::Null);
        }
        for p in &c.published {
            let slot = all.entry(format!("{}/{}", p.port, p.protocol)).or_insert(Value::Null);
            let number = if p.host_port == 0 { String::new() } else { p.host_port.to_string() };
            let binding = json!({"HostIp": p.host_ip.to_string(), "HostPort": number});
            match slot {
                Value::Array(list) => list.push(binding),
                other => *other = json!([binding]),
            }
        }
    }
    Value::Object(all)
}

/// Where a running container's namespace is to be entered.
fn sandbox_key(c: &Container, dir: &str) -> String {
    let mode = c.host_config["NetworkMode"].as_str().unwrap_or("");
    if !c.runs() || mode.starts_with("container:") {
        return String::new();
    }
    if mode == "host" {
        return "/var/run/docker/netns/default".into();
    }
    // <state-dir>/containers/<id>: the namespaces are beside them.
    let state = std::path::Path::new(dir).ancestors().nth(2).unwrap_or(std::path::Path::new("/"));
    state.join("netns").join(format!("c-{}", &c.id[..12.min(c.id.len())])).display().to_string()
}

/// The directories of its overlay; `dir` is the container's own.
fn graph(c: &Container, dir: &str) -> Value {
    let state = dir.rsplitn(3, '/').last().unwrap_or("");
    let lower = c.rootfs.layers.iter().rev().map(|id| format!("{state}/layers/{id}/diff"));
    json!({
        "ID": c.id, "LowerDir": lower.collect::<Vec<_>>().join(":"), "MergedDir": format!("{dir}/merged"),
        "UpperDir": format!("{dir}/upper"), "WorkDir": format!("{dir}/work"),
    })
}

/// As `inspect` shows it; `dir` is its directory.
pub fn inspect(
    c: &Container,
    networks: &BTreeMap<String, Network>,
    dir: &str,
    size: Option<(u64, u64)>,
) -> Value {
    let networks_view = endpoints(c, networks);
    let main = networks_view.get("bridge").cloned().unwrap_or_default();
    let of = |key: &str, empty: Value| main.get(key).cloned().unwrap_or(empty);
    let (path, args) =
        c.args.split_first().map_or((String::new(), Vec::new()), |(p, a)| (p.clone(), a.to_vec()));
    // Whoever shares another's namespace has none of its own.
    let shared = c.host_config["NetworkMode"].as_str().is_some_and(|m| m.starts_with("container:"));
    let sandbox = if c.runs() && !shared { c.id.clone() } else { String::new() };
    let execs = if c.execs.is_empty() { Value::Null } else { json!(c.execs) };
    let mut all = json!({
        "Id": c.id, "Created": rfc3339(c.created_ns), "Path": path, "Args": args, "State": state(c),
        "Image": c.image_id, "ResolvConfPath": format!("{dir}/resolv.conf"),
        "HostnamePath": format!("{dir}/hostname"), "HostsPath": format!("{dir}/hosts"),
        "LogPath": log_path(c, dir), "Name": format!("/{}", c.name), "RestartCount": c.state.restarts,
        "Driver": "overlay2", "Platform": "linux", "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "",
        "ExecIDs": execs, "HostConfig": c.host_config,
        "GraphDriver": {"Name": "overlay2", "Data": graph(c, dir)},
        "Mounts": mount::shown(&c.mounts), "Config": c.config,
        "NetworkSettings": {
            "Bridge": "", "SandboxID": sandbox, "SandboxKey": sandbox_key(c, dir),
            "Ports": ports(c), "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
            "SecondaryIPAddresses": null, "SecondaryIPv6Addresses": null, "EndpointID": of("EndpointID", json!("")),
            "Gateway": of("Gateway", json!("")), "GlobalIPv6Address": of("GlobalIPv6Address", json!("")),
            "GlobalIPv6PrefixLen": of("GlobalIPv6PrefixLen", json!(0)), "IPAddress": of("IPAddress", json!("")),
            "IPPrefixLen": of("IPPrefixLen", json!(0)), "IPv6Gateway": of("IPv6Gateway", json!("")),
            "MacAddress": of("MacAddress", json!("")), "Networks": networks_view,
        },
    });
    all["HostConfig"]["Links"] = crate::engine::networks::links::shown(c);
    if let Some((rw, root)) = size {
        all["SizeRw"] = json!(rw);
        all["SizeRootFs"] = json!(root);
    }
    all
}

/// As the list shows it.
pub fn row(c: &Container, networks: &BTreeMap<String, Network>, size: Option<(u64, u64)>) -> Value {
    let mut listed: Vec<Value> = Vec::new();
    for p in c.published.iter().filter(|p| c.runs() && p.host_port != 0) {
        listed.push(json!({"IP": p.host_ip.to_string(), "PrivatePort": p.port, "PublicPort": p.host_port, "Type": p.protocol}));
    }
    for (port, _) in c.config["ExposedPorts"].as_object().into_iter().flatten().filter(|_| c.runs()) {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let number = number.parse::<u16>().unwrap_or(0);
        if !c.published.iter().any(|p| p.port == number && p.protocol == protocol) {
            listed.push(json!({"PrivatePort": number, "Type": protocol}));
        }
    }
    let mut all = json!({
        "Id": c.id, "Names": [format!("/{}", c.name)], "Image": c.image, "ImageID": c.image_id,
        "Command": command(&c.args), "Created": c.created_ns / 1_000_000_000, "Ports": listed, "Labels": c.labels(),
        "State": word(c.state.status), "Status": sentence(c),
        "HostConfig": {"NetworkMode": c.host_config["NetworkMode"]},
        "NetworkSettings": {"Networks": endpoints(c, networks)}, "Mounts": mount::shown(&c.mounts),
    });
    if let Some((rw, root)) = size {
        if rw > 0 {
            all["SizeRw"] = json!(rw);
        }
        all["SizeRootFs"] = json!(root);
    }
    all
}

fn command(args: &[String]) -> String {
    let quoted = |a: &String| if a.contains(' ') { format!("'{a}'") } else { a.clone() };
    args.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// `Up 2 minutes (healthy)`, `Exited (0) 3 hours ago`.
fn sentence(c: &Container) -> String {
    let s = &c.state;
    let since = |at: i64| ago((now_ns() - at).max(0) / 1_000_000_000);
    match s.status {
        Status::Created | Status::Starting => "Created".into(),
        Status::Running => match s.health.as_ref().and_then(|h| h["Status"].as_str()) {
            Some("starting") => format!("Up {} (health: starting)", since(s.started_ns)),
            Some(h) => format!("Up {} ({h})", since(s.started_ns)),
            None => format!("Up {}", since(s.started_ns)),
        },
        Status::Paused => format!("Up {} (Paused)", since(s.started_ns)),
        Status::Restarting => format!("Restarting ({}) {} ago", s.exit_code, since(s.finished_ns)),
        Status::Exited if s.finished_ns == 0 => format!("Exited ({})", s.exit_code),
        Status::Exited => format!("Exited ({}) {} ago", s.exit_code, since(s.finished_ns)),
        Status::Removing => "Removal In Progress".into(),
        Status::Dead => "Dead".into(),
    }
}

fn ago(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1_800) / 3_600);
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        120..3_600 => format!("{minutes} minutes"),
        3_600..5_400 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// Where the log is; empty where it is in no file.
fn log_path(c: &Container, dir: &str) -> String {
    match c.host_config["LogConfig"]["Type"].as_str() {
        _ if c.state.started_ns == 0 => String::new(),
        Some("json-file") => format!("{dir}/json.log"),
        Some("local") => format!("{dir}/local.log"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_the_reference_says_them() {
        assert_eq!(ago(0), "Less than a second");
        assert_eq!(ago(90), "About a minute");
        assert_eq!(ago(7_200), "2 hours");
        assert_eq!(command(&["sh".into(), "-c".into(), "a b".into()]), "sh -c 'a b'");
    }
}
