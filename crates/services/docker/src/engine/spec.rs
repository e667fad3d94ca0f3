//! A container's OCI configuration, of its document and of what its start has prepared.

use std::path::Path;

use oci_spec::runtime::{LinuxResources, Process, Spec};
use pileus_base::{Error, Result};
use pileus_host::{ContainerSpec, LogSpec};
use serde_json::{Map, Value, json};

use crate::{Container, Docker, model::config::texts};

/// What the reference leaves a container.
const CAPS: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];
const MORE_CAPS: [&str; 27] = [
    "CAP_DAC_READ_SEARCH",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_LEASE",
    "CAP_AUDIT_CONTROL",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

impl Docker {
    /// What the host is told to run.
    pub(crate) async fn spec(&self, c: &Container, netns: Option<&Path>) -> Result<ContainerSpec> {
        let value = self.oci(c, netns).await?;
        let oci: Spec =
            serde_json::from_value(value).map_err(|e| Error::wrap("failed to make a configuration", e))?;
        let kind = c.host_config["LogConfig"]["Type"].as_str().unwrap_or("json-file");
        let options = &c.host_config["LogConfig"]["Config"];
        let log = (kind != "none").then(|| LogSpec {
            path: self.container_dir(&c.id).join("json.log"),
            max_size_bytes: options["max-size"].as_str().and_then(size).unwrap_or(20 << 20),
            max_files: options["max-file"].as_str().and_then(|n| n.parse().ok()).unwrap_or(3),
        });
        Ok(ContainerSpec {
            id: c.id.clone(),
            oci,
            rootfs: c.rootfs.clone(),
            open_stdin: c.config["OpenStdin"] == json!(true),
            stdin_once: c.config["StdinOnce"] == json!(true),
            log,
            init: c.host_config["Init"] == json!(true),
        })
    }

    async fn oci(&self, c: &Container, netns: Option<&Path>) -> Result<Value> {
        let host = &c.host_config;
        let process = self.process(c, &c.args, &json!({"Tty": c.tty()})).await?;
        let mut namespaces = vec![json!({"type": "mount"})];
        for (key, kind) in [("PidMode", "pid"), ("IpcMode", "ipc"), ("UTSMode", "uts")] {
            let mode = host[key].as_str().unwrap_or("");
            if mode == "host" {
                continue;
            }
            match mode.strip_prefix("container:") {
                Some(other) => {
                    let pid = self.container(other).await?.state.pid;
                    if pid == 0 {
                        return Err(Error::conflict(format!("container {other} is not running")));
                    }
                    namespaces.push(json!({"type": kind, "path": format!("/proc/{pid}/ns/{kind}")}));
                }
                None => namespaces.push(json!({"type": kind})),
            }
        }
        if host["CgroupnsMode"] == json!("private") {
            namespaces.push(json!({"type": "cgroup"}));
        }
        if let Some(path) = netns {
            namespaces.push(json!({"type": "network", "path": path}));
        }
        let privileged = host["Privileged"] == json!(true);
        let devices = if privileged { json!([{"allow": true, "access": "rwm"}]) } else { allowed_devices() };
        let mut limits = resources(host);
        limits["devices"] = devices;
        let shares_uts = host["UTSMode"] == json!("host");
        let mut spec = json!({
            "ociVersion": "1.0.2",
            "process": process,
            "root": {"path": "rootfs", "readonly": host["ReadonlyRootfs"]},
            "mounts": self.oci_mounts(c, privileged),
            "linux": {
                "namespaces": namespaces,
                "resources": limits,
                "maskedPaths": texts(&host["MaskedPaths"]).unwrap_or_default(),
                "readonlyPaths": texts(&host["ReadonlyPaths"]).unwrap_or_default(),
            },
        });
        if !shares_uts {
            spec["hostname"] = c.config["Hostname"].clone();
        }
        if let Some(sysctls) = host["Sysctls"].as_object() {
            spec["linux"]["sysctl"] = json!(sysctls);
        }
        Ok(spec)
    }

    fn oci_mounts(&self, c: &Container, privileged: bool) -> Value {
        let shm = format!("size={}", c.host_config["ShmSize"].as_i64().unwrap_or(67_108_864));
        let ro = if privileged { "rw" } else { "ro" };
        let mut all = vec![
            json!({"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]}),
            json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
            json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}),
            json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", ro]}),
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": [ro, "nosuid", "noexec", "nodev"]}),
            json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]}),
            json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", shm]}),
        ];
        let taken = |to: &str| c.mounts.iter().any(|m| m["Destination"] == json!(to));
        for name in ["resolv.conf", "hostname", "hosts"] {
            let (from, to) = (self.container_dir(&c.id).join(name), format!("/etc/{name}"));
            if from.exists() && !taken(&to) {
                all.push(json!({"destination": to, "type": "bind", "source": from, "options": ["rbind", "rprivate"]}));
            }
        }
        let mut mounts: Vec<&Value> = c.mounts.iter().collect();
        mounts.sort_by_key(|m| m["Destination"].as_str().unwrap_or("").matches('/').count());
        for m in mounts {
            let mode = if m["RW"] == json!(false) { "ro" } else { "rw" };
            if m["Type"] == json!("tmpfs") {
                all.push(json!({"destination": m["Destination"], "type": "tmpfs", "source": "tmpfs", "options": ["noexec", "nosuid", "nodev", mode]}));
                continue;
            }
            let propagation = m["Propagation"].as_str().filter(|p| !p.is_empty()).unwrap_or("rprivate");
            all.push(json!({"destination": m["Destination"], "type": "bind", "source": m["Source"], "options": ["rbind", propagation, mode]}));
        }
        for (to, options) in c.host_config["Tmpfs"].as_object().into_iter().flatten() {
            let mut list = vec!["noexec".to_owned(), "nosuid".into(), "nodev".into()];
            list.extend(
                options.as_str().unwrap_or("").split(',').filter(|o| !o.is_empty()).map(str::to_owned),
            );
            all.push(json!({"destination": to, "type": "tmpfs", "source": "tmpfs", "options": list}));
        }
        json!(all)
    }

    /// A process of a container: its first, or an exec's (`more`: `User`, `WorkingDir`, `Env`, `Privileged`, `Tty`).
    pub(crate) async fn process(&self, c: &Container, args: &[String], more: &Value) -> Result<Value> {
        let host = &c.host_config;
        let user =
            more["User"].as_str().filter(|u| !u.is_empty()).or(c.config["User"].as_str()).unwrap_or("");
        let read = async |path: &str| -> Result<String> {
            let bytes = self.host.read_small(Some(&c.id), &c.rootfs, path).await?;
            Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
        };
        let who = who(user, &read("/etc/passwd").await?, &read("/etc/group").await?, host)?;
        let tty = more["Tty"] == json!(true);
        let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
        let mut add = |entry: String| {
            let key = entry.split('=').next().unwrap_or("").to_owned();
            env.retain(|e| e.split('=').next() != Some(&key));
            if entry.contains('=') {
                env.push(entry);
            }
        };
        add(format!("HOSTNAME={}", c.config["Hostname"].as_str().unwrap_or("")));
        if tty {
            add("TERM=xterm".into());
        }
        add(format!("HOME={}", who.home));
        texts(&c.config["Env"]).unwrap_or_default().into_iter().for_each(&mut add);
        texts(&more["Env"]).unwrap_or_default().into_iter().for_each(&mut add);
        let cwd = more["WorkingDir"].as_str().filter(|w| !w.is_empty()).or(c.config["WorkingDir"].as_str());
        let privileged = host["Privileged"] == json!(true) || more["Privileged"] == json!(true);
        let caps = capabilities(host, privileged);
        let effective: &[String] = if who.uid == 0 { &caps } else { &[] };
        let rlimits: Vec<Value> = host["Ulimits"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|u| {
                let name = u["Name"].as_str().unwrap_or("").to_ascii_uppercase();
                json!({"type": format!("RLIMIT_{name}"), "hard": u["Hard"], "soft": u["Soft"]})
            })
            .collect();
        let no_new = texts(&host["SecurityOpt"]).unwrap_or_default().iter().any(|o| {
            matches!(o.as_str(), "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true")
        });
        Ok(json!({
            "terminal": tty,
            "user": {"uid": who.uid, "gid": who.gid, "additionalGids": who.groups},
            "args": args,
            "env": env,
            "cwd": cwd.filter(|w| !w.is_empty()).unwrap_or("/"),
            "capabilities": {"bounding": caps, "effective": effective, "permitted": effective, "inheritable": [], "ambient": []},
            "rlimits": rlimits,
            "noNewPrivileges": no_new,
            "oomScoreAdj": host["OomScoreAdj"].as_i64().unwrap_or(0),
        }))
    }

    /// An exec's process.
    pub(crate) async fn exec_process(&self, c: &Container, args: &[String], more: &Value) -> Result<Process> {
        let value = self.process(c, args, more).await?;
        serde_json::from_value(value).map_err(|e| Error::wrap("failed to make a process", e))
    }
}

