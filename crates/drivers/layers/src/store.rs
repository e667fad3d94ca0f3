//! The layers on disk: applied, exported, committed, removed.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use pileus_base::{Error, Result};
use rustix::fs::{AtFlags, FileType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    AppliedLayer, Layers,
    decode::{Chunks, Hashing, hex, plain, pump},
    os,
    pack::{Pack, is_noise, names},
    root::Root,
    unpack::{Lowers, Purpose, Unpack},
};

/// What an archive may not exceed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes, uncompressed.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 2_000_000 }
    }
}

/// What is kept of a layer beside its files.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    diff_id: String,
    size: u64,
    /// The whole ChainID, whose head is the layer's name.
    chain_id: String,
    /// The ChainID of what is below.
    parent: Option<String>,
}

impl Layers {
    /// Opens what is in `state_dir`, and removes what was left half done.
    ///
    /// # Errors
    /// If the directory can't be made or read.
    pub fn open(state_dir: &Path, limits: Limits) -> Result<Self> {
        let this = Self { state_dir: state_dir.to_path_buf(), limits };
        let dir = this.layers_dir();
        for n in 0..2 {
            let empty = dir.join(format!(".empty{n}"));
            fs::create_dir_all(&empty).map_err(os(format!("make {}", empty.display())))?;
        }
        let places = this.mount_points();
        mount_points(&places).map_err(os(format!("make {}", places.display())))?;
        for entry in fs::read_dir(&dir).map_err(os(format!("list {}", dir.display())))? {
            let entry = entry.map_err(os(format!("list {}", dir.display())))?;
            if entry.file_name().to_string_lossy().starts_with(".tmp-") {
                fs::remove_dir_all(entry.path()).map_err(os(format!("remove {}", entry.path().display())))?;
            }
        }
        Ok(this)
    }

