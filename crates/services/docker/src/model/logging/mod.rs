//! Log drivers: which there are, what they may be told, and what each line bears.

mod origin;
pub mod remote;
mod target;
mod template;

use std::path::Path;

use pileus_base::{Error, Result};
use pileus_host::LogKind;
use serde_json::Value;

pub use origin::Origin;
pub use target::{Address, Compression, Fluentd, Format, Gelf, Syslog, Target, Tls};

/// A log file's size where none is asked for: unlike the reference's, our logs are bounded.
const FILE_BYTES: u64 = 20 << 20;
/// How many log files there are where none is asked for.
const FILES: u32 = 3;
/// Where systemd's journal listens.
pub const JOURNAL: &str = "/run/systemd/journal/socket";

/// Options of any driver; the last four are of the copy here of a log that goes elsewhere.
const COMMON: [&str; 6] =
    ["mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
/// How many files the copy of a log has where none is asked for, as with the reference.
const COPIES: u32 = 5;
/// Options that choose what each line bears.
const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

/// How a container's log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How it is written.
    pub kind: LogKind,
    /// A file's largest size.
    pub max_size_bytes: u64,
    /// How many files there are, the present one counted.
    pub max_files: u32,
    /// Whether rotated files are compressed.
    pub compress: bool,
}

/// Drivers that can be had on this host, as `info` shows them.
pub fn drivers() -> Vec<&'static str> {
    let mut all = vec!["fluentd", "gelf", "json-file", "local", "none", "syslog"];
    if Path::new(JOURNAL).exists() {
        all.insert(2, "journald");
    }
    all
}

fn options(config: &Value) -> impl Iterator<Item = (&str, &str)> {
    let all = config["Config"].as_object().into_iter().flatten();
    all.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or("")))
}

fn option<'a>(config: &'a Value, name: &str) -> Option<&'a str> {
    options(config).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Why a container that starts has no log, as the reference tells it.
pub fn start(why: &str) -> Error {
    Error::internal(format!(
        "failed to create task for container: failed to initialize logging driver: {why}"
    ))
}

/// Refuses a `LogConfig` that no container can be made with.
///
/// # Errors
/// 400 in the reference's words.
pub fn check(config: &Value) -> Result<()> {
    let bad = |text: String| Err(Error::bad_request(text));
    let driver = config["Type"].as_str().unwrap_or("");
    if driver == "none" {
        return Ok(());
    }
    let mode = option(config, "mode").unwrap_or("");
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return bad(format!("logger: logging mode not supported: {mode}"));
    }
    if let Some(size) = option(config, "max-buffer-size") {
        if mode != "non-blocking" {
            return bad("logger: max-buffer-size option is only supported with 'mode=non-blocking'".into());
        }
        if bytes(size).is_none() {
            return bad(format!("error parsing option max-buffer-size: invalid size: '{size}'"));
        }
    }
    let (files, attributes) = (["max-size", "max-file", "compress"].as_slice(), ATTRIBUTES.as_slice());
    let known: &[&[&str]] = match driver {
        "json-file" => &[files, attributes],
        "local" => &[files],
        "journald" => &[attributes],
        "syslog" | "gelf" | "fluentd" => return Target::read(config).map(drop),
        other => return bad(format!("logger: no log driver named '{other}' is registered")),
    };
    let fits = |key: &str| COMMON.contains(&key) || known.iter().any(|names| names.contains(&key));
    match options(config).find(|(key, _)| !fits(key)) {
        Some((key, _)) if driver == "local" => {
            bad(format!("unknown log opt '{key}' for log driver {driver}"))
        }
        Some((key, _)) => bad(format!("unknown log opt '{key}' for {driver} log driver")),
        None => Ok(()),
    }
}

/// How a container that starts keeps its log; `None` for none.
///
/// # Errors
/// 500 in the reference's words where the options make no sense.
pub fn settings(config: &Value) -> Result<Option<Settings>> {
    let bad = |text: &str| Err(start(text));
    let kind = match config["Type"].as_str().unwrap_or("json-file") {
        "none" => return Ok(None),
        "json-file" => LogKind::Json,
        "local" => LogKind::Local,
        "journald" if Path::new(JOURNAL).exists() => LogKind::Journal,
        "journald" => return bad("journald is not enabled on this host"),
        "syslog" | "gelf" | "fluentd" => return Ok(Some(copy(config))),
        other => return bad(&format!("logger: no log driver named '{other}' is registered")),
    };
    let mut settings = Settings { kind, max_size_bytes: FILE_BYTES, max_files: FILES, compress: false };
    if let Some(text) = option(config, "max-size") {
        match bytes(text) {
            Some(0) => return bad("max-size must be a positive number"),
            Some(n) => settings.max_size_bytes = n,
            None if text == "-1" => settings.max_size_bytes = 0,
            None => return bad(&format!("invalid size: '{text}'")),
        }
    }
    if let Some(text) = option(config, "max-file") {
        match text.parse::<i64>() {
            Ok(n @ 1..) => settings.max_files = u32::try_from(n).unwrap_or(u32::MAX),
            Ok(_) => return bad("max-file cannot be less than 1"),
            Err(_) => return bad(&format!("strconv.Atoi: parsing \"{text}\": invalid syntax")),
        }
    }
    settings.compress = match option(config, "compress") {
        // As with the reference, this driver compresses what it has rotated.
        None => kind == LogKind::Local && settings.max_files > 1,
        Some(text) => match truth(text) {
            Some(is) => is,
            None => return bad(&format!("strconv.ParseBool: parsing \"{text}\": invalid syntax")),
        },
    };
    if settings.compress && (settings.max_files < 2 || settings.max_size_bytes == 0) {
        return bad("compress cannot be true when max-file is less than 2 or max-size is not set");
    }
    Ok(Some(settings))
}

