//! Unpacks a tar beneath a directory: a layer, whose `.wh.` names become an overlay's whiteouts, or what is
//! copied into a container. Every name is resolved in the tree; nothing that is there is written through.

use std::{
    cell::OnceCell,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::fd::OwnedFd,
};

use pileus_base::{Error, Result};
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use tar::EntryType;

use crate::{
    attrs::{Attrs, is_opaque, set_mtime, set_opaque},
    os,
    root::{Root, by_fd, clean, split},
    shown,
    tarread::{Entry, Tar},
};

/// The layers below one, the highest first: looked at only where an archive needs them, since they may be
/// on their way in too.
pub(crate) struct Lowers<'a> {
    open: Box<dyn Fn() -> Result<Vec<Root>> + 'a>,
    opened: OnceCell<Vec<Root>>,
}

impl<'a> Lowers<'a> {
    /// Those that `open` gives, which may wait for them.
    pub(crate) fn new(open: impl Fn() -> Result<Vec<Root>> + 'a) -> Self {
        Self { open: Box::new(open), opened: OnceCell::new() }
    }
    fn roots(&self) -> Result<&[Root]> {
        if self.opened.get().is_none() {
            // There is one thread here: nobody else has set it.
            let _ = self.opened.set((self.open)()?);
        }
        Ok(self.opened.get().map_or(&[], Vec::as_slice))
    }
}

/// What the archive is for.
pub(crate) enum Purpose<'a> {
    /// A layer above others; hard links may lead to their files.
    Layer(Lowers<'a>),
    /// Files in a container; whether a directory and a file may not replace each other.
    Files {
        /// They may not.
        strict: bool,
    },
}

/// One archive being unpacked.
pub(crate) struct Unpack<'a> {
    root: &'a Root,
    /// Where in the tree, clean.
    prefix: Vec<u8>,
    purpose: Purpose<'a>,
    most_entries: u64,
    parent: Option<(Vec<u8>, OwnedFd)>,
    dirs: Vec<(Vec<u8>, (i64, u32))>,
    size: u64,
    buffer: Vec<u8>,
}

/// What is wrong with an archive.
fn broken(e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::InvalidData
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Other => Error::bad_request(format!("Error processing tar file: {e}")).caused_by(e),
        _ => os("read the archive")(e),
    }
}

impl<'a> Unpack<'a> {
    /// Unpacks at `prefix` beneath `root`.
    pub(crate) fn new(root: &'a Root, prefix: &[u8], purpose: Purpose<'a>, most_entries: u64) -> Self {
        Self {
            root,
            prefix: prefix.to_vec(),
            purpose,
            most_entries,
            parent: None,
            dirs: Vec::new(),
            size: 0,
            buffer: vec![0; 256 << 10],
        }
    }

    /// Unpacks all of it, and tells what its files take.
    pub(crate) fn run(mut self, from: impl Read) -> Result<u64> {
        let mut tar = Tar::new(from);
        let mut count = 0;
        while let Some(entry) = tar.next().map_err(broken)? {
            count += 1;
            if count > self.most_entries {
                return Err(Error::bad_request("the archive holds too many entries"));
            }
            self.entry(&entry, &mut tar)?;
        }
        tar.drain().map_err(broken)?;
        // What is put into a directory changes its time.
        while let Some((path, mtime)) = self.dirs.pop() {
            let (parent, name) = split(&path);
            if let Ok(dir) = self.root.dir(parent) {
                let name = if name.is_empty() { b"." } else { name };
                match set_mtime(&dir, name, mtime) {
                    Err(e) if !is_gone(&dir, name) => return Err(e),
                    _ => {}
                }
            }
        }
        Ok(self.size)
    }

    fn entry(&mut self, entry: &Entry, data: &mut impl Read) -> Result<()> {
        let within = self.place(&entry.path, &entry.path)?;
        let path = self.prefixed(&within);
        if within.is_empty() {
            return self.top(entry, &path);
        }
        let (parent, name) = split(&path);
        self.enter(parent)?;
        let Some((_, dir)) = self.parent.take() else { return Err(Error::internal("no directory is open")) };
        let done = if matches!(self.purpose, Purpose::Layer(_)) && name.starts_with(b".wh.") {
            whiteout(&dir, &name[4..])
        } else {
            self.file(entry, &dir, &path, name, data)
        };
        done.map_err(|e| naming(e, &entry.path))?;
        self.parent = Some((parent.to_vec(), dir));
        Ok(())
    }

    /// The entry for the directory itself.
    fn top(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        if matches!(self.purpose, Purpose::Layer(_)) && entry.kind.is_dir() {
            attrs(entry).set(self.root, b".", false)?;
            self.dirs.push((path.to_vec(), entry.mtime));
        }
        Ok(())
    }

