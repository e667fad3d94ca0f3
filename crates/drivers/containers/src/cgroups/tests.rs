//! v2's file formats over a directory, and v1 on a kernel that has it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::*;

fn resources(text: &str) -> LinuxResources {
    serde_json::from_str(text).unwrap()
}

#[test]
fn v2_limits_are_written_as_the_kernel_reads_them() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("pileus-t/c");
    fs::create_dir_all(&dir).unwrap();
    fs::write(root.path().join("cgroup.controllers"), "cpu memory").unwrap();
    for parent in [root.path(), dir.parent().unwrap()] {
        fs::write(parent.join("cgroup.subtree_control"), "").unwrap();
    }
    let files =
        ["memory.max", "memory.swap.max", "memory.low", "cpu.weight", "cpu.max", "pids.max", "io.max"];
    for file in files.into_iter().chain(["cgroup.freeze", "io.weight"]) {
        fs::write(dir.join(file), "").unwrap();
    }
    fs::write(dir.join("cgroup.procs"), "12\n7\n").unwrap();
    fs::write(dir.join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
    fs::write(dir.join("memory.events"), "max 3\noom_kill 1\n").unwrap();
    fs::write(dir.join("cpu.stat"), "usage_usec 5\nuser_usec 3\nsystem_usec 2\n").unwrap();
    fs::write(dir.join("io.stat"), "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0\n").unwrap();
    let limits = resources(
        r#"{"memory":{"limit":1000,"swap":3000,"reservation":500},
            "cpu":{"shares":1024,"quota":50000,"period":100000},"pids":{"limit":-1},
            "blockIO":{"weight":10,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":77}]}}"#,
    );
    let group = Group::create_in(root.path(), "pileus-t", "c", &limits).unwrap();
    let said = |file: &str| read(&dir.join(file));
    assert!(group.is_v2());
    assert_eq!(files.map(said), ["1000", "2000", "500", "39", "50000 100000", "max", "8:0 rbps=77"]);
    assert_eq!(said("io.weight"), "default 1");
    assert_eq!(v2::io_weight(1000), 10_000);
    assert_eq!(group.pids(), [7, 12]);
    assert!(group.paused() && group.oom_killed());
    group.freeze(true).unwrap();
    assert_eq!(said("cgroup.freeze"), "1");
    let stats = group.stats().unwrap();
    assert_eq!((stats.cpu_ns, stats.memory_failcnt), ([5000, 2000, 3000], 3));
    assert_eq!(stats.io_bytes[1], (8, 0, "write".to_owned(), 20));
    assert!(stats.system_cpu_ns > 0 && stats.online_cpus > 0);
}

#[test]
fn a_v1_device_rule_is_in_the_kernels_words() {
    let limits = resources(
        r#"{"devices":[{"allow":false,"access":"rwm"},
            {"allow":true,"type":"c","major":136,"access":"rw"},
            {"allow":true,"type":"c","major":1,"minor":3}]}"#,
    );
    let rules: Vec<_> = limits.devices().iter().flatten().map(v1::device_rule).collect();
    assert_eq!(rules, ["a", "c 136:* rw", "c 1:3 rwm"]);
}

#[test]
fn v1_limits_freezes_counts_and_removes_for_real() {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() || fs::metadata(root.join("pids/cgroup.procs")).is_err() {
        return;
    }
    let instance = format!("test{}", std::process::id());
    let limits = resources(
        r#"{"memory":{"limit":33554432,"swap":67108864},"cpu":{"shares":512,"quota":50000,"period":100000},
            "pids":{"limit":20},"devices":[{"allow":false},{"allow":true,"type":"c","major":1,"minor":3}]}"#,
    );
    let Ok(group) = Group::create(&instance, "one", &limits) else {
        // Without privileges there is nothing to see.
        assert!(!rustix::process::geteuid().is_root());
        return;
    };
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    for file in group.procs_files() {
        write(&file, &child.id().to_string()).unwrap();
    }
    assert_eq!(group.pids(), [child.id()]);
    let stats = group.stats().unwrap();
    assert_eq!((stats.memory_bytes[2], stats.pids), (33_554_432, [1, 20]));
    // Both at once, up and down.
    // Joining by oneself is as good: a process that is there joins again.
    let joins: Vec<_> = group.join_files().iter().map(|f| format!("echo 0 > {}", f.display())).collect();
    let script = format!("{} && cat /proc/self/cgroup", joins.join(" && "));
    let joined = Command::new("sh").args(["-c", &script]).output().unwrap();
    let joined = String::from_utf8(joined.stdout).unwrap();
    assert!(joined.matches(&format!("/{instance}/one")).count() >= group.dirs().len(), "{joined}");
    group.apply(&resources(r#"{"memory":{"limit":134217728,"swap":268435456}}"#)).unwrap();
    group.apply(&resources(r#"{"memory":{"limit":33554432,"swap":33554432}}"#)).unwrap();
    assert_eq!(group.stats().unwrap().memory_bytes[2], 33_554_432);
    group.freeze(true).unwrap();
    assert!(group.paused());
    group.freeze(false).unwrap();
    assert!(!group.paused() && !group.oom_killed());
    drop(child.stdin.take());
    child.wait().unwrap();
    group.remove().unwrap();
    group.remove().unwrap();
    assert!(!group.exists());
    for dir in group.dirs() {
        let _ = fs::remove_dir(dir.parent().unwrap());
    }
}
