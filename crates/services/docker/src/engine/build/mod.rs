//! The classic builder: a context and a Dockerfile become images, one a step.
//!
//! ```text
//!   api/build ─► Options, Context (an archive, read into a Tree; never unpacked) ─► Builder::run
//!                   each stage: from ─► each line: steps ─► run  (a container, made a layer)
//!                                                       │   copy (files in a container that never runs)
//!                                                       │   metadata
//!                                                       └► cache, or keep: the step's image
//! ```

mod archive;
mod args;
mod cache;
mod context;
mod copy;
mod from;
mod keep;
mod options;
mod place;
mod remote;
mod run;
mod running;
mod sources;
mod squash;
mod steps;
mod tree;

use std::sync::Arc;

use bytes::Bytes;
use pileus_base::{Error, Result};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};

pub(crate) use context::{Context, sweep};
pub(crate) use options::Options;
pub(crate) use running::cancel;

use self::args::BuildArgs;
use crate::{
    Docker, Image,
    model::dockerfile::{Command, Dockerfile, instruction},
};

/// A stage as far as it has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    /// What `AS` calls it.
    pub name: Option<String>,
    /// The image so far; empty for scratch.
    pub image: String,
    /// The image's `config`.
    pub config: Map<String, Value>,
    /// Layers as the host names them.
    pub layers: Vec<String>,
    /// What each takes.
    pub sizes: Vec<u64>,
    /// Their digests.
    pub diff_ids: Vec<String>,
    /// The image's history.
    pub history: Vec<Value>,
    /// MAINTAINER.
    pub author: String,
    /// The image it began with.
    pub base: String,
    /// Whether this stage said CMD.
    pub cmd: bool,
}

/// A build under way.
pub(crate) struct Builder {
    pub(super) docker: Arc<Docker>,
    pub(super) options: Options,
    pub(super) context: Context,
    pub(super) out: mpsc::Sender<Bytes>,
    /// Whether somebody wants it to stop.
    pub(super) stop: watch::Receiver<bool>,
    pub(super) stages: Vec<Stage>,
    args: BuildArgs,
    /// Whether the cache may still be used in this stage.
    pub(super) cached: bool,
    /// The images of `--cache-from`, where there are any.
    pub(super) sources: Option<Vec<Image>>,
    pub(super) escape: char,
    warnings: Vec<String>,
    plan: Vec<(String, Command)>,
}

impl Builder {
    /// Reads the Dockerfile; nothing has been done when it fails.
    ///
    /// # Errors
    /// 400 in the reference's words.
    pub async fn new(
        docker: Arc<Docker>,
        options: Options,
        context: Context,
        out: mpsc::Sender<Bytes>,
    ) -> Result<Self> {
        let file = Dockerfile::read(&context.dockerfile).map_err(|e| {
            let why = format!("failed to parse {}: {}", options.dockerfile, e.message());
            Error::new(e.kind(), why)
        })?;
        let (escape, warnings) = (file.escape, file.warnings.clone());
        let plan = plan(file, &options)?;
        let mut sources = Vec::new();
        for name in &options.cache_from {
            // One that isn't here is no source.
            if let Ok(image) = docker.image(name).await {
                sources.push(image.value);
            }
        }
        let sources = (!options.cache_from.is_empty()).then_some(sources);
        let args = BuildArgs::new(options.build_args.clone());
        let stop = running::begin(&options.id);
        Ok(Self {
            docker,
            options,
            context,
            out,
            stop,
            stages: Vec::new(),
            args,
            cached: false,
            sources,
            escape,
            warnings,
            plan,
        })
    }

    /// Does it, and says how it went: an error becomes the stream's last line.
    pub async fn run(mut self) {
        // Layers that no image names yet are not swept away meanwhile.
        let incoming = crate::engine::images::bringing_in().await;
        if let Err(e) = self.steps().await {
            let message = match e.kind() {
                pileus_base::Kind::Internal => e.chain(),
                _ => e.message().to_owned(),
            };
            let mut detail = json!({ "message": message });
            if let Some(code) = exit_code(&message) {
                detail = json!({ "code": code, "message": message });
            }
            // Whoever asked may have gone.
            let _ = self.line(&json!({ "errorDetail": detail, "error": message })).await;
        }
        drop(incoming);
        running::end(&self.options.id);
        self.context.close().await;
    }

