//! RUN: a container of the engine's own (with its network and names), what it wrote made a layer.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use pileus_host::{AppliedLayer, ContainerState, Rootfs, Wanted};
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;

use super::{Builder, running, short, steps::texts};
use crate::model::dockerfile::{Args, Heredoc};

/// Where a script with a line `#!` stands while it runs.
const SCRIPTS: &str = "/dev/pipes";

impl Builder {
    pub(super) async fn run_command(&mut self, args: &Args, docs: &[Heredoc]) -> Result<()> {
        let (args, script) = with_documents(args, docs)?;
        let argv = self.argv(&args)?;
        let mut env = texts(&self.stage()?.config, "Env");
        let allowed: BTreeMap<String, String> = self.args.allowed(&env);
        let step = self.step_config(&self.args.before_command(&allowed, &argv))?;
        let mut probe = step.clone();
        probe.insert("Entrypoint".into(), Value::Null);
        if self.cache(&probe).await? {
            return Ok(());
        }
        env.extend(allowed.iter().map(|(k, v)| format!("{k}={v}")));
        let binds = match script {
            Some(doc) => vec![self.script(&doc).await?],
            None => Vec::new(),
        };
        let (container, layer) = self.run_step(&argv, env, binds).await?;
        self.keep(probe, Some(layer), &container).await
    }

    /// Writes a script where a container sees it; the bind that shows it.
    async fn script(&self, doc: &Heredoc) -> Result<String> {
        use std::os::unix::fs::PermissionsExt;
        let dir = self.context.dir.join(format!("script-{}", &crate::new_id()[..12]));
        let (at, name, text) = (dir.clone(), doc.name.clone(), doc.content());
        super::context::blocking(move || {
            let write = || {
                std::fs::create_dir_all(&at)?;
                let path = at.join(&name);
                std::fs::write(&path, text)?;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            };
            write().map_err(|e| Error::wrap("writing a here-document", e))
        })
        .await?;
        Ok(format!("{}:{SCRIPTS}:ro", dir.display()))
    }

    /// Runs `argv` with `env` above the stage's image; the container, and what it wrote.
    async fn run_step(
        &mut self,
        argv: &[String],
        env: Vec<String>,
        binds: Vec<String>,
    ) -> Result<(String, AppliedLayer)> {
        let stage = self.stage()?;
        let (mut config, rootfs) = (stage.config.clone(), Rootfs { layers: stage.layers.clone() });
        let image = stage.image.clone();
        if image.is_empty() {
            return Err(Error::bad_request(
                "No image is here to run a command in: FROM scratch holds no files",
            ));
        }
        let (program, rest) = argv.split_first().ok_or_else(|| Error::bad_request("No command specified"))?;
        config.insert("Image".into(), json!(image));
        config.insert("Entrypoint".into(), json!([program]));
        config.insert("Cmd".into(), json!(rest));
        config.insert("Env".into(), json!(env));
        config.insert("Healthcheck".into(), json!({ "Test": ["NONE"] }));
        let mut host = self.host_config();
        if !binds.is_empty() {
            host.insert("Binds".into(), json!(binds));
        }
        config.insert("HostConfig".into(), Value::Object(host));
        let made = self.docker.create_container("", &Value::Object(config)).await?;
        // A daemon that is killed now finds it by this, and removes it.
        let note = self.context.dir.join("containers").join(&made.id);
        if !self.options.keep {
            let noted = async {
                tokio::fs::create_dir_all(self.context.dir.join("containers")).await?;
                tokio::fs::write(&note, "").await
            };
            noted.await.map_err(|e| Error::wrap("noting a step's container", e))?;
        }
        let ran = self.ran(&made.id, &rootfs, argv).await;
        let gone = self.out.is_closed() || *self.stop.borrow();
        let keep = if ran.is_ok() { self.options.keep } else { !self.options.force_remove };
        if !keep || (ran.is_err() && gone) {
            self.docker.remove_container(&made.id, true, true).await?;
            if !gone {
                self.say(&format!(" ---> Removed intermediate container {}\n", short(&made.id))).await?;
            }
        }
        // It has no file where it is kept.
        let _ = tokio::fs::remove_file(&note).await;
        Ok((made.id, ran?))
    }

