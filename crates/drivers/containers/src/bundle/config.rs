//! A bundle's `config.json`: read, and refused where it asks for what can't be, in runc's words.

use std::{
    fs,
    path::{Path, PathBuf},
};

use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use pileus_base::{Error, Result};
use serde_json::Value;

use super::sys::{doing, fail};
use crate::caps;

/// A bundle: its directory and its configuration.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Where it is, absolute.
    pub dir: PathBuf,
    /// Its configuration.
    pub spec: Spec,
    /// What was left out of it; for the log.
    pub warnings: Vec<String>,
}

impl Bundle {
    /// Reads the bundle at `dir`.
    ///
    /// # Errors
    /// Where there is none, or it can't be run.
    pub fn load(dir: &Path) -> Result<Self> {
        let dir = fs::canonicalize(dir).map_err(doing(format!("chdir {}", dir.display())))?;
        let path = dir.join("config.json");
        let text = match fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::not_found("JSON specification file config.json not found"));
            }
            read => read.map_err(doing(format!("open {}", path.display())))?,
        };
        let mut warnings = Vec::new();
        let mut whole: Value =
            serde_json::from_slice(&text).map_err(|e| fail(format!("config.json: {e}")))?;
        if let Some(process) = whole.get_mut("process") {
            known_capabilities(process, &mut warnings);
        }
        let spec: Spec = serde_json::from_value(whole).map_err(|e| fail(format!("config.json: {e}")))?;
        check(&spec)?;
        Ok(Self { dir, spec, warnings })
    }

    /// The root filesystem's directory.
    ///
    /// # Errors
    /// Where none is named or it isn't there.
    pub fn rootfs(&self) -> Result<PathBuf> {
        let root = self.spec.root().as_ref().ok_or_else(|| fail("root must be specified"))?;
        let path = self.dir.join(root.path());
        fs::canonicalize(&path).map_err(doing(format!("invalid rootfs: stat {}", path.display())))
    }

    /// The first process.
    ///
    /// # Errors
    /// Where there is none.
    pub fn process(&self) -> Result<&Process> {
        self.spec.process().as_ref().ok_or_else(|| fail("process property must not be empty"))
    }
}

/// Reads a process as `exec --process` takes it.
///
/// # Errors
/// Where it is none.
pub fn process(path: &Path) -> Result<Process> {
    let text = fs::read(path).map_err(doing(format!("open {}", path.display())))?;
    let mut value = serde_json::from_slice(&text).map_err(|e| fail(format!("{}: {e}", path.display())))?;
    known_capabilities(&mut value, &mut Vec::new());
    let process = serde_json::from_value(value).map_err(|e| fail(format!("{}: {e}", path.display())))?;
    check_process(&process)?;
    Ok(process)
}

/// Drops the names of capabilities that this kernel doesn't know, as runc does.
fn known_capabilities(process: &mut Value, warnings: &mut Vec<String>) {
    let Some(sets) = process.get_mut("capabilities").and_then(Value::as_object_mut) else { return };
    let known = caps::known();
    for list in sets.values_mut().filter_map(Value::as_array_mut) {
        list.retain(|name| {
            let name = name.as_str().unwrap_or_default();
            let fine = caps::from_name(name).is_some_and(|c| known.contains(&c)) && name.starts_with("CAP_");
            let words = format!("ignoring unknown or unavailable capabilities: [{name}]");
            if !fine && !warnings.contains(&words) {
                warnings.push(words);
            }
            fine
        });
    }
}

/// Refuses a process that can't be run.
///
/// # Errors
/// Then.
pub fn check_process(process: &Process) -> Result<()> {
    if process.cwd().as_os_str().is_empty() {
        return Err(fail("Cwd property must not be empty"));
    }
    if !process.cwd().is_absolute() {
        return Err(fail("Cwd must be an absolute path"));
    }
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(fail("args must not be empty"));
    }
    let mut seen = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        let kind = limit.typ();
        if seen.contains(&kind) {
            return Err(fail(format!("rlimit {kind} is set twice")));
        }
        seen.push(kind);
        if limit.soft() > limit.hard() {
            return Err(fail(format!(
                "rlimit {kind}: soft limit {} is above hard limit {}",
                limit.soft(),
                limit.hard()
            )));
        }
    }
    Ok(())
}

