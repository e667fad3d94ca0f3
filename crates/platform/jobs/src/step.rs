//! A step: its name, its effect, and the effect's undo; and what a running step is given.

use std::{borrow::Cow, future::Future, pin::Pin, sync::Arc, time::Duration};

use pileus_base::{Error, Result, Scope, ids::JobId};
use pileus_store::Store;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Job,
    record::{Journaled, Record},
};

type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;
type Effect<J, T> = Arc<dyn Fn(Arc<J>, Run<J>) -> Pending<T> + Send + Sync>;

/// One step of a job.
pub struct Step<J: Job> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) run: Effect<J, Outcome>,
    pub(crate) undo: Option<Effect<J, ()>>,
    pub(crate) retries: u32,
}

impl<J: Job> Step<J> {
    /// A step that does `run`, and takes it back with `undo`. Both succeed when done twice; `undo` also
    /// when `run` was never done, or only in part.
    pub fn new<R, RF, U, UF>(name: impl Into<Cow<'static, str>>, run: R, undo: U) -> Self
    where
        R: Fn(Arc<J>, Run<J>) -> RF + Send + Sync + 'static,
        RF: Future<Output = Result<Outcome>> + Send + 'static,
        U: Fn(Arc<J>, Run<J>) -> UF + Send + Sync + 'static,
        UF: Future<Output = Result<()>> + Send + 'static,
    {
        let mut step = Self::without_undo(name, run);
        step.undo = Some(Arc::new(move |job, run| Box::pin(undo(job, run))));
        step
    }

    /// A step that leaves nothing behind: a wait, a check.
    pub fn without_undo<R, RF>(name: impl Into<Cow<'static, str>>, run: R) -> Self
    where
        R: Fn(Arc<J>, Run<J>) -> RF + Send + Sync + 'static,
        RF: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let run: Effect<J, Outcome> = Arc::new(move |job, given| Box::pin(run(job, given)));
        Self { name: name.into(), run, undo: None, retries: 0 }
    }

    /// Runs a failing step up to `n` times more, with growing pauses, before the job unwinds.
    pub fn retry(mut self, n: u32) -> Self {
        self.retries = n;
        self
    }
}

/// What a step that did not fail says.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Done; the value is journaled and later steps read it with [`Run::output`].
    Done(Value),
    /// Not yet: run this step again after the given time, or sooner where a child job ends or somebody calls
    /// [`wake`](crate::wake) for the subject. Nothing is journaled.
    Later(Duration),
}

impl Outcome {
    /// Done with `value`.
    ///
    /// # Errors
    /// 500 where `value` can't be written as JSON.
    pub fn done<T: Serialize>(value: &T) -> Result<Self> {
        let value = serde_json::to_value(value);
        value.map(Self::Done).map_err(|e| Error::wrap("failed to write a step's output", e))
    }
    /// Done, with nothing to tell.
    pub fn nothing() -> Self {
        Self::Done(Value::Null)
    }
}

/// What a running step knows.
pub struct Run<J: Job> {
    /// What the job was asked.
    pub input: J::Input,
    /// The job.
    pub job_id: JobId,
    /// What it works on.
    pub subject: String,
    /// How often this step failed before.
    pub attempt: u32,
    pub(crate) outputs: Arc<Vec<Journaled>>,
    pub(crate) store: Store,
}

impl<J: Job> Clone for Run<J> {
    fn clone(&self) -> Self {
        Self {
            input: self.input.clone(),
            job_id: self.job_id,
            subject: self.subject.clone(),
            attempt: self.attempt,
            outputs: self.outputs.clone(),
            store: self.store.clone(),
        }
    }
}

impl<J: Job> Run<J> {
    /// What the earlier step `name` journaled. An undo sees its own step's output too, if it got that far.
    ///
    /// # Errors
    /// 500 where the output is not a `T`.
    pub fn output<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(found) = self.outputs.iter().find(|j| j.step == name) else { return Ok(None) };
        let value = serde_json::from_value(found.value.clone());
        value.map(Some).map_err(|e| Error::wrap(format!("failed to read the output of step {name}"), e))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the job has been asked to unwind. A long step may look and return early.
    ///
    /// # Errors
    /// 503 where the store can't be read.
    pub async fn cancelled(&self) -> Result<bool> {
        let id = self.job_id;
        let found = self.store.read(move |rd| rd.find::<Record>(&Scope::All, id)).await?;
        Ok(found.is_none_or(|r| r.value.cancelled))
    }
}
