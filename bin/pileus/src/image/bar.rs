//! How far a transfer is: a line on a terminal, nothing elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// Between two drawings.
const PACE: Duration = Duration::from_millis(100);
/// Characters of the bar itself.
const WIDTH: usize = 30;

/// The line.
pub struct Bar {
    shown: bool,
    total: Option<u64>,
    done: u64,
    began: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    /// For `total` bytes, where that is known.
    pub fn new(total: Option<u64>) -> Self {
        let shown = std::io::stderr().is_terminal();
        Self { shown, total, done: 0, began: Instant::now(), drawn: None }
    }

    /// So many bytes more.
    pub fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.shown && self.drawn.is_none_or(|at| at.elapsed() >= PACE) {
            self.drawn = Some(Instant::now());
            // A terminal that is gone is no reason to stop.
            let _ =
                write!(std::io::stderr(), "\r\x1b[K{}", line(self.done, self.total, self.began.elapsed()));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown {
            let _ =
                writeln!(std::io::stderr(), "\r\x1b[K{}", line(self.done, self.total, self.began.elapsed()));
        }
    }
}

fn line(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    match total.filter(|t| *t > 0) {
        None => format!("{}  {}/s", size(done as f64), size(rate)),
        Some(total) => {
            let part = (done as f64 / total as f64).min(1.0);
            let full = (part * WIDTH as f64) as usize;
            format!(
                "[{}{}] {:3.0}%  {} of {}  {}/s",
                "=".repeat(full),
                " ".repeat(WIDTH - full),
                part * 100.0,
                size(done as f64),
                size(total as f64),
                size(rate)
            )
        }
    }
}

fn size(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut n, mut unit) = (bytes, 0);
    while n >= 1024.0 && unit + 1 < units.len() {
        n /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n:.0} B") } else { format!("{n:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far() {
        let second = Duration::from_secs(1);
        let half = "=".repeat(15) + &" ".repeat(15);
        assert_eq!(line(512, Some(1024), second), format!("[{half}]  50%  512 B of 1.0 KiB  512 B/s"));
        assert_eq!(line(3 << 20, None, second), "3.0 MiB  3.0 MiB/s");
        assert!(line(9, Some(3), second).contains("100%"));
    }
}
