//! Files in and out of a container, and out of an image.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use pileus_base::{Error, Result};
use rustix::{
    fs::{self, AtFlags, FileType, OFlags, Stat},
    io::Errno,
};

use crate::{
    Layers, PathStat, Seen,
    attrs::Attrs,
    decode::plain,
    merged::View,
    os,
    pack::{Pack, names},
    peek::{self, Peek},
    root::{Root, clean_abs, split},
    shown,
    unpack::{Purpose, Unpack},
};

/// Writes a tar; what it is of has been opened already.
pub type WriteTar = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + Send>;

/// The most that [`Layers::read_small`] reads.
const SMALL: u64 = 1 << 20;

/// What a path led to: what holds it, its name there and the name that was asked for.
struct Found {
    dir: OwnedFd,
    name: Vec<u8>,
    base: Vec<u8>,
    stat: Stat,
    /// Clean, from the root.
    path: Vec<u8>,
}

/// Finds `path`; a symbolic link at its end is followed only where the path ends in `/` or `/.`.
fn find(root: &Root, id: &str, path: &str) -> Result<Found> {
    let missing = || Error::not_found(format!("Could not find the file {path} in container {id}"));
    let told = |e: Errno| match e {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => missing().caused_by(e),
        e => os(format!("open {path}"))(e),
    };
    let clean = clean_abs(path.as_bytes());
    let whole = clean.is_empty() || path.ends_with('/') || path.ends_with("/.");
    let (parent, last) = split(&clean);
    let (dir, name) = if whole {
        (root.at(&clean, OFlags::PATH | OFlags::DIRECTORY).map_err(told)?, b".".to_vec())
    } else {
        (root.dir(parent).map_err(told)?, last.to_vec())
    };
    let stat = fs::statat(&dir, &name[..], AtFlags::SYMLINK_NOFOLLOW).map_err(told)?;
    let base = match path {
        p if clean.is_empty() || p.ends_with("/.") => b".".to_vec(),
        _ => last.to_vec(),
    };
    Ok(Found { dir, name, base, stat, path: clean })
}

impl Found {
    fn told(&self) -> Result<PathStat> {
        let mut link_target = String::new();
        if FileType::from_raw_mode(self.stat.st_mode) == FileType::Symlink {
            let link = fs::readlinkat(&self.dir, &self.name[..], Vec::new()).map_err(os("read a link"))?;
            let link = link.as_bytes();
            let from = if link.starts_with(b"/") { &b""[..] } else { split(&self.path).0 };
            link_target = format!("/{}", shown(&clean_abs(&[from, link].join(&b'/'))));
        }
        let name = if self.path.is_empty() { "/".to_owned() } else { shown(&self.base) };
        Ok(PathStat {
            name,
            size: self.stat.st_size.unsigned_abs(),
            mode: go_mode(self.stat.st_mode),
            mtime: rfc3339(self.stat.st_mtime, self.stat.st_mtime_nsec as u32),
            link_target,
        })
    }
}

impl Layers {
    /// What is at `path` in a container.
    ///
    /// # Errors
    /// 404 if there is nothing.
    pub fn stat_path(
        &self,
        id: &str,
        layers: &[String],
        seen: Option<&Seen>,
        path: &str,
    ) -> Result<PathStat> {
        find(&self.tree(layers, id, seen, false)?, id, path)?.told()
    }

    /// What is at `path` in a container, and what writes it as a tar whose names begin with its last name.
    ///
    /// # Errors
    /// 404 if there is nothing.
    pub fn copy_out(
        &self,
        id: &str,
        layers: &[String],
        seen: Option<&Seen>,
        path: &str,
    ) -> Result<(PathStat, WriteTar)> {
        let root = self.tree(layers, id, seen, false)?;
        let found = find(&root, id, path)?;
        let stat = found.told()?;
        let write = move |out: &mut dyn Write| {
            let mut pack = Pack::files(out);
            pack.one(&found.dir, &found.name, &found.base)?;
            drop(root);
            pack.finish().map(drop)
        };
        Ok((stat, Box::new(write)))
    }

    /// What writes a container's whole tree as a tar.
    ///
    /// # Errors
    /// If there is no such container.
    pub fn export_container(&self, id: &str, layers: &[String]) -> Result<WriteTar> {
        let root = self.merged(layers, View::Read(id))?;
        Ok(Box::new(move |out| {
            let mut pack = Pack::files(out);
            pack.children(&root, b"")?;
            pack.finish().map(drop)
        }))
    }

