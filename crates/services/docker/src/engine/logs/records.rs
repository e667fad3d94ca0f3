//! What a log's files hold: records, read one after the other, of Docker's `json-file` lines or of our own
//! compact form, and the place in the files where the last so many of them begin.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use bytes::Buf;
use serde::Deserialize;

/// The head of a record of the compact form after its length: the stream and the time.
const HEAD: usize = 9;

/// Something a container said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// 1 for standard output, 2 for standard error.
    pub stream: u8,
    /// When, in nanoseconds since the epoch.
    pub at_ns: i64,
    /// A line with its end, or a part of one.
    pub text: Vec<u8>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Records, from one file.
pub struct Records {
    file: Box<dyn BufRead + Send>,
    local: bool,
    part: Vec<u8>,
}

impl Records {
    /// Those of a file from `offset` on.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn open(path: &Path, local: bool, offset: u64) -> io::Result<Self> {
        let mut file: Box<dyn BufRead + Send> = if packed(path) {
            Box::new(BufReader::new(flate2::read::GzDecoder::new(File::open(path)?)))
        } else {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            return Ok(Self::of(file, local));
        };
        io::copy(&mut (&mut file).take(offset), &mut io::sink())?;
        Ok(Self { file, local, part: Vec::new() })
    }

    /// Those of an open file, from where it is.
    pub fn of(file: impl Read + Send + 'static, local: bool) -> Self {
        Self { file: Box::new(BufReader::with_capacity(32 << 10, file)), local, part: Vec::new() }
    }

    /// The next whole record; what is half written is waited for.
    pub fn read(&mut self) -> Option<Record> {
        loop {
            let raw = if self.local { self.local()? } else { self.line()? };
            let record = if self.local { unpack(&raw) } else { parse(&raw) };
            if record.is_some() {
                return record;
            }
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        self.file.read_until(b'\n', &mut self.part).ok()?;
        self.part.ends_with(b"\n").then(|| std::mem::take(&mut self.part))
    }

    fn local(&mut self) -> Option<Vec<u8>> {
        self.fill(4)?;
        let length = (&self.part[..4]).get_u32_le() as usize;
        if length < HEAD {
            // It makes no sense: nothing after it does.
            return None;
        }
        self.fill(4 + length + 4)?;
        Some(std::mem::take(&mut self.part))
    }

    fn fill(&mut self, to: usize) -> Option<()> {
        let missing = to.saturating_sub(self.part.len());
        (&mut self.file).take(missing as u64).read_to_end(&mut self.part).ok()?;
        (self.part.len() >= to).then_some(())
    }
}

fn parse(line: &[u8]) -> Option<Record> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let at = line.time.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
    let stream = if line.stream == "stderr" { 2 } else { 1 };
    Some(Record { stream, at_ns: i64::try_from(at).ok()?, text: line.log.into_owned().into_bytes() })
}

fn unpack(raw: &[u8]) -> Option<Record> {
    let mut body = raw.get(4..raw.len().checked_sub(4)?)?;
    let (stream, at_ns) = (body.try_get_u8().ok()?, body.try_get_i64_le().ok()?);
    Some(Record { stream, at_ns, text: body.to_vec() })
}

/// Whether a file is compressed.
pub fn packed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "gz")
}

/// A log's files, the oldest first; the last is the present one.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    for n in 1u32.. {
        let plain = PathBuf::from(format!("{}.{n}", path.display()));
        let gz = PathBuf::from(format!("{}.{n}.gz", path.display()));
        match (plain.exists(), gz.exists()) {
            (true, _) => all.push(plain),
            (false, true) => all.push(gz),
            (false, false) => break,
        }
    }
    all.reverse();
    all
}

/// Where the last `count` records begin: how many files before are left out, and the place in the next.
pub fn last(files: &[PathBuf], local: bool, count: usize) -> (usize, u64) {
    let mut left = count;
    for (at, path) in files.iter().enumerate().rev() {
        // One that has been rotated away meanwhile holds nothing any more.
        let (found, offset) = last_in(path, local, left).unwrap_or((0, 0));
        if found >= left {
            return (at, offset);
        }
        left -= found;
    }
    (0, 0)
}

