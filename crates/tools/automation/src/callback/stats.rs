//! The counts of a run, by host.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// A host's counts.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Counts {
    pub ok: u32,
    pub changed: u32,
    pub dark: u32,
    pub failures: u32,
    pub skipped: u32,
    pub rescued: u32,
    pub ignored: u32,
}

/// The counts by host.
#[derive(Debug, Default)]
pub struct Stats(Mutex<BTreeMap<String, Counts>>);

impl Stats {
    /// Changes a host's counts.
    pub fn add(&self, host: &str, change: impl FnOnce(&mut Counts)) {
        change(self.0.lock().entry(host.to_owned()).or_default());
    }
    /// All, by name.
    pub fn all(&self) -> Vec<(String, Counts)> {
        self.0.lock().iter().map(|(h, c)| (h.clone(), *c)).collect()
    }
}
