//! Atomic writes: a temporary file beside the destination gets its mode, owner, SELinux context and
//! inode flags, then takes its name. Readers see the old or the new content, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cx::Cx;
use crate::result::{Fail, os_error};
use crate::sys::{self, path, xattr};

/// A name that nobody else has: pid, time and a counter.
pub fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (secs, nanos) = sys::clock::now();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut value =
        (secs as u64) ^ (u64::from(nanos) << 20) ^ (u64::from(std::process::id()) << 40) ^ (count << 8);
    // A round of splitmix64 spreads the bits over the name.
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value ^= value >> 27;
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789_";
    (0..8).map(|i| letters[(value >> (i * 7)) as usize % letters.len()] as char).collect()
}

/// A new file of our own in that directory.
pub fn temp_in(dir: &str, prefix: &str, suffix: &str) -> io::Result<(String, File)> {
    let mut last = io::Error::from_raw_os_error(libc::EEXIST);
    for _ in 0..100 {
        let name = path::join(dir, &format!("{prefix}{}{suffix}", unique()));
        match OpenOptions::new().write(true).read(true).create_new(true).mode(0o600).open(&name) {
            Ok(file) => return Ok((name, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => last = e,
            Err(e) => return Err(e),
        }
    }
    Err(last)
}

/// Replaces the content of `dest` (made when absent with the umask's mode).
pub fn replace(cx: &Cx<'_>, dest: &str, bytes: &[u8]) -> Result<(), Fail> {
    replace_with(dest, cx.bool("unsafe_writes"), &mut |file| file.write_all(bytes))
}

/// Replaces the content of `dest` by that of `src`, which stays.
pub fn replace_from(cx: &Cx<'_>, dest: &str, src: &str) -> Result<(), Fail> {
    replace_with(dest, cx.bool("unsafe_writes"), &mut |file| {
        let mut from = File::open(src)?;
        io::copy(&mut from, file).map(drop)
    })
}

fn replace_with(
    dest: &str,
    unsafe_writes: bool,
    fill: &mut dyn FnMut(&mut File) -> io::Result<()>,
) -> Result<(), Fail> {
    let describe = |e: &io::Error, what: &str| Fail::msg(format!("{what}: {}", os_error(e, Some(dest))));
    let dir = match path::dirname(dest) {
        "" => ".",
        dir => dir,
    };
    let made = temp_in(dir, ".ansible_tmp", path::basename(dest));
    let (temp, mut file) = match made {
        Ok(made) => made,
        Err(e) if unsafe_writes && fs::metadata(dest).is_ok() => {
            return in_place(dest, fill).map_err(|_| describe(&e, "Could not write data to file"));
        }
        Err(e) => {
            let message = match e.raw_os_error() {
                Some(libc::ENOENT) => {
                    format!("The destination directory ({dir}) does not exist: {}", os_error(&e, Some(dest)))
                }
                _ => format!(
                    "The destination directory ({dir}) is not writable by the current user. Error was: {}",
                    os_error(&e, Some(dest))
                ),
            };
            return Err(Fail::msg(message));
        }
    };
    let outcome =
        fill(&mut file).and_then(|()| settle(&file, &temp, dest)).and_then(|()| fs::rename(&temp, dest));
    match outcome {
        Ok(()) => Ok(()),
        Err(e) => {
            let _ = fs::remove_file(&temp);
            let busy =
                matches!(e.raw_os_error(), Some(libc::EBUSY | libc::EPERM | libc::EACCES | libc::ETXTBSY));
            if unsafe_writes && busy {
                return in_place(dest, fill).map_err(|e| describe(&e, "Could not write data to file"));
            }
            Err(describe(&e, &format!("Could not replace file: {temp} to {dest}")))
        }
    }
}

/// Gives the temporary file what the destination has.
fn settle(file: &File, temp: &str, dest: &str) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(dest) else {
        return file.set_permissions(fs::Permissions::from_mode(0o666 & !sys::umask()));
    };
    let meta = if meta.is_symlink() { fs::metadata(dest).unwrap_or(meta) } else { meta };
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
        // Without the right to give it away the file is ours, as in the reference.
        let _ = std::os::unix::fs::fchown(file, Some(meta.uid()), Some(meta.gid()));
    }
    file.set_permissions(fs::Permissions::from_mode(meta.permissions().mode() & 0o7777))?;
    // A file system without access lists refuses; the file has its mode all the same.
    let _ = xattr::copy_acl(dest, temp);
    if let Some(context) = xattr::context(dest) {
        let _ = xattr::set_context(temp, &context);
    }
    Ok(())
}

fn in_place(dest: &str, fill: &mut dyn FnMut(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(dest)?;
    fill(&mut file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_stays_and_nothing_is_left() {
        let dir = std::env::temp_dir().join(format!("pileus-write-{}", unique()));
        fs::create_dir(&dir).unwrap();
        let dest = dir.join("f").to_string_lossy().into_owned();
        fs::write(&dest, "old").unwrap();
        fs::set_permissions(&dest, fs::Permissions::from_mode(0o4751)).unwrap();
        replace_with(&dest, false, &mut |f| f.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&dest).unwrap(), b"new");
        assert_eq!(fs::metadata(&dest).unwrap().permissions().mode() & 0o7777, 0o4751);
        let failed = replace_with(&dest, false, &mut |_| Err(io::Error::from_raw_os_error(libc::ENOSPC)));
        assert!(failed.is_err());
        assert_eq!(fs::read(&dest).unwrap(), b"new");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
    }
}
