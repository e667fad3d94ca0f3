//! `SecurityOpt`, and the paths of the kernel's that a container doesn't see or can't write.

use pileus_base::{Error, Result};
use serde_json::Value;

use super::values::Fields as _;

const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Which system calls are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seccomp {
    Default,
    Unconfined,
    /// A profile's JSON, as the client sends it.
    Profile(String),
}

/// What `SecurityOpt` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) seccomp: Seccomp,
    pub(super) no_new_privileges: bool,
    pub(super) paths_unconfined: bool,
}

impl Options {
    pub(super) fn read(host: &Value) -> Result<Self> {
        let mut options =
            Self { seccomp: Seccomp::Default, no_new_privileges: false, paths_unconfined: false };
        for option in host.strings("SecurityOpt") {
            let invalid = |n| Error::bad_request(format!("invalid --security-opt {n}: {option:?}"));
            let (key, value) = match option.split_once('=').or_else(|| option.split_once(':')) {
                Some(pair) => pair,
                None if option == "no-new-privileges" => ("no-new-privileges", "true"),
                None => return Err(invalid(1)),
            };
            match (key, value) {
                ("no-new-privileges", value) => {
                    options.no_new_privileges = value.parse().map_err(|_| invalid(2))?;
                }
                ("seccomp", "unconfined") => options.seccomp = Seccomp::Unconfined,
                ("seccomp", "builtin" | "default") => options.seccomp = Seccomp::Default,
                ("seccomp", profile) => options.seccomp = Seccomp::Profile(profile.to_owned()),
                ("systempaths", "unconfined") => options.paths_unconfined = true,
                // AppArmor's is read where the host has it (`confine`); the others have nothing to act on
                // here, and clients' options are accepted.
                ("apparmor" | "label" | "writable-cgroups", _) => {}
                _ => return Err(invalid(2)),
            }
        }
        Ok(options)
    }
}

/// The masked and the read-only paths.
pub(super) fn paths(host: &Value, options: &Options) -> (Vec<String>, Vec<String>) {
    if host.flag("Privileged") || options.paths_unconfined {
        return (Vec::new(), Vec::new());
    }
    let or_default = |key: &str, default: &[&str]| {
        if host.has(key) { host.strings(key) } else { default.iter().map(|p| (*p).to_owned()).collect() }
    };
    (or_default("MaskedPaths", &MASKED), or_default("ReadonlyPaths", &READ_ONLY))
}
