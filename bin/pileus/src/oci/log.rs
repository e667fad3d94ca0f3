//! The log of `pileus oci` in logrus's two shapes, which shims and engines read for the error's words.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::Write as _,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// Where the log goes, and how.
#[derive(Clone)]
pub struct Log {
    /// A file; standard error where there is none.
    pub file: Option<PathBuf>,
    /// One JSON object a line.
    pub json: bool,
    /// The least grave that is written.
    pub level: Level,
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > self.level {
            return;
        }
        let mut words = Words(String::new());
        event.record(&mut words);
        let word = match level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            _ => "debug",
        };
        self.line(word, &words.0);
    }
}

impl Log {
    /// Has events of the library's written too.
    pub fn install(&self) {
        // There is one only where a test has put one.
        let _ = tracing_subscriber::registry().with(self.clone()).try_init();
    }

    /// Tells of the error that ends the command: in the log, and, where that is a file, on standard error too.
    pub fn fatal(&self, words: &str) {
        self.line("error", words);
        if self.file.is_some() {
            eprintln!("{words}");
        }
    }

    fn line(&self, level: &str, words: &str) {
        let time = rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let line = if self.json {
            serde_json::json!({"level": level, "msg": words, "time": time}).to_string()
        } else {
            format!("time={time:?} level={level} msg={words:?}")
        };
        match &self.file {
            Some(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                // Without a log the exit code still tells.
                let _ = file.and_then(|mut file| writeln!(file, "{line}"));
            }
            None => eprintln!("{line}"),
        }
    }
}

/// Seconds since the epoch as RFC 3339.
pub fn rfc3339(since: Duration) -> String {
    let seconds = since.as_secs() as i64;
    let (days, rest) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
    // Days to a date: Howard Hinnant's civil_from_days.
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    let fraction = match since.subsec_nanos() {
        0 => String::new(),
        n => format!(".{n:09}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_go_s() {
        assert_eq!(rfc3339(Duration::new(1_709_210_096, 120_000_000)), "2024-02-29T12:34:56.12Z");
    }
}
