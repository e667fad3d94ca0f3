//! What COPY and ADD name: found in a tree, by pattern too, and summed as the reference does it, so that the
//! cache's keys are the reference's.

use std::io::Read;

use pileus_base::{Error, Result};
use sha2::{Digest, Sha256};

use super::{
    archive::Sum,
    tree::{Data, Kind, Node, Tree, join},
};
use crate::{engine::images::hex, model::dockerfile::matches};

/// Something that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path as it was named, from the tree's top.
    pub path: Vec<u8>,
    /// `file:…` or `dir:…`.
    pub hash: String,
}

/// Why something isn't found.
#[derive(Debug)]
pub(super) enum Miss {
    /// It isn't there, or can't be read.
    Fault(Error),
    /// A link leads to this path, which has not been taken from its image yet.
    Need(Vec<u8>),
}

impl From<Error> for Miss {
    fn from(e: Error) -> Self {
        Self::Fault(e)
    }
}

/// A tree to look in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The tree.
    pub tree: &'a Tree,
    /// Whether it is an image's, of which only parts are in the tree, and whose files are summed by
    /// what they are.
    pub image: bool,
}

/// Whether a word has wildcards.
pub(super) fn is_pattern(word: &str) -> bool {
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// Whether a path leads out of where it begins.
pub(super) fn leaves(path: &str) -> bool {
    let mut depth = 0;
    path.trim_start_matches('/').split('/').any(|part| {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        depth < 0
    })
}

/// `multi:` and the sum of several sums, `dir:` that of a directory's.
pub(super) fn gathered(prefix: &str, sums: &[String]) -> String {
    format!("{prefix}:{}", hex(&Sha256::digest(sums.join(","))))
}

impl Place<'_> {
    /// What a word finds, sorted.
    ///
    /// # Errors
    /// 400 in the reference's words, or what is needed first.
    pub fn find(&self, word: &str) -> std::result::Result<Vec<Found>, Miss> {
        let word = word.strip_prefix('/').unwrap_or(word);
        let word = word.strip_prefix("./").unwrap_or(word);
        if leaves(word) {
            return Err(Miss::Fault(Error::bad_request(format!(
                "forbidden path outside the build context: {word} ()"
            ))));
        }
        if !is_pattern(word) {
            return Ok(vec![self.one(word.as_bytes())?]);
        }
        let parts: Vec<&str> = word.split('/').collect();
        let fits = |path: &[u8]| {
            let path = String::from_utf8_lossy(path);
            let names: Vec<&str> = path.split('/').collect();
            names.len() == parts.len() && parts.iter().zip(names).all(|(p, n)| matches(p, n))
        };
        let mut paths: Vec<&[u8]> = self.tree.below(b"").map(|(p, _)| p).filter(|p| fits(p)).collect();
        // As a walk finds them: by directory.
        paths.sort_by(|a, b| a.split(|c| *c == b'/').cmp(b.split(|c| *c == b'/')));
        paths.into_iter().map(|p| self.one(p)).collect()
    }

    fn one(&self, path: &[u8]) -> std::result::Result<Found, Miss> {
        let real = self.tree.resolve(path)?;
        if self.tree.is_dir(&real) {
            let top = std::iter::once(real.as_slice()).filter(|p| !p.is_empty());
            let all = top.chain(self.tree.below(&real).map(|(p, _)| p));
            let mut sums = all.map(|p| self.sum(p)).collect::<Result<Vec<_>>>()?;
            sums.sort();
            return Ok(Found { path: path.to_vec(), hash: gathered("dir", &sums) });
        }
        if self.tree.get(&real).is_none() {
            if self.image && real != path {
                return Err(Miss::Need(real));
            }
            let why = if self.image {
                ""
            } else {
                "file not found in build context or excluded by .dockerignore: "
            };
            let shown = String::from_utf8_lossy(path);
            return Err(Miss::Fault(Error::bad_request(format!("{why}stat {shown}: file does not exist"))));
        }
        Ok(Found { path: path.to_vec(), hash: format!("file:{}", self.sum(&real)?) })
    }

    /// The sum of one path: a link's is that of where it leads.
    fn sum(&self, path: &[u8]) -> Result<String> {
        let real = self.tree.resolve(path)?;
        let shown = || String::from_utf8_lossy(path).into_owned();
        match self.tree.get(&real) {
            // The reference takes the name where there is no sum; of a link, that of where it leads, in an image.
            None if self.image => Ok(String::from_utf8_lossy(&real).into_owned()),
            None => Ok(shown()),
            Some(node) if self.image => node_sum(&real, node),
            Some(node) => Ok(node.sum.clone().unwrap_or_else(shown)),
        }
    }
}

