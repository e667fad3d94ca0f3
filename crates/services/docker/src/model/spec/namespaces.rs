//! Which namespaces a container has of its own, which it joins, and the kernel settings in them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{SpecInput, values::Fields as _};

pub(super) fn namespaces(input: &SpecInput<'_>) -> Vec<Value> {
    let host = input.host_config;
    let one = |typ: &str, path: Option<&PathBuf>| match path {
        Some(path) => json!({ "type": typ, "path": path }),
        None => json!({ "type": typ }),
    };
    let mut out = vec![one("mount", None)];
    if host.text("NetworkMode") != "host" {
        out.push(one("network", input.netns.as_ref()));
    }
    if host.text("UTSMode") != "host" {
        out.push(one("uts", None));
    }
    if host.text("PidMode") != "host" {
        out.push(one("pid", input.pidns.as_ref()));
    }
    if host.text("IpcMode") != "host" {
        out.push(one("ipc", input.ipcns.as_ref()));
    }
    // Private by default where groups are v2's, the host's where they are v1's.
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let private = match host.text("CgroupnsMode") {
        "private" => true,
        "host" => false,
        _ => unified && !host.flag("Privileged"),
    };
    if private {
        out.push(one("cgroup", None));
    }
    out
}

/// What is asked for, and that anyone may ping and bind low ports in a network of the container's own.
pub(super) fn sysctls(input: &SpecInput<'_>) -> Value {
    let host = input.host_config;
    let mut out = Map::new();
    if host.text("NetworkMode") != "host" && !host.text("NetworkMode").starts_with("container:") {
        out.insert("net.ipv4.ip_unprivileged_port_start".into(), "0".into());
        if !host.flag("Privileged") {
            out.insert("net.ipv4.ping_group_range".into(), "0 2147483647".into());
        }
    }
    for (key, value) in host.pairs("Sysctls") {
        out.insert(key, value.into());
    }
    out.into()
}
