//! Known facts of the reference's configurations.

use std::path::Path;

use serde_json::json;

use super::*;

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/sh\n";
const GROUP: &[u8] = b"root:x:0:\nwww:x:34:\ntape:x:26:web,other\n";

fn make(config: Value, host: Value, binds: &[Bind]) -> Result<Value> {
    let input = SpecInput {
        id: "0123456789abcdef",
        config: &config,
        host_config: &host,
        binds,
        netns: Some("/run/netns/x".into()),
        ipcns: None,
        pidns: None,
        shm: None,
        hosts: Some("/state/hosts".into()),
        hostname: None,
        resolv_conf: None,
        passwd: PASSWD,
        group: GROUP,
    };
    Ok(serde_json::to_value(oci(&input)?).unwrap())
}

fn at<'a>(spec: &'a Value, path: &str) -> &'a Value {
    spec["mounts"].as_array().unwrap().iter().find(|m| m["destination"] == path).unwrap()
}

fn allowed(spec: &Value, call: &str) -> bool {
    let rules = spec["linux"]["seccomp"]["syscalls"].as_array().unwrap();
    rules.iter().any(|r| {
        r["action"] == "SCMP_ACT_ALLOW"
            && r["args"].is_null()
            && r["names"].as_array().unwrap().contains(&json!(call))
    })
}

