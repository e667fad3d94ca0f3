//! Reads a tar, entry by entry: ustar, GNU's long names and numbers, PAX records (of any bytes), and sparse
//! files ([`crate::sparse`]).

use std::{
    io::{self, Read},
    ops::Range,
};

use tar::{EntryType, Header};

use crate::sparse::Sparse;

/// The most that a header's extension may take.
const MOST_EXTENSION: u64 = 4 << 20;

/// What one entry says of itself.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As written.
    pub(crate) path: Vec<u8>,
    /// Where a link leads.
    pub(crate) link: Vec<u8>,
    /// What it is.
    pub(crate) kind: EntryType,
    /// Of its data.
    pub(crate) size: u64,
    /// Permissions.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Of a device: major, minor.
    pub(crate) device: (u32, u32),
    /// Names and values.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the data belongs, of a sparse file: offsets and lengths.
    pub(crate) sparse: Option<Vec<(u64, u64)>>,
}

/// A tar that is read.
pub(crate) struct Tar<R> {
    from: R,
    left: u64,
    padding: u64,
}

/// What Go's archive/tar says of a header that is none.
const BROKEN: &str = "archive/tar: invalid tar header";

/// A number of a header, which is nought where the field is empty, as archive/tar reads it. An error never shows
/// the bytes that it was read of.
fn field<T: Default>(header: &Header, bytes: Range<usize>, read: io::Result<T>) -> io::Result<T> {
    if header.as_bytes()[bytes].iter().all(|b| matches!(b, 0 | b' ')) {
        return Ok(T::default());
    }
    read.map_err(|_| bad(BROKEN))
}

