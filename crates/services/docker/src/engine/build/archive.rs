//! Archives: their compression undone, read into a [`Tree`] while they are written to disk, each entry summed
//! as the reference sums it (its `tarsum`), which is what the cache goes by.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write},
    path::Path,
    sync::Arc,
};

use pileus_base::{Error, Result};
use sha2::{Digest, Sha256};
use tar::EntryType;

use super::tree::{Data, Kind, Node, Tree, clean, split};
use crate::engine::images::hex;

/// The most memory that undoing xz may take, in KiB.
const XZ_KIB: u32 = 256 << 10;

/// What is wrong with an archive.
fn bad(e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::wrap("writing the context", e),
        _ => {
            let why = crate::engine::images::archive::unreadable(&e);
            Error::bad_request(format!("Error processing tar file: {why}"))
        }
    }
}

/// Undoes the compression that a stream begins with: gzip, bzip2, xz, zstd or none.
pub(super) fn plain<'a>(input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut input = BufReader::with_capacity(256 << 10, Filled(input));
    let head = input.fill_buf()?;
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(input))
    } else if head.starts_with(b"BZh") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(input))
    } else if head.starts_with(b"\xfd7zXZ\0") {
        Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, XZ_KIB))
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(input)?)
    } else {
        Box::new(input)
    })
}

/// Reads until there is enough to tell what a stream is, or its end.
struct Filled<R>(R);

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while have < buf.len().min(8) {
            match self.0.read(&mut buf[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(have)
    }
}

/// Whether data is an archive: something in it can be read as a tar's first entry.
pub(super) fn is_archive(data: &Data) -> bool {
    let Ok(plain) = plain(data.read()) else { return false };
    let mut tar = tar::Archive::new(plain);
    tar.entries().is_ok_and(|mut entries| matches!(entries.next(), Some(Ok(_))))
}

/// Writes on what it reads.
struct Tee<R> {
    from: R,
    to: BufWriter<File>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.to.write_all(&buf[..n])?;
        Ok(n)
    }
}

/// How much of an archive may be missing at its end: padding, and the two blocks that end it.
const ENDING: u64 = 511 + 1024;

/// Counts what it reads.
struct Counted<R> {
    from: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.count += n as u64;
        Ok(n)
    }
}

/// Reads an archive, compressed or not, into a tree. Its bytes are written to `spool`, and go with the tree.
///
/// # Errors
/// 400 for what is no archive.
pub(super) fn read(from: impl Read + Send, spool: &Path) -> Result<Tree> {
    let open = || File::options().read(true).write(true).create_new(true).open(spool);
    let file = open().map_err(|e| Error::wrap("writing the context", e))?;
    // It is read by its descriptor; nobody needs its name.
    std::fs::remove_file(spool).map_err(|e| Error::wrap("writing the context", e))?;
    let keep = Arc::new(file.try_clone().map_err(|e| Error::wrap("writing the context", e))?);
    // The client leaves the ending out where it has put a Dockerfile in: the reference doesn't mind.
    let plain = Counted { from: plain(from).map_err(bad)?, count: 0 };
    let tee =
        Tee { from: plain.chain(io::repeat(0).take(ENDING)), to: BufWriter::with_capacity(256 << 10, file) };
    let mut tar = tar::Archive::new(tee);
    let mut tree = Tree::default();
    let mut piece = vec![0; 256 << 10];
    for entry in tar.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        one(&mut entry, &mut tree, &keep, spool, &mut piece)?;
    }
    let mut tee = tar.into_inner();
    // Whoever sends it is to send all of it, padding too.
    io::copy(&mut tee.from, &mut io::sink()).map_err(bad)?;
    tee.to.flush().map_err(|e| Error::wrap("writing the context", e))?;
    let arrived = tee.from.get_ref().0.count;
    let whole = |node: &Node| match &node.kind {
        Kind::File(Data::Piece { file, at, len }) if Arc::ptr_eq(file, &keep) => at + len <= arrived,
        _ => true,
    };
    let all = tree.below(b"").all(|(_, node)| whole(node));
    match all {
        true => Ok(tree),
        false => Err(bad(io::ErrorKind::UnexpectedEof.into())),
    }
}

