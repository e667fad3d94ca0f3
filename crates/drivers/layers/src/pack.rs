//! Writes a tree as a tar, the same bytes each time: names sorted, times in whole seconds, hard links to
//! the first name, an overlay's whiteouts as `.wh.` names where a layer is written.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
};

use pileus_base::Result;
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat};
use tar::{EntryType, Header};

use crate::{
    attrs::{is_opaque, xattrs},
    os, shown,
    unpack::is_whiteout,
};

/// A tar that is written.
pub(crate) struct Pack<W> {
    out: W,
    seen: HashMap<(u64, u64), Vec<u8>>,
    /// An overlay's upper directory is written, as a layer.
    layer: bool,
    /// It is a container's: what stands for mounts is left out.
    container: bool,
    buffer: Vec<u8>,
}

impl<W: Write> Pack<W> {
    /// A tree as its files are.
    pub(crate) fn files(out: W) -> Self {
        Self { out, seen: HashMap::new(), layer: false, container: false, buffer: vec![0; 256 << 10] }
    }
    /// An overlay's directory as a layer; `container`, where it is one's upper directory.
    pub(crate) fn layer(out: W, container: bool) -> Self {
        Self { layer: true, container, ..Self::files(out) }
    }

    /// Writes all that is in `dir`, as in the directory `at` (empty, or ends with `/`).
    pub(crate) fn children(&mut self, dir: &impl AsFd, at: &[u8]) -> Result<()> {
        for name in names(dir)? {
            let path = [at, &name].concat();
            if self.container && is_noise(dir, &name, &path) {
                continue;
            }
            self.one(dir, &name, &path)?;
        }
        Ok(())
    }

