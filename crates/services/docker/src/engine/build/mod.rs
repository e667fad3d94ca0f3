//! The classic builder: a context and a Dockerfile become images, one a step.
//!
//! ```text
//!   api/build ─► Options, Context (unpacked under <state>/docker/tmp/<id>) ─► Builder::run
//!                   each line ─► steps ─► run (a container, committed) | copy (files, committed) | metadata
//!                                            └► keep: the step's image, and the cache that finds it again
//! ```

mod context;
mod copy;
mod files;
mod keep;
mod options;
mod run;
mod steps;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use pileus_base::{Error, Result};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

pub(crate) use context::Context;
pub(crate) use options::Options;

use crate::{
    Docker,
    model::dockerfile::{Command, Dockerfile, Line, instruction},
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
    /// Build arguments that are declared, with what they are.
    pub args: BTreeMap<String, Option<String>>,
    /// Whether this stage said CMD.
    pub cmd: bool,
}

/// A build under way.
pub(crate) struct Builder {
    pub(super) docker: Arc<Docker>,
    pub(super) options: Options,
    pub(super) context: Context,
    pub(super) out: mpsc::Sender<Bytes>,
    pub(super) stages: Vec<Stage>,
    /// ARGs before the first FROM.
    pub(super) global: BTreeMap<String, Option<String>>,
    /// Build arguments that were asked for.
    pub(super) consumed: BTreeSet<String>,
    /// Whether the cache may still be used.
    pub(super) cached: bool,
    pub(super) escape: char,
    plan: Vec<(Line, Command)>,
}

impl Builder {
    /// Reads the Dockerfile; nothing has been done when it fails.
    ///
    /// # Errors
    /// 400 in the reference's words.
    pub fn new(
        docker: Arc<Docker>,
        options: Options,
        context: Context,
        out: mpsc::Sender<Bytes>,
    ) -> Result<Self> {
        let file = Dockerfile::read(&context.dockerfile)?;
        let mut plan = Vec::new();
        for line in file.lines {
            let command = instruction(&line, file.escape)?;
            if plan.iter().all(|(_, c)| matches!(c, Command::Arg(_)))
                && !matches!(command, Command::Arg(_) | Command::From(_))
            {
                return Err(Error::bad_request(format!(
                    "dockerfile parse error line {}: no build stage in current context",
                    line.number
                )));
            }
            plan.push((line, command));
        }
        if !plan.iter().any(|(_, c)| matches!(c, Command::From(_))) {
            return Err(Error::bad_request("no build stage in current context"));
        }
        if !options.target.is_empty() {
            plan.truncate(end_of(&plan, &options.target)?);
        }
        let cached = !options.no_cache;
        Ok(Self {
            docker,
            options,
            context,
            out,
            stages: Vec::new(),
            global: BTreeMap::new(),
            consumed: BTreeSet::new(),
            cached,
            escape: file.escape,
            plan,
        })
    }

    /// Does it, and says how it went: an error becomes the stream's last line.
    pub async fn run(mut self) {
        // Layers that no image names yet are not swept away meanwhile.
        let _incoming = crate::engine::images::bringing_in().await;
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
        self.context.close().await;
    }

    async fn steps(&mut self) -> Result<()> {
        let plan = std::mem::take(&mut self.plan);
        let total = plan.len();
        for (i, (line, command)) in plan.iter().enumerate() {
            self.say(&format!("Step {}/{total} : {}\n", i + 1, line.original)).await?;
            self.step(command).await?;
        }
        let (unused, image) = {
            let known = |k: &&String| !self.consumed.contains(*k) && !steps::PREDEFINED.contains(&k.as_str());
            let unused: Vec<String> = self.options.build_args.keys().filter(known).cloned().collect();
            (unused, self.stages.last().map(|s| s.image.clone()).unwrap_or_default())
        };
        if !unused.is_empty() {
            let names = unused.join(" ");
            self.say(&format!("[Warning] One or more build-args [{names}] were not consumed\n")).await?;
        }
        if image.is_empty() {
            return Err(Error::bad_request("No image was generated. Is your Dockerfile empty?"));
        }
        self.add_labels().await?;
        let image = self.stages.last().map(|s| s.image.clone()).unwrap_or(image);
        if self.options.quiet {
            self.tag(&image).await?;
            return self.line(&json!({ "stream": format!("{image}\n") })).await;
        }
        self.line(&json!({ "aux": { "ID": image } })).await?;
        self.say(&format!("Successfully built {}\n", short(&image))).await?;
        self.tag(&image).await
    }

    /// Labels of the request: a step of their own at the end, as the reference does it.
    async fn add_labels(&mut self) -> Result<()> {
        if self.options.labels.is_empty() {
            return Ok(());
        }
        let pairs: Vec<_> = self.options.labels.clone().into_iter().collect();
        let text: Vec<String> = pairs.iter().map(|(k, v)| format!("{k:?}={v:?}")).collect();
        self.say(&format!("Step : LABEL {}\n", text.join(" "))).await?;
        self.labels(pairs).await
    }

    /// A line of progress, unless it was asked to be quiet.
    pub(super) async fn say(&self, text: &str) -> Result<()> {
        if self.options.quiet {
            return Ok(());
        }
        self.line(&json!({ "stream": text })).await
    }

    async fn line(&self, value: &Value) -> Result<()> {
        let text = format!("{value}\r\n");
        self.out
            .send(Bytes::from(text))
            .await
            .map_err(|_| Error::bad_request("Build cancelled: context canceled"))
    }

    /// The stage that is being built.
    ///
    /// # Errors
    /// 400 before the first FROM.
    pub(super) fn stage(&mut self) -> Result<&mut Stage> {
        self.stages.last_mut().ok_or_else(|| Error::bad_request("no build stage in current context"))
    }
}

/// The first line after the stage `target`.
fn end_of(plan: &[(Line, Command)], target: &str) -> Result<usize> {
    let stages: Vec<(usize, Option<&str>)> = plan
        .iter()
        .enumerate()
        .filter_map(|(i, (_, c))| match c {
            Command::From(f) => Some((i, f.name.as_deref())),
            _ => None,
        })
        .collect();
    let by_name = stages.iter().position(|(_, n)| n.is_some_and(|n| n.eq_ignore_ascii_case(target)));
    let at = by_name.or_else(|| target.parse().ok().filter(|n| *n < stages.len()));
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
        let d = Dockerfile::read("FROM a AS x\nRUN b\nFROM c\nRUN d").unwrap();
        let plan: Vec<_> =
            d.lines.into_iter().map(|l| (l.clone(), instruction(&l, d.escape).unwrap())).collect();
        assert_eq!(end_of(&plan, "X").unwrap(), 2);
        assert_eq!(end_of(&plan, "1").unwrap(), 4);
        assert!(end_of(&plan, "nope").is_err());
        assert_eq!(exit_code("The command 'x' returned a non-zero code: 3"), Some(3));
    }
}
