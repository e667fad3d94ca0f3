//! Files below a directory: names resolved without leaving it, found by pattern, digested, put in a tar.

use std::{
    fs,
    io::{BufReader, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use flate2::read::GzDecoder;
use pileus_base::{Error, Result};
use sha2::{Digest, Sha256};

/// Whether a path, read as text, leads out of where it begins.
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

/// Where `path` is below `root`, links followed as if `root` were `/`.
pub(super) fn resolve(root: &Path, path: &str) -> Option<PathBuf> {
    let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut at: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                at.pop();
                continue;
            }
            _ => {}
        }
        let here = root.join(at.join("/")).join(&part);
        let meta = fs::symlink_metadata(&here).ok()?;
        if meta.is_symlink() {
            links += 1;
            if links > 64 {
                return None;
            }
            let target = fs::read_link(&here).ok()?.to_string_lossy().into_owned();
            if target.starts_with('/') {
                at.clear();
            }
            todo.extend(target.split('/').rev().map(str::to_owned));
        } else {
            at.push(part);
        }
    }
    Some(root.join(at.join("/")))
}

/// An archive, its compression undone.
pub(super) fn decoded(path: &Path) -> Result<Box<dyn Read>> {
    let open = || fs::File::open(path).map_err(|e| Error::wrap("reading an archive", e));
    let mut magic = [0; 2];
    let gzip = open()?.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let file = BufReader::new(open()?);
    Ok(if gzip { Box::new(GzDecoder::new(file)) } else { Box::new(file) })
}

/// Whether a file is a tar, plain or compressed.
pub(super) fn is_archive(path: &Path) -> bool {
    let Ok(mut file) = fs::File::open(path) else { return false };
    let mut magic = [0; 6];
    if file.read_exact(&mut magic).is_err() {
        return false;
    }
    if magic.starts_with(b"BZh") || magic == *b"\xfd7zXZ\0" || magic.starts_with(b"\x28\xb5\x2f\xfd") {
        return true;
    }
    let mut head = [0; 512];
    decoded(path).is_ok_and(|mut r| r.read_exact(&mut head).is_ok()) && &head[257..262] == b"ustar"
}

/// A file to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Where it is.
    pub from: PathBuf,
    /// Its path below what is copied; empty for that itself.
    pub below: String,
}

/// What is below `from` and `from` itself, sorted; links are kept.
pub(super) fn walk(from: &Path) -> Result<Vec<Item>> {
    fn into(path: &Path, below: &str, all: &mut Vec<Item>) -> std::io::Result<()> {
        all.push(Item { from: path.to_owned(), below: below.to_owned() });
        if !fs::symlink_metadata(path)?.is_dir() {
            return Ok(());
        }
        let mut names =
            fs::read_dir(path)?.map(|e| e.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>()?;
        names.sort();
        for name in names {
            let name = name.to_string_lossy().into_owned();
            let below = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            into(&path.join(&name), &below, all)?;
        }
        Ok(())
    }
    let mut all = Vec::new();
    into(from, "", &mut all).map_err(|e| Error::wrap("reading the context", e))?;
    Ok(all)
}

/// What a pattern finds below `root`, as paths from there, sorted.
pub(super) fn glob(root: &Path, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for part in pattern.split('/').filter(|p| !p.is_empty() && *p != ".") {
        let mut next = Vec::new();
        for base in &found {
            let Some(dir) = resolve(root, base) else { continue };
            let mut names: Vec<String> = fs::read_dir(dir)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .filter(|n| crate::model::dockerfile::matches(part, n))
                .collect();
            names.sort();
            next.extend(names.into_iter().map(|n| if base.is_empty() { n } else { format!("{base}/{n}") }));
        }
        found = next;
    }
    found
}

/// The digest of files: path, mode, size, content.
pub(super) fn digest(items: &[Item]) -> Result<String> {
    let broken = |e| Error::wrap("reading the context", e);
    let mut hash = Sha256::new();
    for item in items {
        let meta = fs::symlink_metadata(&item.from).map_err(broken)?;
        hash.update(format!("{}\0{:o}\0", item.below, meta.mode()));
        if meta.is_symlink() {
            hash.update(fs::read_link(&item.from).map_err(broken)?.as_os_str().as_encoded_bytes());
        } else if meta.is_file() {
            hash.update(format!("{}\0", meta.len()));
            let mut file = fs::File::open(&item.from).map_err(broken)?;
            let mut piece = vec![0; 1 << 16];
            loop {
                let n = file.read(&mut piece).map_err(broken)?;
                if n == 0 {
                    break;
                }
                hash.update(&piece[..n]);
            }
        }
        hash.update("\n");
    }
    Ok(super::keep::hex(&hash.finalize()))
}

/// Who owns what is copied, and its mode where that is set.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Owner {
    /// User.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Mode of everything.
    pub mode: Option<u32>,
}

/// Adds a file at `to` (from the root, without a slash at the front).
pub(super) fn add<W: std::io::Write>(
    tar: &mut tar::Builder<W>,
    from: &Path,
    to: &str,
    owner: Owner,
) -> std::io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(owner.mode.unwrap_or(meta.permissions().mode() & 0o7777));
    header.set_uid(owner.uid);
    header.set_gid(owner.gid);
    header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
    header.set_size(0);
    if meta.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        tar.append_link(&mut header, to, fs::read_link(from)?)
    } else if meta.is_dir() {
        header.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut header, format!("{to}/"), std::io::empty())
    } else if meta.is_file() {
        header.set_size(meta.len());
        tar.append_data(&mut header, to, fs::File::open(from)?.take(meta.len()))
    } else {
        Ok(())
    }
}

/// Adds a directory that is missing.
pub(super) fn add_dir<W: std::io::Write>(
    tar: &mut tar::Builder<W>,
    to: &str,
    owner: Owner,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_uid(owner.uid);
    header.set_gid(owner.gid);
    header.set_size(0);
    header.set_mtime(u64::try_from(crate::events::now_ns() / 1_000_000_000).unwrap_or(0));
    tar.append_data(&mut header, format!("{to}/"), std::io::empty())
}

/// `path` from the directory `base`, without `.`, `..` and doubled slashes; absolute.
pub(super) fn absolute(base: &str, path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for c in Path::new("/").join(base).join(path).components() {
        match c {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_their_root() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/f"), "x").unwrap();
        std::os::unix::fs::symlink("/../../a", dir.path().join("l")).unwrap();
        assert_eq!(resolve(dir.path(), "l/f").unwrap(), dir.path().join("a/f"));
        assert_eq!(resolve(dir.path(), "etc/passwd"), None);
        assert!(leaves("../x") && leaves("a/../../x") && !leaves("a/../x") && leaves("/../x"));
        assert_eq!(glob(dir.path(), "*/f"), ["a/f", "l/f"]);
        let one = digest(&walk(dir.path()).unwrap()).unwrap();
        fs::write(dir.path().join("a/f"), "y").unwrap();
        assert_ne!(one, digest(&walk(dir.path()).unwrap()).unwrap());
        assert_eq!(absolute("/w", "x/../y"), "/w/y");
    }
}
