//! The end: the controller went away. What its requests still run is ended; what they left running on purpose is not.
//!
//! A module whose command is ended finishes as usual (it removes its temporary files); its result goes nowhere. A
//! daemon that a task started is no longer a descendant of ours and stays, as do jobs of `async`.

use std::fs;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long modules may take to finish once their commands were told to end, and then once they were killed.
const GRACE: [(i32, Duration); 2] =
    [(libc::SIGTERM, Duration::from_secs(5)), (libc::SIGKILL, Duration::from_secs(2))];

/// Counts the requests that are being served.
#[derive(Default)]
pub struct Running {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Running {
    /// One more.
    pub fn begin(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    /// One less.
    pub fn end(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.changed.notify_all();
    }

    /// Waits until none is left, at most so long.
    fn idle(&self, wait: Duration) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, _) =
            self.changed.wait_timeout_while(count, wait, |n| *n > 0).unwrap_or_else(PoisonError::into_inner);
        *count == 0
    }

    /// Ends what is running.
    pub fn finish(&self) {
        if self.idle(Duration::ZERO) {
            return;
        }
        for (signal, wait) in GRACE {
            for pid in descendants(std::process::id() as i32) {
                // SAFETY: kill has no preconditions; a process that has ended meanwhile is no error.
                unsafe { libc::kill(pid, signal) };
            }
            if self.idle(wait) {
                return;
            }
        }
    }
}

/// The processes below `root`, except sessions of their own (jobs of `async`).
fn descendants(root: i32) -> Vec<i32> {
    let processes: Vec<[i32; 3]> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        let children = processes.iter().filter(|[pid, above, session]| *above == parent && session != pid);
        found.extend(children.map(|[pid, ..]| *pid));
        at += 1;
    }
    found.remove(0);
    found
}

/// Process, parent and session of a line of /proc/PID/stat (proc_pid_stat(5)); the name in it may hold anything.
fn parse(pid: i32, stat: &str) -> Option<[i32; 3]> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some([pid, parent, session])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat() {
        assert_eq!(parse(7, "7 (a) b) S 3 7 5 0 -1"), Some([7, 3, 5]));
        assert_eq!(parse(7, "7 (a"), None);
    }

    #[test]
    fn what_runs_is_ended() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let running = std::sync::Arc::new(Running::default());
        running.begin();
        let other = running.clone();
        let waiter = std::thread::spawn(move || {
            let status = child.wait().unwrap();
            other.end();
            status
        });
        running.finish();
        assert!(!waiter.join().unwrap().success());
    }
}
