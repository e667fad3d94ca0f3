//! Failure: which part of a block it ends, and whether a host has failed.

use super::*;
use crate::inventory::Name;

impl Iterator {
    /// Marks that a host's current task failed.
    pub fn fail(&mut self, host: &str) {
        if let Some(s) = self.states.get_mut(host) {
            mark(s);
        }
    }

    /// Takes a host with nothing left to do to its end: `peek` leaves the steps behind its last task undone, and only
    /// after them is it known whether a failure went through an `always`.
    pub fn settle(&mut self, host: &Name) {
        if let Some(mut s) = self.states.get(host).cloned()
            && self.step(&mut s, host).is_none()
        {
            self.states.insert(host.clone(), s);
        }
    }

    /// Whether a host has failed for good.
    pub fn is_failed(&self, host: &str) -> bool {
        self.states.get(host).is_some_and(failed_in)
    }

    /// The hosts that have failed for good.
    pub fn failed_hosts(&self) -> Vec<Name> {
        self.states.iter().filter(|(_, s)| failed_in(s)).map(|(h, _)| h.clone()).collect()
    }

    /// Forgets a host's failure (`meta: clear_host_errors`).
    pub fn clear(&mut self, host: &str) {
        fn clear(s: &mut State) {
            s.fail = 0;
            for c in [&mut s.child_tasks, &mut s.child_rescue, &mut s.child_always].into_iter().flatten() {
                clear(c);
            }
        }
        if let Some(s) = self.states.get_mut(host) {
            clear(s);
        }
    }

    /// Whether a failure of this host's current task would be rescued.
    pub fn is_rescuing(&self, host: &str) -> bool {
        self.states.get(host).is_some_and(|s| {
            s.any(&|s| {
                s.part_of() == Phase::Tasks && s.blocks.get(s.block).is_some_and(|b| !b.rescue.is_empty())
            })
        })
    }

    /// Whether the host is in an `always`.
    pub fn in_always(&self, host: &str) -> bool {
        self.states.get(host).is_some_and(|s| s.any(&|s| s.phase == Phase::Always))
    }
}

pub(super) fn mark(s: &mut State) {
    match s.phase {
        Phase::Setup => {
            s.fail |= failed::SETUP;
            s.phase = Phase::Complete;
        }
        Phase::Tasks => {
            if let Some(child) = &mut s.child_tasks {
                mark(child);
                return;
            }
            s.fail |= failed::TASKS;
            let has_rescue = s.blocks.get(s.block).is_some_and(|b| !b.rescue.is_empty());
            let has_always = s.blocks.get(s.block).is_some_and(|b| !b.always.is_empty());
            s.phase = if has_rescue {
                Phase::Rescue
            } else if has_always {
                Phase::Always
            } else {
                Phase::Complete
            };
        }
        Phase::Rescue => {
            if let Some(child) = &mut s.child_rescue {
                mark(child);
                return;
            }
            s.fail |= failed::RESCUE;
            let has_always = s.blocks.get(s.block).is_some_and(|b| !b.always.is_empty());
            s.phase = if has_always { Phase::Always } else { Phase::Complete };
        }
        Phase::Always => {
            if let Some(child) = &mut s.child_always {
                mark(child);
                return;
            }
            s.fail |= failed::ALWAYS;
            s.phase = Phase::Complete;
        }
        Phase::Handlers => {
            s.fail |= failed::HANDLERS;
            s.renew_handlers = true;
            s.handler = 0;
            if s.before_flush == Phase::Always
                || s.before_flush == Phase::Tasks
                || s.before_flush == Phase::Rescue
            {
                // as a failed task where the flush stood
                s.phase = s.before_flush;
                mark(s);
            } else {
                s.phase = Phase::Complete;
            }
        }
        Phase::Complete => {}
    }
}

/// Whether a state has failed with nothing left to rescue it.
pub(super) fn failed_in(s: &State) -> bool {
    if s.phase == Phase::Rescue && s.child_rescue.as_ref().is_some_and(|c| failed_in(c)) {
        return true;
    }
    if s.phase == Phase::Always && s.child_always.as_ref().is_some_and(|c| failed_in(c)) {
        return true;
    }
    if s.fail != 0 {
        if (s.phase == Phase::Rescue && s.fail & failed::RESCUE == 0)
            || (s.phase == Phase::Always && s.fail & failed::ALWAYS == 0)
        {
            return false;
        }
        return !(s.rescued && s.fail & failed::ALWAYS == 0);
    }
    if s.phase == Phase::Tasks && s.child_tasks.as_ref().is_some_and(|c| failed_in(c)) {
        let has_rescue = s.blocks.get(s.block).is_some_and(|b| !b.rescue.is_empty());
        return !(has_rescue && s.fail & failed::RESCUE == 0);
    }
    false
}
