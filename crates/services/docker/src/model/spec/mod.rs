//! What a container runs and in what surroundings: Docker's `Config` and `HostConfig` made into an OCI
//! runtime configuration. Nothing here has an effect; device numbers alone are looked up on the host.
//!
//! ```text
//! validate(config, host_config) -> Result<()>              create's checks, in the reference's words
//! oci(&SpecInput) -> Result<Spec>                          the whole configuration
//! resources(host_config) -> Result<LinuxResources>         limits alone, for update
//! exec_process(&Spec, exec_config, passwd, group) -> Result<Process>
//! ```
//!
//! `config` is the container's `Config` with the image's already merged in; `host_config` the API's. Both
//! are JSON as the API has it, and `null` anywhere is the same as absent.

mod capabilities;
pub mod confine;
mod devices;
mod limits;
mod mounts;
mod namespaces;
mod process;
mod seccomp_profile;
mod security;
mod user;
mod validate;
mod values;
mod warnings;

use std::path::PathBuf;

use oci_spec::runtime::Spec;
use pileus_base::{Error, Result};
use serde_json::{Value, json};

pub use limits::resources;
pub use process::exec_process;

pub use validate::{check_resources, validate};
use values::Fields as _;
pub use warnings::warnings;

/// A mount that is ready to be made: a host's path at a container's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub destination: PathBuf,
    /// Whether it is read-only.
    pub read_only: bool,
    /// `rprivate` where `None`.
    pub propagation: Option<String>,
    /// `bind` for what is below the source not to follow, `rro` for all of it to be read-only.
    pub options: Vec<String>,
}

/// All that goes into a configuration.
#[derive(Debug, Clone)]
pub struct SpecInput<'a> {
    /// The container's, 64 hex digits: its first twelve are the host name by default.
    pub id: &'a str,
    /// `Config`, the image's merged in.
    pub config: &'a Value,
    /// `HostConfig`.
    pub host_config: &'a Value,
    /// Bind mounts and volumes, ready made.
    pub binds: &'a [Bind],
    /// The network namespace to join. `None` is a new one, or the host's with the network mode `host`.
    pub netns: Option<PathBuf>,
    /// The other container's, for `IpcMode: container:…`.
    pub ipcns: Option<PathBuf>,
    /// The other container's, for `PidMode: container:…`.
    pub pidns: Option<PathBuf>,
    /// What is mounted at `/dev/shm` where that is shared; a tmpfs of its own where `None`.
    pub shm: Option<PathBuf>,
    /// What is mounted at `/etc/hosts`.
    pub hosts: Option<PathBuf>,
    /// What is mounted at `/etc/hostname`.
    pub hostname: Option<PathBuf>,
    /// What is mounted at `/etc/resolv.conf`.
    pub resolv_conf: Option<PathBuf>,
    /// `/etc/passwd` of the container's root filesystem; empty where there is none.
    pub passwd: &'a [u8],
    /// `/etc/group` likewise.
    pub group: &'a [u8],
}

/// The OCI runtime configuration of a container.
///
/// # Errors
/// 400 where a user, group, capability or device isn't to be found, or nothing is to be run.
pub fn oci(input: &SpecInput<'_>) -> Result<Spec> {
    let (config, host) = (input.config, input.host_config);
    let privileged = host.flag("Privileged");
    let options = security::Options::read(host)?;
    let capabilities = capabilities::of(host)?;
    let process = process::process(input, &capabilities, &options)?;
    let nodes = devices::nodes(host)?;
    let mut limits = limits::json(host, true);
    limits["devices"] = Value::Array(devices::rules(host, &nodes)?);
    let seccomp = match &options.seccomp {
        security::Seccomp::Unconfined => Value::Null,
        _ if privileged => Value::Null,
        security::Seccomp::Default => seccomp_profile::default(&capabilities)?,
        security::Seccomp::Profile(text) => seccomp_profile::custom(text, &capabilities)?,
    };
    let (masked, read_only) = security::paths(host, &options);
    let mut spec = json!({
        "ociVersion": "1.0.2-dev",
        "root": { "path": "rootfs", "readonly": host.flag("ReadonlyRootfs") },
        "process": process,
        "mounts": mounts::mounts(input),
        "linux": {
            "sysctl": namespaces::sysctls(input),
            "resources": limits,
            "namespaces": namespaces::namespaces(input),
            "devices": nodes,
            "maskedPaths": masked,
            "readonlyPaths": read_only,
        },
    });
    if let Some(path) = limits::cgroup(host.text("CgroupParent"), input.id) {
        spec["linux"]["cgroupsPath"] = path.into();
    }
    if !seccomp.is_null() {
        spec["linux"]["seccomp"] = seccomp;
    }
    if let Some(propagation) = mounts::root_propagation(input.binds) {
        spec["linux"]["rootfsPropagation"] = propagation.into();
    }
    if host.text("UTSMode") != "host" {
        spec["hostname"] = process::hostname(input).into();
        if !config.text("Domainname").is_empty() {
            spec["domainname"] = config.text("Domainname").into();
        }
    }
    typed(spec)
}

/// JSON in OCI's shape as what it stands for.
fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| Error::bad_request(format!("invalid container config: {e}")))
}

#[cfg(test)]
mod tests;
