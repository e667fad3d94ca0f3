//! `pileus restore`: a new state directory of a backup, whole or not at all.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{
    backup::{END, FORMAT, MANIFEST},
    progress::Progress,
};

/// Counts what is read.
struct Counted<R>(R, Progress);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1.add(n as u64);
        Ok(n)
    }
}

/// Makes `state_dir` of the backup `file`.
pub fn run(state_dir: &Path, file: &Path) -> anyhow::Result<()> {
    let taken = fs::read_dir(state_dir).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        bail!("`{}` is not empty: a backup is restored into a new state directory only", state_dir.display());
    }
    let (input, total): (Box<dyn Read>, _) = if file == Path::new("-") {
        (Box::new(io::stdin().lock()), None)
    } else {
        let open = || format!("failed to open `{}`", file.display());
        let input = fs::File::open(file).with_context(open)?;
        let total = input.metadata().with_context(open)?.len();
        (Box::new(input), Some(total))
    };
    let draft = PathBuf::from(format!("{}.restoring", state_dir.display()));
    let _ = fs::remove_dir_all(&draft);
    let done = unpack(Counted(input, Progress::new("restore", total)), &draft)
        .and_then(|manifest| rebase(&draft, state_dir, &manifest))
        .and_then(|()| {
            let place = || format!("failed to make `{}`", state_dir.display());
            if state_dir.exists() {
                fs::remove_dir(state_dir).with_context(place)?;
            }
            fs::rename(&draft, state_dir).with_context(place)
        });
    if let Err(e) = done {
        // Half a cloud is none.
        let _ = fs::remove_dir_all(&draft);
        return Err(e);
    }
    println!(
        "restored into {}: start it with `pileus --state-dir {} up`",
        state_dir.display(),
        state_dir.display()
    );
    Ok(())
}

/// Unpacks the whole archive; its manifest.
fn unpack(input: impl Read, dir: &Path) -> anyhow::Result<Value> {
    use std::os::unix::fs::DirBuilderExt;
    let parent = dir.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(|| format!("failed to make `{}`", parent.display()))?;
    fs::DirBuilder::new()
        .mode(0o711)
        .create(dir)
        .with_context(|| format!("failed to make `{}`", dir.display()))?;
    let mut archive = tar::Archive::new(input);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    let mut manifest = None;
    for entry in archive.entries().context("this is no backup")? {
        let mut entry = entry.context("this is no backup, or it is damaged")?;
        let path = entry.path().context("an entry's name is no path")?.into_owned();
        if path == Path::new(MANIFEST) {
            let mut text = String::new();
            entry.by_ref().take(64 * 1024).read_to_string(&mut text).context("the backup is damaged")?;
            let value: Value = serde_json::from_str(&text).context("the backup's first entry is damaged")?;
            if value["format"].as_u64() > Some(FORMAT) {
                bail!("the backup is of a newer pileus ({}): restore it with that one", value["version"]);
            }
            manifest = Some(value);
            continue;
        }
        let Some(manifest) = &manifest else { bail!("this is no backup: it does not begin with {MANIFEST}") };
        if path == Path::new(END) {
            return Ok(manifest.clone());
        }
        // Refuses what would leave the directory.
        let inside = entry.unpack_in(dir).with_context(|| format!("failed to write `{}`", path.display()))?;
        if !inside {
            bail!("the backup holds `{}`, which would lie outside the state directory", path.display());
        }
    }
    bail!("the backup is not whole: its end is missing")
}

/// Disks name the images below them by path: where the state directory is another, they are told so.
fn rebase(draft: &Path, state_dir: &Path, manifest: &Value) -> anyhow::Result<()> {
    let before = Path::new(manifest["state_dir"].as_str().unwrap_or_default()).to_owned();
    let servers = fs::read_dir(draft.join("disks")).into_iter().flatten().flatten();
    let disks = servers.flat_map(|s| fs::read_dir(s.path()).into_iter().flatten().flatten());
    for disk in disks.map(|d| d.path()).filter(|p| p.extension().is_some_and(|e| e == "qcow2")) {
        let info = Command::new("qemu-img").args(["info", "-U", "--output=json"]).arg(&disk).output();
        let info = info.context("failed to run qemu-img (package qemu-utils)")?;
        let info: Value = serde_json::from_slice(&info.stdout).unwrap_or_default();
        let Some(base) = info["full-backing-filename"].as_str().or(info["backing-filename"].as_str()) else {
            continue;
        };
        let Ok(inside) = Path::new(base).strip_prefix(&before) else {
            bail!("`{}` lies over `{base}`, which the backup does not hold", disk.display());
        };
        let format = info["backing-filename-format"].as_str().unwrap_or("qcow2");
        let done = Command::new("qemu-img")
            .args(["rebase", "-u", "-F", format, "-b"])
            .arg(state_dir.join(inside))
            .arg(&disk)
            .status()
            .context("failed to run qemu-img")?;
        if !done.success() {
            bail!("qemu-img could not rebase `{}`", disk.display());
        }
    }
    Ok(())
}