    fn place(&self, path: &[u8], entry: &[u8]) -> Result<Vec<u8>> {
        clean(path).ok_or_else(|| {
            Error::bad_request(format!(
                "invalid archive entry \"{}\": it leads out of the tree",
                shown(entry)
            ))
        })
    }

    fn prefixed(&self, within: &[u8]) -> Vec<u8> {
        if self.prefix.is_empty() || within.is_empty() {
            [&self.prefix[..], within].concat()
        } else {
            [&self.prefix[..], within].join(&b'/')
        }
    }

    /// Opens the parent, which is the last entry's more often than not.
    fn enter(&mut self, parent: &[u8]) -> Result<()> {
        if self.parent.as_ref().is_none_or(|(at, _)| at != parent) {
            let purpose = &self.purpose;
            let dir = self.root.ensure_dir(parent, |dir, name, path| match purpose {
                Purpose::Layer(lowers) => like_lower(lowers.roots()?, dir, name, path),
                Purpose::Files { .. } => Ok(()),
            })?;
            self.parent = Some((parent.to_vec(), dir));
        }
        Ok(())
    }

    fn file(
        &mut self,
        entry: &Entry,
        dir: &OwnedFd,
        path: &[u8],
        name: &[u8],
        data: &mut impl Read,
    ) -> Result<()> {
        let doing = || format!("make {}", shown(path));
        let is_dir = entry.kind.is_dir();
        let mut hides = false;
        let mut kept = false;
        // Where nothing is, making it succeeds at once; else what is there goes first.
        if let Ok(stat) = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            let was_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            self.check(was_dir, is_dir, path)?;
            kept = was_dir && is_dir;
            if !kept {
                hides = is_whiteout(&stat);
                clear(dir, name, was_dir)?;
                self.parent = None;
            }
        }
        let mode = Mode::from_raw_mode(0o600);
        match entry.kind {
            EntryType::Directory => {
                if !kept {
                    fs::mkdirat(dir, name, Mode::from_raw_mode(0o700)).map_err(os(doing()))?;
                }
                if hides && matches!(self.purpose, Purpose::Layer(_)) {
                    set_opaque(dir, name)?;
                }
                self.dirs.push((path.to_vec(), entry.mtime));
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut file = File::from(fs::openat(dir, name, flags, mode).map_err(os(doing()))?);
                self.size += match &entry.sparse {
                    None => copy(data, &mut file, &mut self.buffer)?,
                    Some(map) => spread(data, &mut file, map, entry.size, &mut self.buffer)?,
                };
                return attrs(entry).set_open(&file);
            }
            EntryType::Link => return self.hard_link(entry, dir, name),
            EntryType::Symlink => fs::symlinkat(&entry.link[..], dir, name).map_err(os(doing()))?,
            EntryType::Char | EntryType::Block => {
                let kind = if entry.kind == EntryType::Char {
                    FileType::CharacterDevice
                } else {
                    FileType::BlockDevice
                };
                let device = fs::makedev(entry.device.0, entry.device.1);
                if device == 0 && kind == FileType::CharacterDevice {
                    return Err(Error::bad_request("a device of number 0:0 can't be in an archive"));
                }
                fs::mknodat(dir, name, kind, mode, device).map_err(os(doing()))?;
            }
            EntryType::Fifo => fs::mknodat(dir, name, FileType::Fifo, mode, 0).map_err(os(doing()))?,
            kind => return Err(Error::bad_request(format!("unhandled tar header type {}", kind.as_byte()))),
        }
        attrs(entry).set(dir, name, entry.kind == EntryType::Symlink)
    }

    fn check(&self, was_dir: bool, is_dir: bool, path: &[u8]) -> Result<()> {
        let Purpose::Files { strict: true } = self.purpose else { return Ok(()) };
        let path = shown(path);
        match (was_dir, is_dir) {
            (true, false) => {
                Err(Error::bad_request(format!("cannot overwrite directory \"/{path}\" with non-directory")))
            }
            (false, true) => {
                Err(Error::bad_request(format!("cannot overwrite non-directory \"/{path}\" with directory")))
            }
            _ => Ok(()),
        }
    }

    fn hard_link(&mut self, entry: &Entry, dir: &OwnedFd, name: &[u8]) -> Result<()> {
        let target = self.place(&entry.link, &entry.path)?;
        let target = self.prefixed(&target);
        let (parent, last) = split(&target);
        let linked = match self.root.dir(parent) {
            Ok(from) => fs::linkat(&from, last, dir, name, AtFlags::empty()),
            Err(e) => Err(e),
        };
        match (linked, &self.purpose) {
            (Err(Errno::NOENT), Purpose::Layer(lowers)) => {
                self.size += from_lower(lowers.roots()?, &target, dir, name, &mut self.buffer)?;
                Ok(())
            }
            (linked, _) => linked.map_err(|e| {
                Error::bad_request(format!("hard link to \"{}\" can't be made: {e}", shown(&entry.link)))
                    .caused_by(e)
            }),
        }
    }
}

