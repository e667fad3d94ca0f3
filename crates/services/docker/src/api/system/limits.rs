//! Which limits the host's control groups can set, and the words of `info` for those they can't.

use std::path::Path;

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory: bool,
    pub swap: bool,
    pub oom: bool,
    pub cfs: bool,
    pub shares: bool,
    pub cpuset: bool,
    pub pids: bool,
}

impl Limits {
    /// As this host is.
    pub fn of_host() -> Self {
        Self::at(Path::new("/sys/fs/cgroup"))
    }

    fn at(root: &Path) -> Self {
        if let Ok(text) = std::fs::read_to_string(root.join("cgroup.controllers")) {
            let has = |name: &str| text.split_whitespace().any(|w| w == name);
            return Self {
                memory: has("memory"),
                // Swap is counted unless the kernel was told not to; only groups below the root show it.
                swap: has("memory") && Path::new("/proc/swaps").exists(),
                oom: false,
                cfs: has("cpu"),
                shares: has("cpu"),
                cpuset: has("cpuset"),
                pids: has("pids"),
            };
        }
        let has = |path: &str| root.join(path).exists();
        Self {
            memory: has("memory/memory.limit_in_bytes"),
            swap: has("memory/memory.memsw.limit_in_bytes"),
            oom: has("memory/memory.oom_control"),
            cfs: has("cpu/cpu.cfs_quota_us"),
            shares: has("cpu/cpu.shares"),
            cpuset: has("cpuset/cpuset.cpus"),
            pids: has("pids/cgroup.procs"),
        }
    }

    /// What `info` warns of.
    pub fn warnings(self) -> Vec<String> {
        let all = [
            (self.memory, "WARNING: No memory limit support"),
            (self.swap, "WARNING: No swap limit support"),
            (self.cfs, "WARNING: No cpu cfs quota support"),
            (self.cfs, "WARNING: No cpu cfs period support"),
            (self.shares, "WARNING: No cpu shares support"),
            (self.cpuset, "WARNING: No cpuset support"),
        ];
        all.iter().filter(|(there, _)| !there).map(|(_, words)| (*words).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        let limits = Limits::at(dir.path());
        assert!(limits.memory && limits.cfs && limits.pids && !limits.cpuset && !limits.oom);
        assert_eq!(limits.warnings(), ["WARNING: No cpuset support"]);
        let none = Limits::at(&dir.path().join("x"));
        assert_eq!(none.warnings().len(), 6);
    }
}
