//! A container's OCI configuration, of its document and of what its start has prepared.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxResources, Process, Spec};
use pileus_base::{Error, Result};
use pileus_host::ContainerSpec;
use serde_json::{Value, json};

use crate::{
    Container, Docker,
    engine::volumes::mount::{Parts, binds},
    model::spec::{self, SpecInput},
};

impl Docker {
    /// What the host is told to run.
    pub(crate) async fn spec(
        &self,
        c: &Container,
        netns: Option<&Path>,
        parts: &Parts,
    ) -> Result<ContainerSpec> {
        let accounts = self.accounts(c).await?;
        Ok(ContainerSpec {
            id: c.id.clone(),
            oci: self.oci(c, netns, parts, self.shm(c).await?, &accounts).await?,
            rootfs: c.rootfs.clone(),
            open_stdin: c.config["OpenStdin"] == json!(true),
            stdin_once: c.config["StdinOnce"] == json!(true),
            log: self.log_spec(c)?,
            init: c.host_config["Init"] == json!(true),
        })
    }

    /// The OCI configuration, with the present members of `/etc/passwd` and `/etc/group`.
    async fn oci(
        &self,
        c: &Container,
        netns: Option<&Path>,
        parts: &Parts,
        shm: Option<PathBuf>,
        (passwd, group): &(Vec<u8>, Vec<u8>),
    ) -> Result<Spec> {
        let own = |name: &str| Some(self.container_dir(&c.id).join(name)).filter(|p| p.exists());
        let mut config = c.config.clone();
        // What is to be run was settled when the container was made.
        config["Entrypoint"] = Value::Null;
        config["Cmd"] = json!(c.args);
        let linked = self.linked_env(c).await;
        if !linked.is_empty() {
            let own = config["Env"].as_array().cloned().unwrap_or_default();
            config["Env"] = linked.into_iter().map(Value::from).chain(own).collect();
        }
        let spec = spec::oci(&SpecInput {
            id: &c.id,
            config: &config,
            host_config: &c.host_config,
            binds: &binds(&c.mounts, parts),
            netns: netns.map(Path::to_owned),
            ipcns: self.shared(c, "IpcMode", "ipc").await?,
            pidns: self.shared(c, "PidMode", "pid").await?,
            shm,
            hosts: own("hosts"),
            hostname: own("hostname"),
            resolv_conf: own("resolv.conf"),
            passwd,
            group,
        })?;
        let apparmor = spec::confine::apparmor_supported(Path::new("/"));
        // Volumes and the engine's own files; what else is in its directory is nobody's.
        let ours = |source: &Path| source.starts_with(&self.options.state_dir);
        spec::confine::confine(spec, &c.host_config, apparmor, self.remap.as_ref(), &ours)
    }

    /// The namespace of the container that `HostConfig.<key>` names.
    async fn shared(&self, c: &Container, key: &str, kind: &str) -> Result<Option<PathBuf>> {
        let Some(other) = c.host_config[key].as_str().and_then(|m| m.strip_prefix("container:")) else {
            return Ok(None);
        };
        match self.container(other).await?.state.pid {
            0 => Err(Error::conflict(format!("container {other} is not running"))),
            pid => Ok(Some(format!("/proc/{pid}/ns/{kind}").into())),
        }
    }

    /// What its `/etc/passwd` and `/etc/group` say.
    async fn accounts(&self, c: &Container) -> Result<(Vec<u8>, Vec<u8>)> {
        let read = async |path| {
            Ok::<_, Error>(self.host.read_small(Some(&c.id), &c.rootfs, path).await?.unwrap_or_default())
        };
        Ok((read("/etc/passwd").await?, read("/etc/group").await?))
    }

    /// An exec's process (`more`: `User`, `WorkingDir`, `Env`, `Privileged`, `Tty`).
    pub(crate) async fn exec_process(&self, c: &Container, args: &[String], more: &Value) -> Result<Process> {
        let accounts = self.accounts(c).await?;
        let mut config = more.clone();
        config["Cmd"] = json!(args);
        let own = self.oci(c, None, &Parts::default(), None, &accounts).await?;
        spec::exec_process(&own, &config, &accounts.0, &accounts.1)
    }
}

/// Limits as the host takes them.
pub(crate) fn limits(host: &Value) -> Result<LinuxResources> {
    spec::resources(host)
}
