//! The same torture for every service's jobs: whatever goes wrong, wherever, the job ends whole or clean.
//!
//! For each step of a real job: it fails before its effect, and after it; it is done twice; its undo is done
//! twice; the daemon dies between its effect and the journal; and between its undo and the journal. Each
//! time a fresh world is made, the job runs, and the world is looked at.
//!
//! ```ignore
//! torture(
//!     async || Case::new(store().await, world.clone(), ServerCreate::new(world), "server-1", input),
//!     async |world| world.servers().is_empty().then_some(()).ok_or("a server is left".into()),
//!     async |world| world.is_running().then_some(()).ok_or("no server".into()),
//! ).await;
//! ```

use std::{fmt::Display, sync::Arc, time::Duration};

use parking_lot::Mutex;
use pileus_store::Store;

use crate::{Fault, Faults, Job, JobView, Jobs, Moment, Point, Runner, RunnerConfig, State, enqueue};

/// How long a job may take before the torture calls it hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// One fresh world with the job to torture in it.
pub struct Case<J: Job, W> {
    store: Store,
    world: W,
    jobs: Jobs,
    handler: Arc<J>,
    subject: String,
    input: J::Input,
}

impl<J: Job, W> Case<J, W> {
    /// `handler` asked to do `input` to `subject`, acting on `world`. What a service writes together with the
    /// job (the resource's row) the factory has written before.
    pub fn new(store: Store, world: W, handler: J, subject: impl Display, input: J::Input) -> Self {
        let handler = Arc::new(handler);
        let jobs = Jobs::new(store.clone()).register_shared(handler.clone());
        Self { store, world, jobs, handler, subject: subject.to_string(), input }
    }

    /// Adds the handler of a child job.
    pub fn with<K: Job>(mut self, handler: K) -> Self {
        self.jobs = self.jobs.register(handler);
        self
    }
}

/// A fault that happens at one place, so many times.
struct Once {
    at: Vec<(Point, Fault)>,
    left: Mutex<Vec<u32>>,
    killed: tokio::sync::Notify,
}

impl Faults for Once {
    fn at(&self, point: &Point) -> Option<Fault> {
        let n = self.at.iter().position(|(p, _)| p == point)?;
        let mut left = self.left.lock();
        left[n] = left[n].checked_sub(1)?;
        if self.at[n].1 == Fault::Kill {
            self.killed.notify_one();
        }
        Some(self.at[n].1)
    }
}

/// Runs the whole torture. `clean` and `whole` say what is wrong with a world that should be as if the job
/// had never been, or as the job should leave it.
///
/// # Panics
/// Where a job ends otherwise than it should, or a world is not as it should be; the message names the
/// scenario.
pub async fn torture<J: Job, W>(
    make: impl AsyncFn() -> Case<J, W>,
    clean: impl AsyncFn(&W) -> Result<(), String>,
    whole: impl AsyncFn(&W) -> Result<(), String>,
) {
    let check = async |name: String, faults: Vec<(Point, Fault, u32)>, end: State| {
        let case = make().await;
        let job = scenario(&case, faults).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(job.state, end, "{name}: the job ended otherwise: {job:?}");
        let looked = if end == State::Done { whole(&case.world).await } else { clean(&case.world).await };
        looked.unwrap_or_else(|e| panic!("{name}: {e}"));
    };
    check("nothing goes wrong".into(), Vec::new(), State::Done).await;
    let case = make().await;
    let steps: Vec<_> =
        case.handler.steps(&case.input).into_iter().map(|s| (s.name, s.undo.is_some())).collect();
    drop(case);
    for (index, (step, _)) in steps.iter().enumerate() {
        let at = |index: usize, moment| {
            let step = steps[index].0.to_string();
            Point { kind: J::KIND.to_owned(), index, step, moment }
        };
        let fail = (at(index, Moment::BeforeRun), Fault::Fail, u32::MAX);
        let fail_after = (at(index, Moment::AfterRun), Fault::Fail, u32::MAX);
        check(format!("`{step}` fails before its effect"), vec![fail], State::Undone).await;
        check(format!("`{step}` fails after its effect"), vec![fail_after.clone()], State::Undone).await;
        let twice = (at(index, Moment::AfterRun), Fault::Again, 1);
        check(format!("`{step}` is done twice"), vec![twice], State::Done).await;
        let kill = (at(index, Moment::AfterRun), Fault::Kill, 1);
        check(format!("the daemon dies after `{step}`"), vec![kill], State::Done).await;
        for (undone, (undo, _)) in steps.iter().enumerate().take(index + 1).filter(|(_, s)| s.1) {
            let twice = (at(undone, Moment::AfterUndo), Fault::Again, 1);
            let name = format!("`{step}` fails and `{undo}` is undone twice");
            check(name, vec![fail_after.clone(), twice], State::Undone).await;
            let kill = (at(undone, Moment::AfterUndo), Fault::Kill, 1);
            let name = format!("`{step}` fails and the daemon dies after undoing `{undo}`");
            check(name, vec![fail_after.clone(), kill], State::Undone).await;
        }
    }
}

/// Runs the job, with a new daemon where one dies; how it ended.
async fn scenario<J: Job, W>(case: &Case<J, W>, faults: Vec<(Point, Fault, u32)>) -> Result<JobView, String> {
    let left = faults.iter().map(|f| f.2).collect();
    let at = faults.into_iter().map(|(p, f, _)| (p, f)).collect();
    let faults = Arc::new(Once { at, left: Mutex::new(left), killed: tokio::sync::Notify::new() });
    let (subject, input) = (case.subject.clone(), case.input.clone());
    let id = case.store.write(move |tx| enqueue::<J>(tx, &subject, &input)).await;
    let id = id.map_err(|e| e.chain())?;
    let mut runner = start(case, &faults);
    let work = async {
        loop {
            tokio::select! {
                job = runner.ended(id) => {
                    let job = job.map_err(|e| e.chain())?;
                    runner.stop().await;
                    return Ok(job);
                }
                () = faults.killed.notified() => {}
            }
            runner.kill().await;
            runner = start(case, &faults);
        }
    };
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err("the job hangs".into()))
}

fn start<J: Job, W>(case: &Case<J, W>, faults: &Arc<Once>) -> Runner {
    case.jobs.clone().start(RunnerConfig {
        owner: "torture".into(),
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(10),
        faults: Some(faults.clone()),
        ..RunnerConfig::default()
    })
}
