//! The strategies: `linear` (all hosts do a task before any goes on), `free` and `host_pinned` (each at its own pace).

mod apply;
mod includes;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;

use crate::callback::Callbacks;
use crate::inventory::Name;
use crate::playbook::{K, Task};
use crate::vars::Vars;
use crate::{Error, display};
use pileus_jinja::Value;

use super::fields;
use super::iterator::{Iterator, Phase};
use super::one::{Event, One, name_of};
use super::result::TaskResult;
use super::{Run, World, meta};

/// How a play ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended(pub u8);

impl Ended {
    /// All is well.
    pub const OK: Self = Self(0);
    /// Something failed that is no host's.
    pub const ERROR: Self = Self(1);
    /// Hosts failed.
    pub const FAILED: Self = Self(2);
    /// Hosts could not be reached.
    pub const UNREACHABLE: Self = Self(4);
    /// No further play.
    pub const BREAK: Self = Self(8);
    /// The user ended it.
    pub const UNKNOWN: Self = Self(255);
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Whether it holds all of `other`.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0 && other.0 != 0
    }
}

struct Job {
    host: Name,
    task: Arc<Task>,
}

/// The strategy of one batch.
pub struct Strategy<'a> {
    /// The world.
    pub world: &'a Arc<World>,
    /// The batch.
    pub run: &'a Arc<Run>,
    /// Where hosts stand.
    pub iterator: Iterator,
    /// How it ends so far.
    pub ended: Ended,
    jobs: Option<Sender<Job>>,
    queue: Arc<Mutex<Receiver<Job>>>,
    events: Receiver<Event>,
    tell: Sender<Event>,
    workers: usize,
    step: bool,
}

impl<'a> Strategy<'a> {
    /// A strategy at the play's beginning.
    pub fn new(world: &'a Arc<World>, run: &'a Arc<Run>, iterator: Iterator) -> Self {
        let (jobs, queue) = channel();
        let (tell, events) = channel();
        let step = world.options.step;
        Self {
            world,
            run,
            iterator,
            ended: Ended::OK,
            jobs: Some(jobs),
            queue: Arc::new(Mutex::new(queue)),
            events,
            tell,
            workers: 0,
            step,
        }
    }

