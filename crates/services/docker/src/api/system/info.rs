//! `GET /info`: what the engine and its machine are.

use pileus_base::{Result, Scope};
use pileus_http::Reply;
use pileus_store::Query;
use serde_json::json;

use super::{Call, limits};
use crate::{Container, Image, events::now_ns, events::rfc3339, store::Status};

pub async fn info(call: Call) -> Result<Reply> {
    let docker = &call.state;
    let (containers, images) = docker
        .store
        .read(|rd| {
            let all = rd.list::<Container>(&Scope::All, &Query::all())?;
            Ok((all, rd.count::<Image>(&Scope::All, &Query::all())?))
        })
        .await?;
    let facts = docker.host.facts().await?;
    let paused = containers.iter().filter(|c| c.state.status == Status::Paused).count();
    let running = containers.iter().filter(|c| c.runs()).count() - paused;
    let uname = rustix::system::uname();
    let (system, system_version) = os_release();
    let v2 = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let can = limits::Limits::of_host();
    let mut warnings = can.warnings();
    if !on("/proc/sys/net/ipv4/ip_forward") {
        warnings.push("WARNING: IPv4 forwarding is disabled".into());
    }
    let warnings = if warnings.is_empty() { serde_json::Value::Null } else { json!(warnings) };
    let identity = docker.options.project.to_string();
    let mirrors: Vec<_> = docker.options.mirrors.clone();
    let insecure: Vec<_> = ["::1/128".to_owned(), "127.0.0.0/8".to_owned()].into_iter().collect();
    let memory =
        std::fs::read_to_string("/proc/meminfo").ok().and_then(|t| mem_total(&t)).unwrap_or_default();
    let listening = docker.options.insecure_registries.clone();
    let mut index = json!({
        "docker.io": {"Name": "docker.io", "Mirrors": mirrors, "Secure": true, "Official": true}
    });
    for name in &listening {
        index[name] = json!({"Name": name, "Mirrors": [], "Secure": false, "Official": false});
    }
    let runc = json!({"path": "pileus"});
    let mut shown = json!({
        "ID": identity,
        "Containers": containers.len(),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": containers.len() - running - paused,
        "Images": images,
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", backing(&docker.options.state_dir)], ["Supports d_type", "true"], ["Using metacopy", "false"], ["Native Overlay Diff", "true"], ["userxattr", "false"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null", "pileus"],
            "Authorization": null,
            "Log": crate::model::logging::drivers(),
        },
        "MemoryLimit": can.memory,
        "SwapLimit": can.swap,
        "CpuCfsPeriod": can.cfs,
        "CpuCfsQuota": can.cfs,
        "CPUShares": can.shares,
        "CPUSet": can.cpuset,
        "PidsLimit": can.pids,
        "OomKillDisable": can.oom,
        "IPv4Forwarding": on("/proc/sys/net/ipv4/ip_forward"),
        "BridgeNfIptables": on("/proc/sys/net/bridge/bridge-nf-call-iptables"),
        "BridgeNfIp6tables": on("/proc/sys/net/bridge/bridge-nf-call-ip6tables"),
        "Debug": false,
        "NFd": std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        "NGoroutines": std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count),
        "SystemTime": rfc3339(now_ns()),
    });
    let more = json!({
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": if v2 { "2" } else { "1" },
        "NEventsListener": docker.events.listeners(),
        "KernelVersion": uname.release().to_string_lossy(),
        "OperatingSystem": system,
        "OSVersion": system_version,
        "OSType": "linux",
        "Architecture": std::env::consts::ARCH,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "AllowNondistributableArtifactsCIDRs": null,
            "AllowNondistributableArtifactsHostnames": null,
            "InsecureRegistryCIDRs": insecure,
            "IndexConfigs": index,
            "Mirrors": docker.options.mirrors,
        },
        "NCPU": facts.vcpus,
        "MemTotal": memory,
        "GenericResources": null,
        "DockerRootDir": docker.options.state_dir,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": facts.hostname,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Runtimes": {"runc": runc, "io.containerd.runc.v2": runc},
        "DefaultRuntime": "runc",
        "Swarm": {
            "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false,
            "Error": "", "RemoteManagers": null,
        },
        "LiveRestoreEnabled": true,
        "Isolation": "",
        "InitBinary": "docker-init",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": security(v2, docker.remap.is_some()),
        "ProductLicense": "",
        "DefaultAddressPools": docker.options.address_pools.iter().map(|p| json!({"Base": p.base, "Size": p.size})).collect::<Vec<_>>(),
        "CDISpecDirs": [],
        "Warnings": warnings,
    });
    if let (Some(all), serde_json::Value::Object(more)) = (shown.as_object_mut(), more) {
        all.extend(more);
    }
    Reply::ok(&shown)
}

/// Whether a setting of the kernel's is on.
fn on(path: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|t| t.trim() == "1")
}

/// The filesystem under the engine's files, as the reference calls it.
fn backing(dir: &std::path::Path) -> String {
    let kind = rustix::fs::statfs(dir).map_or(0, |s| s.f_type as u64);
    let name = match kind {
        0xef53 => "extfs",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0x6969 => "nfs",
        other => return format!("<unknown> ({other:#x})"),
    };
    name.to_owned()
}

/// What confines containers, in the reference's order.
fn security(v2: bool, remap: bool) -> Vec<&'static str> {
    let apparmor = crate::model::spec::confine::apparmor_supported(std::path::Path::new("/"));
    let all = [
        (apparmor, "name=apparmor"),
        (true, "name=seccomp,profile=builtin"),
        (remap, "name=userns"),
        (v2, "name=cgroupns"),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect()
}

/// The system's name and version.
fn os_release() -> (String, String) {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let of = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    (of("PRETTY_NAME"), of("VERSION_ID"))
}

/// Bytes of memory, of `/proc/meminfo`.
fn mem_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(super::mem_total("MemTotal:    2048 kB\nMemFree: 1 kB"), Some(2 << 20));
        assert_eq!(super::mem_total("MemFree: 1 kB"), None);
    }
}