/// The copy that is kept here of a log that goes elsewhere: `docker logs` reads it, and it is sent from there.
/// Options that make no sense are passed over, as by the reference.
fn copy(config: &Value) -> Settings {
    let size = option(config, "cache-max-size").and_then(bytes).filter(|n| *n > 0);
    let files = option(config, "cache-max-file").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let max_files = files.unwrap_or(COPIES);
    let compress = option(config, "cache-compress").and_then(truth).unwrap_or(true) && max_files > 1;
    Settings { kind: LogKind::Local, max_size_bytes: size.unwrap_or(FILE_BYTES), max_files, compress }
}

/// How a log is read back; `None` where it can't be.
pub fn readable(config: &Value) -> Option<LogKind> {
    match config["Type"].as_str().unwrap_or("json-file") {
        "json-file" => Some(LogKind::Json),
        "local" => Some(LogKind::Local),
        "journald" => Some(LogKind::Journal),
        "syslog" | "gelf" | "fluentd" => {
            let off = option(config, "cache-disabled").and_then(truth).unwrap_or(false);
            (!off).then_some(LogKind::Local)
        }
        _ => None,
    }
}

/// A size as the reference reads it: decimal units, `10m` is ten million.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let (binary, lower) = match lower.strip_suffix("ib") {
        Some(rest) => (true, rest),
        None => (false, lower.strip_suffix('b').unwrap_or(&lower)),
    };
    let power = lower.chars().last().and_then(|c| "kmgtp".find(c));
    let digits = if power.is_some() { &lower[..lower.len() - 1] } else { lower };
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    let power = power.map_or(0, |p| p as i32 + 1);
    let number = digits.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)?;
    Some((number * base.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(driver: &str, options: Value) -> Value {
        json!({"Type": driver, "Config": options})
    }

    #[test]
    fn drivers_and_options_are_checked_in_the_reference_s_words() {
        let told = |driver, options| check(&of(driver, options)).unwrap_err().message().to_owned();
        assert_eq!(told("asdf", json!({})), "logger: no log driver named 'asdf' is registered");
        assert_eq!(told("json-file", json!({"x": "1"})), "unknown log opt 'x' for json-file log driver");
        assert_eq!(told("local", json!({"tag": "1"})), "unknown log opt 'tag' for log driver local");
        assert_eq!(told("local", json!({"mode": "no"})), "logger: logging mode not supported: no");
        assert!(
            check(&of("json-file", json!({"max-size": "1k", "labels": "a", "mode": "blocking"}))).is_ok()
        );
        assert!(check(&of("none", json!({"x": "1"}))).is_ok());
    }

    #[test]
    fn settings_are_bounded_by_default() {
        let of = |driver, options| settings(&of(driver, options));
        let json = of("json-file", json!({})).unwrap().unwrap();
        assert_eq!((json.max_size_bytes, json.max_files, json.compress), (20 << 20, 3, false));
        let local = of("local", json!({"max-size": "1.5m", "max-file": "2"})).unwrap().unwrap();
        assert_eq!((local.max_size_bytes, local.max_files, local.compress), (1_500_000, 2, true));
        assert_eq!(of("none", json!({})).unwrap(), None);
        for (options, text) in [
            (json!({"max-file": "0"}), "max-file cannot be less than 1"),
            (json!({"max-size": "x"}), "invalid size: 'x'"),
            (json!({"compress": "true", "max-file": "1"}), "compress cannot be true"),
        ] {
            let told = of("json-file", options).unwrap_err().message().to_owned();
            assert!(told.contains("failed to initialize logging driver: ") && told.contains(text), "{told}");
        }
        let copy = of("syslog", json!({"cache-max-size": "x"})).unwrap().unwrap();
        assert_eq!((copy.kind, copy.max_size_bytes, copy.max_files), (LogKind::Local, 20 << 20, 5));
        assert_eq!(readable(&super::tests::of("gelf", json!({"cache-disabled": "true"}))), None);
    }
}