    fn callbacks(&self) -> &'a Callbacks {
        &self.world.callbacks
    }

    /// Starts workers, as many as there is work for, at most `forks`.
    fn grow(&mut self, wanted: usize) {
        let wanted = wanted.min(self.world.options.forks.max(1));
        while self.workers < wanted {
            let (queue, tell) = (self.queue.clone(), self.tell.clone());
            let (world, run) = (self.world.clone(), self.run.clone());
            let worker = move || {
                loop {
                    let job = queue.lock().recv();
                    let Ok(Job { host, task }) = job else { return };
                    let report = |e: Event| {
                        // the strategy may have ended
                        let _ = tell.send(e);
                    };
                    let done =
                        One { world: &world, run: &run, host: &host, task: &task, report: &report }.run();
                    report(Event::Done(Box::new(done)));
                }
            };
            match std::thread::Builder::new().name("worker".into()).stack_size(16 << 20).spawn(worker) {
                Ok(_) => self.workers += 1,
                Err(_) => return,
            }
        }
    }

    /// Runs `task` on all `hosts`; each result goes to `done` as it comes.
    fn dispatch(&mut self, hosts: &[Name], task: &Arc<Task>, limit: usize) -> Vec<TaskResult> {
        let mut out = Vec::with_capacity(hosts.len());
        let limit = limit.min(self.world.options.forks.max(1)).max(1);
        if hosts.len() == 1 || limit == 1 {
            for host in hosts {
                let callbacks = self.callbacks();
                let report = |e: Event| tell(callbacks, e);
                callbacks.host_start(host, task);
                let done = One { world: self.world, run: self.run, host, task, report: &report }.run();
                out.push(self.finish(done));
            }
            return out;
        }
        self.grow(hosts.len().min(limit));
        let mut waiting: VecDeque<Name> = hosts.iter().cloned().collect();
        let mut running = 0;
        while running > 0 || !waiting.is_empty() {
            while running < limit {
                let Some(host) = waiting.pop_front() else { break };
                if let Some(jobs) = &self.jobs {
                    self.world.callbacks.host_start(&host, task);
                    let _ = jobs.send(Job { host, task: task.clone() });
                    running += 1;
                }
            }
            match self.events.recv() {
                Ok(Event::Done(result)) => {
                    running -= 1;
                    let r = self.finish(*result);
                    out.push(r);
                }
                Ok(other) => tell(self.callbacks(), other),
                Err(_) => break,
            }
        }
        out
    }

    /// Announces a task.
    pub(super) fn announce(&self, task: &Arc<Task>, host: &Name) {
        let vars = Vars::new(self.world, Some(self.run), Some(host), Some(task));
        let name = name_of(self.world, task, &vars);
        self.callbacks().task_start(task, &name);
    }

    /// Whether the task's role has run on the host already.
    fn spared(&self, task: &Task, host: &Name) -> bool {
        task.frame.role.as_ref().is_some_and(|r| r.has_run(host)) && !task.handler
    }

    /// `run_once`, as far as it is known without rendering; or an action that never runs twice.
    fn once(&self, task: &Arc<Task>, host: &Name) -> bool {
        if bypasses(task) {
            return true;
        }
        let Some(v) = task.keyword(K::RunOnce) else { return false };
        let vars = Vars::new(self.world, Some(self.run), Some(host), Some(task));
        fields::keyword(self.world, K::RunOnce, v, &vars)
            .ok()
            .flatten()
            .and_then(|v| v.as_bool())
            .unwrap_or(false)
    }

    /// How many hosts may do a task at a time.
    fn throttle(&self, task: &Arc<Task>, host: &Name) -> Result<usize, Error> {
        let Some(v) = task.keyword(K::Throttle) else { return Ok(usize::MAX) };
        let vars = Vars::new(self.world, Some(self.run), Some(host), Some(task));
        let fail = |e: Error| {
            let told = Error::new("Failed to convert the throttle value to an integer.");
            told.at(v.origin().cloned()).because(e)
        };
        let n = match self.world.resolve(v, &vars).map_err(|e| fail(e.into()))? {
            Value::Str(s) => s.trim().parse().map_err(|_| {
                let text = pileus_jinja::value::repr_str(&s);
                fail(Error::new(format!("invalid literal for int() with base 10: {text}")))
            })?,
            v => v.as_int().or(v.as_float().map(|f| f as i64)).unwrap_or(0),
        };
        Ok(usize::try_from(n).ok().filter(|n| *n > 0).unwrap_or(usize::MAX))
    }

    /// Hosts of the batch that still take part.
    fn hosts(&self) -> Vec<Name> {
        let unreachable = self.run.unreachable.read();
        self.run.batch.iter().filter(|h| !unreachable.contains(*h)).cloned().collect()
    }

    /// Asks whether to do a task (`--step`); whether to.
    fn ask(&mut self, task: &Arc<Task>, host: &Name) -> bool {
        if !self.step {
            return true;
        }
        let vars = Vars::new(self.world, Some(self.run), Some(host), Some(task));
        let prompt =
            format!("Perform task: TASK: {} (N)o/(y)es/(c)ontinue: ", name_of(self.world, task, &vars));
        let answer = crate::callback::ask(&prompt).to_lowercase();
        match answer.as_str() {
            "y" | "yes" => true,
            "c" | "continue" => {
                self.step = false;
                true
            }
            _ => false,
        }
    }

    /// The hosts' next task in lockstep, and who does it.
    fn lockstep(&mut self, hosts: &[Name]) -> Option<(Arc<Task>, Vec<Name>)> {
        let next: Vec<(Name, super::iterator::State, Arc<Task>)> =
            hosts.iter().filter_map(|h| self.iterator.peek(h).map(|(s, t)| (h.clone(), s, t))).collect();
        if next.is_empty() {
            return None;
        }
        let mut rounds = 0;
        let current = loop {
            if rounds > 1 {
                // a task outside of the list (a flushed handler): take the first host's
                break next[0].2.clone();
            }
            match self.iterator.tasks.get(self.iterator.cursor).cloned() {
                None => {
                    self.iterator.cursor = 0;
                    rounds += 1;
                }
                Some(t) => {
                    self.iterator.cursor += 1;
                    if next.iter().any(|(_, _, n)| n.id == t.id) {
                        break t;
                    }
                }
            }
        };
        let mut doing = Vec::new();
        for (h, s, t) in next {
            if t.id == current.id {
                self.iterator.go(&h, s);
                doing.push(h);
            }
        }
        if current.meta_action().as_deref() == Some("flush_handlers") {
            let handlers = self.iterator.handlers();
            self.iterator.splice(handlers);
        }
        Some((current, doing))
    }

    /// Runs the batch, all hosts together.
    ///
    /// # Errors
    /// Where an include cannot be read for a reason that is no host's.
    pub fn linear(&mut self) -> Result<(), Error> {
        loop {
            let hosts = self.hosts();
            let Some((task, doing)) = self.lockstep(&hosts) else { break };
            let doing: Vec<Name> = doing.into_iter().filter(|h| !self.spared(&task, h)).collect();
            let Some(first) = doing.first().cloned() else { continue };
            if !task.implicit && !self.ask(&task, &first) {
                continue;
            }
            if task.meta_action().is_some() {
                meta::run(self, &task, &doing, true)?;
                continue;
            }
            let once = self.once(&task, &first);
            let doing = if once { vec![first.clone()] } else { doing };
            self.announce(&task, &first);
            let limit = self.throttle(&task, &first)?;
            let mut results = self.dispatch(&doing, &task, limit);
            let lost = self.includes(&results)?;
            results.extend(lost);
            if self.ended.has(Ended::ERROR) {
                break;
            }
            self.consequences(&results, once);
        }
        Ok(())
    }

    /// Runs the batch, each host at its own pace.
    ///
    /// # Errors
    /// As [`Strategy::linear`].
    pub fn free(&mut self, pinned: bool) -> Result<(), Error> {
        let forks = self.world.options.forks.max(1);
        let mut busy: HashMap<Name, u64> = HashMap::new();
        let mut done: Vec<Name> = Vec::new();
        let mut active: Vec<Name> = Vec::new();
        let mut announced: Option<u64> = None;
        loop {
            let hosts = self.hosts();
            let mut progressed = false;
            for host in hosts {
                if busy.contains_key(&host) || done.contains(&host) {
                    continue;
                }
                if pinned && !active.contains(&host) {
                    if active.len() >= forks {
                        continue;
                    }
                    active.push(host.clone());
                }
                if busy.len() >= forks {
                    break;
                }
                let Some((state, task)) = self.iterator.peek(&host) else {
                    done.push(host.clone());
                    active.retain(|h| *h != host);
                    progressed = true;
                    continue;
                };
                let limit = self.throttle(&task, &host)?;
                if limit != usize::MAX && busy.values().filter(|t| **t == task.id).count() >= limit {
                    continue;
                }
                self.iterator.go(&host, state);
                progressed = true;
                if self.spared(&task, &host) {
                    continue;
                }
                if task.meta_action().is_some() {
                    meta::run(self, &task, std::slice::from_ref(&host), false)?;
                    continue;
                }
                if self.once(&task, &host) && !bypasses(&task) {
                    display::warning(
                        "Using run_once with the free strategy is not currently supported. This task will still be executed for every host in the inventory list.",
                    );
                }
                if announced != Some(task.id) {
                    self.announce(&task, &host);
                    announced = Some(task.id);
                }
                self.grow(busy.len() + 1);
                if let Some(jobs) = &self.jobs {
                    busy.insert(host.clone(), task.id);
                    self.world.callbacks.host_start(&host, &task);
                    let _ = jobs.send(Job { host, task });
                }
            }
            if busy.is_empty() {
                if !progressed {
                    break;
                }
                continue;
            }
            match self.events.recv() {
                Ok(Event::Done(result)) => {
                    busy.remove(&result.host);
                    let r = self.finish(*result);
                    self.includes(std::slice::from_ref(&r))?;
                    if self.ended.has(Ended::ERROR) {
                        break;
                    }
                }
                Ok(other) => tell(self.callbacks(), other),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// How the batch ended.
    pub fn end(&mut self) -> Ended {
        self.jobs = None;
        for host in &self.run.batch {
            self.iterator.settle(host);
        }
        let mut out = self.ended;
        let unreachable = !self.run.unreachable.read().is_empty();
        if unreachable {
            out = out.and(Ended::UNREACHABLE);
        }
        let failed = self.run.batch.iter().any(|h| self.iterator.is_failed(h));
        if failed || !self.run.failed.read().is_empty() {
            out = out.and(Ended::FAILED);
        }
        for h in self.iterator.failed_hosts() {
            self.run.failed.write().insert(h);
        }
        out
    }
    /// Whether a host's play is over.
    pub fn is_complete(&self, host: &str) -> bool {
        self.iterator.state(host).is_none_or(|s| s.phase == Phase::Complete)
    }
}

/// Actions that run once for all hosts.
fn bypasses(task: &Task) -> bool {
    matches!(&*task.action, "pause" | "add_host")
}

fn tell(callbacks: &Callbacks, e: Event) {
    match e {
        Event::Item(r, item) => callbacks.item(&r, &item),
        Event::Retry(r, left) => callbacks.retry(&r, left),
        Event::Done(_) => {}
    }
}
