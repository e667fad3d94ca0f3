//! What each instruction does to the stage.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use pileus_host::Rootfs;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::{Builder, Stage, files, short};
use crate::{
    Image,
    engine::{images::progress::Progress, registry::Platform},
    model::dockerfile::{Args, Command, Dockerfile, From, Health, Heredoc, expand, instruction},
    model::reference::Reference,
    new_id,
};

/// Build arguments that need no ARG, and that don't change what the cache finds.
pub(super) const PREDEFINED: &[&str] = &[
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];
const ARCH: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The texts of an array of a configuration.
fn texts(config: &Map<String, Value>, key: &str) -> Vec<String> {
    config.get(key).and_then(|v| serde_json::from_value(v.clone()).ok()).unwrap_or_default()
}

/// Sets `name` in an environment.
fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let line = format!("{name}={value}");
    match env.iter_mut().find(|e| e.split_once('=').is_some_and(|(n, _)| n == name)) {
        Some(old) => *old = line,
        None => env.push(line),
    }
}

impl Builder {
    /// Does one instruction.
    pub(super) async fn step(&mut self, command: &Command) -> Result<()> {
        match command {
            Command::From(from) => return self.from(from).await,
            Command::Arg(args) => return self.arg(args).await,
            _ => {}
        }
        self.stage()?;
        match command {
            Command::From(_) | Command::Arg(_) => Ok(()),
            Command::Run(args, docs) => self.run_command(args, docs).await,
            Command::Copy(copy) => self.copy(copy).await,
            Command::Workdir(path) => self.workdir(path).await,
            Command::Env(pairs) => {
                let pairs = self.pairs(pairs)?;
                let stage = self.stage()?;
                let mut env = texts(&stage.config, "Env");
                pairs.iter().for_each(|(k, v)| set_env(&mut env, k, v));
                stage.config.insert("Env".into(), json!(env));
                let shown: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
                self.metadata(&format!("ENV {}", shown.join(" "))).await
            }
            Command::Label(pairs) => {
                let pairs = self.pairs(pairs)?;
                self.labels(pairs).await
            }
            Command::Cmd(args) => {
                let argv = self.argv(args)?;
                let stage = self.stage()?;
                stage.cmd = true;
                stage.config.insert("Cmd".into(), json!(argv));
                self.metadata(&format!("CMD {}", quoted(&argv))).await
            }
            Command::Entrypoint(args) => {
                let argv = self.argv(args)?;
                let stage = self.stage()?;
                stage.config.insert("Entrypoint".into(), json!(argv));
                if !stage.cmd {
                    stage.config.insert("Cmd".into(), Value::Null);
                }
                self.metadata(&format!("ENTRYPOINT {}", quoted(&argv))).await
            }
            Command::Shell(words) => {
                self.stage()?.config.insert("Shell".into(), json!(words));
                self.metadata(&format!("SHELL {}", quoted(words))).await
            }
            Command::User(user) => {
                let user = self.word(user)?;
                self.stage()?.config.insert("User".into(), json!(user));
                self.metadata(&format!("USER {user}")).await
            }
            Command::Stopsignal(signal) => {
                let signal = self.word(signal)?;
                self.stage()?.config.insert("StopSignal".into(), json!(signal));
                self.metadata(&format!("STOPSIGNAL {signal}")).await
            }
            Command::Maintainer(who) => {
                let shown = format!("MAINTAINER {who}");
                self.metadata(&shown).await
            }
            Command::Expose(ports) => {
                let ports = self.ports(ports)?;
                self.put_keys("ExposedPorts", &ports)?;
                self.metadata(&format!("EXPOSE {}", ports.join(" "))).await
            }
            Command::Volume(paths) => {
                let paths = paths.iter().map(|p| self.word(p)).collect::<Result<Vec<_>>>()?;
                if paths.iter().any(|p| p.trim().is_empty()) {
                    return Err(Error::bad_request("VOLUME specified can not be an empty string"));
                }
                self.put_keys("Volumes", &paths)?;
                self.metadata(&format!("VOLUME {}", quoted(&paths))).await
            }
            Command::Healthcheck(health) => {
                self.stage()?.config.insert("Healthcheck".into(), health_value(health));
                self.metadata(&format!("HEALTHCHECK {}", quoted(&health.test))).await
            }
            Command::Onbuild(text) => {
                let stage = self.stage()?;
                let mut all = texts(&stage.config, "OnBuild");
                all.push(text.clone());
                stage.config.insert("OnBuild".into(), json!(all));
                self.metadata(&format!("ONBUILD {text}")).await
            }
        }
    }

    /// A step that changes no file.
    pub(super) async fn metadata(&mut self, text: &str) -> Result<()> {
        let mut command = self.shell()?;
        command.extend(["#(nop) ".to_owned(), text.to_owned()]);
        let step = self.step_config(&command)?;
        if self.cache(&step).await? {
            return Ok(());
        }
        self.keep(step, None, "").await
    }

