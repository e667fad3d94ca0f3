//! Processors and memory; the collector that gathers all of the hardware.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Facts, devices, dmi, lvm, mounts, read};
use crate::cx::Cx;

/// Everything about the machine's hardware.
pub fn collect(cx: &mut Cx<'_>, facts: &mut Facts) {
    processors(facts);
    memory(facts);
    dmi::collect(cx, facts);
    devices::collect(facts);
    if let Some(seconds) = read("/proc/uptime").and_then(|t| t.split('.').next()?.parse::<i64>().ok()) {
        facts.insert("uptime_seconds".into(), seconds.into());
    }
    lvm::collect(cx, facts);
    facts.insert("mounts".into(), mounts::for_setup().into());
}

/// How many processors this process may use.
fn usable() -> usize {
    // SAFETY: cpu_set_t is a bit array, for which zero is valid.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set and its size belong together.
    if unsafe { libc::sched_getaffinity(0, std::mem::size_of_val(&set), &mut set) } != 0 {
        return 0;
    }
    // SAFETY: the set was filled by the kernel.
    unsafe { libc::CPU_COUNT(&set) as usize }
}

fn processors(facts: &mut Facts) {
    let text = read("/proc/cpuinfo").unwrap_or_default();
    let mut list: Vec<Value> = Vec::new();
    let mut sockets: HashMap<String, i64> = HashMap::new();
    let (mut socket, mut count, mut vendors, mut models) = (String::new(), 0i64, 0i64, 0i64);
    let mut siblings: Option<i64> = None;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "flags" | "Features" if !facts.contains_key("flags") => {
                let flags: Vec<&str> = value.split_whitespace().collect();
                facts.insert("flags".into(), json!(flags));
            }
            "model name" | "Processor" | "vendor_id" | "cpu" | "Vendor" | "processor" => {
                list.push(value.into());
                match key {
                    "vendor_id" => vendors += 1,
                    "model name" => models += 1,
                    "processor" => count += 1,
                    _ => {}
                }
            }
            "physical id" => {
                socket = value.to_string();
                sockets.entry(socket.clone()).or_insert(1);
            }
            "cpu cores" => {
                sockets.insert(socket.clone(), value.parse().unwrap_or(1));
            }
            "siblings" => siblings = value.parse().ok(),
            _ => {}
        }
    }
    // Processors that name neither vendor nor model (arm) count by themselves.
    let count = if vendors == 0 && models == 0 { count } else { count.max(vendors).max(models) };
    let (number, per, threads) = if sockets.is_empty() {
        (count, 1, 1)
    } else {
        let per = sockets.values().copied().max().unwrap_or(1).max(1);
        let threads = siblings.map_or(1, |s| (s / per).max(1));
        (sockets.len() as i64, per, threads)
    };
    facts.insert("processor".into(), Value::Array(list));
    facts.insert("processor_count".into(), number.into());
    facts.insert("processor_cores".into(), per.into());
    facts.insert("processor_threads_per_core".into(), threads.into());
    facts.insert("processor_vcpus".into(), (threads * number * per).into());
    let usable = usable();
    facts.insert("processor_nproc".into(), if usable > 0 { usable as i64 } else { count }.into());
}

fn memory(facts: &mut Facts) {
    let text = read("/proc/meminfo").unwrap_or_default();
    let values: HashMap<&str, i64> = text
        .lines()
        .filter_map(|line| {
            let (key, rest) = line.split_once(':')?;
            Some((key, rest.split_whitespace().next()?.parse::<i64>().ok()? / 1024))
        })
        .collect();
    let mb = |key: &str| values.get(key).copied().unwrap_or(0);
    let (total, free, cached, buffers) = (mb("MemTotal"), mb("MemFree"), mb("Cached"), mb("Buffers"));
    let (swap, swap_free) = (mb("SwapTotal"), mb("SwapFree"));
    facts.insert("memtotal_mb".into(), total.into());
    facts.insert("memfree_mb".into(), free.into());
    facts.insert("swaptotal_mb".into(), swap.into());
    facts.insert("swapfree_mb".into(), swap_free.into());
    let idle = free + cached + buffers;
    facts.insert(
        "memory_mb".into(),
        json!({
            "real": {"total": total, "used": total - free, "free": free},
            "nocache": {"free": idle, "used": total - idle},
            "swap": {"total": swap, "free": swap_free, "used": swap - swap_free, "cached": mb("SwapCached")},
        }),
    );
}
