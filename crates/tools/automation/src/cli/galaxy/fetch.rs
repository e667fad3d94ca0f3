//! Getting what is to be installed into a directory of our own: unpacked, cloned or copied.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Source;
use crate::source::paths;
use crate::{Error, os_error};

/// What was fetched; the directory goes when this does.
pub struct Fetched {
    /// Keeps the directory.
    _held: Option<TempDir>,
    /// Where it is.
    pub path: PathBuf,
    /// Whether `path` is the user's own directory, which stays as it is.
    pub own: bool,
}

/// Runs a program that must succeed.
fn program(name: &str, args: &[&OsStr]) -> Result<(), Error> {
    let output = Command::new(name)
        .args(args)
        .output()
        .map_err(|e| Error::new(format!("Failed to run {name}")).because(os_error(&e, name)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("{name} failed: {}", said.trim())))
}

fn scratch() -> Result<TempDir, Error> {
    tempfile::Builder::new()
        .prefix(".ansible-galaxy-")
        .tempdir()
        .map_err(|e| Error::new("Failed to make a temporary directory").because(os_error(&e, "tmp")))
}

/// Fetches `source`.
///
/// # Errors
/// Where it isn't there, or is a name that only a server knows.
pub fn fetch(source: &Source) -> Result<Fetched, Error> {
    if source.git {
        return clone(source);
    }
    if source.place.contains("://") && !source.place.starts_with("file://") {
        return Err(Error::new(format!(
            "{} is on a server, which is not asked: name a file, a directory or git+URL",
            source.place
        )));
    }
    let path = PathBuf::from(paths::unfrack(source.place.trim_start_matches("file://")));
    if path.is_dir() {
        return Ok(Fetched { _held: None, path, own: true });
    }
    if !path.is_file() {
        return Err(Error::new(format!(
            "{} is neither a file nor a directory; names that a server knows are not looked up",
            source.place
        )));
    }
    let held = scratch()?;
    let into = held.path().to_owned();
    let owner = OsStr::new("--no-same-owner");
    program("tar", &[owner, OsStr::new("-xf"), path.as_os_str(), OsStr::new("-C"), into.as_os_str()])?;
    Ok(Fetched { _held: Some(held), path: into, own: false })
}

fn clone(source: &Source) -> Result<Fetched, Error> {
    let place = source.place.trim_start_matches("git+");
    let (url, below) = place.split_once('#').unwrap_or((place, ""));
    let held = scratch()?;
    let into = held.path().join("clone");
    program(
        "git",
        &[OsStr::new("clone"), OsStr::new("-q"), OsStr::new("--"), OsStr::new(url), into.as_os_str()],
    )?;
    if let Some(version) = source.version.as_deref().filter(|v| *v != "HEAD") {
        if version.starts_with('-') {
            return Err(Error::options(format!("Invalid version '{version}'")));
        }
        let args = ["-C".as_ref(), into.as_os_str(), "checkout".as_ref(), "-q".as_ref(), OsStr::new(version)];
        program("git", &args)?;
    }
    let path = match below.trim_matches('/') {
        "" => into,
        sub if sub.split('/').all(|p| p != "..") => into.join(sub),
        sub => return Err(Error::options(format!("Invalid directory '{sub}' of a repository"))),
    };
    Ok(Fetched { _held: Some(held), path, own: false })
}

/// Copies a tree; `skip` tells what is left out, by path below `from`. Links stay links.
///
/// # Errors
/// Where something cannot be read or written.
pub fn copy(from: &Path, to: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<(), Error> {
    let fail = |e: &std::io::Error, path: &Path| {
        let path = path.display().to_string();
        Error::new(format!("Failed to copy {path}")).because(os_error(e, &path))
    };
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let source = from.join(&below);
        fs::create_dir_all(to.join(&below)).map_err(|e| fail(&e, &source))?;
        for entry in fs::read_dir(&source).map_err(|e| fail(&e, &source))? {
            let entry = entry.map_err(|e| fail(&e, &source))?;
            let below = below.join(entry.file_name());
            if skip(&below) {
                continue;
            }
            let kind = entry.file_type().map_err(|e| fail(&e, &entry.path()))?;
            let target = to.join(&below);
            if kind.is_dir() {
                open.push(below);
            } else if kind.is_symlink() {
                let link = fs::read_link(entry.path()).map_err(|e| fail(&e, &entry.path()))?;
                std::os::unix::fs::symlink(&link, &target).map_err(|e| fail(&e, &target))?;
            } else {
                fs::copy(entry.path(), &target).map_err(|e| fail(&e, &target))?;
            }
        }
    }
    Ok(())
}

/// Puts the tree `from` at `to` in one step: copied beside it, then renamed; what was there goes.
///
/// # Errors
/// As [`copy`].
pub fn place(from: &Path, to: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<(), Error> {
    let fail = |e: std::io::Error| {
        let path = to.display().to_string();
        Error::new(format!("Failed to install into {path}")).because(os_error(&e, &path))
    };
    let parent = to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(fail)?;
    let held = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).map_err(fail)?;
    let fresh = held.path().join("tree");
    copy(from, &fresh, skip)?;
    if to.exists() {
        fs::rename(to, held.path().join("old")).map_err(fail)?;
    }
    fs::rename(&fresh, to).map_err(fail)
}
