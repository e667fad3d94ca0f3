//! The log: Docker's `json-file` lines or records of our own, in files that are renamed to `.1`, `.2`, … when
//! they are full; or the host's journal.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use crate::{
    plan::{LOG_JOURNAL, LOG_LOCAL},
    sys::{Answer, Fd, Sysno, datagrams, open, rename, send_to, stat, syscall, unlink},
};

/// The longest piece of a line that is written at once, as Docker does it.
const LONGEST: usize = 16 << 10;
const APPEND: i32 = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT;

/// A log that is being written.
pub struct Log {
    path: String,
    kind: u8,
    /// What each line bears besides.
    extra: String,
    most: u64,
    files: u32,
    to: To,
    size: u64,
    parts: [Vec<u8>; 2],
}

/// Where it goes.
enum To {
    File(Fd),
    Socket(Fd),
}

impl Log {
    /// Opens it to add to it; `kept` is a file's largest size and how many files there are.
    pub fn open(path: &str, kind: u8, extra: &str, kept: (u64, u32)) -> Answer<Self> {
        let (to, size) = if kind == LOG_JOURNAL {
            (To::Socket(datagrams()?), 0)
        } else {
            let file = open(path, APPEND)?;
            let size = stat(file.raw(), "")?.stx_size;
            (To::File(file), size)
        };
        let ((most, files), extra) = (kept, extra.to_owned());
        Ok(Self {
            path: path.to_owned(),
            kind,
            extra,
            most,
            files,
            to,
            size,
            parts: [Vec::new(), Vec::new()],
        })
    }

    /// Adds what stream `of` (0 or 1) has said.
    pub fn add(&mut self, of: usize, mut said: &[u8]) {
        let mut out = Vec::new();
        while !said.is_empty() {
            let part = &mut self.parts[of];
            let room = LONGEST - part.len();
            let end = said.iter().position(|b| *b == b'\n').map_or(said.len(), |at| at + 1);
            let (now, later) = said.split_at(end.min(room));
            part.extend_from_slice(now);
            said = later;
            if part.ends_with(b"\n") || part.len() == LONGEST {
                self.line(&mut out, of);
            }
        }
        self.write(&out);
    }

    /// Writes what no end of line has come for.
    pub fn end(&mut self) {
        let mut out = Vec::new();
        for of in 0..2 {
            if !self.parts[of].is_empty() {
                self.line(&mut out, of);
            }
        }
        self.write(&out);
    }

    /// One line is whole: a datagram is sent, what goes to a file is gathered.
    fn line(&mut self, out: &mut Vec<u8>, of: usize) {
        let part = &mut self.parts[of];
        match self.kind {
            LOG_LOCAL => record(out, of, part),
            LOG_JOURNAL => {
                if let To::Socket(socket) = &self.to {
                    // A journal that is away costs the log, not the container.
                    let _ = send_to(socket, &self.path, &datagram(&self.extra, of, part));
                }
            }
            _ => line(out, of, part, &self.extra),
        }
        part.clear();
    }

    fn write(&mut self, out: &[u8]) {
        if out.is_empty() {
            return;
        }
        if self.most > 0 && self.size > 0 && self.size + out.len() as u64 > self.most {
            self.turn();
        }
        let To::File(file) = &mut self.to else { return };
        // A full disk costs the log, not the container; half a line would spoil the next.
        if file.write_all(out).is_ok() {
            self.size += out.len() as u64;
        } else {
            // SAFETY: takes numbers.
            let _ = unsafe { syscall!(Sysno::ftruncate, file.raw(), self.size) };
        }
    }

