//! FROM: where a stage begins, and what its image wants done first (ONBUILD).

use pileus_base::{Error, Result};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Builder, Stage, short, steps::texts};
use crate::{
    Image,
    engine::{
        images::progress::Progress,
        registry::{Credentials, Platform},
    },
    model::{
        dockerfile::{Dockerfile, From, expand, instruction},
        reference::Reference,
    },
};

const ARCH: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
/// Architectures that may be named alone.
const ARCHES: &[&str] =
    &["amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "mips64le", "loong64"];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The platform that a text names.
///
/// # Errors
/// 400 for a system that images here can't be of.
pub(super) fn platform(text: &str) -> Result<Platform> {
    let mut parts = text.split('/').map(str::to_lowercase);
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next());
    let bad = |why: String| Error::bad_request(format!("failed to parse platform {text}: {why}"));
    let arch = |name: &str| match name {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        name => name.to_owned(),
    };
    match architecture {
        None if ARCHES.contains(&arch(&os).as_str()) => {
            Ok(Platform { os: "linux".into(), architecture: arch(&os), variant: String::new() })
        }
        _ if os != "linux" => {
            Err(bad(format!("\"{os}\": unknown operating system or architecture: invalid argument")))
        }
        None => Ok(Platform { os, architecture: ARCH.into(), variant: String::new() }),
        Some(name) => {
            Ok(Platform { os, architecture: arch(&name), variant: parts.next().unwrap_or_default() })
        }
    }
}

impl Builder {
    /// Begins a stage.
    pub(super) async fn from(&mut self, from: &From) -> Result<()> {
        // Each stage may find its steps in the cache again.
        self.cached = !self.options.no_cache;
        self.args.begin_stage();
        let vars = |n: &str| self.args.before(n);
        let platform_text = match &from.platform {
            Some(text) => expand(text, self.escape, &vars)?,
            None => self.options.platform.clone(),
        };
        let wanted = if platform_text.is_empty() { None } else { Some(platform(&platform_text)?) };
        let name = expand(&from.image, self.escape, &vars)?;
        if name.is_empty() {
            return Err(Error::bad_request(format!("base name ({}) should not be blank", from.image)));
        }
        if let Some(name) = &from.name
            && self.stages.iter().any(|s| s.name.as_ref() == Some(name))
        {
            return Err(Error::bad_request(format!("{name} stage name already used")));
        }
        let mut stage = Stage { name: from.name.clone(), ..Stage::default() };
        let lower = name.to_lowercase();
        if let Some(earlier) = self.stages.iter().find(|s| s.name.as_ref() == Some(&lower)) {
            stage = Stage { name: stage.name, cmd: false, author: String::new(), ..earlier.clone() };
        } else if name != "scratch" {
            let image = self.base(&name, wanted.as_ref()).await?;
            stage.load(&image, &image.value());
        }
        stage.base.clone_from(&stage.image);
        let mut env = texts(&stage.config, "Env");
        if !env.iter().any(|e| e.starts_with("PATH=")) {
            env.push(PATH.into());
        }
        stage.config.insert("Env".into(), json!(env));
        for key in ["OpenStdin", "StdinOnce"] {
            stage.config.remove(key);
        }
        let triggers = texts(&stage.config, "OnBuild");
        stage.config.insert("OnBuild".into(), Value::Null);
        self.stages.push(stage);
        if !triggers.is_empty() {
            let s = if triggers.len() == 1 { "" } else { "s" };
            self.say(&format!("# Executing {} build trigger{s}\n", triggers.len())).await?;
        }
        for trigger in triggers {
            let file = Dockerfile::read(&trigger)?;
            let [line] = file.lines.as_slice() else {
                return Err(Error::bad_request("onbuild trigger should be a single expression"));
            };
            Box::pin(self.step(&instruction(line)?)).await?;
        }
        let shown = short(&self.stage()?.image).to_owned();
        self.say(&format!(" ---> {shown}\n")).await
    }

    /// An image to build on: pulled where it isn't here, or where that was asked.
    pub(super) async fn base(&self, name: &str, wanted: Option<&Platform>) -> Result<Image> {
        let fits = |image: &Image| {
            let value = image.value();
            wanted.is_none_or(|w| {
                value["os"] == w.os.as_str() && value["architecture"] == w.architecture.as_str()
            })
        };
        let by_id = name.starts_with("sha256:");
        if !self.options.pull || by_id {
            match self.docker.image(name).await {
                Err(e) if e.is_not_found() && !by_id => {}
                found => {
                    let found = found?.value;
                    if fits(&found) {
                        return Ok(found);
                    }
                }
            }
        }
        let reference = Reference::parse(name)?.or_latest();
        let ours = Platform { os: "linux".into(), architecture: ARCH.into(), variant: String::new() };
        let auth = self.options.auth.get(match reference.registry.as_str() {
            "docker.io" => "https://index.docker.io/v1/",
            other => other,
        });
        let auth = auth.and_then(Credentials::read);
        let (sender, mut lines) = mpsc::unbounded_channel();
        let (docker, asked) = (self.docker.clone(), reference.clone());
        let pull = async move {
            let progress = Progress::new(sender);
            docker.pull_image(&asked, auth, Some(wanted.unwrap_or(&ours)), &progress).await
        };
        let tell = async {
            while let Some(line) = lines.recv().await {
                if !self.options.quiet && self.out.send(line).await.is_err() {
                    break;
                }
            }
        };
        tokio::join!(pull, tell).0?;
        let image = self.docker.image(name).await?.value;
        match wanted {
            Some(w) if !fits(&image) => {
                let value = image.value();
                let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
                Err(Error::not_found(format!(
                    "image with reference {name} was found but does not match the specified platform: wanted {}/{}, actual: {}/{}",
                    w.os,
                    w.architecture,
                    text("os"),
                    text("architecture")
                )))
            }
            _ => Ok(image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read() {
        let p = platform("linux/arm64/v8").unwrap();
        assert_eq!((p.architecture.as_str(), p.variant.as_str()), ("arm64", "v8"));
        assert_eq!(platform("x86_64").unwrap().architecture, "amd64");
        let e = platform("foobar").unwrap_err();
        assert!(e.message().contains("unknown operating system"), "{}", e.message());
    }
}