/// The devices that every container may use: null, zero, full, random, urandom, tty, console, ptmx and pts.
fn allowed_devices() -> Value {
    let mut all = vec![
        json!({"allow": false, "access": "rwm"}),
        json!({"allow": true, "type": "c", "access": "m"}),
        json!({"allow": true, "type": "b", "access": "m"}),
        json!({"allow": true, "type": "c", "major": 136, "access": "rwm"}),
    ];
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] {
        all.push(json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"}));
    }
    json!(all)
}

/// Limits as the host takes them.
pub(crate) fn limits(host: &Value) -> Result<LinuxResources> {
    serde_json::from_value(resources(host)).map_err(|e| Error::wrap("failed to make limits", e))
}

fn resources(host: &Value) -> Value {
    let number = |key: &str| host[key].as_i64().filter(|n| *n != 0);
    let mut cpu = Map::new();
    let mut memory = Map::new();
    let put = |map: &mut Map<String, Value>, key: &str, value: Option<i64>| {
        if let Some(n) = value {
            map.insert(key.into(), json!(n));
        }
    };
    put(&mut cpu, "shares", number("CpuShares"));
    put(&mut cpu, "period", number("CpuPeriod"));
    put(&mut cpu, "quota", number("CpuQuota"));
    if let Some(nano) = number("NanoCpus") {
        put(&mut cpu, "period", Some(100_000));
        put(&mut cpu, "quota", Some(nano / 10_000));
    }
    put(&mut memory, "limit", number("Memory"));
    put(&mut memory, "swap", number("MemorySwap"));
    put(&mut memory, "reservation", number("MemoryReservation"));
    put(&mut memory, "swappiness", host["MemorySwappiness"].as_i64().filter(|n| *n >= 0));
    for (key, name) in [("CpusetCpus", "cpus"), ("CpusetMems", "mems")] {
        if let Some(text) = host[key].as_str().filter(|t| !t.is_empty()) {
            cpu.insert(name.into(), json!(text));
        }
    }
    if host["OomKillDisable"] == json!(true) {
        memory.insert("disableOOMKiller".into(), json!(true));
    }
    let mut all = json!({"cpu": cpu, "memory": memory});
    if let Some(n) = host["PidsLimit"].as_i64().filter(|n| *n != 0) {
        all["pids"] = json!({"limit": n});
    }
    if let Some(n) = number("BlkioWeight") {
        all["blockIO"] = json!({"weight": n});
    }
    all
}