    /// Unpacks a tar into the directory `path` of a container.
    ///
    /// # Errors
    /// 404 if there is no such path, 400 if it is no directory or the archive is not right.
    pub fn copy_in(
        &self,
        id: &str,
        layers: &[String],
        seen: Option<&Seen>,
        path: &str,
        tar: impl Read + Send,
        strict: bool,
    ) -> Result<()> {
        let root = self.tree(layers, id, seen, true)?;
        let clean = clean_abs(path.as_bytes());
        match root.dir(&clean) {
            Ok(_) => {}
            Err(Errno::NOENT | Errno::LOOP) => {
                return Err(Error::not_found(format!("Could not find the file {path} in container {id}")));
            }
            Err(Errno::NOTDIR) => return Err(Error::bad_request("extraction point is not a directory")),
            Err(e) => return Err(os(format!("open {path}"))(e)),
        }
        let tar = plain(tar).map_err(os("read the archive"))?;
        let tar = tar.take(self.limits.bytes);
        Unpack::new(&root, &clean, Purpose::Files { strict }, self.limits.entries).run(tar).map(drop)
    }

    /// Copies what an image has at `path` into a volume that is empty; nothing where it has no directory.
    ///
    /// # Errors
    /// If the volume can't be written.
    pub fn seed_volume(&self, layers: &[String], path: &str, volume: &Path) -> Result<()> {
        let target = Root::open(volume)?;
        let root = self.merged(layers, View::Image)?;
        let clean = clean_abs(path.as_bytes());
        let Ok(dir) = root.dir(&clean) else { return Ok(()) };
        if !names(&target)?.is_empty() {
            return Ok(());
        }
        let stat = fs::fstat(&dir).map_err(os(format!("stat {path}")))?;
        let attrs = Attrs::of(&dir, b".", &stat)?;
        let (reader, writer) = std::io::pipe().map_err(os("make a pipe"))?;
        std::thread::scope(|scope| {
            let packing = scope.spawn(move || {
                let mut pack = Pack::files(std::io::BufWriter::with_capacity(256 << 10, writer));
                pack.children(&dir, b"")?;
                pack.finish().map(drop)
            });
            let unpacked = Unpack::new(&target, b"", Purpose::Files { strict: false }, u64::MAX).run(reader);
            let packed = packing.join().map_err(|_| Error::internal("reading an image failed"))?;
            unpacked.and(packed)
        })?;
        attrs.set(&target, b".", false)
    }

    /// A small file of an image, or of a container where `id` is given; nothing where there is none.
    ///
    /// # Errors
    /// If it can't be read or is too large.
    pub fn read_small(&self, id: Option<&str>, layers: &[String], path: &str) -> Result<Option<Vec<u8>>> {
        let clean = clean_abs(path.as_bytes());
        let mut dirs = id.map(|id| self.upper(id)).transpose()?.into_iter().collect::<Vec<_>>();
        for id in layers.iter().rev() {
            dirs.push(self.diff(id)?);
        }
        // What is no regular file is not opened to be read: that could wait for ever.
        let file = match peek::find(&dirs, &clean) {
            Peek::Absent => return Ok(None),
            Peek::File(place) => File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))
                .map_err(os(format!("open {path}")))?,
            Peek::Unclear => {
                let root = self.merged(layers, id.map_or(View::Image, View::Read))?;
                match root.at(&clean, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
                    Ok(file) => File::from(file),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::ACCESS) => {
                        return Ok(None);
                    }
                    Err(e) => return Err(os(format!("open {path}"))(e)),
                }
            }
        };
        let facts = file.metadata().map_err(os(format!("read {path}")))?;
        if !facts.is_file() {
            return Ok(None);
        }
        if facts.len() > SMALL {
            return Err(Error::bad_request(format!("{path} is too large")));
        }
        let mut data = Vec::new();
        file.take(SMALL).read_to_end(&mut data).map_err(os(format!("read {path}")))?;
        Ok(Some(data))
    }
}

/// Go's `os.FileMode`.
fn go_mode(mode: u32) -> u32 {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        _ => 0,
    };
    let special = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    special.iter().filter(|(bit, _)| mode & bit != 0).fold(kind | mode & 0o777, |all, (_, at)| all | 1 << at)
}

/// A time as Go writes it: no more digits than it needs.
fn rfc3339(secs: i64, nanos: u32) -> String {
    let (days, rest) = (secs.div_euclid(86400), secs.rem_euclid(86400));
    // Days to a date of the Gregorian calendar, by eras of 400 years.
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    let mut part = if nanos == 0 { String::new() } else { format!(".{nanos:09}") };
    part.truncate(part.trim_end_matches('0').len());
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{part}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_as_go_tells_them() {
        assert_eq!(go_mode(0o040_755), 1 << 31 | 0o755);
        assert_eq!(go_mode(0o104_755), 1 << 23 | 0o755);
        assert_eq!(rfc3339(951_782_400, 120_000_000), "2000-02-29T00:00:00.12Z");
        assert_eq!(rfc3339(0, 0), "1970-01-01T00:00:00Z");
    }
}