    pub(crate) fn layers_dir(&self) -> PathBuf {
        self.state_dir.join("layers")
    }
    /// What lies below all layers of a container, so that its mounts find a place without one being made in its
    /// upper directory each time (seven files and directories, each an inode that the file system has to find).
    /// An image's own file of such a name hides this one. The driver of containers knows it by this name.
    pub(crate) fn mount_points(&self) -> PathBuf {
        self.layers_dir().join(".mountpoints")
    }
    fn layer(&self, id: &str) -> Result<PathBuf> {
        if id.len() != 16 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::bad_request(format!("'{id}' is not a layer")));
        }
        Ok(self.layers_dir().join(id))
    }
    /// A layer's files.
    pub(crate) fn diff(&self, id: &str) -> Result<PathBuf> {
        Ok(self.layer(id)?.join("diff"))
    }
    /// What is kept of a container.
    pub(crate) fn container(&self, id: &str) -> Result<PathBuf> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err(Error::bad_request(format!("'{id}' is not a container")));
        }
        Ok(self.state_dir.join("containers").join(id))
    }
    /// What a container has written.
    pub(crate) fn upper(&self, id: &str) -> Result<PathBuf> {
        let upper = self.container(id)?.join("upper");
        if upper.is_dir() { Ok(upper) } else { Err(Error::not_found(format!("No such container: {id}"))) }
    }
    fn meta(&self, id: &str) -> Result<Option<Meta>> {
        match fs::read(self.layer(id)?.join("meta.json")) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|e| Error::wrap("read a layer's facts", e))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(os("read a layer's facts")(e)),
        }
    }

    /// The layer that `diff_id` makes above `parent`, if it is here.
    pub(crate) fn present(&self, parent: Option<&str>, diff_id: &str) -> Result<Option<AppliedLayer>> {
        let chain = chain_id(parent, diff_id);
        let id = head(&chain)?;
        let Some(meta) = self.meta(&id)? else { return Ok(None) };
        if meta.chain_id != chain {
            return Err(Error::internal(format!("layers {chain} and {} have the same name", meta.chain_id)));
        }
        Ok(Some(AppliedLayer { id, diff_id: meta.diff_id, size_bytes: meta.size }))
    }

    /// The ChainID of layers.
    fn chain_of(&self, below: &[String]) -> Result<Option<String>> {
        let Some(id) = below.last() else { return Ok(None) };
        let missing = || Error::not_found(format!("layer {id} does not exist"));
        Ok(Some(self.meta(id)?.ok_or_else(missing)?.chain_id))
    }

    /// Unpacks a layer above `below`, the lowest first. One that is here is left as it is.
    ///
    /// # Errors
    /// 400 if the archive is broken, leads out of the layer, or is not the one that was promised.
    pub fn apply(
        &self,
        tar: impl Read + Send,
        below: &[String],
        diff_id: Option<&str>,
    ) -> Result<AppliedLayer> {
        let parent = self.chain_of(below)?;
        if let Some(diff_id) = diff_id
            && let Some(layer) = self.present(parent.as_deref(), diff_id)?
        {
            return Ok(layer);
        }
        let lowers = Lowers::new(|| below.iter().rev().map(|id| Root::open(&self.diff(id)?)).collect());
        self.bring_in(tar, parent, diff_id, lowers)
    }

    /// Unpacks a layer whose parent is known by its ChainID, and puts it in its place.
    pub(crate) fn bring_in(
        &self,
        tar: impl Read + Send,
        parent: Option<String>,
        diff_id: Option<&str>,
        lowers: Lowers<'_>,
    ) -> Result<AppliedLayer> {
        let temp = Temp::make(&self.layers_dir())?;
        let diff = temp.path.join("diff");
        fs::create_dir(&diff).map_err(os("make a layer"))?;
        let root = Root::open(&diff)?;
        let (size, found) = self.unpack(tar, &root, Purpose::Layer(lowers))?;
        if let Some(wanted) = diff_id.filter(|wanted| *wanted != found) {
            return Err(Error::bad_request(format!("layer verification failed for digest {wanted}")));
        }
        self.settle(temp, parent, found, size)
    }

    /// Unpacks on this thread what another reads and hashes.
    fn unpack(&self, tar: impl Read + Send, root: &Root, purpose: Purpose<'_>) -> Result<(u64, String)> {
        let (to, from) = mpsc::sync_channel(8);
        thread::scope(|scope| {
            let reader = scope.spawn(move || match plain(tar) {
                Ok(tar) => pump(tar, self.limits.bytes, &to),
                Err(e) => {
                    // The other side tells of it.
                    let _ = to.send(Err(e));
                    None
                }
            });
            let size = Unpack::new(root, b"", purpose, self.limits.entries).run(Chunks::new(from));
            let digest = reader.join().map_err(|_| Error::internal("reading the layer failed"))?;
            Ok((size?, digest.ok_or_else(|| Error::bad_request("the archive ends too early"))?))
        })
    }

    /// Puts a layer that is whole in its place.
    fn settle(&self, temp: Temp, parent: Option<String>, diff_id: String, size: u64) -> Result<AppliedLayer> {
        let chain_id = chain_id(parent.as_deref(), &diff_id);
        let id = head(&chain_id)?;
        let meta = Meta { diff_id: diff_id.clone(), size, chain_id, parent: parent.clone() };
        let text = serde_json::to_vec(&meta).map_err(|e| Error::wrap("write a layer's facts", e))?;
        fs::write(temp.path.join("meta.json"), text).map_err(os("write a layer's facts"))?;
        match fs::rename(&temp.path, self.layer(&id)?) {
            // Another was faster, or it was there.
            Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                self.present(parent.as_deref(), &diff_id)?
                    .ok_or_else(|| Error::internal(format!("layer {id} is not whole")))
            }
            renamed => {
                renamed.map_err(os("put a layer in its place"))?;
                temp.keep();
                Ok(AppliedLayer { id, diff_id, size_bytes: size })
            }
        }
    }

    /// Removes a layer; one that is not here is fine.
    ///
    /// # Errors
    /// If the files can't be removed.
    pub fn remove(&self, id: &str) -> Result<()> {
        let temp = Temp::make(&self.layers_dir())?;
        match fs::rename(self.layer(id)?, temp.path.join("gone")) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => {
                renamed.map_err(os(format!("remove layer {id}")))?;
                fs::remove_dir_all(&temp.path).map_err(os(format!("remove layer {id}")))
            }
        }
    }

    /// The layers that are here, sorted.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn list(&self) -> Result<Vec<String>> {
        let names = names(&File::open(self.layers_dir()).map_err(os("list layers"))?)?;
        let names = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
        Ok(names.filter(|name| self.layer(name).is_ok()).collect())
    }

    /// Whether a layer is here.
    ///
    /// # Errors
    /// 404 if it is not.
    pub fn check(&self, id: &str) -> Result<()> {
        let missing = || Error::not_found(format!("layer {id} does not exist"));
        self.meta(id)?.ok_or_else(missing).map(drop)
    }

    /// Writes a layer as a tar: the same bytes each time.
    ///
    /// # Errors
    /// If the layer is not here or `out` refuses.
    pub fn export(&self, id: &str, out: impl Write) -> Result<()> {
        self.check(id)?;
        let mut pack = Pack::layer(out, false);
        pack.children(&Root::open(&self.diff(id)?)?, b"")?;
        pack.finish().map(drop)
    }

    /// Makes a layer above `below` of what a container has written.
    ///
    /// # Errors
    /// If there is no such container or the disk is full.
    pub fn commit(&self, id: &str, below: &[String]) -> Result<AppliedLayer> {
        let upper = Root::open(&self.upper(id)?)?;
        let (reader, writer) = io::pipe().map_err(os("make a pipe"))?;
        thread::scope(|scope| {
            let packing = scope.spawn(move || {
                let out = io::BufWriter::with_capacity(256 << 10, writer);
                let mut pack = Pack::layer(Hashing { out, hash: Sha256::new() }, true);
                pack.children(&upper, b"")?;
                pack.finish().map(|done| hex(&done.hash.finalize()))
            });
            let applied = self.apply(reader, below, None);
            let packed = packing.join().map_err(|_| Error::internal("packing a container failed"))?;
            match (packed, applied) {
                (Ok(diff_id), Ok(layer)) if diff_id == layer.diff_id => Ok(layer),
                // A layer of half a container must not stay.
                (Err(e), Ok(layer)) => self.remove(&layer.id).and(Err(e)),
                (_, Err(e)) => Err(e),
                (Ok(_), Ok(_)) => Err(Error::internal("a committed layer changed on its way")),
            }
        })
    }

    /// Makes a layer above `below` of what a container has written by putting its directory in the layer's
    /// place: an overlay's upper directory is a lower one as it is. The container can't run after.
    ///
    /// # Errors
    /// If there is no such container.
    pub fn turn_into_layer(&self, id: &str, below: &[String], ran: bool) -> Result<AppliedLayer> {
        let path = self.upper(id)?;
        let upper = Root::open(&path)?;
        if ran {
            remove_noise(&path, &upper)?;
        }
        let size_bytes = self.size(id)?;
        let mut pack = Pack::layer(Hashing { out: io::sink(), hash: Sha256::new() }, false);
        pack.children(&upper, b"")?;
        let diff_id = hex(&pack.finish()?.hash.finalize());
        let parent = self.chain_of(below)?;
        if let Some(layer) = self.present(parent.as_deref(), &diff_id)? {
            return Ok(layer);
        }
        let temp = Temp::make(&self.layers_dir())?;
        fs::rename(&path, temp.path.join("diff")).map_err(os("put a container's files in a layer"))?;
        self.settle(temp, parent, diff_id, size_bytes)
    }

    /// What a container has written, in bytes.
    ///
    /// # Errors
    /// If there is no such container.
    pub fn size(&self, id: &str) -> Result<u64> {
        fn sum(dir: &Root, seen: &mut std::collections::HashSet<u64>) -> Result<u64> {
            let mut size = 0;
            for name in names(dir)? {
                let Ok(stat) = rustix::fs::statat(dir, &name[..], AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => {
                        if let Ok(below) = dir.dir(&name) {
                            size += sum(&Root::new(below), seen)?;
                        }
                    }
                    FileType::RegularFile if stat.st_nlink == 1 || seen.insert(stat.st_ino) => {
                        size += stat.st_size.unsigned_abs();
                    }
                    _ => {}
                }
            }
            Ok(size)
        }
        sum(&Root::open(&self.upper(id)?)?, &mut std::collections::HashSet::new())
    }
}

