//! Backups beside a file: `name.PID.2026-11-26@13:40:45~`, with its mode, owner and times.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::result::{Fail, os_error};
use crate::sys::clock;

/// Copies the file aside and gives the copy's path; empty when there is no such file.
pub fn backup(path: &str) -> Result<String, Fail> {
    if fs::metadata(path).is_err() {
        return Ok(String::new());
    }
    let stamp = clock::format("%Y-%m-%d@%H:%M:%S~", &clock::local(clock::now().0));
    let copy = format!("{path}.{}.{stamp}", std::process::id());
    preserved_copy(path, &copy).map_err(|e| {
        Fail::msg(format!("Could not make backup of {path} to {copy}: {}", os_error(&e, None)))
    })?;
    Ok(copy)
}

/// Copies a file with mode, owner (when allowed), times and SELinux context.
pub fn preserved_copy(from: &str, to: &str) -> std::io::Result<()> {
    fs::copy(from, to)?;
    let meta = fs::metadata(from)?;
    if crate::sys::euid() == 0 {
        std::os::unix::fs::chown(to, Some(meta.uid()), Some(meta.gid()))?;
        fs::set_permissions(to, meta.permissions())?;
    }
    let file = fs::File::options().write(true).open(to)?;
    let mut times = fs::FileTimes::new();
    if let Ok(time) = meta.modified() {
        times = times.set_modified(time);
    }
    if let Ok(time) = meta.accessed() {
        times = times.set_accessed(time);
    }
    file.set_times(times)?;
    if let Some(context) = crate::sys::xattr::context(from) {
        // A file system without contexts refuses; the copy is whole all the same.
        let _ = crate::sys::xattr::set_context(to, &context);
    }
    Ok(())
}
