//! The log file (`log_path`, `ANSIBLE_LOG_PATH`): what is said, with the time, the process and the user before it.

use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;

use parking_lot::Mutex;

/// How grave a line is, in the words of Python's `logging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

struct Log {
    file: Mutex<File>,
    user: String,
    /// How many `-v` its lines are for, where that isn't the terminal's number.
    verbosity: Option<u8>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Opens the log `path` to append to; only the first call counts. `verbosity` is the log's own.
///
/// # Errors
/// Where it cannot be opened.
pub fn open(path: &str, verbosity: Option<u8>) -> std::io::Result<()> {
    let file = File::options().create(true).append(true).open(path)?;
    let _ = LOG.set(Log { file: Mutex::new(file), user: user(), verbosity });
    Ok(())
}

/// Who runs this program: the name of the environment, else of the passwd file; whoever has none is known by number.
pub fn user() -> String {
    let named = std::env::var("LOGNAME").or_else(|_| std::env::var("USER"));
    named.unwrap_or_else(|_| {
        let uid = rustix::process::getuid().as_raw().to_string();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let own = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid));
        own.and_then(|line| line.split(':').next()).map_or(uid.clone(), str::to_owned)
    })
}

/// Whether lines of `level` times `-v` belong into the log, where `given` were given on the command line.
pub fn wants(level: u8, given: u8) -> bool {
    LOG.get().is_some_and(|log| log.verbosity.unwrap_or(given) >= level)
}

/// Appends `text`, if there is a log: in one write, so that processes' lines don't mix.
pub fn write(level: Level, text: &str) {
    let Some(log) = LOG.get() else { return };
    let here = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
    // a format of ours is never refused
    let now = jiff::fmt::strtime::format("%Y-%m-%d %H:%M:%S", &here).unwrap_or_default();
    let millis = jiff::Timestamp::now().subsec_millisecond();
    let line = format!(
        "{now},{millis:03} p={} u={} n=ansible {}| {}\n",
        std::process::id(),
        log.user,
        level.word(),
        uncolored(text.trim_start_matches('\n')).trim_end_matches(' ')
    );
    // A full disk is no reason to stop what runs.
    let _ = log.file.lock().write_all(line.as_bytes());
}

/// Without escape sequences of colours.
fn uncolored(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 2..];
        rest = tail.find('m').map_or("", |end| &tail[end + 1..]);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(uncolored("\x1b[0;32mok: [a]\x1b[0m\nb"), "ok: [a]\nb");
        assert_eq!(uncolored("plain"), "plain");
    }
}
