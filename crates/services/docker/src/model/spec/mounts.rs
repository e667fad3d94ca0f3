//! What is mounted in a container: the usual, the engine's three files, tmpfs, and binds.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Bind, SpecInput, values::Fields as _};

/// `/dev/shm`'s size where nothing is said.
const SHM_SIZE: i64 = 64 << 20;

pub(super) fn mounts(input: &SpecInput<'_>) -> Vec<Value> {
    let host = input.host_config;
    let tmpfs = tmpfs(host);
    let overridden = |at: &str| {
        let dev = at.starts_with("/dev/") && input.binds.iter().any(|b| b.destination == Path::new("/dev"));
        dev || input.binds.iter().any(|b| b.destination == Path::new(at))
            || tmpfs.iter().any(|m| m["destination"] == at)
    };
    let mut mounts: Vec<_> =
        usual(input).into_iter().filter(|m| !overridden(m["destination"].as_str().unwrap_or(""))).collect();
    let mut own: Vec<(PathBuf, Value)> = Vec::new();
    let files = [
        (&input.resolv_conf, "/etc/resolv.conf"),
        (&input.hostname, "/etc/hostname"),
        (&input.hosts, "/etc/hosts"),
    ];
    for (source, at) in files {
        if let Some(source) = source.as_ref().filter(|_| !overridden(at)) {
            own.push((at.into(), bind(source, Path::new(at), false, None, &[])));
        }
    }
    for b in input.binds {
        let mount = bind(&b.source, &b.destination, b.read_only, b.propagation.as_deref(), &b.options);
        own.push((b.destination.clone(), mount));
    }
    for mount in tmpfs {
        own.push((mount["destination"].as_str().unwrap_or_default().into(), mount));
    }
    // A mount below another must come after it.
    own.sort_by_key(|(at, _)| at.components().count());
    mounts.extend(own.into_iter().map(|(_, mount)| mount));
    mounts
}

/// The root's own propagation, where a bind wants mounts to travel.
pub(super) fn root_propagation(binds: &[Bind]) -> Option<&'static str> {
    let any =
        |names: [&str; 2]| binds.iter().any(|b| b.propagation.as_deref().is_some_and(|p| names.contains(&p)));
    if any(["shared", "rshared"]) {
        Some("shared")
    } else if any(["slave", "rslave"]) {
        Some("rslave")
    } else {
        None
    }
}

fn bind(source: &Path, at: &Path, read_only: bool, propagation: Option<&str>, words: &[String]) -> Value {
    let asked = |word: &str| words.iter().any(|w| w == word);
    let propagation = propagation.filter(|p| !p.is_empty()).unwrap_or("rprivate");
    let mut options = vec![if asked("bind") { "bind" } else { "rbind" }, propagation];
    if read_only {
        options.push(if asked("rro") { "rro" } else { "ro" });
    }
    json!({ "destination": at, "type": "bind", "source": source, "options": options })
}

fn usual(input: &SpecInput<'_>) -> Vec<Value> {
    let host = input.host_config;
    let mode = if host.flag("Privileged") { "rw" } else { "ro" };
    let mount = |at: &str, typ: &str, source: &str, options: &[&str]| json!({ "destination": at, "type": typ, "source": source, "options": options });
    let safe = ["nosuid", "noexec", "nodev"];
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &safe),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", mode]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &[mode, "nosuid", "noexec", "nodev"]),
    ];
    let ipc = host.text("IpcMode");
    if ipc == "host" {
        mounts.push(bind(Path::new("/dev/mqueue"), Path::new("/dev/mqueue"), false, None, &[]));
    } else {
        mounts.push(mount("/dev/mqueue", "mqueue", "mqueue", &safe));
    }
    let shm = match &input.shm {
        Some(path) => Some(path.as_path()),
        None if ipc == "host" => Some(Path::new("/dev/shm")),
        None => None,
    };
    if let Some(shm) = shm {
        mounts.push(bind(shm, Path::new("/dev/shm"), false, None, &[]));
    } else if ipc != "none" {
        let size = match host.number("ShmSize") {
            size if size > 0 => size,
            _ => SHM_SIZE,
        };
        let size = format!("size={size}");
        let options = ["nosuid", "noexec", "nodev", "mode=1777", &size];
        mounts.push(mount("/dev/shm", "tmpfs", "shm", &options));
    }
    mounts
}

/// `Tmpfs`, and the mounts of type `tmpfs`.
fn tmpfs(host: &Value) -> Vec<Value> {
    let mount = |at: &str, given: Vec<String>| {
        let mut options: Vec<String> =
            ["noexec", "nosuid", "nodev"].iter().map(|o| (*o).to_owned()).collect();
        for option in given.into_iter().filter(|o| !o.is_empty()) {
            // `exec` takes the place of `noexec`, and so on.
            options.retain(|o| o.strip_prefix("no") != Some(option.as_str()) && *o != option);
            options.push(option);
        }
        json!({ "destination": at, "type": "tmpfs", "source": "tmpfs", "options": options })
    };
    let mut mounts: Vec<_> = host
        .pairs("Tmpfs")
        .iter()
        .map(|(at, options)| mount(at, options.split(',').map(str::to_owned).collect()))
        .collect();
    for m in host.list("Mounts").iter().filter(|m| m.text("Type") == "tmpfs") {
        let wanted = m.get("TmpfsOptions").unwrap_or(&Value::Null);
        let mut options = Vec::new();
        if wanted.number("SizeBytes") > 0 {
            options.push(format!("size={}", wanted.number("SizeBytes")));
        }
        if wanted.number("Mode") > 0 {
            options.push(format!("mode={:o}", wanted.number("Mode")));
        }
        if m.flag("ReadOnly") {
            options.push("ro".to_owned());
        }
        mounts.push(mount(m.text("Target"), options));
    }
    mounts
}
