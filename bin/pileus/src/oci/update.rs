//! `update`: limits from flags or a file.

use std::io::Read as _;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};
use pileus_base::{Error, Result};
use pileus_containers::bundle::Runtime;

use super::cli::UpdateArgs;

/// Sets limits anew.
pub fn run(runtime: &Runtime, args: &UpdateArgs) -> Result<()> {
    let resources = match &args.resources {
        Some(path) => {
            let failed = |e| Error::wrap(format!("failed to read {}", path.display()), e);
            let mut text = String::new();
            if path.as_os_str() == "-" {
                std::io::stdin().read_to_string(&mut text).map_err(failed)?;
            } else {
                text = std::fs::read_to_string(path).map_err(failed)?;
            }
            serde_json::from_str(&text).map_err(|e| Error::bad_request(format!("resources: {e}")))?
        }
        None => from_flags(args)?,
    };
    runtime.update(&args.id, &resources)
}

/// Bytes, with go-units' suffixes; -1 for no limit.
fn bytes(text: &str) -> Result<i64> {
    let bad = || Error::bad_request(format!("invalid value for memory: invalid size: '{text}'"));
    let lower = text.trim().to_ascii_lowercase();
    if lower == "-1" {
        return Ok(-1);
    }
    let number = lower.trim_end_matches("ib").trim_end_matches('b');
    let (number, shift) = match number.as_bytes().last() {
        Some(b'k') => (&number[..number.len() - 1], 10),
        Some(b'm') => (&number[..number.len() - 1], 20),
        Some(b'g') => (&number[..number.len() - 1], 30),
        Some(b't') => (&number[..number.len() - 1], 40),
        _ => (number, 0),
    };
    number
        .trim()
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(1 << shift))
        .filter(|n| *n >= 0)
        .ok_or_else(bad)
}

fn from_flags(args: &UpdateArgs) -> Result<LinuxResources> {
    let size = |text: &Option<String>| text.as_deref().map(bytes).transpose();
    let mut memory = LinuxMemory::default();
    memory.set_limit(size(&args.memory)?);
    memory.set_reservation(size(&args.memory_reservation)?);
    memory.set_swap(size(&args.memory_swap)?);
    let mut cpu = LinuxCpu::default();
    cpu.set_period(args.cpu_period);
    cpu.set_quota(args.cpu_quota);
    cpu.set_shares(args.cpu_shares);
    cpu.set_realtime_period(args.cpu_rt_period);
    cpu.set_realtime_runtime(args.cpu_rt_runtime);
    cpu.set_cpus(args.cpuset_cpus.clone());
    cpu.set_mems(args.cpuset_mems.clone());
    cpu.set_idle(args.cpu_idle);
    let mut resources = LinuxResources::default();
    // The default of the type allows and forbids devices anew.
    resources.set_devices(None);
    resources.set_memory(Some(memory));
    resources.set_cpu(Some(cpu));
    if let Some(weight) = args.blkio_weight {
        let mut io = LinuxBlockIo::default();
        io.set_weight(Some(weight));
        resources.set_block_io(Some(io));
    }
    if let Some(limit) = args.pids_limit {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        resources.set_pids(Some(pids));
    }
    Ok(resources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(bytes("64m").ok(), Some(64 << 20));
        assert_eq!(bytes("1GiB").ok(), Some(1 << 30));
        assert_eq!(bytes("-1").ok(), Some(-1));
        assert!(bytes("x").is_err());
    }
}