    fn turn(&mut self) {
        for n in (1..self.files.max(1)).rev() {
            let (from, to) = (format!("{}.{}", self.path, n - 1), format!("{}.{n}", self.path));
            if n == 1 {
                let _ = rename(&self.path, &to);
                continue;
            }
            // The daemon may have compressed it; what stays behind of the other kind is older.
            for (kind, other) in [("", ".gz"), (".gz", "")] {
                if rename(&format!("{from}{kind}"), &format!("{to}{kind}")).is_ok() {
                    let _ = unlink(&format!("{to}{other}"));
                }
            }
        }
        let empty = if self.files <= 1 { libc::O_TRUNC } else { 0 };
        if let Ok(file) = open(&self.path, APPEND | empty) {
            self.to = To::File(file);
            self.size = 0;
        }
    }
}

/// One record of a local log.
fn record(out: &mut Vec<u8>, of: usize, text: &[u8]) {
    let length = (text.len() as u32 + 9).to_le_bytes();
    out.extend_from_slice(&length);
    out.push(of as u8 + 1);
    out.extend_from_slice(&(now().0 as u64).to_le_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(&length);
}

/// One entry of the journal: systemd's native protocol, where a text of any bytes has its length in front.
fn datagram(extra: &str, of: usize, text: &[u8]) -> Vec<u8> {
    let whole = text.strip_suffix(b"\n");
    let message = whole.unwrap_or(text);
    let mut out = format!("PRIORITY={}\n{extra}", [6, 3][of]).into_bytes();
    if whole.is_none() {
        out.extend_from_slice(b"CONTAINER_PARTIAL_MESSAGE=true\n");
    }
    out.extend_from_slice(b"MESSAGE\n");
    out.extend_from_slice(&(message.len() as u64).to_le_bytes());
    out.extend_from_slice(message);
    out.push(b'\n');
    out
}

/// One line of the log.
fn line(out: &mut Vec<u8>, of: usize, text: &[u8], extra: &str) {
    out.extend_from_slice(b"{\"log\":\"");
    for chunk in text.utf8_chunks() {
        for ch in chunk.valid().chars() {
            match ch {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    out.extend_from_slice(format!("\\u{:04x}", u32::from(ch)).as_bytes());
                }
                _ => out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    let stream = ["stdout", "stderr"][of];
    let (_, now) = now();
    out.extend_from_slice(format!("\",\"stream\":\"{stream}\"{extra},\"time\":\"{now}\"}}\n").as_bytes());
}

/// Now: nanoseconds since the epoch, and as RFC 3339 with Go's nanoseconds.
pub fn now() -> (i64, String) {
    let mut now = [0_i64; 2];
    // SAFETY: there is room for seconds and nanoseconds.
    let _ = unsafe { syscall!(Sysno::clock_gettime, libc::CLOCK_REALTIME, now.as_mut_ptr()) };
    (now[0] * 1_000_000_000 + now[1], time(now[0], now[1] as u32))
}

fn time(seconds: i64, nanos: u32) -> String {
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
    let fraction = format!(".{nanos:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_go_s() {
        assert_eq!(time(1_709_210_096, 120_000_000), "2024-02-29T12:34:56.12Z");
        assert_eq!(time(0, 0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_line_is_json() {
        let mut out = Vec::new();
        line(&mut out, 1, b"a<\"\xff\n", ",\"attrs\":{}");
        assert!(out.starts_with(
            b"{\"log\":\"a\\u003c\\\"\\ufffd\\n\",\"stream\":\"stderr\",\"attrs\":{},\"time\":\""
        ));
    }

    #[test]
    fn records_and_entries_have_their_lengths() {
        let mut out = Vec::new();
        record(&mut out, 1, b"hi\n");
        assert_eq!((&out[..5], &out[13..]), (&b"\x0c\0\0\0\x02"[..], &b"hi\n\x0c\0\0\0"[..]));
        let sent = datagram("CONTAINER_ID=a\n", 0, b"hi\n");
        assert_eq!(sent, b"PRIORITY=6\nCONTAINER_ID=a\nMESSAGE\n\x02\0\0\0\0\0\0\0hi\n");
        assert!(
            datagram("", 1, b"x").starts_with(b"PRIORITY=3\nCONTAINER_PARTIAL_MESSAGE=true\nMESSAGE\n\x01")
        );
    }
}