/// How many of the last `count` records a file holds, and where they begin.
fn last_in(path: &Path, local: bool, count: usize) -> io::Result<(usize, u64)> {
    let size = if packed(path) { 0 } else { std::fs::metadata(path)?.len() };
    if count == 0 {
        return Ok((0, size));
    }
    if local || packed(path) {
        // Forward: the places of the last so many are kept.
        let mut reader = Records::open(path, local, 0)?;
        let (mut places, mut at) = (std::collections::VecDeque::new(), 0u64);
        while let Some(raw) = if local { reader.local() } else { reader.line() } {
            places.push_back(at);
            at += raw.len() as u64;
            if places.len() > count {
                places.pop_front();
            }
        }
        return Ok((places.len(), places.front().copied().unwrap_or(at)));
    }
    let mut file = File::open(path)?;
    let (mut end, mut found, mut block) = (size, 0, vec![0; 64 << 10]);
    // The end of the last whole line is no beginning of one.
    let mut seen = 0;
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        for at in (0..part.len()).rev().filter(|at| part[*at] == b'\n') {
            if seen == count {
                return Ok((count, start + at as u64 + 1));
            }
            seen += 1;
            found = seen;
        }
        end = start;
    }
    Ok((found, 0))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn record(text: &str) -> Vec<u8> {
        let length = (text.len() as u32 + 9).to_le_bytes();
        let mut out = length.to_vec();
        out.push(2);
        out.extend(7i64.to_le_bytes());
        out.extend(text.as_bytes());
        out.extend(length);
        out
    }

    fn line(n: usize) -> String {
        format!("{{\"log\":\"{n}\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00.5Z\"}}\n")
    }

    #[test]
    fn records_are_read_of_both_kinds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, line(1) + "rubbish\n" + &line(2) + "{\"log\":\"half").unwrap();
        let mut records = Records::open(&path, false, 0).unwrap();
        let first = Record { stream: 1, at_ns: 500_000_000, text: b"1\n".to_vec() };
        assert_eq!(records.read(), Some(first));
        assert_eq!(records.read().unwrap().text, b"2\n");
        assert_eq!(records.read(), None);

        let whole = [record("a\n"), record("b")].concat();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let mut records = Records::open(&path, true, 0).unwrap();
        assert_eq!(records.read(), Some(Record { stream: 2, at_ns: 7, text: b"a\n".to_vec() }));
        assert_eq!(records.read(), None);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&whole[whole.len() - 3..]).unwrap();
        assert_eq!(records.read().unwrap().text, b"b");
    }

    #[test]
    fn the_last_lines_are_found_across_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let lines = |range: std::ops::Range<usize>| range.map(line).collect::<String>();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(lines(0..3).as_bytes()).unwrap();
        std::fs::write(dir.path().join("log.2.gz"), gz.finish().unwrap()).unwrap();
        std::fs::write(dir.path().join("log.1"), lines(3..6)).unwrap();
        std::fs::write(&path, lines(6..8)).unwrap();
        let files = files(&path);
        assert_eq!(files.len(), 3);
        let text = |count| {
            let (skip, offset) = last(&files, false, count);
            let mut all = Vec::new();
            for (n, path) in files[skip..].iter().enumerate() {
                let mut records = Records::open(path, false, if n == 0 { offset } else { 0 }).unwrap();
                while let Some(r) = records.read() {
                    all.extend(r.text.into_iter().filter(|b| *b != b'\n'));
                }
            }
            String::from_utf8(all).unwrap()
        };
        assert_eq!((text(1), text(2), text(3)), ("7".into(), "67".into(), "567".into()));
        assert_eq!((text(0), text(7), text(9)), (String::new(), "1234567".into(), "01234567".into()));
    }
}