fn one<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    tree: &mut Tree,
    file: &Arc<File>,
    spool: &Path,
    piece: &mut [u8],
) -> Result<()> {
    let path = entry.path_bytes().into_owned();
    let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
    let mut xattrs = Vec::new();
    if let Some(records) = entry.pax_extensions().map_err(bad)? {
        for record in records {
            let record = record.map_err(bad)?;
            if let Some(key) = record.key().ok().and_then(|k| k.strip_prefix("SCHILY.xattr.")) {
                xattrs.push((key.to_owned(), record.value_bytes().to_vec()));
            }
        }
    }
    xattrs.sort();
    let header = entry.header().clone();
    let mut kind = header.entry_type();
    if kind.is_file() && path.ends_with(b"/") {
        kind = EntryType::Directory;
    }
    // A field that is left empty is nought, as the reference reads it.
    let (mode, mtime) = (header.mode().unwrap_or(0), header.mtime().unwrap_or(0));
    let (uid, gid) = (header.uid().unwrap_or(0), header.gid().unwrap_or(0));
    let number = |n: io::Result<Option<u32>>| n.ok().flatten().unwrap_or(0);
    let device = (number(header.device_major()), number(header.device_minor()));
    let flag = match kind {
        EntryType::Regular | EntryType::Continuous => b'0',
        kind => kind.as_byte(),
    };
    let size = entry.size();
    let mut sum = Sum::new(&path, mode, uid, gid, size, flag, &link, device, &xattrs);
    let at = entry.raw_file_position();
    // The pieces of a sparse file lie elsewhere than where it begins.
    let mut apart = match kind {
        EntryType::GNUSparse => {
            let open = File::options().read(true).write(true).create_new(true).open(spool);
            std::fs::remove_file(spool).map_err(|e| Error::wrap("writing the context", e))?;
            Some(open.map_err(|e| Error::wrap("writing the context", e))?)
        }
        _ => None,
    };
    loop {
        let n = entry.read(piece).map_err(bad)?;
        if n == 0 {
            break;
        }
        sum.0.update(&piece[..n]);
        if let Some(apart) = &mut apart {
            apart.write_all(&piece[..n]).map_err(|e| Error::wrap("writing the context", e))?;
        }
    }
    let kind = match kind {
        EntryType::Directory => Kind::Dir,
        EntryType::Regular | EntryType::Continuous => {
            Kind::File(Data::Piece { file: file.clone(), at, len: size })
        }
        EntryType::GNUSparse => match apart {
            Some(mut apart) => {
                let len = apart.stream_position().map_err(bad)?;
                Kind::File(Data::Piece { file: Arc::new(apart), at: 0, len })
            }
            None => return Ok(()),
        },
        EntryType::Symlink => {
            check_link(&path, &link)?;
            Kind::Link(link)
        }
        EntryType::Link => {
            let to = tree.resolve(&clean(&link))?;
            let Some(mut node) = tree.get(&to).filter(|n| !n.is_dir()).cloned() else {
                let shown = String::from_utf8_lossy(&link);
                return Err(Error::bad_request(format!(
                    "Error processing tar file: link {shown}: no such file or directory"
                )));
            };
            node.sum = Some(sum.end());
            return tree.put(&path, node);
        }
        EntryType::Char | EntryType::Block => Kind::Device(flag, device.0, device.1),
        EntryType::Fifo => Kind::Fifo,
        _ => return Ok(()),
    };
    let mtime = i64::try_from(mtime).unwrap_or(0);
    tree.put(&path, Node { kind, mode: mode & 0o7777, uid, gid, mtime, xattrs, sum: Some(sum.end()) })
}

/// A link that leads out of the archive is refused, as the reference does.
fn check_link(path: &[u8], link: &[u8]) -> Result<()> {
    if link.starts_with(b"/") {
        return Ok(());
    }
    let mut depth = split(&clean(path)).0.split(|b| *b == b'/').filter(|p| !p.is_empty()).count();
    for part in link.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => {
                return Err(Error::bad_request(format!(
                    "Error processing tar file: invalid symlink \"/{}\" -> \"{}\"",
                    String::from_utf8_lossy(&clean(path)),
                    String::from_utf8_lossy(link)
                )));
            }
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    Ok(())
}

