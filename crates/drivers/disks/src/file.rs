//! Disks as files.
//!
//! ```text
//!   bases/<image>-<checksum>     prepared once, read-only, shared: the backing of overlays
//!   disks/<server>/<name>.qcow2  an overlay or an empty disk;  config.iso
//! ```
//! Everything is made under a draft name and renamed, so that what bears its name is whole.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Read,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use pileus_base::{Error, Result, ids::ServerId};
use sha2::{Digest, Sha512};
use tokio::sync::Mutex;

use crate::{Base, BoxFuture, DiskFile, DiskSpec, Disks, ImageInfo, Source, inspect};

/// Disks below a state directory.
pub struct File {
    bases: PathBuf,
    disks: PathBuf,
    /// Guests' group, who may read bases.
    group: Option<u32>,
    preparing: Mutex<HashMap<PathBuf, Arc<Mutex<()>>>>,
}

impl File {
    /// Opens the driver; `group` is what guests run as.
    ///
    /// # Errors
    /// 500 where the directories can't be made.
    pub fn open(state_dir: &Path, group: Option<u32>) -> Result<Self> {
        let this = Self {
            bases: state_dir.join("bases"),
            disks: state_dir.join("disks"),
            group,
            preparing: Mutex::default(),
        };
        for (dir, mode) in [(&this.bases, 0o750), (&this.disks, 0o711)] {
            let failed = |e| Error::wrap(format!("failed to make `{}`", dir.display()), e);
            fs::create_dir_all(dir).map_err(failed)?;
            fs::set_permissions(dir, PermissionsExt::from_mode(mode)).map_err(failed)?;
        }
        if group.is_some() {
            chown(&this.bases, None, group).map_err(|e| Error::wrap("failed to hand over the bases", e))?;
        }
        Ok(this)
    }

    fn base_path(&self, base: &Base) -> PathBuf {
        let checksum: String = base.checksum.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        self.bases.join(format!("{}-{checksum}", base.id))
    }

    /// The prepared image: a hard link or copy where QEMU can back on it as it is, else a conversion.
    async fn prepare(&self, base: &Base) -> Result<(PathBuf, &'static str)> {
        let (path, format) = (self.base_path(base), if base.format == "qcow2" { "qcow2" } else { "raw" });
        let format =
            if matches!(base.format.as_str(), "vmdk" | "vdi" | "vhd" | "vhdx") { "qcow2" } else { format };
        let lock = self.preparing.lock().await.entry(path.clone()).or_default().clone();
        let _one = lock.lock().await;
        if path.exists() {
            return Ok((path, format));
        }
        let (base, group, target) = (base.clone(), self.group, path.clone());
        blocking(move || {
            let draft = target.with_extension("draft");
            remove_file(&draft)?;
            verify(&base)?;
            match base.format.as_str() {
                "vmdk" | "vdi" | "vhd" | "vhdx" => {
                    let from = if base.format == "vhd" { "vpc" } else { &base.format };
                    qemu_img(&["convert", "-f", from, "-O", "qcow2"], &[&base.path, &draft])?;
                }
                _ if fs::hard_link(&base.path, &draft).is_ok() => {}
                _ => {
                    fs::copy(&base.path, &draft).map_err(|e| failed("copy", &base.path, e))?;
                }
            }
            fs::set_permissions(&draft, PermissionsExt::from_mode(0o640))
                .map_err(|e| failed("prepare", &draft, e))?;
            if group.is_some() {
                chown(&draft, None, group).map_err(|e| failed("hand over", &draft, e))?;
            }
            fs::rename(&draft, &target).map_err(|e| failed("prepare", &target, e))
        })
        .await?;
        Ok((path, format))
    }

    fn file(&self, server: ServerId, name: &str) -> DiskFile {
        let dir = self.disks.join(server.to_string());
        match name {
            "config" => DiskFile { path: dir.join("config.iso"), format: "raw" },
            _ => DiskFile { path: dir.join(format!("{name}.qcow2")), format: "qcow2" },
        }
    }

    async fn make(&self, spec: &DiskSpec) -> Result<()> {
        let target = self.file(spec.server, &spec.name).path;
        if target.exists() {
            return Ok(());
        }
        let backing = match &spec.source {
            Source::Image(base) => Some(self.prepare(base).await?),
            _ => None,
        };
        let spec = spec.clone();
        blocking(move || {
            let dir = target.parent().unwrap_or(&target).to_owned();
            fs::create_dir_all(&dir).map_err(|e| failed("make", &dir, e))?;
            fs::set_permissions(&dir, PermissionsExt::from_mode(0o700))
                .map_err(|e| failed("make", &dir, e))?;
            let draft = target.with_extension("draft");
            remove_file(&draft)?;
            let size = format!("{}G", spec.size_gib);
            match (&spec.source, &backing) {
                (Source::ConfigDrive(files), _) => config_drive(&draft, files)?,
                (_, Some((base, format))) => {
                    let draft_text = draft.display().to_string();
                    let base_text = base.display().to_string();
                    let mut args =
                        vec!["create", "-q", "-f", "qcow2", "-F", format, "-b", &base_text, &draft_text];
                    if spec.size_gib > 0 {
                        args.push(&size);
                    }
                    qemu_img(&args, &[])?;
                }
                (_, None) => {
                    let draft_text = draft.display().to_string();
                    qemu_img(&["create", "-q", "-f", "qcow2", &draft_text, &size], &[])?;
                }
            }
            fs::rename(&draft, &target).map_err(|e| failed("make", &target, e))
        })
        .await
    }
}