/// Makes what Docker's init layer holds (moby, `daemon/initlayer`): empty files and directories.
fn mount_points(dir: &Path) -> io::Result<()> {
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for name in ["", "dev", "dev/pts", "dev/shm", "etc", "proc", "sys"] {
        fs::create_dir_all(dir.join(name))?;
        mode(&dir.join(name), 0o755)?;
    }
    for name in [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"] {
        File::options().append(true).create(true).open(dir.join(name))?;
        mode(&dir.join(name), 0o644)?;
    }
    match std::os::unix::fs::symlink("/proc/mounts", dir.join("etc/mtab")) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// Removes what only stood where something was mounted while a container ran.
fn remove_noise(path: &Path, upper: &Root) -> Result<()> {
    for name in ["dev", "proc", "sys", ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf"] {
        let (dir, last) = name.rsplit_once('/').unwrap_or(("", name));
        let Ok(dir) = upper.dir(dir.as_bytes()) else { continue };
        let Ok(stat) = rustix::fs::statat(&dir, last, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if !is_noise(&dir, last.as_bytes(), name.as_bytes()) {
            continue;
        }
        let removed = match FileType::from_raw_mode(stat.st_mode) {
            // In a layer's `/etc` nobody has put a link: its parent was opened beneath the layer.
            FileType::Directory => fs::remove_dir_all(path.join(name)),
            _ => rustix::fs::unlinkat(&dir, last, AtFlags::empty()).map_err(io::Error::from),
        };
        removed.map_err(os(format!("remove {name}")))?;
    }
    Ok(())
}

/// OCI's ChainID.
pub(crate) fn chain_id(parent: Option<&str>, diff_id: &str) -> String {
    match parent {
        Some(parent) => hex(&Sha256::digest(format!("{parent} {diff_id}"))),
        None => diff_id.to_owned(),
    }
}

pub(crate) fn head(chain: &str) -> Result<String> {
    let digits = chain.strip_prefix("sha256:").and_then(|hex| hex.get(..16));
    digits
        .map(str::to_owned)
        .ok_or_else(|| Error::bad_request(format!("invalid checksum digest format: {chain}")))
}

/// A directory that goes again unless it is kept.
struct Temp {
    path: PathBuf,
}

impl Temp {
    fn make(dir: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!(".tmp-{}-{n}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(os(format!("make {}", path.display()))(e)),
            }
        }
    }
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // What stays is swept when the layers are opened the next time.
        let _ = fs::remove_dir_all(&self.path);
    }
}
