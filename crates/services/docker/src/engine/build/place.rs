//! Files on their way into a container: as the tar that the host unpacks, owned and permitted as COPY says;
//! and out of an image, into a [`Tree`].

use std::{ffi::OsStr, io, io::Write, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

use pileus_base::{Error, Result};
use pileus_host::{Rootfs, pipe};

use super::{
    archive,
    context::blocking,
    sources::{base, inside},
    tree::{Kind, Node, Tree, clean, join, split},
};
use crate::{Docker, events::now_ns, new_id};

/// One source.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The tree it's in.
    pub tree: Arc<Tree>,
    /// Its path there, as it was named.
    pub path: Vec<u8>,
    /// What the cache knows it by.
    pub hash: String,
    /// Whether it is unpacked.
    pub archive: bool,
}

impl Source {
    fn real(&self) -> Vec<u8> {
        self.tree.resolve(&self.path).unwrap_or_default()
    }
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.tree.is_dir(&self.real())
    }
    /// Writes the archive, its compression undone.
    pub fn unpacked(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.tree.get(&self.real()) {
            Some(Node { kind: Kind::File(data), .. }) => {
                let mut plain = archive::plain(data.read())?;
                io::copy(&mut plain, out).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// Who owns what is copied, and its mode where that is set.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Owner {
    /// User and group; as the files have them where `None`.
    pub ids: Option<(u64, u64)>,
    /// Mode of everything.
    pub mode: Option<u32>,
}

/// Writes a tar of directories that are missing and of sources, to be unpacked at the root. `inside` is
/// whether files keep their names, in the directory `to`.
pub(super) fn write(
    out: &mut dyn Write,
    sources: &[Source],
    missing: &[String],
    (to, inside_dir): (&str, bool),
    owner: Owner,
) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut tar = tar::Builder::new(io::BufWriter::with_capacity(256 << 10, out));
        tar.sparse(false);
        let now = now_ns() / 1_000_000_000;
        let dirs = sources.iter().any(Source::is_dir);
        for dir in missing {
            // A directory's copy is the owner's, what it is in is root's; a file's directories are the owner's.
            let ours = !dirs || dir == to;
            let ids = if ours { owner.ids.or(Some((0, 0))) } else { Some((0, 0)) };
            let node = Node::new(Kind::Dir, 0o755, now);
            add(&mut tar, &clean(dir.as_bytes()), &node, Owner { ids, mode: None })?;
        }
        let to = clean(to.as_bytes());
        for source in sources {
            let real = source.real();
            if source.tree.is_dir(&real) {
                for (below, node) in inside(&source.tree, &real) {
                    add(&mut tar, &join(&to, below), node, owner)?;
                }
            } else if let Some(node) = source.tree.get(&real) {
                let at = if inside_dir { join(&to, base(&source.path)) } else { to.clone() };
                add(&mut tar, &at, node, owner)?;
            }
        }
        tar.into_inner()?.flush()
    };
    write().map_err(|e| Error::wrap("putting files together", e))
}

/// Adds a node at `to`.
pub(super) fn add<W: Write>(
    tar: &mut tar::Builder<W>,
    to: &[u8],
    node: &Node,
    owner: Owner,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    let mut mode = node.mode;
    if owner.ids.is_some() && matches!(node.kind, Kind::File(_)) {
        // A change of owner takes these away, in the reference too.
        mode &= if mode & 0o010 == 0 { !0o4000 } else { !0o6000 };
    }
    let (uid, gid) = owner.ids.unwrap_or((node.uid, node.gid));
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mode(owner.mode.unwrap_or(mode));
    header.set_mtime(u64::try_from(node.mtime).unwrap_or(0));
    header.set_size(0);
    if owner.ids.is_none() && !node.xattrs.is_empty() {
        let records: Vec<_> =
            node.xattrs.iter().map(|(k, v)| (format!("SCHILY.xattr.{k}"), v.as_slice())).collect();
        tar.append_pax_extensions(records.iter().map(|(k, v)| (k.as_str(), *v)))?;
    }
    let path = Path::new(OsStr::from_bytes(to));
    match &node.kind {
        Kind::Dir => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, path, io::empty())
        }
        Kind::Link(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            tar.append_link(&mut header, path, Path::new(OsStr::from_bytes(target)))
        }
        Kind::File(data) => {
            header.set_size(data.len());
            tar.append_data(&mut header, path, data.read())
        }
        Kind::Device(kind, major, minor) => {
            header.set_entry_type(tar::EntryType::new(*kind));
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            tar.append_data(&mut header, path, io::empty())
        }
        Kind::Fifo => {
            header.set_entry_type(tar::EntryType::Fifo);
            tar.append_data(&mut header, path, io::empty())
        }
    }
}

