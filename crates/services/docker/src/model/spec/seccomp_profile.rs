//! Docker's seccomp profiles: a list of rules, some only with a capability, on an architecture or from a
//! kernel's version on, made into the plain list that a runtime takes.
//!
//! `seccomp_default.json` is moby's default profile as it is in <https://github.com/moby/profiles>
//! (`seccomp/default.json`), copyright The Moby Authors, under the Apache License 2.0.

use pileus_base::{Error, Result};
use serde_json::{Map, Value};

use super::values::Fields as _;

const DEFAULT: &str = include_str!("seccomp_default.json");

/// The default profile for a container of these capabilities.
///
/// # Errors
/// None: the profile is our own.
pub(super) fn default(capabilities: &[String]) -> Result<Value> {
    custom(DEFAULT, capabilities)
}

/// A profile that a client sent; `null` where it says nothing.
///
/// # Errors
/// 400 where it isn't a profile.
pub(super) fn custom(text: &str, capabilities: &[String]) -> Result<Value> {
    let profile: Value = serde_json::from_str(text)
        .map_err(|e| Error::bad_request(format!("Decoding seccomp profile failed: {e}")))?;
    let calls = profile.list("syscalls");
    if profile.text("defaultAction").is_empty() && calls.is_empty() {
        return Ok(Value::Null);
    }
    if !profile.list("architectures").is_empty() && !profile.list("archMap").is_empty() {
        return Err(Error::bad_request(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either \
             'architectures' or 'archMap'",
        ));
    }
    let (go_arch, scmp_arch) = architecture();
    let mut out = Map::new();
    for key in ["defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"] {
        if profile.has(key) {
            out.insert(key.into(), profile[key].clone());
        }
    }
    let mut arches = profile.strings("architectures");
    if let Some(map) = profile.list("archMap").iter().find(|m| m.text("architecture") == scmp_arch) {
        arches.push(scmp_arch.to_owned());
        arches.extend(map.strings("subArchitectures"));
    }
    if !arches.is_empty() {
        out.insert("architectures".into(), arches.into());
    }
    let mut rules = Vec::new();
    for call in calls.iter().filter(|c| applies(c, go_arch, capabilities)) {
        let mut names = call.strings("names");
        if !call.text("name").is_empty() {
            if !names.is_empty() {
                return Err(Error::bad_request(
                    "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or \
                     'names'",
                ));
            }
            names.push(call.text("name").to_owned());
        }
        let mut rule = Map::new();
        rule.insert("names".into(), names.into());
        for key in ["action", "errnoRet", "args"] {
            if call.has(key) {
                rule.insert(key.into(), call[key].clone());
            }
        }
        rules.push(rule.into());
    }
    out.insert("syscalls".into(), Value::Array(rules));
    Ok(out.into())
}

fn applies(call: &Value, arch: &str, capabilities: &[String]) -> bool {
    let none = Value::Null;
    let (with, without) = (call.get("includes").unwrap_or(&none), call.get("excludes").unwrap_or(&none));
    let has = |name: &String| capabilities.contains(name);
    let excluded = without.strings("arches").iter().any(|a| a == arch)
        || without.strings("caps").iter().any(has)
        || (without.has("minKernel") && kernel_is_at_least(without.text("minKernel")));
    let arches = with.strings("arches");
    let included = (arches.is_empty() || arches.iter().any(|a| a == arch))
        && with.strings("caps").iter().all(has)
        && (!with.has("minKernel") || kernel_is_at_least(with.text("minKernel")));
    included && !excluded
}

/// This machine's architecture as moby and as libseccomp call it.
fn architecture() -> (&'static str, &'static str) {
    match std::env::consts::ARCH {
        "x86_64" => ("amd64", "SCMP_ARCH_X86_64"),
        "aarch64" => ("arm64", "SCMP_ARCH_AARCH64"),
        "riscv64" => ("riscv64", "SCMP_ARCH_RISCV64"),
        "s390x" => ("s390x", "SCMP_ARCH_S390X"),
        "powerpc64" => ("ppc64le", "SCMP_ARCH_PPC64LE"),
        other => (other, "SCMP_ARCH_NATIVE"),
    }
}

fn kernel_is_at_least(wanted: &str) -> bool {
    let version = |text: &str| {
        let mut numbers = text.split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    };
    let uname = rustix::system::uname();
    version(uname.release().to_str().unwrap_or_default()) >= version(wanted)
}
