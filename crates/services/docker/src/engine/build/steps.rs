//! What each instruction does to the stage.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use pileus_host::Rootfs;
use serde_json::{Map, Value, json};

use super::{Builder, copy::absolute};
use crate::{
    model::{
        dockerfile::{Args, Command, Health, Lex, quote},
        signals,
    },
    new_id,
};

/// The texts of an array of a configuration.
pub(super) fn texts(config: &Map<String, Value>, key: &str) -> Vec<String> {
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
    /// Does one instruction of the stage.
    pub(super) async fn step(&mut self, command: &Command) -> Result<()> {
        match command {
            Command::From(_) => Err(Error::bad_request("FROM isn't allowed as an ONBUILD trigger")),
            Command::Arg(args) => self.arg(args).await,
            Command::Run(args, docs) => self.run_command(args, docs).await,
            Command::Copy(copy) => self.copy(copy).await,
            Command::Workdir(path) => self.workdir(path).await,
            Command::Env(pairs) => {
                let pairs = self.pairs(pairs)?;
                let stage = self.stage()?;
                let mut env = texts(&stage.config, "Env");
                pairs.iter().for_each(|(k, v)| set_env(&mut env, k, v));
                stage.config.insert("Env".into(), json!(env));
                self.metadata(&format!("ENV {}", joined(&pairs))).await
            }
            Command::Label(pairs) => {
                let pairs = self.pairs(pairs)?;
                self.labels(pairs).await
            }
            Command::Cmd(args) => {
                let argv = self.argv(args)?;
                let stage = self.stage()?;
                stage.config.insert("Cmd".into(), json!(argv));
                self.metadata(&format!("CMD {}", quoted(&argv))).await?;
                if !args.words.is_empty() {
                    self.stage()?.cmd = true;
                }
                Ok(())
            }
            Command::Entrypoint(args) => {
                let argv = if args.words.is_empty() { Vec::new() } else { self.argv(args)? };
                let stage = self.stage()?;
                let value = if argv.is_empty() { Value::Null } else { json!(argv) };
                stage.config.insert("Entrypoint".into(), value);
                if !stage.cmd {
                    stage.config.insert("Cmd".into(), Value::Null);
                }
                self.metadata(&format!("ENTRYPOINT {}", quoted(&argv))).await
            }
            Command::Shell(words) => {
                self.stage()?.config.insert("Shell".into(), json!(words));
                self.metadata(&format!("SHELL [{}]", words.join(" "))).await
            }
            Command::User(user) => {
                let user = self.word(user)?;
                self.stage()?.config.insert("User".into(), json!(user));
                self.metadata(&format!("USER {user}")).await
            }
            Command::Stopsignal(signal) => {
                let signal = self.word(signal)?;
                signals::number(&signal)?;
                self.stage()?.config.insert("StopSignal".into(), json!(signal));
                self.metadata(&format!("STOPSIGNAL {signal}")).await
            }
            Command::Maintainer(who) => {
                self.stage()?.author.clone_from(who);
                self.metadata(&format!("MAINTAINER {who}")).await
            }
            Command::Expose(ports) => {
                let words = self.with_lex(|lex| {
                    let words = ports.iter().map(|p| lex.words(p)).collect::<Result<Vec<_>>>()?;
                    Ok(words.concat())
                })?;
                self.put_keys("ExposedPorts", &ports_of(&words)?)?;
                self.metadata(&format!("EXPOSE {}", words.join(" "))).await
            }
            Command::Volume(paths) => {
                let paths = paths.iter().map(|p| self.word(p)).collect::<Result<Vec<_>>>()?;
                if paths.iter().any(String::is_empty) {
                    return Err(Error::bad_request("VOLUME specified can not be an empty string"));
                }
                self.put_keys("Volumes", &paths)?;
                self.metadata(&format!("VOLUME [{}]", paths.join(" "))).await
            }
            Command::Healthcheck(health) => {
                let mut value = health_value(health);
                let old = self.stage()?.config.remove("Healthcheck");
                // What isn't given stays as the image has it, though the history doesn't say so.
                for key in ["Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"] {
                    if let Some(kept) =
                        old.as_ref().and_then(|o| o.get(key)).filter(|_| value.get(key).is_none())
                    {
                        value[key] = kept.clone();
                    }
                }
                self.stage()?.config.insert("Healthcheck".into(), value);
                let old = texts(&Map::from_iter(old.map(|o| ("Test".to_owned(), o["Test"].clone()))), "Test");
                if old.first().is_some_and(|kind| kind != "NONE") {
                    let old = old.join(" ");
                    self.say(&format!("Note: overriding previous HEALTHCHECK: [{old}]\n")).await?;
                }
                self.metadata(&format!("HEALTHCHECK {}", health_shown(health))).await
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

    /// LABEL, variables replaced.
    pub(super) async fn labels(&mut self, pairs: Vec<(String, String)>) -> Result<()> {
        let stage = self.stage()?;
        let mut labels: BTreeMap<String, String> = stage
            .config
            .get("Labels")
            .and_then(|v| serde_json::from_value(v.clone()).ok())
            .unwrap_or_default();
        let shown = joined(&pairs);
        labels.extend(pairs);
        stage.config.insert("Labels".into(), json!(labels));
        self.metadata(&format!("LABEL {shown}")).await
    }

    /// ARG before the first FROM.
    pub(super) fn global_arg(&mut self, args: &[(String, Option<String>)]) -> Result<()> {
        for (name, default) in args {
            let allowed = self.args.allowed(&[]);
            let vars = |n: &str| allowed.get(n).cloned();
            let lex = Lex::new(self.escape, &vars);
            let name = lex.word(name)?;
            let default = default.as_deref().map(|d| lex.word(d)).transpose()?;
            self.args.declare_global(&name, default);
        }
        Ok(())
    }

    async fn arg(&mut self, args: &[(String, Option<String>)]) -> Result<()> {
        let mut shown = Vec::new();
        let mut all = Vec::new();
        for (name, default) in args {
            let name = self.word(name)?;
            let default = default.as_deref().map(|d| self.word(d)).transpose()?;
            shown.push(match &default {
                Some(d) => format!("{name}={d}"),
                None => name.clone(),
            });
            all.push((name, default));
        }
        all.into_iter().for_each(|(name, default)| self.args.declare(&name, default));
        self.metadata(&format!("ARG {}", shown.join(" "))).await
    }

    async fn workdir(&mut self, path: &str) -> Result<()> {
        let path = self.word(path)?;
        if path.is_empty() {
            return Err(Error::bad_request("cannot normalize nothing"));
        }
        let stage = self.stage()?;
        let now = stage.config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/").to_owned();
        let path = absolute(&now, &path);
        stage.config.insert("WorkingDir".into(), json!(path));
        let mut command = self.shell()?;
        command.push(format!("#(nop) WORKDIR {path}"));
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

    /// Does something with what reads words, variables as this stage sees them.
    pub(super) fn with_lex<T>(&self, f: impl FnOnce(&Lex<'_>) -> Result<T>) -> Result<T> {
        let env = self.stages.last().map(|s| texts(&s.config, "Env")).unwrap_or_default();
        let allowed = self.args.allowed(&env);
        let vars = |name: &str| {
            let set = env.iter().rev().find_map(|e| e.split_once('=').filter(|(k, _)| *k == name));
            set.map(|(_, v)| v.to_owned()).or_else(|| allowed.get(name).cloned())
        };
        f(&Lex::new(self.escape, &vars))
    }

    /// A word, variables replaced.
    pub(super) fn word(&self, text: &str) -> Result<String> {
        self.with_lex(|lex| lex.word(text))
    }

    fn pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>> {
        self.with_lex(|lex| pairs.iter().map(|(k, v)| Ok((lex.word(k)?, lex.word(v)?))).collect())
    }

    /// The words of a shell's line, of the stage's shell.
    pub(super) fn shell(&mut self) -> Result<Vec<String>> {
        let shell = texts(&self.stage()?.config, "Shell");
        Ok(if shell.is_empty() { vec!["/bin/sh".into(), "-c".into()] } else { shell })
    }

    /// What is run: with the shell in front where it is a line for it.
    pub(super) fn argv(&mut self, args: &Args) -> Result<Vec<String>> {
        if !args.shell {
            return Ok(args.words.clone());
        }
        let mut argv = self.shell()?;
        argv.extend(args.words.iter().cloned());
        Ok(argv)
    }

    fn put_keys(&mut self, key: &str, names: &[String]) -> Result<()> {
        let stage = self.stage()?;
        let mut all = stage.config.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        all.extend(names.iter().map(|name| (name.clone(), json!({}))));
        stage.config.insert(key.into(), Value::Object(all));
        Ok(())
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
}

/// Go's `%q` of a list of texts.
fn quoted(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "))
}

/// Ports of EXPOSE: what is before the last colon is about the host, and says nothing here.
fn ports_of(words: &[String]) -> Result<Vec<String>> {
    let mut ports = Vec::new();
    for word in words {
        let port = word.rsplit(':').next().unwrap_or_default();
        let (range, protocol) = port.split_once('/').unwrap_or((port, ""));
        if range.is_empty() {
            return Err(Error::bad_request(format!("no port specified: {word}<empty>")));
        }
        let protocol = if protocol.is_empty() { "tcp".into() } else { protocol.to_lowercase() };
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(Error::bad_request(format!("invalid proto: {protocol}")));
        }
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        match (low.parse::<u16>(), high.parse::<u16>()) {
            (Ok(low), Ok(high)) if low <= high => {
                ports.extend((low..=high).map(|p| format!("{p}/{protocol}")));
            }
            _ => return Err(Error::bad_request(format!("invalid containerPort: {range}"))),
        }
    }
    Ok(ports)
}

/// As the reference's history shows a health check.
fn health_shown(health: &Health) -> String {
    let time = |ns: i64| {
        let text = match ns {
            0 => "0s".into(),
            ns if ns % 1_000_000_000 == 0 => {
                let s = ns / 1_000_000_000;
                match (s / 3600, s / 60 % 60, s % 60) {
                    (0, 0, s) => format!("{s}s"),
                    (0, m, s) => format!("{m}m{s}s"),
                    (h, m, s) => format!("{h}h{m}m{s}s"),
                }
            }
            ns => format!("{}ms", ns as f64 / 1e6),
        };
        quote(&text)
    };
    let [interval, timeout, start, _] = health.times.map(time);
    format!("&{{{} {interval} {timeout} {start} '\\x{:02x}'}}", quoted(&health.test), health.retries)
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

    #[test]
    fn ports_are_ranges_with_protocols() {
        let of = |w: &str| ports_of(&[w.to_owned()]).map_err(|e| e.message().to_owned());
        assert_eq!(of("80-81/UDP").unwrap(), ["80/udp", "81/udp"]);
        assert_eq!(of("127.0.0.1:80:90").unwrap(), ["90/tcp"]);
        assert_eq!(of("80/x").unwrap_err(), "invalid proto: x");
        assert_eq!(of("9-8").unwrap_err(), "invalid containerPort: 9-8");
    }

    #[test]
    fn a_health_check_is_shown_as_the_reference_shows_it() {
        let health = Health {
            test: vec!["CMD-SHELL".into(), "true".into()],
            times: [5_000_000_000, 0, 0, 0],
            retries: 2,
        };
        assert_eq!(health_shown(&health), r#"&{["CMD-SHELL" "true"] "5s" "0s" "0s" '\x02'}"#);
    }
}
