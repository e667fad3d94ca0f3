//! What follows from a round of results: failures, hosts lost, included tasks and roles.

use super::super::fields;
use super::super::include::{self, Included, Wanted};
use super::super::result::TaskResult;
use super::*;
use crate::Error;
use crate::callback::Inclusion;
use crate::inventory::Name;
use crate::playbook::{Block, K};
use crate::vars::Vars;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl<'a> Strategy<'a> {
    /// `any_errors_fatal` and `max_fail_percentage`.
    pub(super) fn consequences(&mut self, results: &[TaskResult], once: bool) {
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
                // told again, as the reference does: now all have failed
                self.callbacks().no_hosts_remaining();
            }
        }
    }

    /// Reads what includes ask for, once for all hosts that ask for the same, and puts it where the hosts stand.
    /// The results of those that could not be read.
    pub(super) fn includes(&mut self, results: &[TaskResult]) -> Result<Vec<TaskResult>, Error> {
        let mut all: Vec<Included> = Vec::new();
        for r in results {
            if !include::is_include(&r.task) {
                continue;
            }
            // with `run_once` too: what is included runs where the include did
            let hosts = vec![r.host.clone()];
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
        let mut lost = Vec::new();
        if all.is_empty() {
            return Ok(lost);
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
                    self.callbacks().included(&Inclusion {
                        task: &inc.task,
                        what: &shown,
                        hosts: &inc.hosts,
                        label: inc.label.as_ref(),
                    });
                    let handlers = inc.task.handler;
                    for b in blocks {
                        let kept = if handlers {
                            Some(b)
                        } else {
                            super::super::plays::tagged(self.world, &self.run.play, &b)
                        };
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
                    display::error(&e);
                    for h in &inc.hosts {
                        let Some(r) = results.iter().find(|r| r.host == *h) else { continue };
                        let r = r.clone();
                        r.value.remove("include_args");
                        r.value.insert("failed", true);
                        r.value.insert("reason", e.brief());
                        self.callbacks().stats.add(h, |s| s.failures += 1);
                        self.callbacks().failed(&r, false);
                        lost.push(r);
                    }
                }
            }
        }
        let gone: HashSet<&Name> = lost.iter().map(|r| &r.host).collect();
        for h in gone {
            self.iterator.fail(h);
            if self.iterator.is_failed(h) && self.iterator.peek(h).is_none() {
                self.run.failed.write().insert(h.clone());
            }
        }
        for (h, blocks) in by_host {
            self.iterator.insert(&h, &blocks);
        }
        self.iterator.splice(lockstep);
        Ok(lost)
    }
}
