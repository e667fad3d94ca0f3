//! What is said to the user: results on stdout, warnings and errors on stderr, once each, in colour on a terminal.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::Error;
use crate::log::{self, Level};

static VERBOSITY: AtomicU8 = AtomicU8::new(0);
static DEPRECATIONS: AtomicBool = AtomicBool::new(true);
static COLOR: OnceLock<bool> = OnceLock::new();
static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Sets how many `-v` were given.
pub fn set_verbosity(level: u8) {
    VERBOSITY.store(level, Ordering::Relaxed);
}
/// How many `-v` were given.
pub fn verbosity() -> u8 {
    VERBOSITY.load(Ordering::Relaxed)
}
/// Whether deprecation warnings are shown (`deprecation_warnings`).
pub fn set_deprecations(on: bool) {
    DEPRECATIONS.store(on, Ordering::Relaxed);
}
/// Decides on colour: forced, forbidden, or as stdout is a terminal. Only the first call counts.
pub fn set_color(force: bool, never: bool) {
    let _ = COLOR.set(force || (!never && std::io::stdout().is_terminal()));
}
/// Whether output is coloured.
pub fn colored() -> bool {
    *COLOR.get_or_init(|| std::io::stdout().is_terminal())
}

/// The escape code of a colour as settings name it (`bright red`, `color12`, `rgb123`, `gray5`).
pub fn color_code(name: &str) -> Option<String> {
    const NAMES: [(&str, &str); 17] = [
        ("black", "0;30"),
        ("bright gray", "0;37"),
        ("blue", "0;34"),
        ("white", "1;37"),
        ("green", "0;32"),
        ("bright blue", "1;34"),
        ("cyan", "0;36"),
        ("bright green", "1;32"),
        ("red", "0;31"),
        ("bright cyan", "1;36"),
        ("purple", "0;35"),
        ("bright red", "1;31"),
        ("yellow", "0;33"),
        ("bright purple", "1;35"),
        ("dark gray", "1;30"),
        ("bright yellow", "1;33"),
        ("magenta", "0;35"),
    ];
    if let Some((_, code)) = NAMES.iter().find(|(n, _)| *n == name) {
        return Some((*code).to_owned());
    }
    match name {
        "bright magenta" => return Some("1;35".into()),
        "normal" => return Some("0".into()),
        _ => {}
    }
    if let Some(n) = name.strip_prefix("color").and_then(|n| n.parse::<u8>().ok()) {
        return Some(format!("38;5;{n}"));
    }
    if let Some(n) = name.strip_prefix("gray").and_then(|n| n.parse::<u8>().ok()) {
        return Some(format!("38;5;{}", 232 + u16::from(n)));
    }
    let digits: Vec<u32> = name.strip_prefix("rgb")?.chars().filter_map(|c| c.to_digit(6)).collect();
    let [r, g, b] = digits.as_slice() else { return None };
    Some(format!("38;5;{}", 16 + 36 * r + 6 * g + b))
}

/// `text` in `color`, line by line, where output is coloured.
pub fn paint(text: &str, color: &str) -> String {
    if !colored() {
        return text.to_owned();
    }
    let Some(code) = color_code(color) else { return text.to_owned() };
    text.split('\n').map(|line| format!("\x1b[{code}m{line}\x1b[0m")).collect::<Vec<_>>().join("\n")
}

/// Writes a line to stdout, and to the log.
pub fn out(text: &str) {
    log::write(Level::Info, text);
    shown(text);
}

fn shown(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = stdout.write_all(b"\n");
    }
    let _ = stdout.flush();
}

/// Writes a line to stderr in `color`, and to the log.
pub fn err(text: &str, color: &str) {
    let level = match color {
        "red" => Level::Error,
        "bright purple" => Level::Warning,
        _ => Level::Info,
    };
    log::write(level, &format!("{text}\n"));
    let mut stderr = std::io::stderr().lock();
    let (body, end) = match text.strip_suffix('\n') {
        Some(body) => (body, "\n"),
        None => (text, ""),
    };
    let _ = writeln!(stderr, "{}{end}", paint(body, color));
}

/// Whether `text` is said for the first time.
fn first(text: &str) -> bool {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.get_or_insert_default().insert(text.to_owned())
}

/// Warns, once.
pub fn warning(message: &str) {
    let text = format!("[WARNING]: {message}").replace("\r\n", "\n");
    if first(&text) {
        err(&text, "bright purple");
    }
}

/// Warns of an error, with its causes and places.
pub fn warning_of(error: &Error) {
    warning(&error.details());
}

/// Reports an error, once.
pub fn error(error: &Error) {
    let text = format!("[ERROR]: {}", error.details());
    if first(&text) {
        err(&text, "red");
    }
}

/// Reports an error that is a plain message.
pub fn error_text(message: &str) {
    error(&Error::new(message));
}

/// Warns of something that version `version` of ansible-core will no longer accept.
pub fn deprecated(message: &str, version: &str, help: Option<&str>) {
    if !DEPRECATIONS.load(Ordering::Relaxed) {
        return;
    }
    warning("Deprecation warnings can be disabled by setting `deprecation_warnings=False` in ansible.cfg.");
    let message = message.trim_end();
    let stop = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    let mut text = format!(
        "[DEPRECATION WARNING]: {message}{stop} This feature will be removed from ansible-core version {version}."
    );
    if let Some(help) = help {
        if !help.starts_with('\n') {
            text.push(' ');
        }
        text.push_str(help);
    }
    if first(&text) {
        err(&text, "purple");
    }
}

/// As [`deprecated`], of what stands at `origin`.
pub fn deprecated_at(message: &str, version: &str, origin: Option<&std::sync::Arc<pileus_jinja::Origin>>) {
    let place = origin.map(|o| format!("\n{}\n", crate::source::excerpt::around(o, false)));
    deprecated(message, version, place.as_deref());
}

/// What only `ANSIBLE_DEBUG` shows: with the process and the time.
pub fn debug(message: &str) {
    if crate::config::current().bool("DEFAULT_DEBUG") {
        let now = jiff::Timestamp::now();
        out(&format!(" {:6} {:.5}: {message}", std::process::id(), now.as_microsecond() as f64 / 1e6));
    }
}

/// Says `message` where at least `level` times `-v` was given.
pub fn verbose(level: u8, message: &str) {
    if log::wants(level, verbosity()) {
        log::write(Level::Info, message);
    }
    if verbosity() >= level {
        shown(&paint(message, "blue"));
    }
}

/// Says what happens to a host, as [`verbose`]: `<host> what`.
pub fn verbose_of(level: u8, host: &str, what: impl FnOnce() -> String) {
    if verbosity() >= level || log::wants(level, verbosity()) {
        verbose(level, &format!("<{host}> {}", what()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors() {
        assert_eq!(color_code("bright red").as_deref(), Some("1;31"));
        assert_eq!(color_code("rgb123").as_deref(), Some("38;5;67"));
        assert_eq!(color_code("gray5").as_deref(), Some("38;5;237"));
        assert_eq!(color_code("nonsense"), None);
    }
}