#[test]
fn a_plain_container_has_dockers_defaults() {
    let config = json!({ "Cmd": ["a"], "Entrypoint": ["e"], "Env": ["A=b", "PATH=/x"], "Tty": true,
        "User": null, "WorkingDir": "" });
    let spec = make(config, json!({ "Memory": 8 << 20, "NanoCpus": 500_000_000 }), &[]).unwrap();
    let process = &spec["process"];
    assert_eq!(process["args"], json!(["e", "a"]));
    assert_eq!(
        process["env"],
        json!(["PATH=/x", "HOSTNAME=0123456789ab", "TERM=xterm", "A=b", "HOME=/root"])
    );
    assert_eq!(process["cwd"], "/");
    assert_eq!(process["capabilities"]["bounding"].as_array().unwrap().len(), 14);
    assert_eq!(spec["hostname"], "0123456789ab");
    assert!(at(&spec, "/dev/shm")["options"].as_array().unwrap().contains(&json!("size=67108864")));
    assert_eq!(at(&spec, "/etc/hosts")["source"], "/state/hosts");
    assert!(spec["linux"]["maskedPaths"].as_array().unwrap().contains(&json!("/proc/kcore")));
    let limits = &spec["linux"]["resources"];
    assert_eq!(limits["memory"], json!({ "limit": 8 << 20, "swap": 16 << 20 }));
    assert_eq!(limits["cpu"], json!({ "quota": 50_000, "period": 100_000 }));
    assert_eq!(limits["devices"][0]["allow"], false);
    assert!(allowed(&spec, "openat") && allowed(&spec, "chroot") && !allowed(&spec, "mount"));
    assert_eq!(spec["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
    let network = json!({ "type": "network", "path": "/run/netns/x" });
    assert!(spec["linux"]["namespaces"].as_array().unwrap().contains(&network));
}

#[test]
fn privileges_are_given_and_taken() {
    let config = json!({ "Cmd": ["a"] });
    let all = make(config.clone(), json!({ "Privileged": true }), &[]).unwrap();
    assert!(all["linux"]["seccomp"].is_null());
    assert_eq!(all["process"]["capabilities"]["effective"].as_array().unwrap().len(), 41);
    assert!(at(&all, "/sys")["options"].as_array().unwrap().contains(&json!("rw")));
    let few = json!({ "CapDrop": ["all"], "CapAdd": ["sys_admin"], "SecurityOpt": ["no-new-privileges"] });
    let few = make(config.clone(), few, &[]).unwrap();
    assert_eq!(few["process"]["capabilities"]["bounding"], json!(["CAP_SYS_ADMIN"]));
    assert_eq!(few["process"]["noNewPrivileges"], true);
    assert!(allowed(&few, "mount") && !allowed(&few, "chroot"));
    let own = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mkdir","action":"SCMP_ACT_ERRNO"}]}"#;
    let own = make(config.clone(), json!({ "SecurityOpt": [format!("seccomp={own}")] }), &[]).unwrap();
    assert_eq!(own["linux"]["seccomp"]["syscalls"][0]["names"], json!(["mkdir"]));
    let open = make(config, json!({ "SecurityOpt": ["seccomp=unconfined", "systempaths=unconfined"] }), &[]);
    let open = open.unwrap();
    assert!(open["linux"]["seccomp"].is_null());
    assert!(open["linux"]["maskedPaths"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn users_are_found_in_the_containers_own_files() {
    let who =
        |text: &str| super::user::resolve(text, PASSWD, GROUP).map(|i| (i.uid, i.gid, i.additional, i.home));
    assert_eq!(who("").unwrap(), (0, 0, vec![0], "/root".into()));
    assert_eq!(who("web").unwrap(), (33, 34, vec![34, 26], "/var/www".into()));
    assert_eq!(who("33").unwrap(), (33, 34, vec![34, 26], "/var/www".into()));
    assert_eq!(who("1000:tape").unwrap(), (1000, 26, vec![26], "/".into()));
    assert_eq!(who("web:5").unwrap().1, 5);
    let said = |text: &str| who(text).unwrap_err().message().to_owned();
    assert_eq!(said("nobody"), "unable to find user nobody: no matching entries in passwd file");
    assert_eq!(said("web:no"), "unable to find group no: no matching entries in group file");
    assert_eq!(said("4294967296"), "uids and gids must be in range 0-2147483647");
}

#[test]
fn mounts_replace_and_follow_one_another() {
    let bind = |destination: &str, read_only| Bind {
        source: "/src".into(),
        destination: destination.into(),
        read_only,
        propagation: None,
        options: Vec::new(),
    };
    let host = json!({ "Tmpfs": { "/run": "exec,size=1m" }, "IpcMode": "host" });
    let binds = [bind("/a/b", true), bind("/a", false), bind("/etc/hosts", false)];
    let spec = make(json!({ "Cmd": ["a"] }), host, &binds).unwrap();
    let order: Vec<_> = spec["mounts"].as_array().unwrap().iter().map(|m| &m["destination"]).collect();
    let place = |path: &str| order.iter().position(|d| *d == path).unwrap();
    assert!(place("/a") < place("/a/b"));
    assert_eq!(at(&spec, "/a/b")["options"], json!(["rbind", "rprivate", "ro"]));
    assert_eq!(order.iter().filter(|d| **d == "/etc/hosts").count(), 1);
    assert_eq!(at(&spec, "/etc/hosts")["source"], "/src");
    assert_eq!(at(&spec, "/run")["options"], json!(["nosuid", "nodev", "exec", "size=1m"]));
    assert_eq!(at(&spec, "/dev/shm")["type"], "bind");
    assert!(!spec["linux"]["namespaces"].as_array().unwrap().contains(&json!({ "type": "ipc" })));
}

#[test]
fn an_exec_stands_on_the_containers_process() {
    let config = json!({ "Cmd": ["a"], "Env": ["A=1"], "WorkingDir": "/w/../v" });
    let host = json!({ "CapDrop": ["ALL"] });
    let spec: Spec = serde_json::from_value(make(config, host, &[]).unwrap()).unwrap();
    let exec = json!({ "Cmd": ["sh"], "Tty": true, "User": "web", "Env": ["A=2"], "Privileged": true });
    let process = exec_process(&spec, &exec, PASSWD, GROUP).unwrap();
    let env = process.env().clone().unwrap();
    assert!(env.contains(&"A=2".to_owned()) && env.contains(&"TERM=xterm".to_owned()));
    assert!(env.contains(&"HOME=/var/www".to_owned()) && !env.contains(&"HOME=/root".to_owned()));
    assert_eq!((process.user().uid(), process.cwd().as_path()), (33, Path::new("/v")));
    let sets = process.capabilities().clone().unwrap();
    assert_eq!(sets.bounding().as_ref().unwrap().len(), 41);
    assert!(sets.effective().as_ref().unwrap().is_empty());
    assert!(exec_process(&spec, &json!({}), PASSWD, GROUP).is_err());
}

#[test]
fn limits_and_devices_are_oci_s() {
    let host = json!({ "PidsLimit": 0, "Ulimits": [{ "Name": "nofile", "Soft": 5, "Hard": -1 }],
        "Devices": [{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/nix", "CgroupPermissions": "r" }],
        "DeviceCgroupRules": ["c 10:* rw"], "BlkioWeight": 300 });
    let spec = make(json!({ "Cmd": ["a"] }), host.clone(), &[]).unwrap();
    let rule = json!({ "allow": true, "type": "c", "major": 1, "minor": 3, "access": "r" });
    assert!(spec["linux"]["resources"]["devices"].as_array().unwrap().contains(&rule));
    assert_eq!(spec["linux"]["devices"][0]["path"], "/dev/nix");
    let limit = json!({ "type": "RLIMIT_NOFILE", "soft": 5, "hard": u64::MAX });
    assert_eq!(spec["process"]["rlimits"][0], limit);
    let limits = resources(&host).unwrap();
    assert_eq!(limits.pids().unwrap().limit(), -1);
    assert_eq!(limits.block_io().clone().unwrap().weight(), Some(300));
    assert!(resources(&json!({})).unwrap().memory().is_none());
}

#[test]
fn what_is_wrong_is_refused_in_the_references_words() {
    let said = |config: Value, host: Value| match validate(&config, &host) {
        Ok(()) => String::new(),
        Err(e) => e.message().to_owned(),
    };
    let cases = [
        (json!({ "Memory": 1000 }), "Minimum memory limit allowed is 6MB"),
        (
            json!({ "MemorySwap": 1 }),
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (json!({ "IpcMode": "x" }), "invalid IPC mode: x"),
        (json!({ "PidMode": "container:" }), "invalid PID mode: container:"),
        (json!({ "Binds": ["/a:/b:/c:d"] }), "invalid volume specification: '/a:/b:/c:d'"),
        (json!({ "Binds": ["/a:/b:xx"] }), "invalid mode: xx"),
        (
            json!({ "PortBindings": { "80/tcp": [{ "HostPort": "70000" }] } }),
            "invalid port specification: \"70000\"",
        ),
        (json!({ "CapAdd": ["nope"] }), "invalid CapAdd: unknown capability: \"CAP_NOPE\""),
        (json!({ "CpusetCpus": "x" }), "Invalid value x for cpuset cpus: invalid format: x"),
        (
            json!({ "Binds": ["vol:/b:ro", "/a:/b"], "Memory": null, "MemorySwappiness": null,
            "NetworkMode": "default", "RestartPolicy": { "Name": "always", "MaximumRetryCount": 0 },
            "PortBindings": { "80/tcp": null, "81/udp": [{ "HostPort": "8000-8010" }] } }),
            "",
        ),
    ];
    for (host, message) in cases {
        assert_eq!(said(json!({}), host), message);
    }
    let relative = said(json!({ "WorkingDir": "x" }), json!({}));
    assert_eq!(relative, "the working directory 'x' is invalid, it needs to be an absolute path");
}
