//! What `create` and `update` refuse before anything is made, in the reference's words.

use pileus_base::{Error, Result};
use serde_json::Value;

use super::{capabilities, devices, security, values::Fields as _};

const MIN_MEMORY: i64 = 6 << 20;
const MILLISECOND: i64 = 1_000_000;

/// Checks a configuration as the reference does.
///
/// # Errors
/// 400 with the first thing that is wrong.
pub fn validate(config: &Value, host_config: &Value) -> Result<()> {
    of_config(config)?;
    modes(config, host_config)?;
    check_resources(host_config)?;
    others(host_config)?;
    for bind in host_config.strings("Binds") {
        volume(&bind)?;
    }
    ports(host_config)?;
    capabilities::of(host_config)?;
    security::Options::read(host_config)?;
    for rule in host_config.strings("DeviceCgroupRules") {
        devices::parse(&rule)?;
    }
    Ok(())
}

/// Checks limits alone, as an update has them.
///
/// # Errors
/// 400 with the first thing that is wrong.
pub fn check_resources(host_config: &Value) -> Result<()> {
    memory(host_config)?;
    processors(host_config)?;
    weight(host_config)
}

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::bad_request(message))
}

fn of_config(config: &Value) -> Result<()> {
    let directory = config.text("WorkingDir");
    if !directory.is_empty() && !directory.starts_with('/') {
        return refuse(format!(
            "the working directory '{directory}' is invalid, it needs to be an absolute path"
        ));
    }
    for entry in config.strings("Env") {
        if entry.is_empty() || entry.starts_with('=') {
            return refuse(format!("invalid environment variable: {entry}"));
        }
    }
    if !config.text("StopSignal").is_empty() {
        crate::model::signals::number(config.text("StopSignal"))?;
    }
    let health = config.get("Healthcheck").unwrap_or(&Value::Null);
    let times = [
        ("Interval", "Interval"),
        ("Timeout", "Timeout"),
        ("StartPeriod", "StartPeriod"),
        ("StartInterval", "StartInterval"),
    ];
    for (key, name) in times {
        let value = health.number(key);
        if value != 0 && value < MILLISECOND {
            return refuse(format!("{name} in Healthcheck cannot be less than 1ms"));
        }
    }
    if health.number("Retries") < 0 {
        return refuse("Retries in Healthcheck cannot be negative");
    }
    Ok(())
}

fn modes(config: &Value, host: &Value) -> Result<()> {
    let of_container = |mode: &str| mode.strip_prefix("container:").map(|name| !name.is_empty());
    let ipc = host.text("IpcMode");
    if !["", "none", "private", "shareable", "host"].contains(&ipc) && of_container(ipc) != Some(true) {
        return refuse(format!("invalid IPC mode: {ipc}"));
    }
    let pid = host.text("PidMode");
    if !["", "private", "host"].contains(&pid) && of_container(pid) != Some(true) {
        return refuse(format!("invalid PID mode: {pid}"));
    }
    let plain = [
        ("UTSMode", "UTS", &["", "host"][..]),
        ("UsernsMode", "userns", &["", "host"]),
        ("CgroupnsMode", "cgroup namespace", &["", "host", "private"]),
    ];
    for (key, name, accepted) in plain {
        if !accepted.contains(&host.text(key)) {
            return refuse(format!("invalid {name} mode: {}", host.text(key)));
        }
    }
    let named = !config.text("Hostname").is_empty();
    if host.text("UTSMode") == "host" && named {
        return refuse("conflicting options: hostname and the UTS mode");
    }
    match of_container(host.text("NetworkMode")) {
        None => Ok(()),
        Some(false) => refuse("invalid network mode: invalid container format container:<name|id>"),
        Some(true) if named => refuse("conflicting options: hostname and the network mode"),
        Some(true) if !host.list("Links").is_empty() => refuse(
            "conflicting options: container type network can't be used with links. This would result in undefined behavior",
        ),
        Some(true) if !host.list("Dns").is_empty() => refuse("conflicting options: dns and the network mode"),
        Some(true) if !host.list("ExtraHosts").is_empty() => {
            refuse("conflicting options: custom host-to-IP mapping and the network mode")
        }
        Some(true) if has_entries(host, "PortBindings") || host.flag("PublishAllPorts") => {
            refuse("conflicting options: port publishing and the container type network mode")
        }
        Some(true) if has_entries(config, "ExposedPorts") => {
            refuse("conflicting options: port exposing and the container type network mode")
        }
        Some(true) => Ok(()),
    }
}

