//! A tar of images, taken apart: each file a scratch file with its digest, found by its name or through links.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
};

use bytes::{Buf, Bytes};
use pileus_base::{Error, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    blobs::{Blobs, Scratch},
    hex,
};

/// The largest JSON file of an archive.
const JSON_MAX: u64 = 8 << 20;
/// Most entries of one.
const ENTRIES_MAX: usize = 100_000;
/// The most memory that xz may ask for.
const XZ_KIB: u32 = 256 << 10;

/// What comes in, for a reader that blocks.
pub(super) struct Feed {
    from: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
}

impl Feed {
    /// One, and where its bytes go.
    pub fn new() -> (mpsc::Sender<io::Result<Bytes>>, Self) {
        let (to, from) = mpsc::channel(16);
        (to, Self { from, chunk: Bytes::new() })
    }
}

impl Read for Feed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.from.blocking_recv() {
                Some(chunk) => self.chunk = chunk?,
                None => return Ok(0),
            }
        }
        let n = buf.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

/// Unpacks the compression that a stream begins with.
pub(crate) fn plain<'a>(from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut from = BufReader::with_capacity(256 << 10, from);
    let head = from.fill_buf()?;
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(from))
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(from)?)
    } else if head.starts_with(b"BZh") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(from))
    } else if head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        Box::new(lzma_rust2::XzReader::new_mem_limit(from, true, XZ_KIB))
    } else {
        Box::new(from)
    })
}

/// A file of the archive.
struct File {
    /// None once it has become a blob.
    scratch: Option<Scratch>,
    digest: String,
    size: u64,
}

/// All of it.
#[derive(Default)]
pub(super) struct Archive {
    files: BTreeMap<String, File>,
    links: BTreeMap<String, String>,
}

impl Archive {
    /// Takes a tar apart.
    ///
    /// # Errors
    /// 400 where it is broken; 500 where it can't be written down.
    pub fn open(from: impl Read, blobs: &Blobs) -> Result<Self> {
        let broken = |e: io::Error| Error::bad_request(format!("invalid archive: {}", unreadable(&e)));
        let mut tar = tar::Archive::new(plain(from).map_err(broken)?);
        let mut archive = Self::default();
        for (count, entry) in tar.entries().map_err(broken)?.enumerate() {
            if count >= ENTRIES_MAX {
                return Err(Error::bad_request("invalid archive: it holds too many entries"));
            }
            let mut entry = entry.map_err(broken)?;
            let name = clean(&entry.path().map_err(broken)?.to_string_lossy());
            let kind = entry.header().entry_type();
            if kind.is_file() || kind.is_contiguous() {
                let file = take(&mut entry, blobs)?;
                archive.files.insert(name, file);
            } else if kind.is_symlink() || kind.is_hard_link() {
                let Some(to) = entry.link_name().map_err(broken)? else { continue };
                let to = to.to_string_lossy().into_owned();
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let to = if kind.is_hard_link() { clean(&to) } else { clean(&format!("{folder}/{to}")) };
                archive.links.insert(name, to);
            }
        }
        Ok(archive)
    }

    fn name(&self, name: &str) -> Option<String> {
        let mut name = clean(name);
        for _ in 0..8 {
            if self.files.contains_key(&name) {
                return Some(name);
            }
            name.clone_from(self.links.get(&name)?);
        }
        None
    }

    /// Whether there is a file of a name.
    pub fn holds(&self, name: &str) -> bool {
        self.name(name).is_some()
    }

    /// A small file's content.
    ///
    /// # Errors
    /// 400 where there is none, or it is large.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let missing = || Error::bad_request(format!("open {name}: no such file or directory"));
        let file = self.name(name).and_then(|n| self.files.get(&n)).ok_or_else(missing)?;
        if file.size > JSON_MAX {
            return Err(Error::bad_request(format!("{name} is too large")));
        }
        let scratch = file.scratch.as_ref().ok_or_else(missing)?;
        std::fs::read(&scratch.0).map_err(|e| Error::wrap("failed to read the archive", e))
    }

    /// A small file's content as JSON.
    ///
    /// # Errors
    /// 400 where it is none.
    pub fn json(&self, name: &str) -> Result<Value> {
        serde_json::from_slice(&self.bytes(name)?).map_err(|e| Error::bad_request(format!("{name}: {e}")))
    }

    /// Makes a file a blob; its digest and size. [`Blobs::sync`] is to follow.
    ///
    /// # Errors
    /// 400 where there is none.
    pub async fn keep(&mut self, name: &str, blobs: &Blobs) -> Result<(String, u64)> {
        let missing = || Error::bad_request(format!("open {name}: no such file or directory"));
        let file = self.name(name).and_then(|n| self.files.get_mut(&n)).ok_or_else(missing)?;
        if let Some(scratch) = file.scratch.take()
            && blobs.size(&file.digest).await != Some(file.size)
        {
            blobs.rename(&scratch.0, &file.digest).await?;
        }
        Ok((file.digest.clone(), file.size))
    }
}

fn take(from: &mut impl Read, blobs: &Blobs) -> Result<File> {
    let failed = |e| Error::wrap("failed to write a file of the archive", e);
    let scratch = blobs.scratch();
    let mut out = std::fs::File::create(&scratch.0).map_err(failed)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
    loop {
        let n = from.read(&mut buffer).map_err(|e| Error::bad_request(format!("invalid archive: {e}")))?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        out.write_all(&buffer[..n]).map_err(failed)?;
        size += n as u64;
    }
    Ok(File { scratch: Some(scratch), digest: format!("sha256:{}", hex(&hash.finalize())), size })
}

/// A path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Why an archive can't be read; what isn't one at all is said in few words.
pub(crate) fn unreadable(e: &io::Error) -> String {
    let said = e.to_string();
    if said.contains("numeric field was not a number") {
        "archive/tar: invalid tar header".into()
    } else {
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_of_an_archive_are_found_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::at(dir.path());
        blobs.open().await.unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        tar.append_data(&mut header, "a/layer.tar", &b"{}"[..]).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "b/layer.tar", "../a/layer.tar").unwrap();
        let bytes = tar.into_inner().unwrap();
        let mut archive = Archive::open(&bytes[..], &blobs).unwrap();
        assert_eq!(archive.json("b/layer.tar").unwrap(), serde_json::json!({}));
        assert!(!archive.holds("c"));
        let (digest, size) = archive.keep("b/layer.tar", &blobs).await.unwrap();
        assert_eq!((size, blobs.size(&digest).await), (2, Some(2)));
        assert_eq!(archive.keep("a/layer.tar", &blobs).await.unwrap().0, digest);
        assert!(Archive::open(&bytes[..700], &blobs).is_err());
    }
}