    async fn steps(&mut self) -> Result<()> {
        for warning in std::mem::take(&mut self.warnings) {
            self.say(&format!("{warning}\n")).await?;
        }
        let plan = std::mem::take(&mut self.plan);
        let total = plan.len();
        for (i, (shown, command)) in plan.iter().enumerate() {
            if *self.stop.borrow() {
                return Err(Error::bad_request("Build cancelled"));
            }
            self.say(&format!("Step {}/{total} : {shown}\n", i + 1)).await?;
            match command {
                Command::From(from) => self.from(from).await?,
                Command::Arg(args) if self.stages.is_empty() => self.global_arg(args)?,
                command => {
                    self.step(command).await?;
                    let image = self.stage()?.image.clone();
                    self.say(&format!(" ---> {}\n", short(&image))).await?;
                }
            }
            let ends = plan.get(i + 1).is_none_or(|(_, c)| matches!(c, Command::From(_)));
            let image = self.stages.last().map(|s| s.image.clone()).unwrap_or_default();
            if ends && !image.is_empty() && !self.options.quiet {
                self.line(&json!({ "aux": { "ID": image } })).await?;
            }
        }
        let unused = self.args.unused();
        if !unused.is_empty() {
            let names = unused.join(" ");
            self.say(&format!("[Warning] One or more build-args [{names}] were not consumed\n")).await?;
        }
        let mut image = self.stages.last().map(|s| s.image.clone()).unwrap_or_default();
        if image.is_empty() {
            return Err(Error::bad_request("No image was generated. Is your Dockerfile empty?"));
        }
        if self.options.squash {
            image = self.squash().await?;
            if !self.options.quiet {
                self.line(&json!({ "id": "moby.image.id", "aux": { "ID": image } })).await?;
            }
        }
        self.say(&format!("Successfully built {}\n", short(&image))).await?;
        self.tag(&image).await?;
        match self.options.quiet {
            true => self.line(&json!({ "stream": format!("{image}\n") })).await,
            false => Ok(()),
        }
    }

    /// A line of progress, unless it was asked to be quiet.
    pub(super) async fn say(&self, text: &str) -> Result<()> {
        if self.options.quiet {
            return Ok(());
        }
        self.line(&json!({ "stream": text })).await
    }

    pub(super) async fn line(&self, value: &Value) -> Result<()> {
        let text = format!("{value}\r\n");
        self.out.send(Bytes::from(text)).await.map_err(|_| Error::bad_request("Build cancelled"))
    }

    /// The stage that is being built.
    ///
    /// # Errors
    /// 400 before the first FROM.
    pub(super) fn stage(&mut self) -> Result<&mut Stage> {
        self.stages.last_mut().ok_or_else(|| Error::bad_request("no build stage in current context"))
    }
}

/// What is done, each with what is shown of it.
fn plan(file: Dockerfile, options: &Options) -> Result<Vec<(String, Command)>> {
    let mut plan: Vec<(String, Command)> = Vec::new();
    let mut begun = false;
    for line in file.lines {
        let command = instruction(&line)?;
        begun |= matches!(command, Command::From(_));
        if !begun && !matches!(command, Command::Arg(_)) {
            return Err(Error::bad_request("no build stage in current context"));
        }
        plan.push((line.original, command));
    }
    if !options.target.is_empty() {
        plan.truncate(end_of(&plan, &options.target)?);
    }
    // Labels of the request: steps of their own at the end, as they are.
    for (name, value) in options.labels.iter().filter(|_| begun) {
        plan.push((format!("LABEL {name}={value}"), Command::Label(vec![(plain(name), plain(value))])));
    }
    Ok(plan)
}

/// A text that stays as it is when its variables are replaced.
fn plain(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

/// The first line after the stage `target`.
fn end_of(plan: &[(String, Command)], target: &str) -> Result<usize> {
    let stages: Vec<(usize, Option<&str>)> = plan
        .iter()
        .enumerate()
        .filter_map(|(i, (_, c))| match c {
            Command::From(f) => Some((i, f.name.as_deref())),
            _ => None,
        })
        .collect();
    let at = stages.iter().position(|(_, n)| n.is_some_and(|n| n.eq_ignore_ascii_case(target)));
    let at =
        at.ok_or_else(|| Error::bad_request(format!("failed to reach build target {target} in Dockerfile")))?;
    Ok(stages.get(at + 1).map_or(plan.len(), |(i, _)| *i))
}

/// The code in `… returned a non-zero code: N`.
fn exit_code(message: &str) -> Option<i64> {
    message.rsplit_once("returned a non-zero code: ")?.1.parse().ok()
}

/// The twelve digits that are shown of an id.
pub(super) fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_ends_the_plan() {
        let of = |text: &str, options: &Options| {
            plan(Dockerfile::read(text).unwrap(), options).map_err(|e| e.message().to_owned())
        };
        let text = "ARG a\nFROM a AS x\nRUN b\nFROM c\nRUN d";
        let mut options = Options { target: "X".into(), ..Options::default() };
        options.labels.insert("k".into(), "$v 'q'".into());
        let plan = of(text, &options).unwrap();
        assert_eq!(plan.len(), 4);
        assert_eq!(plan[3].0, "LABEL k=$v 'q'");
        let Command::Label(pairs) = &plan[3].1 else { panic!() };
        let none = |_: &str| None;
        assert_eq!(crate::model::dockerfile::expand(&pairs[0].1, '\\', &none).unwrap(), "$v 'q'");
        options.target = "nope".into();
        assert_eq!(of(text, &options).unwrap_err(), "failed to reach build target nope in Dockerfile");
        assert_eq!(of("RUN x", &Options::default()).unwrap_err(), "no build stage in current context");
        assert_eq!(exit_code("The command 'x' returned a non-zero code: 3"), Some(3));
    }
}
