//! Docker's limits as OCI's.

use oci_spec::runtime::LinuxResources;
use pileus_base::Result;
use serde_json::{Map, Value, json};

use super::{devices, values::Fields as _};

/// The limits that a host configuration names; what it doesn't name is absent. For `update`.
///
/// # Errors
/// 400 where a value doesn't fit.
pub fn resources(host_config: &Value) -> Result<LinuxResources> {
    super::typed(json(host_config, false))
}

/// The control group of a container whose parent is asked for: an absolute one begins at the hierarchies' root,
/// another at the daemon's own group. `..` leads nowhere above, as with runc.
pub(super) fn cgroup(parent: &str, id: &str) -> Option<String> {
    if parent.is_empty() {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in parent.split('/').filter(|p| !p.is_empty() && *p != ".") {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.push(id);
    Some(format!("{}{}", if parent.starts_with('/') { "/" } else { "" }, parts.join("/")))
}

/// `new` has a limit of memory bring a limit of swap with it, which an update leaves as it was.
pub(super) fn json(host: &Value, new: bool) -> Value {
    let mut memory = Map::new();
    let limit = host.number("Memory");
    set(&mut memory, "limit", limit);
    // As much swap again as memory, where nothing is said.
    let swap = match host.number("MemorySwap") {
        0 if new && limit > 0 => limit.saturating_mul(2),
        swap => swap,
    };
    set(&mut memory, "swap", swap);
    set(&mut memory, "reservation", host.number("MemoryReservation"));
    if let Some(swappiness) = host.some_number("MemorySwappiness").filter(|v| *v >= 0) {
        memory.insert("swappiness".into(), swappiness.into());
    }
    if host.flag("OomKillDisable") {
        memory.insert("disableOOMKiller".into(), true.into());
    }

    let mut cpu = Map::new();
    set(&mut cpu, "shares", host.number("CpuShares"));
    let nano = host.number("NanoCpus");
    if nano > 0 {
        set(&mut cpu, "period", 100_000);
        set(&mut cpu, "quota", nano / 10_000);
    } else {
        set(&mut cpu, "period", host.number("CpuPeriod"));
        set(&mut cpu, "quota", host.number("CpuQuota"));
    }
    set(&mut cpu, "realtimePeriod", host.number("CpuRealtimePeriod"));
    set(&mut cpu, "realtimeRuntime", host.number("CpuRealtimeRuntime"));
    for (key, field) in [("cpus", "CpusetCpus"), ("mems", "CpusetMems")] {
        if !host.text(field).is_empty() {
            cpu.insert(key.into(), host.text(field).into());
        }
    }

    let mut out = Map::new();
    if !memory.is_empty() {
        out.insert("memory".into(), memory.into());
    }
    if !cpu.is_empty() {
        out.insert("cpu".into(), cpu.into());
    }
    let pids = host.number("PidsLimit");
    if host.has("PidsLimit") {
        out.insert("pids".into(), json!({ "limit": if pids > 0 { pids } else { -1 } }));
    }
    let io = block_io(host);
    if !io.is_empty() {
        out.insert("blockIO".into(), io.into());
    }
    let rules: Vec<_> =
        host.strings("DeviceCgroupRules").iter().filter_map(|r| devices::parse(r).ok()).collect();
    if !rules.is_empty() {
        out.insert("devices".into(), rules.into());
    }
    out.into()
}

fn set(map: &mut Map<String, Value>, key: &str, value: i64) {
    if value != 0 {
        map.insert(key.to_owned(), value.into());
    }
}

fn block_io(host: &Value) -> Map<String, Value> {
    let mut io = Map::new();
    set(&mut io, "weight", host.number("BlkioWeight"));
    let lists = [
        ("weightDevice", "BlkioWeightDevice", "weight", "Weight"),
        ("throttleReadBpsDevice", "BlkioDeviceReadBps", "rate", "Rate"),
        ("throttleWriteBpsDevice", "BlkioDeviceWriteBps", "rate", "Rate"),
        ("throttleReadIOPSDevice", "BlkioDeviceReadIOps", "rate", "Rate"),
        ("throttleWriteIOPSDevice", "BlkioDeviceWriteIOps", "rate", "Rate"),
    ];
    for (key, field, name, value) in lists {
        let devices: Vec<_> = host
            .list(field)
            .iter()
            .filter_map(|d| {
                let stat = rustix::fs::stat(d.text("Path")).ok()?;
                let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                let mut out = json!({ "major": major, "minor": minor });
                out[name] = d.number(value).into();
                Some(out)
            })
            .collect();
        if !devices.is_empty() {
            io.insert(key.into(), devices.into());
        }
    }
    io
}

#[cfg(test)]
mod tests {
    #[test]
    fn parents_of_control_groups_are_cleaned() {
        let of = |parent| super::cgroup(parent, "id");
        assert_eq!(of(""), None);
        for (parent, path) in
            [("/a/", "/a/id"), ("a/b", "a/b/id"), ("../x", "x/id"), ("/", "/id"), ("/a/../../b", "/b/id")]
        {
            assert_eq!(of(parent).as_deref(), Some(path));
        }
    }
}