/// Takes what is at `path` of an image into a tree, with what a link there leads to.
pub(super) async fn take(
    docker: &Docker,
    (id, rootfs): (&str, &Rootfs),
    dir: &Path,
    tree: &mut Tree,
    path: &str,
) -> Result<()> {
    let shown = path.trim_start_matches('/').to_owned();
    if tree.get(shown.as_bytes()).is_some() {
        return Ok(());
    }
    let missing = || Error::bad_request(format!("stat {shown}: file does not exist"));
    let stat = docker.host.stat_path(id, rootfs, None, path).await.map_err(|_| missing())?;
    if !stat.link_target.is_empty() {
        let link = Node::new(Kind::Link(stat.link_target.into_bytes()), 0o777, 0);
        return tree.put(shown.as_bytes(), link);
    }
    let (_, tar) = docker.host.copy_out(id, rootfs, None, path).await?;
    let spool = dir.join(format!("{}.tar", &new_id()[..12]));
    let tar = pipe::blocking(tar);
    let taken = blocking(move || archive::read(tar, &spool)).await?;
    // The archive's names begin with the last name of the path; the root's with `.`.
    let (parent, name) = split(shown.as_bytes());
    for (below, node) in taken.below(b"") {
        let at = if name.is_empty() { below.to_vec() } else { join(parent, below) };
        tree.put(&at, node.clone())?;
    }
    if name.is_empty() || tree.get(shown.as_bytes()).is_some() { Ok(()) } else { Err(missing()) }
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Data, *};

    fn names(sources: &[Source], missing: &[&str], to: (&str, bool), owner: Owner) -> Vec<String> {
        let missing: Vec<String> = missing.iter().map(|m| (*m).to_owned()).collect();
        let mut out = Vec::new();
        write(&mut out, sources, &missing, to, owner).unwrap();
        let mut tar = tar::Archive::new(&out[..]);
        let entries = tar.entries().unwrap().map(|e| {
            let e = e.unwrap();
            let h = e.header();
            let path = e.path().unwrap().to_string_lossy().into_owned();
            format!("{path} {:o} {}:{}", h.mode().unwrap(), h.uid().unwrap(), h.gid().unwrap())
        });
        entries.collect()
    }

    #[test]
    fn files_are_put_where_copy_says() {
        let mut tree = Tree::default();
        let mut node = Node::new(Kind::File(Data::Bytes(b"x"[..].into())), 0o4755, 0);
        node.uid = 7;
        tree.put(b"d/f", node).unwrap();
        let tree = Arc::new(tree);
        let source = |path: &[u8]| {
            vec![Source { tree: tree.clone(), path: path.to_vec(), hash: String::new(), archive: false }]
        };
        let owner = Owner { ids: Some((1, 2)), mode: None };
        let file = names(&source(b"d/f"), &["/as"], ("/as/g", false), owner);
        assert_eq!(file, ["as 755 1:2", "as/g 755 1:2"]);
        assert_eq!(names(&source(b"d/f"), &[], ("/as", true), owner), ["as/f 755 1:2"]);
        let dir = names(&source(b"d"), &["/a", "/a/b"], ("/a/b", false), owner);
        assert_eq!(dir, ["a 755 0:0", "a/b 755 1:2", "a/b/f 755 1:2"]);
        let kept = names(&source(b"d"), &[], ("/a", true), Owner::default());
        assert_eq!(kept, ["a/f 4755 7:0"]);
        let set = Owner { ids: Some((0, 0)), mode: Some(0o600) };
        assert_eq!(names(&source(b"d"), &[], ("/", true), set), ["f 600 0:0"]);
    }
}
