//! Handlers without their types, as the runner keeps them.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use pileus_base::{Error, Result};
use pileus_store::{Store, Tx};
use serde_json::Value;

use crate::{End, Job, Outcome, Run, record::Record};

pub(crate) type Handlers = Arc<HashMap<&'static str, Arc<dyn Handler>>>;
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A job's handler.
pub(crate) trait Handler: Send + Sync {
    /// The steps for a job's input.
    fn plan(&self, input: &Value) -> Result<Vec<Planned>>;
    /// Tells the service, in the transaction that ends the job.
    fn ended(&self, tx: &mut Tx<'_>, input: &Value, end: &End) -> Result<()>;
}

type Effect<T> = Box<dyn Fn(&Record, &Store) -> Pending<T> + Send + Sync>;

/// A step without its types.
pub(crate) struct Planned {
    pub name: String,
    pub retries: u32,
    pub run: Effect<Outcome>,
    pub undo: Option<Effect<()>>,
}

pub(crate) struct Typed<J>(pub Arc<J>);

impl<J: Job> Typed<J> {
    fn input(value: &Value) -> Result<J::Input> {
        serde_json::from_value(value.clone())
            .map_err(|e| Error::wrap(format!("failed to read the input of a {} job", J::KIND), e))
    }
}

fn given<J: Job>(input: &J::Input, record: &Record, store: &Store) -> Run<J> {
    Run {
        input: input.clone(),
        job_id: record.id,
        subject: record.subject.clone(),
        attempt: record.attempt,
        outputs: Arc::new(record.outputs.clone()),
        store: store.clone(),
    }
}

impl<J: Job> Handler for Typed<J> {
    fn plan(&self, input: &Value) -> Result<Vec<Planned>> {
        let input = Arc::new(Self::input(input)?);
        let planned = self.0.steps(&input).into_iter().map(|step| {
            let (job, wanted) = (self.0.clone(), input.clone());
            let run = step.run;
            let undo = step.undo.map(|undo| {
                let (job, wanted) = (self.0.clone(), input.clone());
                let undo: Effect<()> = Box::new(move |r, s| undo(job.clone(), given::<J>(&wanted, r, s)));
                undo
            });
            let run: Effect<Outcome> = Box::new(move |r, s| run(job.clone(), given::<J>(&wanted, r, s)));
            Planned { name: step.name.into_owned(), retries: step.retries, run, undo }
        });
        Ok(planned.collect())
    }

    fn ended(&self, tx: &mut Tx<'_>, input: &Value, end: &End) -> Result<()> {
        self.0.ended(tx, &Self::input(input)?, end)
    }
}
