//! cgroup v2: one directory, whose parents pass controllers on to it.

use std::path::Path;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};
use pileus_base::Result;

use super::{devices, ensure_dir, read, write, write_if_there};

const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "memory", "pids", "io"];

pub(super) fn ensure(root: &Path, dir: &Path) -> Result<()> {
    let parent = dir.parent().unwrap_or(root);
    pass_on(root);
    ensure_dir(parent)?;
    pass_on(parent);
    ensure_dir(dir)
}

/// Has `dir` pass its controllers on to its children, one by one: a kernel may lack some.
pub(super) fn pass_on(dir: &Path) {
    let enabled = read(&dir.join("cgroup.subtree_control"));
    for controller in CONTROLLERS {
        if enabled.split_whitespace().any(|c| c == controller) {
            continue;
        }
        if let Err(e) = write(&dir.join("cgroup.subtree_control"), &format!("+{controller}")) {
            tracing::warn!(controller, dir = %dir.display(), error = %e.chain(), "no such controller here");
        }
    }
}

pub(super) fn apply(dir: &Path, resources: &LinuxResources) -> Result<()> {
    if let Some(memory) = resources.memory() {
        apply_memory(dir, memory)?;
    }
    if let Some(cpu) = resources.cpu() {
        apply_cpu(dir, cpu)?;
    }
    if let Some(limit) = resources.pids().map(|p| p.limit()).filter(|v| *v != 0) {
        write_if_there(&dir.join("pids.max"), &number_or_max(limit))?;
    }
    if let Some(io) = resources.block_io() {
        apply_io(dir, io)?;
    }
    if let Some(list) = resources.devices().as_deref().filter(|d| !d.is_empty()) {
        devices::apply(dir, list)?;
    }
    for (file, value) in resources.unified().iter().flatten() {
        if !file.contains('/') {
            write(&dir.join(file), value)?;
        }
    }
    Ok(())
}

fn number_or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn apply_memory(dir: &Path, memory: &LinuxMemory) -> Result<()> {
    let limit = memory.limit().filter(|v| *v != 0);
    if let Some(swap) = memory.swap().filter(|v| *v != 0) {
        // Docker's figure is memory and swap together; this one is swap alone.
        let alone = match limit {
            Some(limit) if limit > 0 && swap > 0 => (swap - limit).max(0),
            _ => swap,
        };
        write_if_there(&dir.join("memory.swap.max"), &number_or_max(alone))?;
    }
    if let Some(limit) = limit {
        write_if_there(&dir.join("memory.max"), &number_or_max(limit))?;
    }
    if let Some(reservation) = memory.reservation().filter(|v| *v != 0) {
        write_if_there(&dir.join("memory.low"), &number_or_max(reservation))?;
    }
    if memory.disable_oom_killer() == Some(true) || memory.swappiness().is_some() {
        tracing::warn!("cgroup v2 has neither swappiness nor a switch for the OOM killer; discarded");
    }
    Ok(())
}

/// Shares (2 to 262144, 1024 by default) as a weight (1 to 10000).
pub(super) fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// A v1 weight (10 to 1000) as a v2 one (1 to 10000).
pub(super) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).clamp(10, 1000) - 10) * 9999 / 990
}

fn apply_cpu(dir: &Path, cpu: &LinuxCpu) -> Result<()> {
    if let Some(shares) = cpu.shares().filter(|v| *v != 0) {
        write_if_there(&dir.join("cpu.weight"), &weight_of_shares(shares).to_string())?;
    }
    let quota = cpu.quota().filter(|v| *v != 0);
    let period = cpu.period().filter(|v| *v != 0);
    if quota.is_some() || period.is_some() {
        let before = read(&dir.join("cpu.max"));
        let before = before.split_whitespace().next().unwrap_or("max").to_owned();
        let quota = quota.map_or(before, number_or_max);
        write_if_there(&dir.join("cpu.max"), &format!("{quota} {}", period.unwrap_or(100_000)))?;
    }
    for (file, value) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
        if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
            write_if_there(&dir.join(file), value)?;
        }
    }
    if let Some(idle) = cpu.idle() {
        write_if_there(&dir.join("cpu.idle"), &idle.to_string())?;
    }
    Ok(())
}

fn apply_io(dir: &Path, io: &LinuxBlockIo) -> Result<()> {
    let bfq = dir.join("io.bfq.weight");
    let set_weight = |device: &str, weight: u16| {
        if bfq.exists() {
            write(&bfq, &format!("{device} {weight}"))
        } else {
            write_if_there(&dir.join("io.weight"), &format!("{device} {}", io_weight(weight)))
        }
    };
    if let Some(weight) = io.weight().filter(|v| *v != 0) {
        set_weight("default", weight)?;
    }
    for device in io.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            set_weight(&format!("{}:{}", device.major(), device.minor()), weight)?;
        }
    }
    let throttles = [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ];
    for (key, devices) in throttles {
        for device in devices.iter().flatten() {
            let rate = if device.rate() == 0 { "max".to_owned() } else { device.rate().to_string() };
            let line = format!("{}:{} {key}={rate}", device.major(), device.minor());
            write_if_there(&dir.join("io.max"), &line)?;
        }
    }
    Ok(())
}

pub(super) fn freeze(dir: &Path, frozen: bool) -> Result<()> {
    write(&dir.join("cgroup.freeze"), if frozen { "1" } else { "0" })
}

pub(super) fn paused(dir: &Path) -> bool {
    super::stats::pairs(&read(&dir.join("cgroup.events"))).iter().any(|(k, v)| k == "frozen" && *v == 1)
}
