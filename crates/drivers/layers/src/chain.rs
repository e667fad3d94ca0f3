//! All layers of an image at once: each is unpacked on a thread of its own, a few at a time.
//!
//! What a layer is called follows from the digests alone, so none waits for those below it, but where its
//! archive needs them: a hard link to a file of theirs, a directory that it left out. The lowest that is
//! under way never waits, so nothing waits for ever.

use std::{io::Read, thread};

use parking_lot::{Condvar, Mutex};
use pileus_base::{Error, Result};

use crate::{
    AppliedLayer, Layers,
    root::Root,
    store::{chain_id, head},
    unpack::Lowers,
};

/// Most layers that are unpacked at once.
const AT_ONCE: usize = 4;

/// How far all of them are.
#[derive(Default)]
struct State {
    next: usize,
    done: Vec<Option<AppliedLayer>>,
    failed: Option<Error>,
}

impl Layers {
    /// Unpacks the layers of an image, the lowest first; those that are here are left as they are.
    ///
    /// What a failure leaves of them is whole layers that nothing uses.
    ///
    /// # Errors
    /// 400 if an archive is broken, leads out of its layer, or is not the one that was promised.
    pub fn apply_all<R: Read + Send>(&self, tars: Vec<R>, diff_ids: &[String]) -> Result<Vec<AppliedLayer>> {
        let mut chains: Vec<String> = Vec::new();
        for diff_id in diff_ids {
            chains.push(chain_id(chains.last().map(String::as_str), diff_id));
        }
        let count = tars.len().min(diff_ids.len());
        let tars: Mutex<Vec<Option<R>>> = Mutex::new(tars.into_iter().map(Some).collect());
        let state = Mutex::new(State { done: vec![None; count], ..State::default() });
        let changed = Condvar::new();
        let one = |at: usize, tar: R| -> Result<AppliedLayer> {
            let parent = at.checked_sub(1).map(|below| chains[below].clone());
            if let Some(layer) = self.present(parent.as_deref(), &diff_ids[at])? {
                return Ok(layer);
            }
            let lowers = Lowers::new(|| {
                let mut state = state.lock();
                while state.failed.is_none() && state.done[..at].iter().any(Option::is_none) {
                    changed.wait(&mut state);
                }
                if state.failed.is_some() {
                    return Err(Error::bad_request("a layer below could not be unpacked"));
                }
                drop(state);
                chains[..at].iter().rev().map(|chain| Root::open(&self.diff(&head(chain)?)?)).collect()
            });
            self.bring_in(tar, parent, Some(&diff_ids[at]), lowers)
        };
        let work = || loop {
            let at = {
                let mut state = state.lock();
                if state.failed.is_some() || state.next == count {
                    return;
                }
                state.next += 1;
                state.next - 1
            };
            let Some(tar) = tars.lock()[at].take() else { return };
            let done = one(at, tar);
            let mut state = state.lock();
            match done {
                Ok(layer) => state.done[at] = Some(layer),
                // The first is the cause of those that follow.
                Err(e) => drop(state.failed.get_or_insert(e)),
            }
            changed.notify_all();
        };
        thread::scope(|scope| {
            for _ in 1..count.min(AT_ONCE) {
                scope.spawn(work);
            }
            work();
        });
        let State { done, failed, .. } = state.into_inner();
        match failed {
            Some(e) => Err(e),
            None => Ok(done.into_iter().flatten().collect()),
        }
    }
}