    /// LABEL.
    pub(super) async fn labels(&mut self, pairs: Vec<(String, String)>) -> Result<()> {
        let stage = self.stage()?;
        let mut labels: BTreeMap<String, String> = stage
            .config
            .get("Labels")
            .and_then(|v| serde_json::from_value(v.clone()).ok())
            .unwrap_or_default();
        let shown: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        labels.extend(pairs);
        stage.config.insert("Labels".into(), json!(labels));
        self.metadata(&format!("LABEL {}", shown.join(" "))).await
    }

    async fn from(&mut self, from: &From) -> Result<()> {
        let global = |n: &str| self.global.get(n).cloned().flatten();
        let name = expand(&from.image, self.escape, &global)?;
        if name.is_empty() {
            return Err(Error::bad_request(format!("base name ({}) should not be blank", from.image)));
        }
        if let Some(platform) = &from.platform {
            let platform = expand(platform, self.escape, &global)?;
            if !platform.is_empty() && !platform.starts_with("linux") {
                return Err(Error::bad_request(format!(
                    "image operating system \"{platform}\" cannot be used on this platform"
                )));
            }
        }
        let mut stage = Stage { name: from.name.clone(), ..Stage::default() };
        let earlier = self.stages.iter().find(|s| s.name.as_deref() == Some(name.to_lowercase().as_str()));
        if let Some(earlier) = earlier {
            stage = Stage { name: stage.name, args: BTreeMap::new(), cmd: false, ..earlier.clone() };
        } else if name == "scratch" {
            stage.config.insert("Env".into(), json!([PATH]));
        } else {
            let image = self.base(&name).await?;
            stage.load(&image, &image.value());
        }
        let triggers = texts(&stage.config, "OnBuild");
        stage.config.remove("OnBuild");
        let shown = short(&stage.image).to_owned();
        self.stages.push(stage);
        self.say(&format!(" ---> {shown}\n")).await?;
        if triggers.is_empty() {
            return Ok(());
        }
        let s = if triggers.len() == 1 { "" } else { "s" };
        self.say(&format!("# Executing {} build trigger{s}\n", triggers.len())).await?;
        for trigger in triggers {
            let file = Dockerfile::read(&trigger)?;
            for line in &file.lines {
                let command = instruction(line, file.escape)?;
                Box::pin(self.step(&command)).await?;
            }
        }
        Ok(())
    }

    /// An image to build on: pulled where it isn't here, or where that was asked.
    pub(super) async fn base(&self, name: &str) -> Result<Image> {
        if !self.options.pull {
            match self.docker.image(name).await {
                Err(e) if e.is_not_found() => {}
                found => return Ok(found?.value),
            }
        }
        let reference = Reference::parse(name)?.or_latest();
        let platform = Platform { os: "linux".into(), architecture: ARCH.into(), variant: String::new() };
        let (sender, mut lines) = mpsc::unbounded_channel();
        let progress = Progress::new(sender);
        let (docker, asked) = (self.docker.clone(), reference.clone());
        let pull = async move { docker.pull_image(&asked, None, Some(&platform), &progress).await };
        let tell = async {
            while let Some(line) = lines.recv().await {
                if !self.options.quiet && self.out.send(line).await.is_err() {
                    break;
                }
            }
        };
        tokio::join!(pull, tell).0?;
        Ok(self.docker.image(name).await?.value)
    }

    async fn arg(&mut self, args: &[(String, Option<String>)]) -> Result<()> {
        let mut shown = Vec::new();
        for (name, default) in args {
            let given = self.options.build_args.get(name).cloned().flatten();
            let outer = self.global.get(name).cloned().flatten();
            self.consumed.insert(name.clone());
            let default = match default {
                Some(d) if self.stages.is_empty() => {
                    let global = |n: &str| self.global.get(n).cloned().flatten();
                    Some(expand(d, self.escape, &global)?)
                }
                Some(d) => Some(self.word(d)?),
                None => None,
            };
            shown.push(match &default {
                Some(d) => format!("{name}={d}"),
                None => name.clone(),
            });
            match self.stages.last_mut() {
                None => self.global.insert(name.clone(), given.or(default)),
                Some(stage) => stage.args.insert(name.clone(), given.or(default).or(outer)),
            };
        }
        if self.stages.is_empty() {
            return Ok(());
        }
        self.metadata(&format!("ARG {}", shown.join(" "))).await
    }

