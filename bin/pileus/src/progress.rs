//! One line that tells how far something is, on a terminal only.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often the line is drawn anew.
const EVERY: Duration = Duration::from_millis(200);

/// Progress in bytes.
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    drawn: Option<Instant>,
    began: Instant,
    shown: bool,
}

impl Progress {
    /// Of `what`, `total` bytes where known.
    pub fn new(what: &'static str, total: Option<u64>) -> Self {
        let shown = std::io::stderr().is_terminal();
        Self { what, total, done: 0, drawn: None, began: Instant::now(), shown }
    }

    /// `bytes` more are done.
    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        // What takes less than a second needs no line.
        if self.shown
            && self.began.elapsed() > Duration::from_secs(1)
            && self.drawn.is_none_or(|d| d.elapsed() > EVERY)
        {
            self.drawn = Some(Instant::now());
            eprint!("\r{}\x1b[K", self.line());
            // A terminal that is gone is nobody's to look at.
            let _ = std::io::stderr().flush();
        }
    }

    fn line(&self) -> String {
        const MIB: f64 = 1_048_576.0;
        let done = self.done as f64;
        let speed = done / MIB / self.began.elapsed().as_secs_f64();
        match self.total.filter(|t| *t > 0) {
            Some(total) => {
                let part = (done / total as f64).min(1.0);
                let filled = (part * 30.0) as usize;
                let bar: String = (0..30).map(|n| if n < filled { '#' } else { '.' }).collect();
                format!(
                    "{} [{bar}] {:3.0} % of {:.0} MiB, {speed:.0} MiB/s",
                    self.what,
                    part * 100.0,
                    total as f64 / MIB
                )
            }
            None => format!("{} {:.0} MiB, {speed:.0} MiB/s", self.what, done / MIB),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            eprintln!("\r{}\x1b[K", self.line());
        }
    }
}
