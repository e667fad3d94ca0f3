//! The terminal read key by key: a prompt that ends at a line, a key or a time, and never by a signal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// Ctrl+C as a key.
pub const INTERRUPT: u8 = 3;

/// What ended a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// A line, or one of the keys that complete.
    Line(String),
    /// One of the keys that interrupt.
    Interrupted,
    /// The time.
    TimedOut,
}

/// What ends a prompt.
#[derive(Debug, Clone, Copy)]
pub struct Until<'a> {
    /// Keys that complete it, of either case.
    pub complete: &'a [u8],
    /// Keys that interrupt it, of either case.
    pub interrupt: &'a [u8],
    /// How long it waits at most.
    pub timeout: Option<Duration>,
    /// Whether keys are shown.
    pub echo: bool,
}

/// Whether stdin is a terminal that we may read.
pub fn interactive() -> bool {
    let stdin = io::stdin();
    stdin.is_terminal() && rustix::termios::tcgetpgrp(&stdin).is_ok_and(|p| p == rustix::process::getpgrp())
}

/// Restores the terminal.
struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        // a terminal that is gone needs nothing restored
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Reads keys until one of `until` happens.
///
/// # Errors
/// Where the terminal cannot be read.
pub fn read(until: Until<'_>) -> io::Result<Ended> {
    let stdin = io::stdin();
    let saved = tcgetattr(&stdin)?;
    let mut keys = saved.clone();
    keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
    let erase = saved.special_codes[SpecialCodeIndex::VERASE];
    let _restore = Restore(saved);
    tcsetattr(&stdin, OptionalActions::Now, &keys)?;
    let deadline = until.timeout.map(|t| Instant::now() + t);
    let mut line: Vec<u8> = Vec::new();
    loop {
        if !ready(&stdin, deadline)? {
            return Ok(Ended::TimedOut);
        }
        let mut key = [0u8];
        if rustix::io::read(&stdin, &mut key)? == 0 {
            return Ok(Ended::Line(String::from_utf8_lossy(&line).into_owned()));
        }
        let [key] = key;
        let among = |keys: &[u8]| keys.iter().any(|k| k.eq_ignore_ascii_case(&key));
        if among(until.interrupt) {
            return Ok(Ended::Interrupted);
        }
        if among(until.complete) {
            return Ok(Ended::Line(String::from_utf8_lossy(&line).into_owned()));
        }
        if key == erase || key == 8 || key == 127 {
            if pop(&mut line) && until.echo {
                show(b"\x08 \x08")?;
            }
            continue;
        }
        line.push(key);
        if until.echo {
            show(&[key])?;
        }
    }
}

/// Takes a whole character away; whether there was one.
fn pop(line: &mut Vec<u8>) -> bool {
    let had = !line.is_empty();
    while line.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
    had
}

fn show(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Waits for a key; whether one came before the deadline.
fn ready(stdin: &io::Stdin, deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = match deadline {
            Some(d) => match d.checked_duration_since(Instant::now()) {
                Some(left) => Some(left),
                None => return Ok(false),
            },
            None => None,
        };
        let left = left.map(|d| Timespec {
            tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(d.subsec_nanos()),
        });
        let mut fds = [PollFd::new(stdin, PollFlags::IN)];
        match poll(&mut fds, left.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_taken_whole() {
        let mut line = "aé".as_bytes().to_vec();
        assert!(pop(&mut line));
        assert_eq!(line, b"a");
        assert!(pop(&mut line));
        assert!(!pop(&mut line));
    }
}
