//! A demo job over a small world: it makes things one after the other, each step one thing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use pileus_base::{Error, Result};
use pileus_jobs::{End, Job, JobId, Outcome, RunnerConfig, Step, enqueue};
use pileus_store::{Location, Store, Tx};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// What steps act on.
#[derive(Default)]
pub struct World {
    /// Things that exist, each with how often it was made anew.
    pub things: Mutex<BTreeMap<String, u32>>,
    /// What was done, in order.
    pub log: Mutex<Vec<String>>,
    /// Ends that services were told.
    pub ends: Mutex<Vec<End>>,
    /// How many `run`s are left to fail.
    pub failing: AtomicU32,
    /// Whether undoing fails.
    pub undo_fails: AtomicBool,
    /// Whether `ended` fails.
    pub end_fails: AtomicBool,
    /// Most jobs at work at once for one subject.
    pub at_work: Mutex<BTreeMap<String, u32>>,
    pub collided: AtomicBool,
    /// Steps named `gate` wait for a permit of it.
    pub gate: Gate,
}

pub struct Gate(pub Semaphore, pub Semaphore);
impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0), Semaphore::new(0))
    }
}
impl Gate {
    /// Waits until a step stands at the gate.
    pub async fn reached(&self) {
        self.1.acquire().await.unwrap().forget();
    }
    pub fn open(&self) {
        self.0.add_permits(1);
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Make {
    pub things: Vec<String>,
}
pub fn make(things: &[&str]) -> Make {
    Make { things: things.iter().map(|t| (*t).to_owned()).collect() }
}

pub struct Maker(pub Arc<World>);

impl Job for Maker {
    const KIND: &'static str = "demo.make";
    type Input = Make;

    fn steps(&self, input: &Make) -> Vec<Step<Self>> {
        let step = |thing: &String| {
            let (thing, undone) = (thing.clone(), thing.clone());
            Step::new(
                thing.clone(),
                move |job: Arc<Self>, run| {
                    let thing = thing.clone();
                    async move { job.0.ensure(&run.subject, &thing).await }
                },
                move |job: Arc<Self>, _| {
                    let thing = undone.clone();
                    async move { job.0.remove(&thing) }
                },
            )
        };
        input.things.iter().map(step).collect()
    }

    fn ended(&self, _: &mut Tx<'_>, _: &Make, end: &End) -> Result<()> {
        if self.0.end_fails.load(Ordering::SeqCst) {
            return Err(Error::internal("the end is not wanted"));
        }
        self.0.ends.lock().push(end.clone());
        Ok(())
    }
}

impl World {
    async fn ensure(&self, subject: &str, thing: &str) -> Result<Outcome> {
        *self.at_work.lock().entry(subject.to_owned()).or_default() += 1;
        if self.at_work.lock()[subject] > 1 {
            self.collided.store(true, Ordering::SeqCst);
        }
        self.log.lock().push(format!("+{thing}"));
        if thing.starts_with("gate") {
            self.gate.1.add_permits(1);
            self.gate.0.acquire().await.unwrap().forget();
        }
        tokio::task::yield_now().await;
        *self.at_work.lock().get_mut(subject).unwrap() -= 1;
        if thing == "panic" {
            panic!("as asked");
        }
        if thing == "later" && !self.things.lock().contains_key("go") {
            return Ok(Outcome::Later(Duration::from_secs(3600)));
        }
        let fails = |n: u32| n.checked_sub(1);
        if thing.starts_with("fail")
            && self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok()
        {
            return Err(Error::conflict("no room"));
        }
        *self.things.lock().entry(thing.to_owned()).or_default() += 1;
        Outcome::done(&thing)
    }

    fn remove(&self, thing: &str) -> Result<()> {
        self.log.lock().push(format!("-{thing}"));
        if self.undo_fails.load(Ordering::SeqCst) {
            return Err(Error::unavailable("not now"));
        }
        self.things.lock().remove(thing);
        Ok(())
    }

    pub fn names(&self) -> Vec<String> {
        self.things.lock().keys().cloned().collect()
    }
    pub fn log(&self) -> String {
        self.log.lock().join(" ")
    }
}

/// A store and a world of one test.
pub struct Bench {
    pub store: Store,
    pub world: Arc<World>,
    _dir: TempDir,
}

pub async fn bench() -> Bench {
    let dir = TempDir::new().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    Bench { store: Store::open(location).await.unwrap(), world: Arc::default(), _dir: dir }
}

impl Bench {
    pub fn jobs(&self) -> pileus_jobs::Jobs {
        pileus_jobs::Jobs::new(self.store.clone()).register(Maker(self.world.clone()))
    }
    pub async fn add(&self, subject: &str, things: &[&str]) -> JobId {
        let (subject, input) = (subject.to_owned(), make(things));
        self.store.write(move |tx| enqueue::<Maker>(tx, &subject, &input)).await.unwrap()
    }
    pub async fn cancel(&self, subject: &'static str) -> bool {
        self.store.write(move |tx| pileus_jobs::cancel(tx, subject)).await.unwrap()
    }
    pub async fn find(&self, id: JobId) -> Option<pileus_jobs::JobView> {
        self.store.read(move |rd| pileus_jobs::find(rd, id)).await.unwrap()
    }
}

pub fn quick() -> RunnerConfig {
    RunnerConfig {
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        undo_tries: 3,
        ..RunnerConfig::default()
    }
}
