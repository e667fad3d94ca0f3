//! The stream of a layer on its way in: found out to be gzip, zstd, bzip2, xz or plain, unpacked, hashed and counted.
//! That is done on a thread of its own while files are written on another.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::mpsc::{Receiver, SyncSender},
};

use sha2::{Digest, Sha256};

/// The most memory that an xz archive may ask for: -9 takes a quarter of it.
const XZ_KIB: u32 = 256 << 10;
/// How much is handed on at once.
const CHUNK: usize = 256 << 10;

/// Unpacks the compression that `input` begins with.
pub(crate) fn plain<'a>(input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut input = BufReader::with_capacity(CHUNK, Filled(input));
    let head = input.fill_buf()?;
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(input))
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable(head) {
        Box::new(zstd::stream::read::Decoder::with_buffer(input)?)
    } else if head.starts_with(b"BZh") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(input))
    } else if head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, XZ_KIB))
    } else {
        Box::new(input)
    })
}

/// zstd:chunked begins with a frame to skip.
fn is_skippable(head: &[u8]) -> bool {
    head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18]
}

/// Reads until the buffer is full or the end, so that few bytes don't hide what a stream is.
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

/// Reads `input` to its end, passes it on as it can, and tells its digest. Fails past `most` bytes.
pub(crate) fn pump(mut input: impl Read, most: u64, out: &SyncSender<io::Result<Vec<u8>>>) -> Option<String> {
    let mut hash = Sha256::new();
    let mut count = 0u64;
    // Who unpacks may have stopped; then the rest is of no use.
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        if let Err(e) = input.by_ref().take(CHUNK as u64).read_to_end(&mut chunk) {
            let _ = out.send(Err(e));
            return None;
        }
        if chunk.is_empty() {
            return Some(hex(&hash.finalize()));
        }
        count += chunk.len() as u64;
        if count > most {
            let _ = out.send(Err(io::Error::new(io::ErrorKind::InvalidData, "the layer is too large")));
            return None;
        }
        hash.update(&chunk);
        out.send(Ok(chunk)).ok()?;
    }
}

/// The other end of [`pump`].
pub(crate) struct Chunks {
    from: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Chunks {
    /// What arrives at `from`.
    pub(crate) fn new(from: Receiver<io::Result<Vec<u8>>>) -> Self {
        Self { from, chunk: Vec::new(), at: 0 }
    }
}

impl Read for Chunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            match self.from.recv() {
                Ok(chunk) => (self.chunk, self.at) = (chunk?, 0),
                Err(_) => return Ok(0),
            }
        }
        let n = buf.len().min(self.chunk.len() - self.at);
        buf[..n].copy_from_slice(&self.chunk[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// `sha256:…`
pub(crate) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::from("sha256:");
    for b in digest {
        // Writing to a string does not fail.
        let _ = write!(out, "{b:02x}");
    }
    out
}

/// Writes on and hashes.
pub(crate) struct Hashing<W> {
    /// Where it goes.
    pub(crate) out: W,
    /// What it came to.
    pub(crate) hash: Sha256,
}

impl<W: io::Write> io::Write for Hashing<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.hash.update(&buf[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