pub(crate) fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> Tar<R> {
    /// Reads from `from`.
    pub(crate) fn new(from: R) -> Self {
        Self { from, left: 0, padding: 0 }
    }

    /// The next entry; the rest of the one before is skipped.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let (mut path, mut link, mut pax) = (None, None, Vec::new());
        loop {
            let skip = self.left + self.padding;
            if io::copy(&mut self.from.by_ref().take(skip), &mut io::sink())? < skip {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (self.left, self.padding) = (0, 0);
            let mut block = [0u8; 512];
            match fill(&mut self.from, &mut block)? {
                0 => return Ok(None),
                512 => {}
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
            if block == [0; 512] {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            let sum: u32 = block[..148].iter().chain(&block[156..]).map(|b| u32::from(*b)).sum::<u32>() + 256;
            if header.cksum().ok() != Some(sum) {
                return Err(bad(BROKEN));
            }
            let kind = header.entry_type();
            let size = field(header, 124..136, header.entry_size())?;
            self.expect(size)?;
            match kind {
                EntryType::GNULongName => path = Some(until_nul(self.extension()?)),
                EntryType::GNULongLink => link = Some(until_nul(self.extension()?)),
                EntryType::XHeader => pax = records(&self.extension()?)?,
                EntryType::XGlobalHeader => {}
                kind => return self.entry(header, kind, path, link, pax).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        kind: EntryType,
        path: Option<Vec<u8>>,
        link: Option<Vec<u8>>,
        pax: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> io::Result<Entry> {
        let narrow = |id: u64| u32::try_from(id).map_err(|_| bad("an id is out of range"));
        let mut entry = Entry {
            path: path.unwrap_or_else(|| header.path_bytes().into_owned()),
            link: link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned()),
            kind,
            size: self.left,
            mode: field(header, 100..108, header.mode())? & 0o7777,
            uid: 0,
            gid: 0,
            mtime: (field(header, 136..148, header.mtime())?.cast_signed(), 0),
            device: (0, 0),
            xattrs: Vec::new(),
            sparse: None,
        };
        let mut map = Sparse::default();
        let (mut uid, mut gid) = (None, None);
        if kind.is_character_special() || kind.is_block_special() {
            entry.device = (
                field(header, 329..337, header.device_major())?.unwrap_or_default(),
                field(header, 337..345, header.device_minor())?.unwrap_or_default(),
            );
        }
        for (key, value) in pax {
            let number = || {
                std::str::from_utf8(&value)
                    .ok()
                    .and_then(|v| v.parse::<u64>().ok())
                    .ok_or(bad("a PAX number is wrong"))
            };
            match &key[..] {
                b"path" => entry.path = value,
                b"linkpath" => entry.link = value,
                b"size" => {
                    entry.size = number()?;
                    self.expect(entry.size)?;
                }
                b"uid" => uid = Some(number()?),
                b"gid" => gid = Some(number()?),
                b"mtime" => entry.mtime = time(&value).ok_or(bad("a PAX time is wrong"))?,
                key => {
                    if let Some(field) = key.strip_prefix(b"GNU.sparse.") {
                        map.record(field, &value)?;
                    } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        entry.xattrs.push((name.to_vec(), value));
                    }
                }
            }
        }
        entry.uid = narrow(uid.map_or_else(|| field(header, 108..116, header.uid()), Ok)?)?;
        entry.gid = narrow(gid.map_or_else(|| field(header, 116..124, header.gid()), Ok)?)?;
        if kind == EntryType::GNUSparse {
            let gnu = header.as_gnu().ok_or(bad("a sparse entry that is not GNU's"))?;
            map.gnu(gnu, &mut self.from)?;
        } else if map.in_data() {
            let taken = map.read(&mut *self)?;
            debug_assert!(taken % 512 == 0, "a map fills whole blocks");
        }
        if let Some(name) = map.name.take() {
            entry.path = name;
        }
        (entry.size, entry.sparse) = map.finish(self.left)?.map_or((entry.size, None), |(s, m)| (s, Some(m)));
        // Old archives mark directories by the name's end alone.
        if matches!(kind, EntryType::Regular) && entry.path.ends_with(b"/") {
            entry.kind = EntryType::Directory;
        }
        if entry.path.contains(&0) || entry.link.contains(&0) {
            return Err(bad("a name holds a zero"));
        }
        Ok(entry)
    }

    fn expect(&mut self, size: u64) -> io::Result<()> {
        if size > 1 << 56 {
            return Err(bad("an entry's size is wrong"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(512) - size;
        Ok(())
    }

    fn extension(&mut self) -> io::Result<Vec<u8>> {
        if self.left > MOST_EXTENSION {
            return Err(bad("a header is too large"));
        }
        let mut data = vec![0; self.left as usize];
        self.read_exact(&mut data)?;
        Ok(data)
    }

    /// Reads what follows the last entry.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.from, &mut io::sink()).map(drop)
    }
}

/// The present entry's data.
impl<R: Read> Read for Tar<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let n = self.from.read(&mut buf[..most])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}

fn fill(from: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buf.len() {
        match from.read(&mut buf[have..])? {
            0 => break,
            n => have += n,
        }
    }
    Ok(have)
}

fn until_nul(mut data: Vec<u8>) -> Vec<u8> {
    let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    data.truncate(end);
    data
}

/// `length key=value\n`, again and again.
fn records(mut data: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let wrong = || bad("a PAX record is wrong");
    let mut out = Vec::new();
    while !data.is_empty() && data[0] != 0 {
        let space = data.iter().position(|b| *b == b' ').ok_or_else(wrong)?;
        let length: usize =
            std::str::from_utf8(&data[..space]).ok().and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
        let record = data.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(wrong)?;
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(wrong)?;
        out.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        data = &data[length..];
    }
    Ok(out)
}

fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (secs, part) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = secs.parse().ok()?;
    let digits: String = part.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = digits.parse().ok()?;
    Some(if secs.starts_with('-') && nanos > 0 { (whole - 1, 1_000_000_000 - nanos) } else { (whole, nanos) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_hold_any_bytes() {
        let got = records(b"9 a=b\n\nc\n6 x=y\n").unwrap();
        assert_eq!(got, [(b"a".to_vec(), b"b\n\nc".to_vec()), (b"x".to_vec(), b"y".to_vec())]);
        assert!(records(b"99 a=b\n").is_err());
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
    }
}