/// The reference's sum of a file: its header without times and names of users, then what it holds.
pub(super) struct Sum(pub Sha256);

impl Sum {
    /// Begins with a header.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        name: &[u8],
        mode: u32,
        uid: u64,
        gid: u64,
        size: u64,
        flag: u8,
        link: &[u8],
        device: (u32, u32),
        xattrs: &[(String, Vec<u8>)],
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"name");
        hash.update(name);
        hash.update(format!("mode{mode}uid{uid}gid{gid}size{size}typeflag"));
        hash.update([flag]);
        hash.update(b"linkname");
        hash.update(link);
        hash.update(format!("unamegnamedevmajor{}devminor{}", device.0, device.1));
        for (key, value) in xattrs {
            hash.update(key);
            hash.update(value);
        }
        Self(hash)
    }
    /// The digits.
    pub fn end(self) -> String {
        hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar() -> tar::Builder<Vec<u8>> {
        tar::Builder::new(Vec::new())
    }

    fn add(tar: &mut tar::Builder<Vec<u8>>, name: &str, text: &str, mtime: u64) {
        let mut h = tar::Header::new_gnu();
        h.set_size(text.len() as u64);
        h.set_mode(0o644);
        h.set_mtime(mtime);
        tar.append_data(&mut h, name, text.as_bytes()).unwrap();
    }

    fn tree(bytes: &[u8]) -> Result<Tree> {
        let dir = tempfile::tempdir().unwrap();
        read(bytes, &dir.path().join("spool"))
    }

    fn text(tree: &Tree, path: &str) -> String {
        let Some(Node { kind: Kind::File(data), .. }) = tree.get(path.as_bytes()) else { panic!("{path}") };
        let mut text = String::new();
        data.read().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn each_compression_is_undone() {
        let mut t = tar();
        add(&mut t, "a", "one", 1);
        add(&mut t, "d/b", "two", 1);
        let bytes = t.into_inner().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&bytes).unwrap();
        let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip.write_all(&bytes).unwrap();
        let zstd = zstd::encode_all(&bytes[..], 1).unwrap();
        for packed in [bytes.clone(), gzip.finish().unwrap(), bzip.finish().unwrap(), zstd] {
            let tree = tree(&packed).unwrap();
            assert_eq!((text(&tree, "a"), text(&tree, "d/b")), ("one".into(), "two".into()));
            assert!(is_archive(&Data::Bytes(packed.into())));
        }
        assert!(!is_archive(&Data::Bytes(b"no archive at all"[..].into())));
        assert!(tree(&[b'x'; 2000]).is_err());
        // Without its ending it is whole; without the last of a file it isn't.
        let data = 512 * 3 + 3;
        assert_eq!(text(&tree(&bytes[..data]).unwrap(), "d/b"), "two");
        assert!(tree(&bytes[..data - 1]).is_err());
    }

    #[test]
    fn sums_leave_times_out() {
        let sum = |text: &str, mtime| {
            let mut t = tar();
            add(&mut t, "a", text, mtime);
            tree(&t.into_inner().unwrap()).unwrap().get(b"a").unwrap().sum.clone().unwrap()
        };
        assert_eq!(sum("x", 1), sum("x", 2));
        assert_ne!(sum("x", 1), sum("y", 1));
    }

    #[test]
    fn nothing_leaves_the_context() {
        let mut t = tar();
        let mut h = tar::Header::new_gnu();
        h.set_entry_type(EntryType::Symlink);
        h.set_size(0);
        h.set_mode(0o777);
        t.append_link(&mut h, "out", "..").unwrap();
        let e = tree(&t.into_inner().unwrap()).unwrap_err();
        assert!(e.message().contains("invalid symlink \"/out\" -> \"..\""), "{}", e.message());
    }
}
