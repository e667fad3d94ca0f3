//! cgroup v1: a directory per controller.

use std::{
    fs,
    path::{Path, PathBuf},
};

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxResources,
};
use pileus_base::{Error, Result};

use super::{ensure_dir, read, write, write_if_there};

const CONTROLLERS: [&str; 8] = ["memory", "cpu", "cpuacct", "cpuset", "devices", "freezer", "pids", "blkio"];

/// The group's directory under each controller that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dirs(Vec<(&'static str, PathBuf)>);

impl Dirs {
    pub(super) fn new(dirs: Vec<(&'static str, PathBuf)>) -> Self {
        Self(dirs)
    }
    pub(super) fn named(&self) -> &[(&'static str, PathBuf)] {
        &self.0
    }
    pub(super) fn find(root: &Path, relative: &Path) -> Self {
        let mounted = |c: &&str| root.join(c).join("cgroup.procs").exists();
        Self(CONTROLLERS.into_iter().filter(mounted).map(|c| (c, root.join(c).join(relative))).collect())
    }
    pub(super) fn of(&self, controller: &str) -> Option<&Path> {
        self.0.iter().find(|(c, _)| *c == controller).map(|(_, dir)| dir.as_path())
    }
    /// All of them, none twice where controllers are mounted together.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        let mut seen = Vec::new();
        let mut dirs = Vec::new();
        for (_, dir) in &self.0 {
            let real = fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
            if !seen.contains(&real) {
                seen.push(real);
                dirs.push(dir.clone());
            }
        }
        dirs
    }
}

pub(super) fn ensure(dirs: &Dirs) -> Result<()> {
    if dirs.0.is_empty() {
        return Err(Error::internal("no control group hierarchy is mounted"));
    }
    for (controller, dir) in &dirs.0 {
        let parent = dir.parent().unwrap_or(dir);
        ensure_dir(parent)?;
        if *controller == "cpuset" {
            inherit_cpuset(parent)?;
        }
        ensure_dir(dir)?;
        if *controller == "cpuset" {
            inherit_cpuset(dir)?;
        }
    }
    Ok(())
}

/// A new cpuset has no processors and no memory, and takes no process until it has.
pub(super) fn inherit_cpuset(dir: &Path) -> Result<()> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if read(&dir.join(file)).trim().is_empty() {
            let of_parent = read(&parent.join(file));
            write(&dir.join(file), of_parent.trim())?;
        }
    }
    Ok(())
}

pub(super) fn apply(dirs: &Dirs, resources: &LinuxResources) -> Result<()> {
    if let (Some(dir), Some(memory)) = (dirs.of("memory"), resources.memory()) {
        apply_memory(dir, memory)?;
    }
    if let Some(cpu) = resources.cpu() {
        if let Some(dir) = dirs.of("cpu") {
            apply_cpu(dir, cpu)?;
        }
        if let Some(dir) = dirs.of("cpuset") {
            for (file, value) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
                if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
                    write(&dir.join(file), value)?;
                }
            }
        }
    }
    if let (Some(dir), Some(pids)) = (dirs.of("pids"), resources.pids())
        && pids.limit() != 0
    {
        let limit = pids.limit();
        write(&dir.join("pids.max"), &if limit > 0 { limit.to_string() } else { "max".into() })?;
    }
    if let (Some(dir), Some(io)) = (dirs.of("blkio"), resources.block_io()) {
        apply_io(dir, io)?;
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        if let Some(dir) = dirs.of("hugetlb") {
            let file = dir.join(format!("hugetlb.{}.limit_in_bytes", limit.page_size()));
            write(&file, &limit.limit().to_string())?;
        }
    }
    if let Some(network) = resources.network() {
        if let (Some(dir), Some(class)) = (dirs.of("net_cls"), network.class_id().filter(|c| *c != 0)) {
            write(&dir.join("net_cls.classid"), &class.to_string())?;
        }
        for one in network.priorities().iter().flatten() {
            if let Some(dir) = dirs.of("net_prio") {
                write(&dir.join("net_prio.ifpriomap"), &format!("{} {}", one.name(), one.priority()))?;
            }
        }
    }
    if let (Some(dir), Some(devices)) = (dirs.of("devices"), resources.devices()) {
        for device in devices {
            let file = if device.allow() { "devices.allow" } else { "devices.deny" };
            write(&dir.join(file), &device_rule(device))?;
        }
    }
    Ok(())
}

/// A device rule in the kernel's words.
pub(super) fn device_rule(device: &LinuxDeviceCgroup) -> String {
    let number = |n: Option<i64>| match n {
        Some(n) if n >= 0 => n.to_string(),
        _ => "*".to_owned(),
    };
    let typ = match device.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::B => "b",
        LinuxDeviceType::C | LinuxDeviceType::U => "c",
        _ => return "a".to_owned(),
    };
    let access = device.access().as_deref().unwrap_or("rwm");
    format!("{typ} {}:{} {access}", number(device.major()), number(device.minor()))
}

