//! Which capabilities a container has: fourteen by default, more or fewer as asked.

use pileus_base::{Error, Result};
use serde_json::Value;

use super::values::Fields as _;

const DEFAULT: [&str; 14] = [
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

const ALL: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
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

/// Every capability's name, in the kernel's order.
pub fn known() -> &'static [&'static str] {
    &ALL
}

/// A container's capabilities.
///
/// # Errors
/// 400 where one isn't known.
pub(super) fn of(host: &Value) -> Result<Vec<String>> {
    let add = normal("CapAdd", &host.strings("CapAdd"))?;
    let drop = normal("CapDrop", &host.strings("CapDrop"))?;
    if host.flag("Privileged") {
        return Ok(owned(&ALL));
    }
    let everything = |names: &[String]| names.iter().any(|n| n == "ALL");
    let without = |names: &[&str]| -> Vec<String> {
        names.iter().filter(|n| !drop.iter().any(|d| d == *n)).map(|n| (*n).to_owned()).collect()
    };
    Ok(if everything(&add) {
        without(&ALL)
    } else if everything(&drop) {
        add
    } else {
        let mut set = without(&DEFAULT);
        set.extend(add.into_iter().filter(|n| !DEFAULT.contains(&n.as_str())));
        set
    })
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// Names as `CAP_X` or `ALL`.
fn normal(field: &str, names: &[String]) -> Result<Vec<String>> {
    names
        .iter()
        .map(|name| {
            let upper = name.to_uppercase();
            if upper == "ALL" || upper == "CAP_ALL" {
                return Ok("ALL".to_owned());
            }
            let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
            if ALL.contains(&full.as_str()) {
                Ok(full)
            } else {
                Err(Error::bad_request(format!("invalid {field}: unknown capability: {full:?}")))
            }
        })
        .collect()
}
