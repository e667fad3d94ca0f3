//! How many tasks ran natively and how many in Python, counted for whoever asks: `PILEUS_TASK_COUNTS` names a file to
//! which each program of the family adds a line (`NATIVE PYTHON`) at its end.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

static ALL: AtomicU64 = AtomicU64::new(0);
static PYTHON: AtomicU64 = AtomicU64::new(0);

/// An action runs on a host.
pub fn action() {
    ALL.fetch_add(1, Ordering::Relaxed);
}

/// It needs Python.
pub fn python() {
    PYTHON.fetch_add(1, Ordering::Relaxed);
}

/// Adds the line where it is asked for. A file that can't be written to is left alone: it is no part of the work.
pub fn tell() {
    let Some(path) = std::env::var_os("PILEUS_TASK_COUNTS") else { return };
    let python = PYTHON.load(Ordering::Relaxed);
    let native = ALL.load(Ordering::Relaxed).saturating_sub(python);
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(file, "{native} {python}");
    }
}
