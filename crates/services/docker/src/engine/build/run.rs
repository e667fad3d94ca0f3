//! RUN: a container of the engine's own (with its network and names), what it wrote committed.

use pileus_base::{Error, Result};
use pileus_host::{AppliedLayer, ContainerState, Rootfs, Wanted};
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;

use super::{Builder, short};

/// What a RUN left.
pub(super) struct Ran {
    /// The container it ran in.
    pub container: String,
    /// What it wrote.
    pub layer: AppliedLayer,
}

impl Builder {
    /// Runs `argv` with `env` above the stage's image; `shown` is the command as errors name it.
    pub(super) async fn run_step(&mut self, argv: &[String], env: Vec<String>, shown: &str) -> Result<Ran> {
        let stage = self.stage()?;
        let (mut config, rootfs) = (stage.config.clone(), Rootfs { layers: stage.layers.clone() });
        let image = stage.image.clone();
        let (program, rest) = argv.split_first().ok_or_else(|| Error::bad_request("No command specified"))?;
        config.insert("Image".into(), json!(image));
        config.insert("Entrypoint".into(), json!([program]));
        config.insert("Cmd".into(), json!(rest));
        config.insert("Env".into(), json!(env));
        config.insert("Healthcheck".into(), json!({ "Test": ["NONE"] }));
        config.insert("HostConfig".into(), Value::Object(self.host_config()));
        let made = self.docker.create_container("", &Value::Object(config)).await?;
        let ran = self.ran(&made.id, &rootfs, shown).await;
        let keep = if ran.is_ok() { self.options.keep } else { !self.options.force_remove };
        if !keep || (ran.is_err() && self.out.is_closed()) {
            self.docker.remove_container(&made.id, true, true).await?;
            if !self.out.is_closed() {
                self.say(&format!(" ---> Removed intermediate container {}\n", short(&made.id))).await?;
            }
        }
        Ok(Ran { container: made.id, layer: ran? })
    }

    async fn ran(&self, id: &str, rootfs: &Rootfs, shown: &str) -> Result<AppliedLayer> {
        self.say(&format!(" ---> Running in {}\n", short(id))).await?;
        let wanted = Wanted { stdin: false, stdout: true, stderr: true };
        let mut stream = self.docker.host.attach_container(id, wanted).await?;
        self.docker.start_container(id).await?;
        let mut header = [0; 8];
        loop {
            let read = tokio::select! {
                read = stream.read_exact(&mut header) => read,
                () = self.out.closed() => return Err(Error::bad_request("Build cancelled: context canceled")),
            };
            if read.is_err() {
                break;
            }
            let [.., a, b, c, d] = header;
            let mut left = u32::from_be_bytes([a, b, c, d]) as usize;
            while left > 0 {
                let mut piece = vec![0; left.min(1 << 15)];
                let n =
                    stream.read(&mut piece).await.map_err(|e| Error::wrap("reading a step's output", e))?;
                if n == 0 {
                    break;
                }
                left -= n;
                self.say(&String::from_utf8_lossy(&piece[..n])).await?;
            }
        }
        match self.docker.host.wait_container(id).await? {
            ContainerState::Exited { code: 0, .. } => {}
            ContainerState::Exited { code, .. } => {
                return Err(Error::bad_request(format!(
                    "The command '{shown}' returned a non-zero code: {code}"
                )));
            }
            _ => return Err(Error::internal("a step's container ended without a code")),
        }
        self.docker.host.commit_container(id, rootfs).await
    }

    fn host_config(&self) -> Map<String, Value> {
        let mut host = self.options.limits.clone();
        if !self.options.network.is_empty() {
            host.insert("NetworkMode".into(), json!(self.options.network));
        }
        if !self.options.extra_hosts.is_empty() {
            host.insert("ExtraHosts".into(), json!(self.options.extra_hosts));
        }
        host
    }
}