    async fn ran(&self, id: &str, rootfs: &Rootfs, argv: &[String]) -> Result<AppliedLayer> {
        self.say(&format!(" ---> Running in {}\n", short(id))).await?;
        let wanted = Wanted { stdin: false, stdout: true, stderr: true };
        let mut stream = self.docker.host.attach_container(id, wanted).await?;
        self.docker.start_container(id).await?;
        let mut stop = self.stop.clone();
        let cancelled = || Error::bad_request("Build cancelled");
        let mut header = [0; 8];
        loop {
            let read = tokio::select! {
                read = stream.read_exact(&mut header) => read,
                () = self.out.closed() => return Err(cancelled()),
                () = running::told(&mut stop) => return Err(cancelled()),
            };
            if read.is_err() {
                break;
            }
            let [kind, .., a, b, c, d] = header;
            let mut left = u32::from_be_bytes([a, b, c, d]) as usize;
            while left > 0 {
                let mut piece = vec![0; left.min(1 << 15)];
                let n =
                    stream.read(&mut piece).await.map_err(|e| Error::wrap("reading a step's output", e))?;
                if n == 0 {
                    break;
                }
                left -= n;
                let text = String::from_utf8_lossy(&piece[..n]);
                match kind {
                    // As the reference colours what goes to standard error.
                    2 => self.say(&format!("\u{1b}[91m{text}\u{1b}[0m")).await?,
                    _ => self.say(&text).await?,
                }
            }
        }
        match self.docker.host.wait_container(id).await? {
            ContainerState::Exited { code: 0, .. } => {}
            ContainerState::Exited { code, .. } => {
                let shown = argv.join(" ");
                return Err(Error::bad_request(format!(
                    "The command '{shown}' returned a non-zero code: {code}"
                )));
            }
            _ => return Err(Error::internal("a step's container ended without a code")),
        }
        match self.options.keep {
            true => self.docker.host.commit_container(id, rootfs).await,
            false => self.docker.host.turn_into_layer(id, rootfs, true).await,
        }
    }

    fn host_config(&self) -> Map<String, Value> {
        let mut host = self.options.limits.clone();
        let network = self.options.network.as_str();
        if !matches!(network, "" | "default") {
            host.insert("NetworkMode".into(), json!(network));
        }
        if !self.options.extra_hosts.is_empty() {
            host.insert("ExtraHosts".into(), json!(self.options.extra_hosts));
        }
        host.insert("LogConfig".into(), json!({ "Type": "none", "Config": {} }));
        host
    }
}

/// The command with its here-documents: one alone is what the shell runs (or a script of its own, where it
/// begins with `#!`); others are the shell's to read.
fn with_documents(args: &Args, docs: &[Heredoc]) -> Result<(Args, Option<Heredoc>)> {
    let Some(first) = docs.first() else { return Ok((args.clone(), None)) };
    let [line] = args.words.as_slice() else {
        return Err(Error::bad_request("parsing produced an invalid run command"));
    };
    let alone = docs.len() == 1
        && line.starts_with("<<")
        && line.split_whitespace().count() <= 2
        && !line.trim_start_matches("<<").trim_start_matches('-').trim().contains(' ');
    if alone && first.text.starts_with("#!") {
        let path = format!("{SCRIPTS}/{}", first.name);
        return Ok((Args { words: vec![path], shell: true }, Some(first.clone())));
    }
    if alone {
        return Ok((Args { words: vec![first.content()], shell: true }, None));
    }
    let mut whole = line.clone();
    for doc in docs {
        whole.push_str(&format!("\n{}{}", doc.text, doc.name));
    }
    Ok((Args { words: vec![whole], shell: true }, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dockerfile::{Command, Dockerfile, instruction};

    fn of(text: &str) -> (Vec<String>, bool) {
        let file = Dockerfile::read(text).unwrap();
        let Command::Run(args, docs) = instruction(&file.lines[0]).unwrap() else { panic!() };
        let (args, script) = with_documents(&args, &docs).unwrap();
        (args.words, script.is_some())
    }

    #[test]
    fn here_documents_are_commands_scripts_or_input() {
        assert_eq!(of("RUN a b"), (vec!["a b".into()], false));
        assert_eq!(of("RUN <<EOF\na\nb\nEOF\n"), (vec!["a\nb\n".into()], false));
        assert_eq!(of("RUN <<-EOF\n\ta\n\tEOF\n"), (vec!["a\n".into()], false));
        assert_eq!(of("RUN <<EOF\n#!/bin/x\nb\nEOF\n"), (vec!["/dev/pipes/EOF".into()], true));
        assert_eq!(of("RUN cat <<EOF >x\na\nEOF\n"), (vec!["cat <<EOF >x\na\nEOF".into()], false));
    }
}
