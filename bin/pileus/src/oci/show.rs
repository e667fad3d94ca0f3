//! What is printed: states, lists, processes, figures, features.

use std::{collections::BTreeMap, process::Command, time::Duration};

use pileus_base::{Error, Result};
use pileus_containers::{
    bundle::{Record, Runtime, Status, VERSION},
    caps,
};
use serde_json::{Value, json};

use super::log::rfc3339;

fn print(value: &Value, pretty: bool) -> Result<()> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    println!("{}", text.map_err(|e| Error::wrap("failed to write JSON", e))?);
    Ok(())
}

/// A container's state with what runc adds to it.
fn whole(runtime: &Runtime, record: &Record) -> Result<Value> {
    let state = record.state(runtime.status(record));
    let mut value = serde_json::to_value(state).map_err(|e| Error::wrap("failed to write JSON", e))?;
    let (seconds, nanos) = record.created;
    value["rootfs"] = json!(record.rootfs);
    value["created"] = json!(rfc3339(Duration::new(seconds, nanos)));
    value["owner"] = json!("");
    Ok(value)
}

/// `state`.
pub fn state(runtime: &Runtime, id: &str) -> Result<()> {
    print(&whole(runtime, &runtime.load(id)?)?, true)
}

/// `list`.
pub fn list(runtime: &Runtime, format: &str, quiet: bool) -> Result<()> {
    let all = runtime.all();
    if quiet {
        all.iter().for_each(|record| println!("{}", record.id));
        return Ok(());
    }
    let states = all.iter().map(|record| whole(runtime, record)).collect::<Result<Vec<_>>>()?;
    if format == "json" {
        return print(&if states.is_empty() { Value::Null } else { states.into() }, false);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let names = ["id", "pid", "status", "bundle", "created", "owner"];
    let heads = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(states.iter().map(|state| names.map(|name| text(&state[name]))));
    let width = |n: usize| rows.iter().map(|row| row[n].len()).max().unwrap_or(0).max(8) + 4;
    let widths: Vec<_> = (0..names.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<String>().trim_end());
    }
    Ok(())
}

/// `ps`.
pub fn ps(runtime: &Runtime, id: &str, format: &str, options: &[String]) -> Result<()> {
    let pids = runtime.pids(id)?;
    if format == "json" {
        return print(&json!(pids), false);
    }
    let options = if options.is_empty() { &["-ef".to_owned()] } else { options };
    let output = Command::new("ps").args(options).output().map_err(|e| Error::wrap("failed to run ps", e))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::bad_request(format!("{}: {words}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let at = head.split_whitespace().position(|word| word == "PID");
    let at = at.ok_or_else(|| Error::bad_request("couldn't find PID field in ps output"))?;
    println!("{head}");
    for line in lines {
        let pid = line.split_whitespace().nth(at).and_then(|word| word.parse().ok());
        if pid.is_some_and(|pid: u32| pids.contains(&pid)) {
            println!("{line}");
        }
    }
    Ok(())
}

/// `events --stats`.
pub fn events(runtime: &Runtime, id: &str, once: bool) -> Result<()> {
    if !once {
        return Err(Error::not_implemented("events without --stats is not supported"));
    }
    let record = runtime.load(id)?;
    if runtime.status(&record) == Status::Stopped {
        return Err(Error::conflict(format!("container with id {id} is not running")));
    }
    let stats = record.group().stats()?;
    let io = |all: &[(u64, u64, String, u64)]| {
        let one = |(major, minor, op, value): &(u64, u64, String, u64)| json!({"major": major, "minor": minor, "op": op, "value": value});
        all.iter().map(one).collect::<Vec<_>>()
    };
    let raw: serde_json::Map<_, _> = stats.memory_stat.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    let ([total, kernel, user], [used, peak, limit]) = (stats.cpu_ns, stats.memory_bytes);
    let [periods, throttled, time] = stats.throttling;
    let [current, most] = stats.pids;
    let data = json!({
        "cpu": {
            "usage": {"total": total, "kernel": kernel, "user": user, "percpu": stats.percpu_ns},
            "throttling": {"periods": periods, "throttledPeriods": throttled, "throttledTime": time},
        },
        "memory": {
            "usage": {"limit": limit, "usage": used, "max": peak, "failcnt": stats.memory_failcnt},
            "raw": raw,
        },
        "pids": {"current": current, "limit": most},
        "blkio": {
            "ioServiceBytesRecursive": io(&stats.io_bytes),
            "ioServicedRecursive": io(&stats.io_ops),
        },
    });
    print(&json!({"type": "stats", "id": id, "data": data}), false)
}

/// `features`.
pub fn features() -> Result<()> {
    let capabilities: Vec<_> = caps::known().iter().map(|c| format!("CAP_{c}")).collect();
    let annotations = BTreeMap::from([("io.pileus.version", env!("CARGO_PKG_VERSION"))]);
    print(
        &json!({
            "ociVersionMin": "1.0.0",
            "ociVersionMax": VERSION,
            "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
            "mountOptions": pileus_containers::bundle::mount_options(),
            "linux": {
                "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
                "capabilities": capabilities,
                "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false},
                "seccomp": {
                    "enabled": true,
                    "actions": ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                        "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"],
                    "operators": ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                        "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"],
                },
                "apparmor": {"enabled": true},
                "selinux": {"enabled": true},
                "mountExtensions": {"idmap": {"enabled": true}},
            },
            "annotations": annotations,
        }),
        true,
    )
}
