//! A container's log in systemd's journal, read through `journalctl`.

use std::process::Stdio;

use pileus_base::{Error, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{Asked, records::Record};

/// Entries of the journal; `journalctl` ends with them.
pub struct Journal {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Journal {
    /// Entries of a container.
    ///
    /// # Errors
    /// Where `journalctl` can't be run.
    pub fn open(id: &str, asked: &Asked) -> Result<Self> {
        let failed = |e| Error::wrap("failed to read the journal", e);
        let mut command = Command::new("journalctl");
        command.args(["--output=json", "--all", "--quiet", "--no-pager"]);
        let count = asked.tail.map_or_else(|| "all".to_owned(), |n| n.to_string());
        command.arg(format!("--lines={count}"));
        if asked.follow {
            command.arg("--follow");
        }
        command.arg(format!("CONTAINER_ID_FULL={id}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let output = child.stdout.take().ok_or_else(|| Error::internal("journalctl has no output"))?;
        Ok(Self { lines: BufReader::new(output).lines(), _child: child })
    }

    /// The next entry.
    pub async fn read(&mut self) -> Option<Record> {
        loop {
            let line = self.lines.next_line().await.ok()??;
            if let Some(record) = parse(&line) {
                return Some(record);
            }
        }
    }
}

fn parse(line: &str) -> Option<Record> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let micros: i64 = entry["__REALTIME_TIMESTAMP"].as_str()?.parse().ok()?;
    let mut text = match &entry["MESSAGE"] {
        Value::String(text) => text.clone().into_bytes(),
        // What is no UTF-8 comes as numbers.
        Value::Array(bytes) => bytes.iter().filter_map(|b| u8::try_from(b.as_u64()?).ok()).collect(),
        _ => return None,
    };
    if entry["CONTAINER_PARTIAL_MESSAGE"] != "true" {
        text.push(b'\n');
    }
    let stream = if entry["PRIORITY"] == "3" { 2 } else { 1 };
    Some(Record { stream, at_ns: micros.checked_mul(1000)?, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_records() {
        let entry = r#"{"__REALTIME_TIMESTAMP":"5","MESSAGE":"hi","PRIORITY":"3"}"#;
        assert_eq!(parse(entry), Some(Record { stream: 2, at_ns: 5_000, text: b"hi\n".to_vec() }));
        let raw = r#"{"__REALTIME_TIMESTAMP":"5","MESSAGE":[255],"PRIORITY":"6","CONTAINER_PARTIAL_MESSAGE":"true"}"#;
        assert_eq!(parse(raw), Some(Record { stream: 1, at_ns: 5_000, text: vec![255] }));
        assert_eq!(parse("{}"), None);
    }
}
