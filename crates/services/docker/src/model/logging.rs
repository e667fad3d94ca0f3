//! Log drivers: which there are, what they may be told, and what each line bears.

use std::{collections::BTreeMap, path::Path};

use pileus_base::{Error, Result};
use pileus_host::LogKind;
use serde_json::Value;

/// A log file's size where none is asked for: unlike the reference's, our logs are bounded.
const FILE_BYTES: u64 = 20 << 20;
/// How many log files there are where none is asked for.
const FILES: u32 = 3;
/// Where systemd's journal listens.
pub const JOURNAL: &str = "/run/systemd/journal/socket";

/// Drivers of the reference that send a log elsewhere, which this engine doesn't.
const ELSEWHERE: [&str; 6] = ["syslog", "gelf", "fluentd", "awslogs", "splunk", "gcplogs"];
/// Options of any driver.
const COMMON: [&str; 2] = ["mode", "max-buffer-size"];
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
    let mut all = vec!["json-file", "local", "none"];
    if Path::new(JOURNAL).exists() {
        all.insert(0, "journald");
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
        other if ELSEWHERE.contains(&other) => return Ok(()),
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
/// 500 in the reference's words where the options make no sense, 501 for a driver that isn't here.
pub fn settings(config: &Value) -> Result<Option<Settings>> {
    const BEFORE: &str = "failed to create task for container: failed to initialize logging driver";
    let bad = |text: &str| Err(Error::internal(format!("{BEFORE}: {text}")));
    let kind = match config["Type"].as_str().unwrap_or("json-file") {
        "none" => return Ok(None),
        "json-file" => LogKind::Json,
        "local" => LogKind::Local,
        "journald" if Path::new(JOURNAL).exists() => LogKind::Journal,
        "journald" => return bad("journald is not enabled on this host"),
        other => {
            let text = format!("{BEFORE}: the driver '{other}' is not supported by this engine");
            return Err(Error::not_implemented(text));
        }
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
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
        Some(text) => return bad(&format!("strconv.ParseBool: parsing \"{text}\": invalid syntax")),
    };
    if settings.compress && (settings.max_files < 2 || settings.max_size_bytes == 0) {
        return bad("compress cannot be true when max-file is less than 2 or max-size is not set");
    }
    Ok(Some(settings))
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

/// Who a log's lines come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its image, as the client named it.
    pub image: &'a str,
    /// The image's id.
    pub image_id: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its environment.
    pub env: &'a [String],
}

impl Origin<'_> {
    fn tag(&self, template: &str) -> String {
        let short = |id: &str| id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
        let mut tag = template.to_owned();
        for (field, value) in [
            ("ID", short(self.id)),
            ("FullID", self.id.to_owned()),
            ("Name", self.name.to_owned()),
            ("ImageID", short(self.image_id)),
            ("ImageFullID", self.image_id.to_owned()),
            ("ImageName", self.image.to_owned()),
            ("DaemonName", "docker".to_owned()),
        ] {
            tag = tag.replace(&format!("{{{{.{field}}}}}"), &value);
        }
        tag
    }

    /// What each line bears by the options `labels`, `env`, their `-regex` forms, and `tag`.
    ///
    /// # Errors
    /// 500 where an expression is none.
    pub fn attributes(&self, config: &Value) -> Result<BTreeMap<String, String>> {
        let variables = self.env.iter().filter_map(|e| e.split_once('='));
        let env: BTreeMap<String, String> = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let mut found = BTreeMap::new();
        for (name, all) in [("labels", self.labels), ("env", &env)] {
            let listed: Vec<&str> = option(config, name).map_or_else(Vec::new, |l| l.split(',').collect());
            let pattern = option(config, &format!("{name}-regex")).filter(|p| !p.is_empty());
            let pattern = pattern.map(regex::Regex::new).transpose();
            let pattern = pattern.map_err(|e| {
                Error::internal(format!(
                    "failed to create task for container: failed to initialize logging driver: {e}"
                ))
            })?;
            let chosen = all.iter().filter(|(k, _)| {
                listed.contains(&k.as_str()) || pattern.as_ref().is_some_and(|p| p.is_match(k))
            });
            found.extend(chosen.map(|(k, v)| (k.clone(), v.clone())));
        }
        if let Some(tag) = option(config, "tag").filter(|t| !t.is_empty()) {
            found.insert("tag".into(), self.tag(tag));
        }
        Ok(found)
    }

    /// What whoever writes the log adds to each line.
    ///
    /// # Errors
    /// As [`Origin::attributes`].
    pub fn extra(&self, config: &Value, kind: LogKind) -> Result<String> {
        let mut attributes = self.attributes(config)?;
        match kind {
            LogKind::Local => Ok(String::new()),
            LogKind::Json if attributes.is_empty() => Ok(String::new()),
            LogKind::Json => {
                let written = serde_json::to_string(&attributes);
                Ok(format!(
                    ",\"attrs\":{}",
                    written.map_err(|e| Error::wrap("failed to write attributes", e))?
                ))
            }
            LogKind::Journal => {
                let tag = attributes.remove("tag").unwrap_or_else(|| self.tag("{{.ID}}"));
                let mut fields = vec![
                    ("CONTAINER_ID".to_owned(), self.tag("{{.ID}}")),
                    ("CONTAINER_ID_FULL".to_owned(), self.id.to_owned()),
                    ("CONTAINER_NAME".to_owned(), self.name.to_owned()),
                    ("CONTAINER_TAG".to_owned(), tag.clone()),
                    ("IMAGE_NAME".to_owned(), self.image.to_owned()),
                    ("SYSLOG_IDENTIFIER".to_owned(), tag),
                ];
                fields.extend(attributes.into_iter().filter_map(|(k, v)| Some((field(&k)?, v))));
                // A line break would begin a field of its own.
                let line = |(k, v): &(String, String)| format!("{k}={}\n", v.replace('\n', " "));
                Ok(fields.iter().map(line).collect())
            }
        }
    }
}

/// A name as the journal allows it.
fn field(name: &str) -> Option<String> {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(upper).collect();
    let name = name.trim_start_matches('_').to_owned();
    (!name.is_empty()).then_some(name)
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
        assert!(of("syslog", json!({})).is_err());
    }

    #[test]
    fn lines_bear_what_was_asked_for() {
        let labels = BTreeMap::from([("a".into(), "1".into()), ("bc".into(), "2".into())]);
        let env = ["X=y".to_owned()];
        let id = "0123456789abcdef";
        let origin =
            Origin { id, name: "web", image: "busybox", image_id: "sha256:ff", labels: &labels, env: &env };
        let config = of("json-file", json!({"labels": "a", "env-regex": "^X", "tag": "{{.Name}}/{{.ID}}"}));
        assert_eq!(
            origin.extra(&config, LogKind::Json).unwrap(),
            r#","attrs":{"X":"y","a":"1","tag":"web/0123456789ab"}"#
        );
        let sent = origin.extra(&of("journald", json!({"labels": "bc"})), LogKind::Journal).unwrap();
        assert!(
            sent.starts_with("CONTAINER_ID=0123456789ab\nCONTAINER_ID_FULL=0123456789abcdef\n"),
            "{sent}"
        );
        assert!(sent.contains("\nCONTAINER_TAG=0123456789ab\n") && sent.ends_with("\nBC=2\n"), "{sent}");
    }
}