    /// Writes what `name` in `dir` is, and all in it, as `path`.
    pub(crate) fn one(&mut self, dir: &impl AsFd, name: &[u8], path: &[u8]) -> Result<()> {
        let stat = match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Removed meanwhile, in a container that runs.
            Err(rustix::io::Errno::NOENT) if !self.layer => return Ok(()),
            other => other.map_err(os(format!("stat {}", shown(path))))?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.layer && is_whiteout(&stat) {
            return self.header(&marker(path), &[], EntryType::Regular, 0, &stat, Vec::new());
        }
        match kind {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let here = fs::openat(dir, name, flags, Mode::empty())
                    .map_err(os(format!("open {}", shown(path))))?;
                self.dir(&here, path, &stat)
            }
            FileType::Socket | FileType::Unknown => Ok(()),
            FileType::Symlink => {
                let link =
                    fs::readlinkat(dir, name, Vec::new()).map_err(os(format!("read {}", shown(path))))?;
                self.header(path, link.as_bytes(), EntryType::Symlink, 0, &stat, xattrs(dir, name)?)
            }
            kind => {
                if stat.st_nlink > 1 {
                    if let Some(first) = self.seen.get(&(stat.st_dev, stat.st_ino)).cloned() {
                        return self.header(path, &first, EntryType::Link, 0, &stat, Vec::new());
                    }
                    self.seen.insert((stat.st_dev, stat.st_ino), path.to_vec());
                }
                let xattrs = xattrs(dir, name)?;
                match kind {
                    FileType::RegularFile => self.file(dir, name, path, xattrs),
                    FileType::CharacterDevice => self.header(path, &[], EntryType::Char, 0, &stat, xattrs),
                    FileType::BlockDevice => self.header(path, &[], EntryType::Block, 0, &stat, xattrs),
                    _ => self.header(path, &[], EntryType::Fifo, 0, &stat, xattrs),
                }
            }
        }
    }

    /// Writes a directory that is open, as `path`, with all in it.
    pub(crate) fn dir(&mut self, here: &OwnedFd, path: &[u8], stat: &Stat) -> Result<()> {
        let mut at = path.to_vec();
        if !at.ends_with(b"/") {
            at.push(b'/');
        }
        self.header(&at, &[], EntryType::Directory, 0, stat, xattrs(here, b".")?)?;
        if self.layer && is_opaque(here, b".") {
            let marker = [&at[..], b".wh..wh..opq"].concat();
            self.header(&marker, &[], EntryType::Regular, 0, stat, Vec::new())?;
        }
        self.children(here, &at)
    }

    fn file(
        &mut self,
        dir: &impl AsFd,
        name: &[u8],
        path: &[u8],
        xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<()> {
        let doing = || format!("read {}", shown(path));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(dir, name, flags, Mode::empty()).map_err(os(doing()))?;
        let stat = fs::fstat(&file).map_err(os(doing()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            // Replaced meanwhile, in a container that runs.
            return Ok(());
        }
        let size = stat.st_size.unsigned_abs();
        self.header(path, &[], EntryType::Regular, size, &stat, xattrs)?;
        let (mut file, mut left) = (File::from(file), size);
        while left > 0 {
            let most = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = io::Read::read(&mut file, &mut self.buffer[..most]).map_err(os(doing()))?;
            if n == 0 {
                // It has become shorter while it was read: the rest is zeros, as its header promises more.
                let zeros = io::copy(&mut io::Read::take(io::repeat(0), left), &mut self.out);
                zeros.map_err(os("write the archive"))?;
                break;
            }
            self.out.write_all(&self.buffer[..n]).map_err(os("write the archive"))?;
            left -= n as u64;
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let n = (size.next_multiple_of(512) - size) as usize;
        self.out.write_all(&[0; 512][..n]).map_err(os("write the archive"))
    }

    fn header(
        &mut self,
        path: &[u8],
        link: &[u8],
        kind: EntryType,
        size: u64,
        stat: &Stat,
        xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<()> {
        let mut pax = Vec::new();
        if path.len() > 100 || !path.is_ascii() {
            record(&mut pax, b"path", path);
        }
        if link.len() > 100 || !link.is_ascii() {
            record(&mut pax, b"linkpath", link);
        }
        if size >= 1 << 33 {
            record(&mut pax, b"size", size.to_string().as_bytes());
        }
        for (key, id) in [(&b"uid"[..], stat.st_uid), (b"gid", stat.st_gid)] {
            if id >= 1 << 21 {
                record(&mut pax, key, id.to_string().as_bytes());
            }
        }
        if !(0..1 << 33).contains(&stat.st_mtime) {
            record(&mut pax, b"mtime", stat.st_mtime.to_string().as_bytes());
        }
        for (key, value) in xattrs {
            record(&mut pax, &[b"SCHILY.xattr.", &key[..]].concat(), &value);
        }
        if !pax.is_empty() {
            let mut header = Header::new_ustar();
            put(header.as_mut_bytes(), 0..100, b"PaxHeaders.0");
            header.set_entry_type(EntryType::XHeader);
            header.set_size(pax.len() as u64);
            header.set_mode(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_cksum();
            self.out.write_all(header.as_bytes()).map_err(os("write the archive"))?;
            self.out.write_all(&pax).map_err(os("write the archive"))?;
            self.pad(pax.len() as u64)?;
        }
        let mut header = Header::new_ustar();
        put(header.as_mut_bytes(), 0..100, path);
        put(header.as_mut_bytes(), 157..257, link);
        header.set_entry_type(kind);
        header.set_size(if size >= 1 << 33 { 0 } else { size });
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(if stat.st_uid < 1 << 21 { stat.st_uid.into() } else { 0 });
        header.set_gid(if stat.st_gid < 1 << 21 { stat.st_gid.into() } else { 0 });
        header.set_mtime(if (0..1 << 33).contains(&stat.st_mtime) {
            stat.st_mtime.unsigned_abs()
        } else {
            0
        });
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(fs::major(stat.st_rdev)).map_err(os("write a device"))?;
            header.set_device_minor(fs::minor(stat.st_rdev)).map_err(os("write a device"))?;
        }
        header.set_cksum();
        self.out.write_all(header.as_bytes()).map_err(os("write the archive"))
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.out.write_all(&[0; 1024]).and_then(|()| self.out.flush()).map_err(os("write the archive"))?;
        Ok(self.out)
    }
}

fn put(block: &mut [u8; 512], at: std::ops::Range<usize>, value: &[u8]) {
    let n = value.len().min(at.len());
    block[at.start..at.start + n].copy_from_slice(&value[..n]);
}

/// `length key=value\n`, whose length counts itself.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.extend_from_slice(&[b" ", key, b"=", value, b"\n"].concat());
}

fn marker(path: &[u8]) -> Vec<u8> {
    let at = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    [&path[..at], b".wh.", &path[at..]].concat()
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &impl AsFd) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    // What was opened only as a path can't be listed; what can be has a position of its own this way.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = fs::openat(dir, ".", flags, Mode::empty()).map_err(os("list a directory"))?;
    for entry in Dir::new(listed).map_err(os("list a directory"))? {
        let entry = entry.map_err(os("list a directory"))?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_bytes().to_vec());
        }
    }
    names.sort();
    Ok(names)
}

/// Whether it only stands where something is mounted while a container runs.
pub(crate) fn is_noise(dir: &impl AsFd, name: &[u8], path: &[u8]) -> bool {
    match path {
        b"dev" | b"proc" | b"sys" | b".dockerenv" => true,
        b"etc/hosts" | b"etc/hostname" | b"etc/resolv.conf" => {
            fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile && s.st_size == 0)
        }
        _ => false,
    }
}