    async fn run_command(&mut self, args: &Args, docs: &[Heredoc]) -> Result<()> {
        if !docs.is_empty() {
            return Err(Error::bad_request(
                "the heredoc option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled",
            ));
        }
        let argv = self.argv(args)?;
        let predefined: Vec<String> = PREDEFINED
            .iter()
            .filter_map(|n| Some(format!("{n}={}", self.options.build_args.get(*n)?.as_deref()?)))
            .collect();
        let stage = self.stage()?;
        let mut env = texts(&stage.config, "Env");
        let has =
            |env: &[String], n: &str| env.iter().any(|e| e.split_once('=').is_some_and(|(k, _)| k == n));
        let used: Vec<String> = stage
            .args
            .iter()
            .filter(|(n, _)| !has(&env, n) && !PREDEFINED.contains(&n.as_str()))
            .filter_map(|(n, v)| Some(format!("{n}={}", v.as_ref()?)))
            .collect();
        let mut command = argv.clone();
        if !used.is_empty() {
            command.splice(0..0, used.iter().cloned());
            command.insert(0, format!("|{}", used.len()));
        }
        let step = self.step_config(&command)?;
        if self.cache(&step).await? {
            return Ok(());
        }
        env.extend(used);
        env.extend(predefined);
        let ran = self.run_step(&argv, env, &argv.join(" ")).await?;
        self.keep(step, Some(ran.layer), &ran.container).await
    }

    async fn workdir(&mut self, path: &str) -> Result<()> {
        let path = self.word(path)?;
        let stage = self.stage()?;
        let now = stage.config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/").to_owned();
        let path = files::absolute(&now, &path);
        stage.config.insert("WorkingDir".into(), json!(path));
        let mut command = self.shell()?;
        command.extend(["#(nop) ".to_owned(), format!("WORKDIR {path}")]);
        let step = self.step_config(&command)?;
        if self.cache(&step).await? {
            return Ok(());
        }
        let rootfs = Rootfs { layers: self.stage()?.layers.clone() };
        let id = new_id();
        let host = self.docker.host.clone();
        host.ensure_container(&id, &rootfs).await?;
        let made = self.make_dir(&id, &rootfs, &path).await;
        host.remove_container(&id).await?;
        self.keep(step, made?, "").await
    }

    /// A word, variables replaced.
    pub(super) fn word(&self, text: &str) -> Result<String> {
        let stage = self.stages.last();
        let env = stage.map(|s| texts(&s.config, "Env")).unwrap_or_default();
        let vars = |name: &str| {
            let set = env.iter().find_map(|e| e.split_once('=').filter(|(k, _)| *k == name));
            set.map(|(_, v)| v.to_owned())
                .or_else(|| stage.and_then(|s| s.args.get(name).cloned().flatten()))
                .or_else(|| {
                    let given = self.options.build_args.get(name).cloned().flatten();
                    given.filter(|_| PREDEFINED.contains(&name))
                })
        };
        expand(text, self.escape, &vars)
    }

    fn pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>> {
        pairs.iter().map(|(k, v)| Ok((self.word(k)?, self.word(v)?))).collect()
    }

    /// The words of a shell's line, of the stage's shell.
    pub(super) fn shell(&mut self) -> Result<Vec<String>> {
        let shell = texts(&self.stage()?.config, "Shell");
        Ok(if shell.is_empty() { vec!["/bin/sh".into(), "-c".into()] } else { shell })
    }

    fn argv(&mut self, args: &Args) -> Result<Vec<String>> {
        if !args.shell || args.words.is_empty() {
            return Ok(args.words.clone());
        }
        let mut argv = self.shell()?;
        argv.extend(args.words.iter().cloned());
        Ok(argv)
    }

    fn put_keys(&mut self, key: &str, names: &[String]) -> Result<()> {
        let stage = self.stage()?;
        let mut all = stage.config.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        for name in names {
            all.insert(name.clone(), json!({}));
        }
        stage.config.insert(key.into(), Value::Object(all));
        Ok(())
    }

    fn ports(&self, words: &[String]) -> Result<Vec<String>> {
        let mut ports = Vec::new();
        for word in words {
            for port in self.word(word)?.split_whitespace() {
                let bad = || Error::bad_request(format!("invalid containerPort: {port}"));
                let (range, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
                let protocol = protocol.to_ascii_lowercase();
                if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
                    return Err(Error::bad_request(format!("invalid proto: {protocol}")));
                }
                let (low, high) = range.split_once('-').unwrap_or((range, range));
                let (low, high): (u16, u16) =
                    (low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?);
                ports.extend((low..=high).map(|p| format!("{p}/{protocol}")));
            }
        }
        ports.sort();
        Ok(ports)
    }
}

/// Go's `%q` of a list of texts.
fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|w| format!("{w:?}")).collect();
    format!("[{}]", words.join(" "))
}

fn health_value(health: &Health) -> Value {
    let mut value = json!({ "Test": health.test });
    for (key, ns) in ["Interval", "Timeout", "StartPeriod", "StartInterval"].into_iter().zip(health.times) {
        if ns != 0 {
            value[key] = json!(ns);
        }
    }
    if health.retries != 0 {
        value["Retries"] = json!(health.retries);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_names_each_once() {
        let mut env = vec!["A=1".to_owned(), "AB=2".into()];
        set_env(&mut env, "A", "3");
        set_env(&mut env, "C", "4");
        assert_eq!(env, ["A=3", "AB=2", "C=4"]);
        assert_eq!(quoted(&["a".into(), "b \"c\"".into()]), r#"["a" "b \"c\""]"#);
    }
}
