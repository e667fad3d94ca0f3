//! Checksums of files and bytes in hexadecimal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::Digest;

/// The hexadecimal digits of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The digest of what a reader gives, by the algorithm's name (`md5`, `sha1`, `sha224` … `sha512`).
pub fn digest(algorithm: &str, mut from: impl Read) -> io::Result<Option<String>> {
    fn all<D: Digest>(from: &mut impl Read) -> io::Result<Option<String>> {
        let mut hasher = D::new();
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            let n = from.read(&mut buffer)?;
            if n == 0 {
                return Ok(Some(hex(&hasher.finalize())));
            }
            hasher.update(&buffer[..n]);
        }
    }
    match algorithm {
        "md5" => all::<md5::Md5>(&mut from),
        "sha1" => all::<sha1::Sha1>(&mut from),
        "sha224" => all::<sha2::Sha224>(&mut from),
        "sha256" => all::<sha2::Sha256>(&mut from),
        "sha384" => all::<sha2::Sha384>(&mut from),
        "sha512" => all::<sha2::Sha512>(&mut from),
        _ => Ok(None),
    }
}

/// The digest of a file.
pub fn file(algorithm: &str, path: impl AsRef<Path>) -> io::Result<Option<String>> {
    digest(algorithm, File::open(path)?)
}

/// SHA-1 of a file; `None` when it can't be read.
pub fn sha1_file(path: impl AsRef<Path>) -> Option<String> {
    file("sha1", path).ok().flatten()
}

/// SHA-1 of bytes.
pub fn sha1(bytes: &[u8]) -> String {
    hex(&sha1::Sha1::digest(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_digests() {
        assert_eq!(super::sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            super::digest("md5", &b"abc"[..]).unwrap().as_deref(),
            Some("900150983cd24fb0d6963f7d28e17f72")
        );
        assert_eq!(super::digest("crc", &b"abc"[..]).unwrap(), None);
    }
}
