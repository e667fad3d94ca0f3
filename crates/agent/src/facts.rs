//! What this machine is and has, of /proc and the filesystem.

use std::path::Path;

use pileus_base::{Error, Result};
use pileus_host::HostFacts;

fn read_file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// `MemTotal:  123 kB` → MiB
fn memory_mib(meminfo: &str, key: &str) -> u64 {
    let line = meminfo.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
    let kib: u64 = line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    kib / 1024
}

/// Reads the facts.
///
/// # Errors
/// 500 where the state directory's filesystem can't be asked.
pub fn read(state_dir: &Path, hypervisor: pileus_hypervisor::Facts) -> Result<HostFacts> {
    let disk = rustix::fs::statvfs(state_dir)
        .map_err(|e| Error::wrap(format!("failed to ask the filesystem of `{}`", state_dir.display()), e))?;
    let gib = |blocks: u64| blocks.saturating_mul(disk.f_frsize) >> 30;
    let meminfo = read_file("/proc/meminfo");
    let cpuinfo = read_file("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let mut load =
        read_file("/proc/loadavg").split_whitespace().map(|n| n.parse().unwrap_or(0.0)).collect::<Vec<_>>();
    load.resize(3, 0.0);
    let uptime = read_file("/proc/uptime");
    Ok(HostFacts {
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        vcpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        ram_mib: memory_mib(&meminfo, "MemTotal"),
        free_ram_mib: memory_mib(&meminfo, "MemAvailable"),
        disk_gib: gib(disk.f_blocks),
        free_disk_gib: gib(disk.f_bavail),
        hypervisor: hypervisor.name,
        hypervisor_version: hypervisor.version,
        accelerator: hypervisor.accelerator,
        accelerator_reason: hypervisor.reason,
        cpu_model: model.map(|(_, m)| m.trim().to_owned()).unwrap_or_default(),
        uptime_s: uptime.split('.').next().and_then(|s| s.parse().ok()).unwrap_or(0),
        load: [load[0], load[1], load[2]],
    })
}