fn apply_memory(dir: &Path, memory: &LinuxMemory) -> Result<()> {
    let limit_file = dir.join("memory.limit_in_bytes");
    let swap_file = dir.join("memory.memsw.limit_in_bytes");
    let limit = memory.limit().filter(|v| *v != 0);
    let swap = memory.swap().filter(|v| *v != 0);
    let set_limit = || limit.map_or(Ok(()), |v| write(&limit_file, &v.to_string()));
    let set_swap = || swap.map_or(Ok(()), |v| write_if_there(&swap_file, &v.to_string()));
    // The two together must never be below the one: which goes first depends on where they come from.
    let before = read(&swap_file).trim().parse::<u64>().unwrap_or(u64::MAX);
    let grows = swap == Some(-1) || swap.is_some_and(|v| v as u64 > before);
    if grows {
        set_swap()?;
        set_limit()?;
    } else {
        set_limit()?;
        set_swap()?;
    }
    if let Some(reservation) = memory.reservation().filter(|v| *v != 0) {
        write(&dir.join("memory.soft_limit_in_bytes"), &reservation.to_string())?;
    }
    // Kernels before 5.16 count their own memory apart; later ones refuse the first of these.
    for (file, value) in [
        ("memory.kmem.limit_in_bytes", memory.kernel()),
        ("memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp()),
    ] {
        let Some(value) = value.filter(|v| *v != 0) else { continue };
        if let Err(e) = super::put(&dir.join(file), &value.to_string()) {
            tracing::warn!(file, value, error = %e, "this kernel doesn't have the control; limit discarded");
        }
    }
    if let Some(swappiness) = memory.swappiness().filter(|v| *v <= 100) {
        write(&dir.join("memory.swappiness"), &swappiness.to_string())?;
    }
    if let Some(disable) = memory.disable_oom_killer() {
        let already = read(&dir.join("memory.oom_control")).contains("oom_kill_disable 1");
        if disable != already {
            write(&dir.join("memory.oom_control"), if disable { "1" } else { "0" })?;
        }
    }
    Ok(())
}

fn apply_cpu(dir: &Path, cpu: &LinuxCpu) -> Result<()> {
    if let Some(shares) = cpu.shares().filter(|v| *v != 0) {
        write(&dir.join("cpu.shares"), &shares.to_string())?;
    }
    // A period may only be acceptable with the new quota, or the other way about.
    let period = cpu.period().filter(|v| *v != 0);
    let set_period =
        || period.map_or(Ok(()), |v| write_if_there(&dir.join("cpu.cfs_period_us"), &v.to_string()));
    let early = set_period();
    if let Some(quota) = cpu.quota().filter(|v| *v != 0) {
        write_if_there(&dir.join("cpu.cfs_quota_us"), &quota.to_string())?;
    }
    if early.is_err() {
        set_period()?;
    }
    if let Some(period) = cpu.realtime_period().filter(|v| *v != 0) {
        write_if_there(&dir.join("cpu.rt_period_us"), &period.to_string())?;
    }
    if let Some(runtime) = cpu.realtime_runtime().filter(|v| *v != 0) {
        write_if_there(&dir.join("cpu.rt_runtime_us"), &runtime.to_string())?;
    }
    if let Some(idle) = cpu.idle() {
        write_if_there(&dir.join("cpu.idle"), &idle.to_string())?;
    }
    Ok(())
}

fn apply_io(dir: &Path, io: &LinuxBlockIo) -> Result<()> {
    let pick = |plain: &str, bfq: &str| {
        let plain = dir.join(plain);
        if plain.exists() { plain } else { dir.join(bfq) }
    };
    if let Some(weight) = io.weight().filter(|v| *v != 0) {
        write_if_there(&pick("blkio.weight", "blkio.bfq.weight"), &weight.to_string())?;
    }
    for device in io.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            let line = format!("{}:{} {weight}", device.major(), device.minor());
            write_if_there(&pick("blkio.weight_device", "blkio.bfq.weight_device"), &line)?;
        }
    }
    let throttles = [
        ("blkio.throttle.read_bps_device", io.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", io.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", io.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", io.throttle_write_iops_device()),
    ];
    for (file, devices) in throttles {
        for device in devices.iter().flatten() {
            let line = format!("{}:{} {}", device.major(), device.minor(), device.rate());
            write_if_there(&dir.join(file), &line)?;
        }
    }
    Ok(())
}

pub(super) fn freeze(dirs: &Dirs, frozen: bool) -> Result<()> {
    let dir = dirs.of("freezer").ok_or_else(|| Error::internal("no freezer is mounted"))?;
    write(&dir.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" })
}

pub(super) fn paused(dirs: &Dirs) -> bool {
    dirs.of("freezer").is_some_and(|dir| read(&dir.join("freezer.state")).trim() == "FROZEN")
}
