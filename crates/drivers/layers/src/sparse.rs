//! Sparse files in a tar, in GNU's four forms: the old header with its blocks of extensions, and PAX records
//! of the versions 0.0, 0.1 and 1.0, the last of which has its map before the data.
//!
//! Source: GNU tar's manual, "Storing Sparse Files".

use std::io::{self, Read};

use tar::{GnuExtSparseHeader, GnuHeader, GnuSparseHeader};

use crate::tarread::bad;

/// Most pieces of one file.
const PIECES: usize = 1 << 20;
/// Where pieces of a file lie, and how long they are.
pub(crate) type Pieces = Vec<(u64, u64)>;

/// What has been read of a map.
#[derive(Default)]
pub(crate) struct Sparse {
    pieces: Pieces,
    offset: Option<u64>,
    size: Option<u64>,
    version: (u64, u64),
    /// The file's name, which the header has changed.
    pub(crate) name: Option<Vec<u8>>,
}

fn number(text: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(text).ok().and_then(|t| t.trim().parse().ok());
    text.ok_or_else(|| bad("a number of a sparse file's map is wrong"))
}

impl Sparse {
    /// A PAX record below `GNU.sparse.`.
    pub(crate) fn record(&mut self, field: &[u8], value: &[u8]) -> io::Result<()> {
        match field {
            b"major" => self.version.0 = number(value)?,
            b"minor" => self.version.1 = number(value)?,
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number(value)?),
            b"offset" => self.offset = Some(number(value)?),
            b"numbytes" => {
                let at = self.offset.take().ok_or_else(|| bad("a sparse file's piece has no place"))?;
                self.add(at, number(value)?)?;
            }
            b"map" => {
                let numbers: Vec<u64> = value.split(|b| *b == b',').map(number).collect::<io::Result<_>>()?;
                if !numbers.len().is_multiple_of(2) {
                    return Err(bad("a sparse file's map is odd"));
                }
                for pair in numbers.chunks_exact(2) {
                    self.add(pair[0], pair[1])?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, at: u64, length: u64) -> io::Result<()> {
        let before = self.pieces.last().map_or(0, |(at, length)| at + length);
        if at < before || at.checked_add(length).is_none() || self.pieces.len() >= PIECES {
            return Err(bad("a sparse file's map is wrong"));
        }
        if length > 0 {
            self.pieces.push((at, length));
        }
        Ok(())
    }

    fn headers(&mut self, all: &[GnuSparseHeader]) -> io::Result<()> {
        for one in all.iter().filter(|h| !h.is_empty()) {
            self.add(one.offset()?, one.length()?)?;
        }
        Ok(())
    }

    /// The old form; its extensions are read from `from`.
    pub(crate) fn gnu(&mut self, header: &GnuHeader, from: &mut impl Read) -> io::Result<()> {
        self.size = Some(header.real_size()?);
        self.headers(&header.sparse)?;
        let mut more = header.is_extended();
        while more {
            let mut block = GnuExtSparseHeader::new();
            from.read_exact(block.as_mut_bytes())?;
            self.headers(block.sparse())?;
            more = block.is_extended();
        }
        Ok(())
    }

    /// Whether the map is before the data.
    pub(crate) fn in_data(&self) -> bool {
        self.version.0 == 1
    }

    /// Reads the map that is before the data, and the rest of its last block.
    pub(crate) fn read(&mut self, from: &mut impl Read) -> io::Result<u64> {
        let (mut taken, mut lines) = (0, Vec::new());
        let mut block = [0; 512];
        let mut wanted = 1;
        let mut line = Vec::new();
        while lines.len() < wanted {
            from.read_exact(&mut block)?;
            taken += 512;
            for byte in block {
                if byte != b'\n' {
                    line.push(byte);
                } else if lines.len() < wanted {
                    lines.push(number(&line)?);
                    line.clear();
                    if lines.len() == 1 {
                        let pieces = usize::try_from(lines[0]).ok().filter(|n| *n <= PIECES);
                        wanted += 2 * pieces.ok_or_else(|| bad("a sparse file has too many pieces"))?;
                    }
                }
            }
            if line.len() > 512 && lines.len() < wanted {
                return Err(bad("a sparse file's map is wrong"));
            }
        }
        for pair in lines[1..].chunks_exact(2) {
            self.add(pair[0], pair[1])?;
        }
        Ok(taken)
    }

    /// The file's size and its pieces, which are all of the `data` that is left; nothing of a plain file.
    pub(crate) fn finish(self, data: u64) -> io::Result<Option<(u64, Pieces)>> {
        let Some(size) = self.size else { return Ok(None) };
        let sum: u64 = self.pieces.iter().map(|(_, length)| length).sum();
        let end = self.pieces.last().map_or(0, |(at, length)| at + length);
        if sum > data || end > size || size > i64::MAX.unsigned_abs() {
            return Err(bad("a sparse file's map does not fit"));
        }
        Ok(Some((size, self.pieces)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_in_each_form() {
        let want = Some((100, vec![(0, 4), (50, 2)]));
        let mut zero = Sparse::default();
        for (k, v) in
            [("size", "100"), ("offset", "0"), ("numbytes", "4"), ("offset", "50"), ("numbytes", "2")]
        {
            zero.record(k.as_bytes(), v.as_bytes()).unwrap();
        }
        assert_eq!(zero.finish(6).unwrap(), want);
        let mut one = Sparse::default();
        one.record(b"size", b"100").unwrap();
        one.record(b"map", b"0,4,50,2").unwrap();
        assert_eq!(one.finish(6).unwrap(), want);
        let mut last = Sparse::default();
        last.record(b"major", b"1").unwrap();
        last.record(b"realsize", b"100").unwrap();
        assert!(last.in_data());
        let mut data = b"2\n0\n4\n50\n2\n".to_vec();
        data.resize(512, 0);
        assert_eq!(last.read(&mut &data[..]).unwrap(), 512);
        assert_eq!(last.finish(6).unwrap(), want);
    }

    #[test]
    fn wrong_maps_are_refused() {
        let mut back = Sparse::default();
        back.record(b"size", b"100").unwrap();
        assert!(back.record(b"map", b"50,2,0,4").is_err());
        assert!(back.record(b"map", b"1,2,3").is_err());
        let mut long = Sparse::default();
        long.record(b"size", b"10").unwrap();
        long.record(b"map", b"8,4").unwrap();
        assert!(long.finish(4).is_err());
    }
}
