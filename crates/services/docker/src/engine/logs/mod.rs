//! A container's log, read: Docker's `json-file` lines, the rotated files first, and what is added while it runs.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::{Container, Docker};

/// What is asked of a log.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// From when on, in nanoseconds.
    pub since: i64,
    /// Until when, in nanoseconds; 0 for no end.
    pub until: i64,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Only so many of the last lines.
    pub tail: Option<usize>,
    /// What is added too, until the container ends.
    pub follow: bool,
}

#[derive(Deserialize)]
struct Line {
    log: String,
    stream: String,
    time: String,
}

/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(50);

impl Docker {
    /// The log's text, framed where there is no terminal.
    pub(crate) fn logs(
        self: &Arc<Self>,
        c: &Container,
        asked: Asked,
    ) -> mpsc::Receiver<std::io::Result<Bytes>> {
        let (sender, receiver) = mpsc::channel(64);
        let (path, tty, runs) = (self.container_dir(&c.id).join("json.log"), c.tty(), c.runs());
        let mut phases = self.phases(&c.id);
        let before = phases.borrow_and_update().ends;
        tokio::spawn(async move {
            let mut reader =
                Reader { path: path.clone(), tty, asked: asked.clone(), file: None, rest: Vec::new() };
            let past = tokio::task::spawn_blocking(move || (reader.past(), reader)).await;
            let Ok((past, mut reader)) = past else { return };
            for chunk in past {
                if sender.send(Ok(chunk)).await.is_err() {
                    return;
                }
            }
            if !asked.follow || !runs {
                return;
            }
            let mut tick = tokio::time::interval(LOOK);
            loop {
                let over = tokio::select! {
                    _ = phases.wait_for(|p| p.ends > before || p.removed) => true,
                    _ = tick.tick() => false,
                    () = sender.closed() => return,
                };
                for chunk in reader.more() {
                    if sender.send(Ok(chunk)).await.is_err() {
                        return;
                    }
                }
                if over {
                    return;
                }
            }
        });
        receiver
    }
}

struct Reader {
    path: PathBuf,
    tty: bool,
    asked: Asked,
    file: Option<BufReader<File>>,
    rest: Vec<u8>,
}

impl Reader {
    /// All that is there.
    fn past(&mut self) -> Vec<Bytes> {
        let mut kept = VecDeque::new();
        let mut keep = |chunk: Bytes| {
            kept.push_back(chunk);
            if self.asked.tail.is_some_and(|n| kept.len() > n) {
                kept.pop_front();
            }
        };
        for old in older(&self.path) {
            let Ok(file) = File::open(old) else { continue };
            for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
                if let Some(chunk) = render(&line, &self.asked, self.tty) {
                    keep(chunk);
                }
            }
        }
        self.file = File::open(&self.path).ok().map(BufReader::new);
        while let Some(line) = next(&mut self.file, &mut self.rest) {
            if let Some(chunk) = render(&line, &self.asked, self.tty) {
                keep(chunk);
            }
        }
        kept.into()
    }

    /// What has been added; goes over to a new file where the old was rotated away.
    fn more(&mut self) -> Vec<Bytes> {
        let mut all = Vec::new();
        loop {
            while let Some(line) = next(&mut self.file, &mut self.rest) {
                all.extend(render(&line, &self.asked, self.tty));
            }
            let old = self.file.as_ref().and_then(|f| f.get_ref().metadata().ok()).map(|m| m.ino());
            let new = std::fs::metadata(&self.path).ok().map(|m| m.ino());
            if new.is_none() || new == old {
                return all;
            }
            // The last lines of the old file may have come between.
            while let Some(line) = next(&mut self.file, &mut self.rest) {
                all.extend(render(&line, &self.asked, self.tty));
            }
            self.rest.clear();
            self.file = File::open(&self.path).ok().map(BufReader::new);
        }
    }
}

/// The next whole line; a part of one is kept in `rest`.
fn next(file: &mut Option<BufReader<File>>, rest: &mut Vec<u8>) -> Option<Vec<u8>> {
    let read = file.as_mut()?.read_until(b'\n', rest).ok()?;
    if read == 0 || rest.last() != Some(&b'\n') {
        return None;
    }
    Some(std::mem::take(rest))
}

/// The rotated files, the oldest first.
fn older(path: &Path) -> Vec<PathBuf> {
    let numbered = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
    let mut all: Vec<_> = (1..).map(numbered).take_while(|p| p.exists()).collect();
    all.reverse();
    all
}

fn render(line: &[u8], asked: &Asked, tty: bool) -> Option<Bytes> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let number = match line.stream.as_str() {
        "stderr" if asked.stderr => 2,
        "stdout" if asked.stdout => 1,
        _ => return None,
    };
    if asked.since > 0 || asked.until > 0 {
        let at = line.time.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
        if at < i128::from(asked.since) || (asked.until > 0 && at > i128::from(asked.until)) {
            return None;
        }
    }
    let text = if asked.timestamps { format!("{} {}", line.time, line.log) } else { line.log };
    if tty {
        return Some(text.into());
    }
    let mut out = BytesMut::with_capacity(8 + text.len());
    out.put_slice(&[number, 0, 0, 0]);
    out.put_u32(u32::try_from(text.len()).ok()?);
    out.put_slice(text.as_bytes());
    Some(out.freeze())
}

/// Seconds with a fraction, or RFC 3339, as nanoseconds.
pub fn moment(text: &str) -> i64 {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(at.as_nanosecond()).unwrap_or(0);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let seconds = seconds.parse::<i64>().unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_framed_and_chosen() {
        let asked = Asked {
            stdout: true,
            stderr: false,
            since: 0,
            until: 0,
            timestamps: false,
            tail: None,
            follow: false,
        };
        let line = br#"{"log":"hi\n","stream":"stdout","time":"2026-01-01T00:00:00.5Z"}"#;
        assert_eq!(render(line, &asked, false).unwrap(), &b"\x01\0\0\0\0\0\0\x03hi\n"[..]);
        assert_eq!(render(line, &asked, true).unwrap(), &b"hi\n"[..]);
        assert!(render(line, &Asked { stdout: false, ..asked }, true).is_none());
        assert_eq!(moment("1.5"), 1_500_000_000);
    }
}
