//! What a group uses, as the kernel counts it.

use std::path::Path;

use super::{read, v1::Dirs};

/// Raw figures of a group's use of the machine; the network's are not here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Processor time in nanoseconds: all, kernel, user.
    pub cpu_ns: [u64; 3],
    /// Processor time of each processor, where the kernel counts it.
    pub percpu_ns: Vec<u64>,
    /// Periods, throttled periods, throttled nanoseconds.
    pub throttling: [u64; 3],
    /// Memory in bytes: used, the most there was, the limit.
    pub memory_bytes: [u64; 3],
    /// How often the limit was hit.
    pub memory_failcnt: u64,
    /// The kernel's `memory.stat`, as it is.
    pub memory_stat: Vec<(String, u64)>,
    /// Processes and their limit (0 for none).
    pub pids: [u64; 2],
    /// Major, minor, operation, value.
    pub io_bytes: Vec<(u64, u64, String, u64)>,
    /// Major, minor, operation, value.
    pub io_ops: Vec<(u64, u64, String, u64)>,
    /// The host's processor time in nanoseconds.
    pub system_cpu_ns: u64,
    /// The host's processors.
    pub online_cpus: u32,
    /// Whether the figures are cgroup v2's.
    pub cgroup_v2: bool,
}

/// The lines of `key value`.
pub(super) fn pairs(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

fn value_of(pairs: &[(String, u64)], key: &str) -> u64 {
    pairs.iter().find(|(k, _)| k == key).map_or(0, |(_, v)| *v)
}

fn number(path: &Path) -> u64 {
    let text = read(path);
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

fn limit_or_zero(path: &Path) -> u64 {
    match number(path) {
        u64::MAX => 0,
        n => n,
    }
}

pub(super) fn v1(dirs: &Dirs) -> Stats {
    let mut stats = Stats::default();
    host(&mut stats);
    if let Some(dir) = dirs.of("cpuacct") {
        stats.cpu_ns =
            ["cpuacct.usage", "cpuacct.usage_sys", "cpuacct.usage_user"].map(|file| number(&dir.join(file)));
        let each = read(&dir.join("cpuacct.usage_percpu"));
        stats.percpu_ns = each.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    }
    if let Some(dir) = dirs.of("cpu") {
        let stat = pairs(&read(&dir.join("cpu.stat")));
        stats.throttling = ["nr_periods", "nr_throttled", "throttled_time"].map(|k| value_of(&stat, k));
    }
    if let Some(dir) = dirs.of("memory") {
        stats.memory_bytes = ["memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes"]
            .map(|file| number(&dir.join(file)));
        stats.memory_failcnt = number(&dir.join("memory.failcnt"));
        stats.memory_stat = pairs(&read(&dir.join("memory.stat")));
    }
    if let Some(dir) = dirs.of("pids") {
        stats.pids = [number(&dir.join("pids.current")), limit_or_zero(&dir.join("pids.max"))];
    }
    if let Some(dir) = dirs.of("blkio") {
        let of = |what: &str| {
            let throttle = blkio(&read(&dir.join(format!("blkio.throttle.{what}_recursive"))));
            if throttle.is_empty() {
                blkio(&read(&dir.join(format!("blkio.bfq.{what}_recursive"))))
            } else {
                throttle
            }
        };
        stats.io_bytes = of("io_service_bytes");
        stats.io_ops = of("io_serviced");
    }
    stats
}

/// Lines of `8:0 Read 4096`.
pub(super) fn blkio(text: &str) -> Vec<(u64, u64, String, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (major, minor) = words.next()?.split_once(':')?;
            let operation = words.next()?.to_owned();
            Some((major.parse().ok()?, minor.parse().ok()?, operation, words.next()?.parse().ok()?))
        })
        .collect()
}

pub(super) fn v2(dir: &Path) -> Stats {
    let mut stats = Stats { cgroup_v2: true, ..Stats::default() };
    host(&mut stats);
    let cpu = pairs(&read(&dir.join("cpu.stat")));
    stats.cpu_ns = ["usage_usec", "system_usec", "user_usec"].map(|k| value_of(&cpu, k) * 1000);
    stats.throttling = [
        value_of(&cpu, "nr_periods"),
        value_of(&cpu, "nr_throttled"),
        value_of(&cpu, "throttled_usec") * 1000,
    ];
    stats.memory_bytes = ["memory.current", "memory.peak", "memory.max"].map(|file| number(&dir.join(file)));
    stats.memory_failcnt = value_of(&pairs(&read(&dir.join("memory.events"))), "max");
    stats.memory_stat = pairs(&read(&dir.join("memory.stat")));
    stats.pids = [number(&dir.join("pids.current")), limit_or_zero(&dir.join("pids.max"))];
    for line in read(&dir.join("io.stat")).lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|d| d.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in words.filter_map(|w| w.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            match key {
                "rbytes" => stats.io_bytes.push((major, minor, "read".into(), value)),
                "wbytes" => stats.io_bytes.push((major, minor, "write".into(), value)),
                "rios" => stats.io_ops.push((major, minor, "read".into(), value)),
                "wios" => stats.io_ops.push((major, minor, "write".into(), value)),
                _ => {}
            }
        }
    }
    stats
}

fn host(stats: &mut Stats) {
    let text = read(Path::new("/proc/stat"));
    // User, nice, system, idle, iowait, irq, softirq, steal: in hundredths of a second.
    let ticks: u64 = text
        .lines()
        .next()
        .map(|line| line.split_whitespace().skip(1).take(8).filter_map(|n| n.parse::<u64>().ok()).sum())
        .unwrap_or(0);
    stats.system_cpu_ns = ticks * 10_000_000;
    let cpus = text.lines().filter(|l| l.starts_with("cpu") && !l.starts_with("cpu ")).count();
    stats.online_cpus = cpus as u32;
}