/// Says which entry an error is about.
fn naming(e: Error, entry: &[u8]) -> Error {
    Error::new(e.kind(), format!("{}: archive entry \"{}\"", e.message(), shown(entry))).caused_by(e)
}

fn attrs(entry: &Entry) -> Attrs {
    let Entry { mode, uid, gid, mtime, .. } = *entry;
    Attrs { mode, uid, gid, mtime, xattrs: entry.xattrs.clone() }
}

/// Whether it is what an overlay shows as nothing.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// A `.wh.` name, without that.
fn whiteout(dir: &OwnedFd, name: &[u8]) -> Result<()> {
    match name {
        b".wh..opq" => set_opaque(dir, b""),
        name if name.starts_with(b".wh.") => Ok(()),
        b"" | b"." | b".." => Err(Error::bad_request("a whiteout names nothing")),
        name => match fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0) {
            // It is about layers below; a directory of this one hides theirs.
            Err(Errno::EXIST) => match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(s) if FileType::from_raw_mode(s.st_mode) == FileType::Directory => set_opaque(dir, name),
                _ => Ok(()),
            },
            made => made.map_err(os("make a whiteout")),
        },
    }
}

/// Gives a directory that an archive left out what the layer below says of it.
fn like_lower(lowers: &[Root], dir: &OwnedFd, name: &[u8], path: &[u8]) -> Result<()> {
    for lower in lowers {
        if let Ok(found) = lower.dir(path) {
            let stat = fs::fstat(&found).map_err(os("stat a directory"))?;
            return Attrs::of(&found, b".", &stat)?.set(dir, name, false);
        }
    }
    Ok(())
}

/// Copies a file of a layer below, which a hard link leads to.
fn from_lower(lowers: &[Root], target: &[u8], dir: &OwnedFd, name: &[u8], buffer: &mut [u8]) -> Result<u64> {
    let missing = || Error::bad_request(format!("hard link to \"{}\", which is not there", shown(target)));
    let (parent, last) = split(target);
    for lower in lowers {
        let Ok(from) = lower.dir(parent) else { continue };
        let Ok(stat) = fs::statat(&from, last, AtFlags::SYMLINK_NOFOLLOW) else {
            if is_opaque(&from, b"") {
                break;
            }
            continue;
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            break;
        }
        let source =
            fs::openat(&from, last, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .map_err(os("open a file of a layer below"))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = fs::openat(dir, name, flags, Mode::from_raw_mode(0o600)).map_err(os("copy a file"))?;
        let mut file = File::from(file);
        let size = copy(&mut File::from(source), &mut file, buffer)?;
        Attrs::of(&from, last, &stat)?.set_open(&file)?;
        return Ok(size);
    }
    Err(missing())
}

fn copy(from: &mut impl Read, file: &mut File, buffer: &mut [u8]) -> Result<u64> {
    let mut size = 0;
    loop {
        match from.read(buffer).map_err(broken)? {
            0 => return Ok(size),
            n => {
                io::Write::write_all(file, &buffer[..n]).map_err(os("write a file"))?;
                size += n as u64;
            }
        }
    }
}

/// Writes the pieces of a sparse file where they belong; what is between them is a hole.
fn spread(
    from: &mut impl Read,
    file: &mut File,
    map: &[(u64, u64)],
    size: u64,
    buffer: &mut [u8],
) -> Result<u64> {
    file.set_len(size).map_err(os("make a sparse file"))?;
    for (at, length) in map {
        file.seek(SeekFrom::Start(*at)).map_err(os("write a file"))?;
        if copy(&mut from.take(*length), file, buffer)? != *length {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(size)
}

fn clear(dir: &OwnedFd, name: &[u8], is_dir: bool) -> Result<()> {
    if is_dir {
        let path = by_fd(dir, name);
        let path = std::path::Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&path));
        std::fs::remove_dir_all(path).map_err(os(format!("remove {}", shown(name))))
    } else {
        fs::unlinkat(dir, name, AtFlags::empty()).map_err(os(format!("remove {}", shown(name))))
    }
}

fn is_gone(dir: &OwnedFd, name: &[u8]) -> bool {
    fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_err()
}