fn capabilities(host: &Value, privileged: bool) -> Vec<String> {
    let name = |c: &String| {
        let upper = c.to_ascii_uppercase();
        if upper == "ALL" || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
    };
    let list =
        |key: &str| -> Vec<String> { texts(&host[key]).unwrap_or_default().iter().map(name).collect() };
    let every = || CAPS.iter().chain(&MORE_CAPS).map(|c| (*c).to_owned()).collect::<Vec<_>>();
    if privileged {
        return every();
    }
    let (add, drop) = (list("CapAdd"), list("CapDrop"));
    let all = |list: &[String]| list.iter().any(|c| c == "ALL");
    let mut caps = match (all(&add), all(&drop)) {
        (true, _) => every(),
        (false, true) => Vec::new(),
        (false, false) => CAPS.iter().map(|c| (*c).to_owned()).collect(),
    };
    caps.retain(|c| !drop.contains(c));
    for cap in add {
        if cap != "ALL" && !caps.contains(&cap) {
            caps.push(cap);
        }
    }
    caps
}

struct Who {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: String,
}

/// The user of `name|uid[:group|gid]`.
fn who(user: &str, passwd: &str, group: &str, host: &Value) -> Result<Who> {
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|l| l.split(':').map(str::to_owned).collect()).collect()
    };
    let (users, all_groups) = (rows(passwd), rows(group));
    let at = |row: &Vec<String>, n: usize| row.get(n).cloned().unwrap_or_default();
    let (name, asked) = user.split_once(':').map_or((user, ""), |(u, g)| (u, g));
    let name = if name.is_empty() { "0" } else { name };
    let row = users.iter().find(|r| at(r, 0) == name || at(r, 2) == name);
    let uid = match row {
        Some(r) => at(r, 2).parse().unwrap_or(0),
        None => name.parse().map_err(|_| {
            Error::bad_request(format!("unable to find user {name}: no matching entries in passwd file"))
        })?,
    };
    let find = |wanted: &str| -> Result<u32> {
        match all_groups.iter().find(|r| at(r, 0) == wanted || at(r, 2) == wanted) {
            Some(r) => Ok(at(r, 2).parse().unwrap_or(0)),
            None => wanted.parse().map_err(|_| {
                Error::bad_request(format!(
                    "unable to find group {wanted}: no matching entries in group file"
                ))
            }),
        }
    };
    let gid = match asked {
        "" => row.and_then(|r| at(r, 3).parse().ok()).unwrap_or(0),
        wanted => find(wanted)?,
    };
    let login = row.map(|r| at(r, 0)).unwrap_or_default();
    let mut groups: Vec<u32> = Vec::new();
    if asked.is_empty() && !login.is_empty() {
        let member = |r: &&Vec<String>| at(r, 3).split(',').any(|m| m == login);
        groups.extend(all_groups.iter().filter(member).filter_map(|r| at(r, 2).parse::<u32>().ok()));
    }
    for wanted in texts(&host["GroupAdd"]).unwrap_or_default() {
        groups.push(find(&wanted)?);
    }
    let home = row.map(|r| at(r, 5)).filter(|h| !h.is_empty()).unwrap_or_else(|| "/".into());
    Ok(Who { uid, gid, groups, home: if row.is_none() && uid == 0 { "/root".into() } else { home } })
}

/// A size with a unit: `10m`.
fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (digits, shift) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_shl(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_by_name_and_number() {
        let (passwd, group) =
            ("root:x:0:0::/root:/bin/sh\nbob:x:7:8::/home/bob:/bin/sh\n", "wheel:x:9:bob\n");
        let bob = who("bob", passwd, group, &json!({})).unwrap();
        assert_eq!((bob.uid, bob.gid, bob.groups, bob.home.as_str()), (7, 8, vec![9], "/home/bob"));
        let five = who("5:wheel", passwd, group, &json!({})).unwrap();
        assert_eq!((five.uid, five.gid), (5, 9));
        assert!(who("eve", passwd, group, &json!({})).is_err());
        assert_eq!(size("10m"), Some(10 << 20));
    }

    #[test]
    fn capabilities_are_added_and_dropped() {
        let caps = capabilities(&json!({"CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"]}), false);
        assert_eq!(caps, ["CAP_NET_ADMIN"]);
    }
}
