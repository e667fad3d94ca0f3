//! A cgroup a guest: what it uses is accounted and weighed by its processors. Version 1 and 2; a host
//! whose cgroups can't be written to runs guests without, and says so once.

use std::{
    path::{Path, PathBuf},
    sync::Once,
};

use pileus_base::{InstanceId, ids::ServerId};

const ROOT: &str = "/sys/fs/cgroup";
/// Version 1's hierarchies that matter here.
const CONTROLLERS: [&str; 4] = ["cpu", "memory", "pids", "blkio"];

fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    CONTROLLERS.iter().map(|c| root.join(c)).filter(|p| p.join("cgroup.procs").exists()).collect()
}

fn place(hierarchy: &Path, instance: &InstanceId, id: ServerId) -> PathBuf {
    hierarchy.join(instance.cgroup()).join(id.to_string())
}

/// Makes the guest's cgroups; the files by which to enter them.
pub fn ensure(instance: &InstanceId, id: ServerId, vcpus: u32) -> Vec<PathBuf> {
    static WARNED: Once = Once::new();
    let mut procs = Vec::new();
    for hierarchy in hierarchies() {
        let dir = place(&hierarchy, instance, id);
        if let Err(e) = std::fs::create_dir_all(&dir) {
            WARNED.call_once(|| tracing::warn!(error = %e, "guests run without cgroups"));
            continue;
        }
        // The kernel's own weights: 1024 shares, or weight 100, a processor.
        let shares = u64::from(vcpus) * 1024;
        let weight = (u64::from(vcpus) * 100).min(10_000);
        for (file, value) in [("cpu.shares", shares), ("cpu.weight", weight)] {
            if dir.join(file).exists() {
                // Weight is a wish; a guest runs without it.
                let _ = std::fs::write(dir.join(file), value.to_string());
            }
        }
        procs.push(dir.join("cgroup.procs"));
    }
    procs
}

/// Removes the guest's cgroups, and the instance's with the last; whether they are gone.
pub fn remove(instance: &InstanceId, id: ServerId) -> bool {
    let mut gone = true;
    for hierarchy in hierarchies() {
        let dir = place(&hierarchy, instance, id);
        // What is busy is tried again; what is gone is fine.
        let _ = std::fs::remove_dir(&dir);
        let _ = std::fs::remove_dir(hierarchy.join(instance.cgroup()));
        gone &= !dir.exists();
    }
    gone
}