fn has_entries(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_object).is_some_and(|o| !o.is_empty())
}

fn memory(host: &Value) -> Result<()> {
    let (limit, swap) = (host.number("Memory"), host.number("MemorySwap"));
    let reservation = host.number("MemoryReservation");
    if limit != 0 && limit < MIN_MEMORY {
        return refuse("Minimum memory limit allowed is 6MB");
    }
    if limit > 0 && swap > 0 && swap < limit {
        return refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if limit == 0 && swap > 0 {
        return refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    let swappiness = host.some_number("MemorySwappiness").unwrap_or(-1);
    if !(-1..=100).contains(&swappiness) {
        return refuse(format!("Invalid value: {swappiness}, valid memory swappiness range is 0-100"));
    }
    if reservation > 0 && reservation < MIN_MEMORY {
        return refuse("Minimum memory reservation allowed is 6MB");
    }
    if limit > 0 && reservation > 0 && limit < reservation {
        return refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    Ok(())
}

fn processors(host: &Value) -> Result<()> {
    let (nano, period, quota) = (host.number("NanoCpus"), host.number("CpuPeriod"), host.number("CpuQuota"));
    if nano > 0 && period > 0 {
        return refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if nano > 0 && quota > 0 {
        return refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as i64);
    if nano < 0 || nano > cpus * 1_000_000_000 {
        return refuse(format!(
            "Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        ));
    }
    if period != 0 && !(1_000..=1_000_000).contains(&period) {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if quota > 0 && quota < 1000 {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if host.number("CpuShares") < 0 {
        return refuse(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            host.number("CpuShares")
        ));
    }
    cpuset(host.text("CpusetCpus"), "cpus", "/sys/devices/system/cpu/online")?;
    cpuset(host.text("CpusetMems"), "mems", "/sys/devices/system/node/online")
}

fn cpuset(wanted: &str, what: &str, available: &str) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let Some(set) = ranges(wanted) else {
        return refuse(format!("Invalid value {wanted} for cpuset {what}: invalid format: {wanted}"));
    };
    let text = std::fs::read_to_string(available).unwrap_or_default();
    let there = text.trim();
    let there_set = ranges(there).unwrap_or_default();
    if !there.is_empty() && !set.iter().all(|n| there_set.contains(n)) {
        let name = if what == "cpus" { "CPUs" } else { "memory nodes" };
        return refuse(format!(
            "Requested {name} are not available - requested {wanted}, available: {there}"
        ));
    }
    Ok(())
}

/// `0-2,5` as numbers.
fn ranges(text: &str) -> Option<Vec<u32>> {
    let mut out = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (from.trim().parse::<u32>().ok()?, to.trim().parse::<u32>().ok()?);
        if to < from || to > 8192 {
            return None;
        }
        out.extend(from..=to);
    }
    Some(out)
}

fn weight(host: &Value) -> Result<()> {
    let weight = host.number("BlkioWeight");
    if weight != 0 && !(10..=1000).contains(&weight) {
        return refuse("Range of blkio weight is from 10 to 1000");
    }
    Ok(())
}

fn others(host: &Value) -> Result<()> {
    if !matches!(host.text("Isolation"), "" | "default") {
        return refuse(format!(
            "invalid isolation: {:?} - linux only supports 'default'",
            host.text("Isolation")
        ));
    }
    if let Some(bad) = host.strings("ExtraHosts").iter().find(|h| !h.contains([':', '='])) {
        return refuse(format!("bad format for add-host: {bad:?}"));
    }
    let score = host.number("OomScoreAdj");
    if !(-1000..=1000).contains(&score) {
        return refuse(format!("Invalid value {score}, range for oom score adj is [-1000, 1000]"));
    }
    if host.number("ShmSize") < 0 {
        return refuse("SHM size can not be less than 0");
    }
    for limit in host.list("Ulimits") {
        let (soft, hard) = (limit.number("Soft"), limit.number("Hard"));
        let known = [
            "core",
            "cpu",
            "data",
            "fsize",
            "locks",
            "memlock",
            "msgqueue",
            "nice",
            "nofile",
            "nproc",
            "rss",
            "rtprio",
            "rttime",
            "sigpending",
            "stack",
            "as",
        ];
        if !known.contains(&limit.text("Name")) {
            return refuse(format!("invalid ulimit type: {}", limit.text("Name")));
        }
        if hard != -1 && (soft == -1 || soft > hard) {
            return refuse(format!(
                "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            ));
        }
    }
    for (at, _) in host.pairs("Tmpfs") {
        if !at.starts_with('/') {
            return refuse(format!("invalid mount path: '{at}' mount path must be absolute"));
        }
    }
    Ok(())
}

/// `source:destination[:mode]`, `volume:destination[:mode]` or `destination`.
fn volume(text: &str) -> Result<()> {
    let invalid = || Error::bad_request(format!("invalid volume specification: '{text}'"));
    let parts: Vec<_> = text.split(':').collect();
    let (source, destination, mode) = match parts[..] {
        [destination] => (None, destination, ""),
        [_, "ro" | "rw" | "z" | "Z" | "nocopy"] => return Err(invalid()),
        [source, destination] => (Some(source), destination, ""),
        [source, destination, mode] => (Some(source), destination, mode),
        _ => return Err(invalid()),
    };
    if destination.is_empty() || source == Some("") || (parts.len() == 3 && mode.is_empty()) {
        return Err(invalid());
    }
    if !destination.starts_with('/') {
        return refuse(format!(
            "invalid volume specification: '{text}': invalid mount config for type \"bind\": invalid mount \
             path: '{destination}' mount path must be absolute"
        ));
    }
    if destination.trim_matches('/').is_empty() {
        return refuse(format!(
            "invalid volume specification: '{text}': invalid mount config for type \"bind\": invalid \
             specification: destination can't be '/'"
        ));
    }
    let words = [
        "ro",
        "rw",
        "z",
        "Z",
        "nocopy",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
        "consistent",
        "cached",
        "delegated",
    ];
    if !mode.is_empty() && !mode.split(',').all(|w| words.contains(&w)) {
        return refuse(format!("invalid mode: {mode}"));
    }
    if let Some(name) = source.filter(|s| !s.starts_with('/')) {
        if name.len() == 1 {
            return refuse(format!(
                "create {name}: volume name is too short, names should be at least two alphanumeric characters"
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !starts || name.len() < 2 || !name.chars().all(plain) {
            return refuse(format!(
                "create {name}: {name:?} includes invalid characters for a local volume name, only \
                 \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use \
                 absolute path"
            ));
        }
    }
    Ok(())
}

fn ports(host: &Value) -> Result<()> {
    let Some(bindings) = host.get("PortBindings").and_then(Value::as_object) else { return Ok(()) };
    for (port, targets) in bindings {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let in_range = |text: &str| text.parse::<u16>().is_ok_and(|n| n > 0);
        if !in_range(number) {
            return refuse(format!("invalid port specification: {number:?}"));
        }
        if !["tcp", "udp", "sctp"].contains(&protocol) {
            return refuse(format!("invalid port specification: {port:?}"));
        }
        for target in targets.as_array().into_iter().flatten() {
            let wanted = target.text("HostPort");
            let (from, to) = wanted.split_once('-').unwrap_or((wanted, wanted));
            let fits = |text: &str| text.parse::<u16>().is_ok();
            let ordered = from.parse::<u16>().ok() <= to.parse::<u16>().ok();
            let acceptable = wanted.is_empty() || (fits(from) && fits(to) && ordered);
            if !acceptable {
                return refuse(format!("invalid port specification: {wanted:?}"));
            }
        }
    }
    Ok(())
}
