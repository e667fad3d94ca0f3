//! Files that an archive holds, as a tree that is only described: a build's context is never unpacked, so no
//! name in it can lead anywhere. What a file holds is a piece of the archive, which has been written to disk.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

use pileus_base::{Error, Result};

/// How many links are followed.
const LINKS: usize = 255;

/// What a file holds.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// A piece of a file.
    Piece {
        /// The file.
        file: Arc<File>,
        /// Where it begins.
        at: u64,
        /// How long it is.
        len: u64,
    },
    /// These bytes.
    Bytes(Arc<[u8]>),
}

impl Data {
    /// How long it is.
    pub fn len(&self) -> u64 {
        match self {
            Self::Piece { len, .. } => *len,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
    /// Reads it from its beginning.
    pub fn read(&self) -> DataReader {
        DataReader { data: self.clone(), at: 0 }
    }
}

/// Reads a file's data.
#[derive(Debug)]
pub(super) struct DataReader {
    data: Data,
    at: u64,
}

impl Read for DataReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.data.len() - self.at;
        let most = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = match &self.data {
            _ if most == 0 => 0,
            Data::Piece { file, at, .. } => file.read_at(&mut buf[..most], at + self.at)?,
            Data::Bytes(bytes) => bytes.get(self.at as usize..).unwrap_or_default().read(&mut buf[..most])?,
        };
        if n == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A directory.
    Dir,
    /// A file.
    File(Data),
    /// A symbolic link and where it leads.
    Link(Vec<u8>),
    /// A device: its tar type (`3` or `4`) and numbers.
    Device(u8, u32, u32),
    /// A named pipe.
    Fifo,
}

/// A file, directory or link.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds since the epoch.
    pub mtime: i64,
    /// Extended attributes.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// The archive's sum of it, where the archive names it.
    pub sum: Option<String>,
}

impl Node {
    /// One of root's.
    pub fn new(kind: Kind, mode: u32, mtime: i64) -> Self {
        Self { kind, mode, uid: 0, gid: 0, mtime, xattrs: Vec::new(), sum: None }
    }
    /// Whether it's a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir)
    }
}

/// Files by their path from the top, without a slash at either end.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree(BTreeMap<Vec<u8>, Node>);

/// `path` in parts, `.` and `..` done away with; not beyond the top.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// Directory and last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// `name` in `dir`.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, name].join(&b'/') }
}

impl Tree {
    /// The node at a path; the top is always a directory.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.0.get(path)
    }

    /// Whether there is a directory.
    pub fn is_dir(&self, path: &[u8]) -> bool {
        path.is_empty() || self.0.get(path).is_some_and(Node::is_dir)
    }

    /// Where `path` is, links followed as if the top were `/`. What isn't there stays as it is named.
    ///
    /// # Errors
    /// 400 for links that lead in circles.
    pub fn resolve(&self, path: &[u8]) -> Result<Vec<u8>> {
        let mut todo: Vec<Vec<u8>> = path.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect();
        let (mut at, mut links) = (Vec::new(), 0);
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    at = split(&at).0.to_vec();
                    continue;
                }
                _ => {}
            }
            let here = join(&at, &part);
            if let Some(Node { kind: Kind::Link(target), .. }) = self.0.get(&here) {
                links += 1;
                if links > LINKS {
                    let shown = String::from_utf8_lossy(path);
                    return Err(Error::bad_request(format!("too many links in {shown}")));
                }
                if target.starts_with(b"/") {
                    at.clear();
                }
                todo.extend(target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
            } else {
                at = here;
            }
        }
        Ok(at)
    }

    /// Puts a node where its archive says: links on the way are followed, what was there goes, what is
    /// missing above it is made. The first sum of a name counts.
    ///
    /// # Errors
    /// 400 for links in circles, or a directory on the way that is none.
    pub fn put(&mut self, path: &[u8], mut node: Node) -> Result<()> {
        let path = clean(path);
        if path.is_empty() {
            return Ok(());
        }
        let (dir, name) = split(&path);
        let dir = self.resolve(dir)?;
        let mut upto = Vec::new();
        for part in dir.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
            upto = join(&upto, part);
            let made = self.0.entry(upto.clone()).or_insert_with(|| Node::new(Kind::Dir, 0o755, node.mtime));
            if !made.is_dir() {
                let shown = String::from_utf8_lossy(&upto);
                return Err(Error::bad_request(format!(
                    "Error processing tar file: mkdir /{shown}: not a directory"
                )));
            }
        }
        let at = join(&dir, name);
        if let Some(old) = self.0.get(&at) {
            node.sum = old.sum.clone().or(node.sum);
            if old.is_dir() && !node.is_dir() {
                self.remove(&at);
            }
        }
        self.0.insert(at, node);
        Ok(())
    }

    /// Takes out a node and all below it.
    pub fn remove(&mut self, path: &[u8]) {
        let below: Vec<Vec<u8>> = self.below(path).map(|(p, _)| p.to_vec()).collect();
        for path in below {
            self.0.remove(&path);
        }
        self.0.remove(path);
    }

    /// All below a directory, parents first.
    pub fn below<'a>(&'a self, dir: &[u8]) -> impl Iterator<Item = (&'a [u8], &'a Node)> + use<'a> {
        let prefix = if dir.is_empty() { Vec::new() } else { [dir, b"/"].concat() };
        let from = prefix.clone();
        self.0.range(from..).take_while(move |(p, _)| p.starts_with(&prefix)).map(|(p, n)| (p.as_slice(), n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Node {
        Node::new(Kind::File(Data::Bytes(text.as_bytes().into())), 0o644, 0)
    }

    #[test]
    fn links_stay_in_the_tree() {
        let mut tree = Tree::default();
        tree.put(b"./a/f", file("x")).unwrap();
        tree.put(b"l", Node::new(Kind::Link(b"/../../a".to_vec()), 0o777, 0)).unwrap();
        tree.put(b"l/g", file("y")).unwrap();
        assert_eq!(tree.resolve(b"l/f").unwrap(), b"a/f");
        assert!(tree.get(b"a/g").is_some());
        assert_eq!(tree.resolve(b"../etc/passwd").unwrap(), b"etc/passwd");
        tree.put(b"o", Node::new(Kind::Link(b"o".to_vec()), 0o777, 0)).unwrap();
        assert!(tree.resolve(b"o/x").is_err());
        assert!(tree.put(b"a/f/g", file("z")).is_err());
        tree.put(b"a", file("no directory")).unwrap();
        assert!(tree.get(b"a/f").is_none());
    }

    #[test]
    fn what_is_below_is_found() {
        let mut tree = Tree::default();
        for path in [&b"a/b/c"[..], b"a-b/c", b"ab"] {
            tree.put(path, file("")).unwrap();
        }
        let names: Vec<_> = tree.below(b"a").map(|(p, _)| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(names, ["a/b", "a/b/c"]);
        let mut text = String::new();
        Data::Bytes(b"hello"[..].into()).read().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }
}
