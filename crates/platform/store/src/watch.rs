//! Nudges: who waits for changes of which kinds. A nudge carries nothing; its reader lists again.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Waits for commits that touched certain kinds. Changes between two waits are never missed; several of
/// them count as one.
pub struct Watch(Arc<Notify>);

impl Watch {
    /// Returns after the next such commit, or at once if one came since the last call. Cancel-safe.
    pub async fn changed(&self) {
        self.0.notified().await;
    }
}

#[derive(Default)]
pub(crate) struct Watchers(Mutex<Vec<(Vec<&'static str>, Weak<Notify>)>>);

impl Watchers {
    pub(crate) fn add(&self, kinds: &[&'static str]) -> Watch {
        let notify = Arc::new(Notify::new());
        let mut all = self.0.lock();
        all.retain(|(_, w)| w.strong_count() > 0);
        all.push((kinds.to_vec(), Arc::downgrade(&notify)));
        Watch(notify)
    }

    pub(crate) fn nudge(&self, touched: &BTreeSet<&'static str>) {
        for (kinds, watcher) in self.0.lock().iter() {
            if kinds.iter().any(|k| touched.contains(k))
                && let Some(watcher) = watcher.upgrade()
            {
                watcher.notify_one();
            }
        }
    }
}
