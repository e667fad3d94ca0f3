//! A log read on while it is written, from one file to the next as they are rotated.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::records::{Record, Records, files, last, packed};

/// A place in a log's files.
pub struct Follower {
    path: PathBuf,
    local: bool,
    now: Option<Open>,
}

/// The file that is being read.
struct Open {
    records: Records,
    /// The file itself, which is asked which it is and how long.
    file: File,
    read: u64,
}

impl Follower {
    /// At the beginning of the log, or before its last `tail` records.
    pub fn new(path: &Path, local: bool, tail: Option<usize>) -> Self {
        let mut follower = Self { path: path.to_owned(), local, now: None };
        let files = files(path);
        let (skip, offset) = tail.map_or((0, 0), |count| last(&files, local, count));
        // Where the first has been rotated away meanwhile, the next is the oldest.
        follower.now = files[skip..]
            .iter()
            .enumerate()
            .find_map(|(n, file)| Open::at(file, local, if n == 0 { offset } else { 0 }));
        follower
    }

    /// The next record, of whichever file.
    pub fn read(&mut self) -> Option<Record> {
        loop {
            if let Some(record) = self.now.as_mut().and_then(|o| o.records.read()) {
                return Some(record);
            }
            let next = match &mut self.now {
                None => files(&self.path).iter().find_map(|f| Open::at(f, self.local, 0)),
                Some(now) => now.next(&self.path, self.local),
            };
            self.now = Some(next?);
        }
    }
}

impl Open {
    fn at(path: &Path, local: bool, offset: u64) -> Option<Self> {
        let file = File::open(path).ok()?;
        let read = file.metadata().ok()?.len();
        let records = if packed(path) {
            Records::open(path, local, offset).ok()?
        } else {
            let mut reading = file.try_clone().ok()?;
            reading.seek(SeekFrom::Start(offset)).ok()?;
            Records::of(reading, local)
        };
        Some(Self { records, file, read })
    }

    /// The file after this one, where there is one. The last lines of this one may have come between.
    fn next(&mut self, path: &Path, local: bool) -> Option<Self> {
        let own = self.file.metadata().ok()?;
        let is_own = |p: &PathBuf| std::fs::metadata(p).is_ok_and(|m| m.ino() == own.ino());
        let all = files(path);
        let at = all.iter().rposition(is_own);
        match at {
            // The present one. Where only one is kept it is emptied instead of rotated.
            Some(at) if at + 1 == all.len() => {
                let emptied = own.len() < self.read;
                self.read = own.len();
                if emptied { Self::at(path, local, 0) } else { None }
            }
            Some(at) => Self::at(&all[at + 1], local, 0),
            // Rotated away, or compressed: what came after it is what isn't older.
            None => {
                let newer = |p: &&PathBuf| {
                    std::fs::metadata(p)
                        .is_ok_and(|m| (m.mtime(), m.mtime_nsec()) > (own.mtime(), own.mtime_nsec()))
                };
                all.iter().find(newer).and_then(|p| Self::at(p, local, 0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize) -> String {
        format!("{{\"log\":\"{n}\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00Z\"}}\n")
    }

    fn read(follower: &mut Follower) -> String {
        let mut all = Vec::new();
        while let Some(r) = follower.read() {
            all.extend(r.text);
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn no_line_is_lost_over_rotations() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let at = |n: u32| dir.path().join(format!("log.{n}"));
        let mut follower = Follower::new(&path, false, None);
        assert_eq!(read(&mut follower), "");
        std::fs::write(&path, line(1)).unwrap();
        assert_eq!(read(&mut follower), "1");
        // Two rotations between two looks.
        std::fs::write(&path, line(1) + &line(2)).unwrap();
        std::fs::rename(&path, at(2)).unwrap();
        std::fs::write(at(1), line(3)).unwrap();
        std::fs::write(&path, line(4)).unwrap();
        assert_eq!(read(&mut follower), "234");
        assert_eq!(read(&mut Follower::new(&path, false, Some(2))), "34");
    }

    #[test]
    fn a_file_that_is_emptied_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, line(1) + &line(2)).unwrap();
        let mut follower = Follower::new(&path, false, None);
        assert_eq!(read(&mut follower), "12");
        std::fs::write(&path, line(3)).unwrap();
        assert_eq!(read(&mut follower), "3");
    }
}