/// An image's first use here: its data must be what was uploaded.
fn verify(base: &Base) -> Result<()> {
    // A SHA-512 in hex; what names the content in another way can't be checked.
    if base.checksum.len() != 128 {
        return Ok(());
    }
    let mut file = fs::File::open(&base.path).map_err(|e| failed("open", &base.path, e))?;
    let (mut hash, mut buffer) = (Sha512::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(|e| failed("read", &base.path, e))? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    if found == base.checksum {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "The image {} is damaged: its data does not match its checksum.",
        base.id
    )))
}

fn failed(what: &str, path: &Path, e: std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::StorageFull {
        return Error::unavailable("The disk that holds the servers' disks is full.").caused_by(e);
    }
    Error::wrap(format!("failed to {what} `{}`", path.display()), e)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", path, e)),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::wrap("work on a disk was cut off", e))?
}

fn qemu_img(args: &[&str], paths: &[&Path]) -> Result<()> {
    run(Command::new("qemu-img").args(args).args(paths), "qemu-img", "qemu-utils")
}

fn run(command: &mut Command, program: &str, package: &str) -> Result<()> {
    let output = command.output().map_err(|e| {
        Error::unavailable(format!("{program} is not installed: install the package {package}")).caused_by(e)
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("").trim();
    Err(if last.contains("No space left") {
        Error::unavailable("The disk that holds the servers' disks is full.")
    } else {
        Error::internal(format!("{program} failed: {last}"))
    })
}

/// Lays the files out in a directory and makes an ISO 9660 volume of it.
fn config_drive(target: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let tree = target.with_extension("tree");
    let clear = || match fs::remove_dir_all(&tree) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &tree, e)),
        _ => Ok(()),
    };
    clear()?;
    for (name, content) in files {
        if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(Error::internal(format!("a config drive can't hold a file called {name}")));
        }
        let path = tree.join(name);
        let dir = path.parent().unwrap_or(&tree);
        fs::create_dir_all(dir).map_err(|e| failed("make", dir, e))?;
        fs::write(&path, content).map_err(|e| failed("write", &path, e))?;
    }
    let mut command = Command::new("genisoimage");
    command.args([
        "-quiet",
        "-ldots",
        "-allow-lowercase",
        "-allow-multidot",
        "-l",
        "-J",
        "-r",
        "-V",
        "config-2",
        "-o",
    ]);
    run(command.arg(target).arg(&tree), "genisoimage", "genisoimage")?;
    clear()
}

impl Disks for File {
    fn inspect<'a>(&'a self, path: &'a Path, format: &'a str) -> BoxFuture<'a, Result<ImageInfo>> {
        let (path, format) = (path.to_owned(), format.to_owned());
        Box::pin(blocking(move || inspect::inspect(&path, &format)))
    }

    fn ensure<'a>(&'a self, spec: &'a DiskSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.make(spec))
    }

    fn locate(&self, server: ServerId, name: &str) -> Result<DiskFile> {
        let file = self.file(server, name);
        if file.path.exists() {
            Ok(file)
        } else {
            Err(Error::not_found(format!("the server {server} has no disk {name}")))
        }
    }

    fn remove(&self, server: ServerId) -> BoxFuture<'_, Result<()>> {
        let dir = self.disks.join(server.to_string());
        Box::pin(blocking(move || match fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &dir, e)),
            _ => Ok(()),
        }))
    }

    fn owners(&self) -> BoxFuture<'_, Result<Vec<ServerId>>> {
        let dir = self.disks.clone();
        Box::pin(blocking(move || {
            let entries = fs::read_dir(&dir).map_err(|e| failed("read", &dir, e))?;
            Ok(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
        }))
    }

    fn prune<'a>(&'a self, keep: &'a [Base]) -> BoxFuture<'a, Result<()>> {
        let keep: HashSet<PathBuf> = keep.iter().map(|b| self.base_path(b)).collect();
        let dir = self.bases.clone();
        Box::pin(blocking(move || {
            for entry in fs::read_dir(&dir).map_err(|e| failed("read", &dir, e))?.flatten() {
                // Drafts belong to who is making them; those of a dead daemon go with its next image.
                let path = entry.path();
                if !keep.contains(&path) && path.extension().is_none() {
                    remove_file(&path)?;
                }
            }
            Ok(())
        }))
    }
}