fn check(spec: &Spec) -> Result<()> {
    if !spec.version().starts_with("1.") {
        return Err(fail(format!("unsupported ociVersion {:?}", spec.version())));
    }
    check_process(spec.process().as_ref().ok_or_else(|| fail("process property must not be empty"))?)?;
    let none = Vec::new();
    let linux = spec.linux().as_ref();
    let namespaces = linux.and_then(|l| l.namespaces().as_ref()).unwrap_or(&none);
    let mut kinds = Vec::new();
    for one in namespaces {
        if kinds.contains(&one.typ()) {
            return Err(fail(format!("malformed spec file: duplicated ns {:?}", one.to_owned())));
        }
        kinds.push(one.typ());
    }
    let has = |kind| kinds.contains(&kind);
    let private = |kind| namespaces.iter().any(|n| n.typ() == kind && n.path().is_none());
    if spec.hostname().as_ref().is_some_and(|h| !h.is_empty()) && !has(LinuxNamespaceType::Uts) {
        return Err(fail("unable to set hostname without a private UTS namespace"));
    }
    let Some(linux) = linux else { return Ok(()) };
    let hides = |paths: &Option<Vec<String>>| paths.as_ref().is_some_and(|p| !p.is_empty());
    if (hides(linux.masked_paths()) || hides(linux.readonly_paths())) && !has(LinuxNamespaceType::Mount) {
        return Err(fail("unable to restrict sys entries without a private MNT namespace"));
    }
    let mapped = linux.uid_mappings().as_ref().is_some_and(|m| !m.is_empty());
    if mapped && !has(LinuxNamespaceType::User) {
        return Err(fail(
            "User namespace mappings specified, but USER namespace isn't enabled in the config",
        ));
    }
    if private(LinuxNamespaceType::User) && !mapped {
        return Err(fail("User namespaces enabled, but no uid mappings found"));
    }
    if let Some(word) = linux.rootfs_propagation().as_deref().filter(|w| !w.is_empty())
        && super::options::propagation(word).is_none()
    {
        return Err(fail(format!("rootfsPropagation={word} is not supported")));
    }
    for one in linux.devices().iter().flatten() {
        if !one.path().is_absolute() {
            return Err(fail(format!("device path {} is not absolute", one.path().display())));
        }
    }
    for name in linux.sysctl().iter().flatten().map(|(name, _)| name.replace('/', ".")) {
        let ipc = [
            "kernel.msgmax",
            "kernel.msgmnb",
            "kernel.msgmni",
            "kernel.sem",
            "kernel.shmall",
            "kernel.shmmax",
            "kernel.shmmni",
            "kernel.shm_rmid_forced",
        ];
        let needs = if ipc.contains(&&*name) || name.starts_with("fs.mqueue.") {
            LinuxNamespaceType::Ipc
        } else if name.starts_with("net.") {
            LinuxNamespaceType::Network
        } else if name == "kernel.domainname" {
            LinuxNamespaceType::Uts
        } else if name == "kernel.hostname" {
            return Err(fail(format!("sysctl {name:?} conflicts with the OCI \"hostname\" setting")));
        } else {
            return Err(fail(format!("sysctl {name:?} is not in a separate kernel namespace")));
        };
        if !has(needs) {
            return Err(fail(format!("sysctl {name:?} is not allowed in the hosts {needs} namespace")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut whole = serde_json::json!({
            "ociVersion": "1.0.2", "root": {"path": "rootfs"},
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"},
            "linux": {"namespaces": [{"type": "mount"}]}
        });
        change(&mut whole);
        check(&serde_json::from_value(whole).unwrap())
            .err()
            .map(|e| e.message().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn what_can_t_be_is_refused() {
        assert_eq!(refused(|_| {}), "");
        assert_eq!(refused(|c| c["process"]["cwd"] = "etc".into()), "Cwd must be an absolute path");
        assert!(refused(|c| c["hostname"] = "h".into()).contains("private UTS namespace"));
        assert!(refused(|c| c["linux"]["sysctl"] = serde_json::json!({"net.x": "1"})).contains("hosts"));
        assert!(refused(|c| c["linux"]["sysctl"] = serde_json::json!({"vm.x": "1"})).contains("separate"));
    }

    #[test]
    fn unknown_capabilities_are_left_out_and_told() {
        let mut process = serde_json::json!({"capabilities": {"bounding": ["CAP_CHOWN", "CAP_NOPE"]}});
        let mut warnings = Vec::new();
        known_capabilities(&mut process, &mut warnings);
        assert_eq!(process["capabilities"]["bounding"], serde_json::json!(["CAP_CHOWN"]));
        assert_eq!(warnings, ["ignoring unknown or unavailable capabilities: [CAP_NOPE]"]);
    }
}