/// The sum of a file by what it is.
pub(super) fn node_sum(path: &[u8], node: &Node) -> Result<String> {
    let (kind, flag) = match node.kind {
        Kind::Dir => (0o040_000, b'5'),
        Kind::File(_) => (0o100_000, b'0'),
        Kind::Link(_) => (0o120_000, b'2'),
        Kind::Device(b'3', ..) => (0o020_000, b'3'),
        Kind::Device(..) => (0o060_000, b'4'),
        Kind::Fifo => (0o010_000, b'6'),
    };
    let name = if node.is_dir() { [path, b"/"].concat() } else { path.to_vec() };
    let link = if let Kind::Link(to) = &node.kind { to.as_slice() } else { b"" };
    let device = if let Kind::Device(_, major, minor) = node.kind { (major, minor) } else { (0, 0) };
    let size = if let Kind::File(data) = &node.kind { data.len() } else { 0 };
    let xattrs: Vec<_> = node.xattrs.iter().filter(|(k, _)| k == "security.capability").cloned().collect();
    let mut sum = Sum::new(&name, node.mode | kind, node.uid, node.gid, size, flag, link, device, &xattrs);
    if let Kind::File(data) = &node.kind {
        add(&mut sum, data)?;
    }
    Ok(sum.end())
}

fn add(sum: &mut Sum, data: &Data) -> Result<()> {
    let (mut from, mut piece) = (data.read(), vec![0; 256 << 10]);
    loop {
        match from.read(&mut piece).map_err(|e| Error::wrap("reading a file to copy", e))? {
            0 => return Ok(()),
            n => sum.0.update(&piece[..n]),
        }
    }
}

/// The last name of what was found, which a file keeps in a directory.
pub(super) fn base(path: &[u8]) -> &[u8] {
    super::tree::split(path.strip_suffix(b"/").unwrap_or(path)).1
}

/// All that a directory holds, by path from it.
pub(super) fn inside<'a>(tree: &'a Tree, dir: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a Node)> {
    let cut = if dir.is_empty() { 0 } else { join(dir, b"").len() };
    tree.below(dir).map(move |(p, n)| (&p[cut..], n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        let node = |text: &str| {
            let mut node = Node::new(Kind::File(Data::Bytes(text.as_bytes().into())), 0o644, 0);
            node.sum = Some(format!("sum of {text}"));
            node
        };
        for path in ["a.txt", "d/b.txt", "d-e/b.txt"] {
            tree.put(path.as_bytes(), node(path)).unwrap();
        }
        tree.put(b"l", Node::new(Kind::Link(b"d/b.txt".to_vec()), 0o777, 0)).unwrap();
        tree.put(b"far", Node::new(Kind::Link(b"/else/where".to_vec()), 0o777, 0)).unwrap();
        tree
    }

    #[test]
    fn sources_are_found_or_named() {
        let tree = tree();
        let context = Place { tree: &tree, image: false };
        let fault = |w: &str| match context.find(w) {
            Err(Miss::Fault(e)) => e.message().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            fault("b"),
            "file not found in build context or excluded by .dockerignore: stat b: file does not exist"
        );
        assert_eq!(fault("../b"), "forbidden path outside the build context: ../b ()");
        let paths = |w: &str| -> Vec<String> {
            let found = context.find(w).unwrap();
            found.iter().map(|f| String::from_utf8_lossy(&f.path).into_owned()).collect()
        };
        assert_eq!(paths("*.txt"), ["a.txt"]);
        assert_eq!(paths("*/b.txt"), ["d/b.txt", "d-e/b.txt"]);
        assert_eq!(paths("x*"), Vec::<String>::new());
        // A link counts as what it leads to.
        assert_eq!(context.find("l").unwrap()[0].hash, "file:sum of d/b.txt");
        assert!(
            matches!(Place { tree: &tree, image: true }.find("far"), Err(Miss::Need(p)) if p == b"else/where")
        );
    }

    #[test]
    fn a_directorys_sum_is_of_all_in_it() {
        let tree = tree();
        let found = Place { tree: &tree, image: false }.find("d").unwrap();
        // `d` itself isn't in the archive, so its name stands for it.
        assert_eq!(found[0].hash, gathered("dir", &["d".into(), "sum of d/b.txt".into()]));
    }
}
