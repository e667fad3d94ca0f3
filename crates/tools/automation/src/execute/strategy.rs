//! The strategies: `linear` (all hosts do a task before any goes on), `free` and `host_pinned` (each at its own pace).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;
use pileus_jinja::{Dict, Value};

use crate::callback::Callbacks;
use crate::inventory::Name;
use crate::playbook::{Block, K, Task};
use crate::vars::Vars;
use crate::{Error, display};

use super::fields;
use super::include::{self, Included, Wanted};
use super::iterator::{Iterator, Phase};
use super::one::{Event, One, clean, failure, name_of};
use super::result::{TaskResult, flag};
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
    role_ran: bool,
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
            role_ran: false,
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

    /// Notes a result: variables, facts, notifications, counts; tells the callbacks.
    fn finish(&mut self, mut r: TaskResult) -> TaskResult {
        let host = r.host.clone();
        let world = self.world;
        let run_once = r.fields.run_once || bypasses(&r.task);
        let everyone = || if run_once { self.run.alive() } else { vec![host.clone()] };
        if let Some(name) = &r.fields.register {
            let value = clean(&r.value);
            value.write().shift_remove(&Value::str("_ansible_item_label"));
            if let Some(Value::List(l)) = value.get("results") {
                let cleaned = l
                    .items()
                    .iter()
                    .map(|v| v.as_dict().map_or_else(|| v.clone(), |d| Value::Dict(clean(d))))
                    .collect();
                value.insert("results", Value::list(cleaned));
            }
            for h in everyone() {
                world.host(&h).set.insert(&**name, Value::Dict(value.clone()));
            }
        }
        if r.task.handler {
            self.iterator.handled(&r.task, &host);
        }
        if r.unreachable() {
            if r.fields.ignore_unreachable {
                self.callbacks().stats.add(&host, |s| {
                    s.skipped += 1;
                    s.ignored += 1;
                });
            } else {
                self.run.unreachable.write().insert(host.clone());
                self.ended = self.ended.and(Ended::UNREACHABLE);
                self.callbacks().stats.add(&host, |s| s.dark += 1);
            }
            self.callbacks().unreachable(&r);
        } else if r.failed() {
            self.role_ran = true;
            let ignored = r.fields.ignore_errors;
            if ignored {
                let changed = r.changed();
                self.callbacks().stats.add(&host, |s| {
                    s.ok += 1;
                    s.ignored += 1;
                    s.changed += u32::from(changed);
                });
            } else {
                let rescuing = self.iterator.is_rescuing(&host);
                if run_once {
                    for h in self.run.alive() {
                        self.iterator.fail(&h);
                    }
                } else {
                    self.iterator.fail(&host);
                }
                if self.iterator.is_failed(&host) && self.iterator.peek(&host).is_none() {
                    self.run.failed.write().insert(host.clone());
                }
                if rescuing {
                    self.callbacks().stats.add(&host, |s| s.rescued += 1);
                    let data = world.host(&host);
                    data.set.insert("ansible_failed_task", described(&r));
                    data.set.insert("ansible_failed_result", Value::Dict(clean(&r.value)));
                } else {
                    self.callbacks().stats.add(&host, |s| s.failures += 1);
                }
            }
            self.facts(&r);
            self.callbacks().failed(&r, ignored);
        } else if r.skipped() {
            self.callbacks().stats.add(&host, |s| s.skipped += 1);
            self.callbacks().skipped(&r);
        } else {
            self.role_ran = true;
            self.facts(&r);
            self.notifications(&mut r);
            if !include::is_include(&r.task) {
                let changed = r.changed();
                self.callbacks().stats.add(&host, |s| {
                    s.ok += 1;
                    s.changed += u32::from(changed);
                });
            }
            if r.value.contains("diff") || r.items.iter().any(|i| i.value.contains("diff")) {
                self.callbacks().diff(&r);
            }
            self.callbacks().ok(&r);
        }
        r
    }

    fn results_of(r: &TaskResult) -> Vec<Dict> {
        if r.looped { r.items.iter().map(|i| i.value.clone()).collect() } else { vec![r.value.clone()] }
    }

    fn notifications(&mut self, r: &mut TaskResult) {
        for value in Self::results_of(r) {
            if !flag(&value, "changed") {
                continue;
            }
            let Some(Value::List(names)) = value.get("_ansible_notify") else { continue };
            for name in names.items() {
                let name = name.to_text().unwrap_or_default();
                if self.iterator.handlers().iter().any(|h| meta::answers(self.world, self.run, h, &name)) {
                    if let Some(s) = self.iterator.state_mut(&r.host)
                        && !s.notifications.contains(&name)
                    {
                        s.notifications.push(name.clone());
                    }
                    self.callbacks().notified(&name, &r.host);
                } else {
                    let error = Error::new(format!(
                        "The requested handler '{name}' was not found in either the main handlers list nor in the listening handlers list"
                    ));
                    let missing = crate::config::current().bool("ERROR_ON_MISSING_HANDLER");
                    if missing {
                        display::error(&error);
                        self.ended = self.ended.and(Ended::ERROR);
                        self.iterator.complete(&r.host);
                        for h in self.run.batch.clone() {
                            self.iterator.complete(&h);
                        }
                        return;
                    }
                    display::warning(&error.brief());
                }
            }
        }
    }

    fn facts(&mut self, r: &TaskResult) {
        let world = self.world;
        for value in Self::results_of(r) {
            if let Some(Value::Dict(add)) = value.get("add_host") {
                let name = add.get("host_name").and_then(|v| v.to_text().ok()).unwrap_or_default();
                let groups: Vec<String> = add
                    .get("groups")
                    .map(|g| crate::playbook::keyword::items(&g))
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|g| g.to_text().ok())
                    .collect();
                let vars = add.get("host_vars").and_then(|v| v.as_dict().cloned()).unwrap_or_default();
                world.inventory.add_host(&name, &groups, &vars);
            }
            if let Some(group) = value.get("add_group") {
                let parents: Vec<String> = value
                    .get("parent_groups")
                    .map(|g| crate::playbook::keyword::items(&g))
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|g| g.to_text().ok())
                    .collect();
                world.inventory.add_to_group(&r.host, &group.to_text().unwrap_or_default(), &parents);
            }
            if let Some(Value::Dict(stats)) = value.get("ansible_stats") {
                crate::action::stats::record(world, &r.host, &stats);
            }
            let Some(Value::Dict(facts)) = value.get("ansible_facts") else { continue };
            let delegated = r.fields.delegate_facts.then(|| r.fields.delegate_to.clone()).flatten();
            let targets: Vec<Name> = match delegated {
                Some(to) => vec![to],
                None if r.fields.run_once || bypasses(&r.task) => self.run.alive(),
                None => vec![r.host.clone()],
            };
            for t in targets {
                let data = world.host(&t);
                match &*r.task.action {
                    "include_vars" => {
                        for (k, v) in facts.items() {
                            data.included.insert(k, v);
                        }
                    }
                    "set_fact" => {
                        for (k, v) in facts.items() {
                            data.set.insert(k, v);
                        }
                        if flag(&value, "_ansible_facts_cacheable") {
                            data.add_facts(&facts);
                            world.keep_facts(&t, &data);
                        }
                    }
                    "debug" => {}
                    _ => {
                        data.add_facts(&facts);
                        world.keep_facts(&t, &data);
                    }
                }
            }
        }
    }

    /// Announces a task.
    fn announce(&self, task: &Arc<Task>, host: &Name) {
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

    fn throttle(&self, task: &Arc<Task>, host: &Name) -> usize {
        let Some(v) = task.keyword(K::Throttle) else { return usize::MAX };
        let vars = Vars::new(self.world, Some(self.run), Some(host), Some(task));
        let n = fields::keyword(self.world, K::Throttle, v, &vars)
            .ok()
            .flatten()
            .and_then(|v| v.as_int())
            .unwrap_or(0);
        usize::try_from(n).ok().filter(|n| *n > 0).unwrap_or(usize::MAX)
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
                if !task.implicit {
                    self.announce(&task, &first);
                }
                meta::run(self, &task, &doing)?;
                continue;
            }
            let once = self.once(&task, &first);
            let doing = if once { vec![first.clone()] } else { doing };
            self.announce(&task, &first);
            let limit = self.throttle(&task, &first);
            let results = self.dispatch(&doing, &task, limit);
            self.includes(&results)?;
            if self.ended.has(Ended::ERROR) {
                break;
            }
            self.consequences(&results, once);
        }
        Ok(())
    }

    /// `any_errors_fatal` and `max_fail_percentage`.
    fn consequences(&mut self, results: &[TaskResult], once: bool) {
        let failed: Vec<&TaskResult> = results
            .iter()
            .filter(|r| {
                (r.failed() && !r.fields.ignore_errors) || (r.unreachable() && !r.fields.ignore_unreachable)
            })
            .collect();
        if failed.is_empty() {
            return;
        }
        let fatal = failed.iter().any(|r| r.fields.any_errors_fatal) || once;
        if fatal {
            let hosts = self.hosts();
            for h in &hosts {
                let known = failed.iter().any(|r| r.host == *h);
                if !known {
                    self.iterator.fail(h);
                }
                if self.iterator.is_failed(h) && self.iterator.peek(h).is_none() {
                    self.run.failed.write().insert(h.clone());
                    self.ended = self.ended.and(Ended::FAILED);
                }
            }
            if self.hosts().iter().all(|h| self.iterator.peek(h).is_none()) {
                self.ended = self.ended.and(Ended::BREAK);
                self.callbacks().no_hosts_remaining();
            }
            return;
        }
        if let Some(v) = self.run.play.keywords.get(K::MaxFailPercentage) {
            let vars = Vars::new(self.world, Some(self.run), None, None);
            let limit = fields::keyword(self.world, K::MaxFailPercentage, v, &vars)
                .ok()
                .flatten()
                .and_then(|v| v.as_float());
            let gone = self
                .run
                .batch
                .iter()
                .filter(|h| self.run.unreachable.read().contains(*h) || self.iterator.is_failed(h))
                .count();
            let total = self.run.batch.len().max(1);
            if let Some(limit) = limit
                && (gone as f64 / total as f64) * 100.0 > limit
            {
                for h in self.hosts() {
                    if !self.iterator.is_failed(&h) {
                        self.run.failed.write().insert(h.clone());
                        self.iterator.fail(&h);
                    }
                }
                self.callbacks().no_hosts_remaining();
                self.ended = self.ended.and(Ended::BREAK);
            }
        }
    }

    /// Reads what includes ask for, once for all hosts that ask for the same, and puts it where the hosts stand.
    fn includes(&mut self, results: &[TaskResult]) -> Result<(), Error> {
        let mut all: Vec<Included> = Vec::new();
        for r in results {
            if !include::is_include(&r.task) {
                continue;
            }
            let hosts = if r.fields.run_once { self.run.alive() } else { vec![r.host.clone()] };
            for item in &r.items {
                let Some(wanted) = &item.include else { continue };
                let label = r.looped.then(|| item.label.clone());
                match all
                    .iter_mut()
                    .find(|i| i.same(&r.task, wanted) && !(r.looped && i.hosts.contains(&r.host)))
                {
                    Some(i) => i
                        .hosts
                        .extend(hosts.iter().filter(|h| !i.hosts.contains(h)).cloned().collect::<Vec<_>>()),
                    None => all.push(Included {
                        task: r.task.clone(),
                        wanted: wanted.clone(),
                        label,
                        hosts: hosts.clone(),
                    }),
                }
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        let mut by_host: HashMap<Name, Vec<Arc<Block>>> = HashMap::new();
        let mut lockstep = Vec::new();
        for inc in &all {
            match include::load(self.world, self.run, inc) {
                Ok(blocks) => {
                    let shown = match &inc.wanted {
                        Wanted::Role { args, .. } => args
                            .get("name")
                            .or_else(|| args.get("role"))
                            .and_then(|v| v.to_text().ok())
                            .unwrap_or_default(),
                        w @ Wanted::Tasks { .. } => {
                            include::path(self.world, self.run, &inc.task, w).unwrap_or_default()
                        }
                    };
                    let changed = |h: &Name| {
                        self.callbacks().stats.add(h, |s| s.ok += 1);
                    };
                    inc.hosts.iter().for_each(changed);
                    self.callbacks().included(&shown, &inc.hosts, inc.label.as_ref());
                    let handlers = inc.task.handler;
                    for b in blocks {
                        let kept = if handlers { Some(b) } else { super::plays::tagged(self.world, &b) };
                        let Some(b) = kept else { continue };
                        lockstep.extend(b.tasks());
                        for h in &inc.hosts {
                            by_host.entry(h.clone()).or_default().push(b.clone());
                        }
                    }
                    if handlers {
                        // those who wanted the include want its handlers
                        for t in &lockstep {
                            for h in &inc.hosts {
                                self.iterator.notify(t, h);
                            }
                        }
                    }
                }
                Err(e) => {
                    if e.kind() == crate::ErrorKind::Parser {
                        return Err(e);
                    }
                    let e = if e.origin().is_some() { e } else { e.at(inc.task.origin.clone()) };
                    for h in &inc.hosts {
                        let Some(r) = results.iter().find(|r| r.host == *h) else { continue };
                        let mut r = r.clone();
                        r.value = failure(&e);
                        if let Some(p) = include::path(self.world, self.run, &inc.task, &inc.wanted) {
                            r.value.insert("reason", e.brief());
                            r.value.remove("msg");
                            let _ = p;
                        }
                        r.looped = false;
                        r.items.clear();
                        r.error = Some(e.clone());
                        self.finish(r);
                    }
                }
            }
        }
        for (h, blocks) in by_host {
            self.iterator.insert(&h, &blocks);
        }
        self.iterator.splice(lockstep);
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
                let limit = self.throttle(&task, &host);
                if limit != usize::MAX && busy.values().filter(|t| **t == task.id).count() >= limit {
                    continue;
                }
                self.iterator.go(&host, state);
                progressed = true;
                if self.spared(&task, &host) {
                    continue;
                }
                if task.meta_action().is_some() {
                    meta::run(self, &task, std::slice::from_ref(&host))?;
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
        Event::Poll(r) => callbacks.poll(&r),
        Event::Done(_) => {}
    }
}

/// `ansible_failed_task`.
fn described(r: &TaskResult) -> Value {
    let d = Dict::new();
    let name = r.task.name().and_then(|n| n.as_str().map(str::to_owned)).unwrap_or_default();
    d.insert("name", name);
    d.insert("action", &*r.task.written);
    let args = Dict::new();
    for (k, v) in r.task.args.items() {
        args.insert(
            k,
            match v {
                Value::Str(s) => Value::Str(s.untrust()),
                other => other,
            },
        );
    }
    d.insert("args", Value::Dict(args));
    for (k, v) in r.task.keywords.iter() {
        if !d.contains(k.name()) {
            d.insert(
                k.name(),
                match v.clone() {
                    Value::Str(s) => Value::Str(s.untrust()),
                    other => other,
                },
            );
        }
    }
    Value::Dict(d)
}
