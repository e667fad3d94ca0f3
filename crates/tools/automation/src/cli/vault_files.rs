//! Files of `ansible-vault`: read, replaced in one step, overwritten before they go, edited in a private copy.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::config::Config;
use crate::inventory::split_words;
use crate::vault::{self, Secret};
use crate::{Error, os_error};

/// Bytes written at once over a file that goes.
const CHUNK: usize = 64 << 10;

/// The file behind links; `-` stays.
pub fn real(file: &str) -> String {
    if file == "-" {
        return file.to_owned();
    }
    fs::canonicalize(file)
        .map_or_else(|_| crate::source::paths::unfrack(file), |p| p.to_string_lossy().into_owned())
}

/// The bytes of a file, or of stdin for `-`.
///
/// # Errors
/// Where it cannot be read.
pub fn read(file: &str) -> Result<Vec<u8>, Error> {
    let done = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let shown = crate::source::paths::unfrack(file);
    done.map_err(|e| Error::new(format!("Unable to read source file ({file}): {}", os_error(&e, &shown))))
}

/// Writes to a file, readable by its owner only, or to stdout for `-`. The file is replaced in one step; with
/// `shred` the old content is overwritten first.
///
/// # Errors
/// Where it cannot be written.
pub fn write(bytes: &[u8], file: &str, shred: bool) -> Result<(), Error> {
    if file == "-" {
        let mut out = std::io::stdout().lock();
        return out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| os_error(&e, "<stdout>"));
    }
    let path = Path::new(file);
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_err() {
        return Err(Error::new(format!("Destination '{}' not writable", dir.display())));
    }
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = dir.join(format!(".{name}.{}", std::process::id()));
    let failed = |e: std::io::Error| {
        let _ = fs::remove_file(&temporary);
        Error::new(format!(
            "Unable to write to temporary vault file: {}",
            os_error(&e, &temporary.to_string_lossy())
        ))
    };
    let mut f =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(|e| {
            Error::new("Problem creating temporary vault file.")
                .because(os_error(&e, &temporary.to_string_lossy()))
        })?;
    f.write_all(bytes).and_then(|()| f.sync_all()).map_err(failed)?;
    if shred && path.is_file() {
        overwrite(path).map_err(failed)?;
    }
    fs::rename(&temporary, path).map_err(failed)
}

/// Writes random bytes over a file.
fn overwrite(path: &Path) -> std::io::Result<()> {
    let mut f = OpenOptions::new().write(true).open(path)?;
    let mut left = usize::try_from(f.metadata()?.len()).unwrap_or(0);
    f.seek(SeekFrom::Start(0))?;
    let mut chunk = vec![0u8; CHUNK.min(left.max(1))];
    let mut random = File::open("/dev/urandom")?;
    while left > 0 {
        let n = left.min(chunk.len());
        random.read_exact(&mut chunk[..n])?;
        f.write_all(&chunk[..n])?;
        left -= n;
    }
    f.sync_all()
}

/// Gives a file the mode and owner that it had.
///
/// # Errors
/// Where they cannot be set.
pub fn restore(file: &str, kept: &fs::Metadata) -> Result<(), Error> {
    fs::set_permissions(file, fs::Permissions::from_mode(kept.mode() & 0o7777))
        .and_then(|()| std::os::unix::fs::chown(file, Some(kept.uid()), Some(kept.gid())))
        .map_err(|e| os_error(&e, file))
}

/// Opens the plain text in the editor of the settings and encrypts what comes out into `file`, unless nothing
/// changed. The plain copy lies in the settings' temporary directory and is overwritten before it goes.
///
/// # Errors
/// Where the editor cannot be run, or a file cannot be written.
pub fn edit(
    file: &str,
    plain: Option<&[u8]>,
    secret: &Secret,
    id: &str,
    config: &Config,
) -> Result<(), Error> {
    let dir = config.text("DEFAULT_LOCAL_TMP").unwrap_or("/tmp").to_owned();
    fs::create_dir_all(&dir).map_err(|e| os_error(&e, &dir))?;
    let extension =
        Path::new(file).extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    let copy = Path::new(&dir).join(format!("vault-{:016x}{extension}", rand::random::<u64>()));
    let shown = copy.to_string_lossy().into_owned();
    let mut f = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&copy)
        .map_err(|e| os_error(&e, &shown))?;
    let done = f
        .write_all(plain.unwrap_or_default())
        .map_err(|e| os_error(&e, &shown))
        .and_then(|()| edit_copy(file, &shown, plain, secret, id, config));
    let _ = overwrite(&copy);
    let _ = fs::remove_file(&copy);
    done
}

fn edit_copy(
    file: &str,
    copy: &str,
    plain: Option<&[u8]>,
    secret: &Secret,
    id: &str,
    config: &Config,
) -> Result<(), Error> {
    let editor = config.text("EDITOR").unwrap_or("vi");
    let words = split_words(editor).map_err(|why| Error::new(format!("EDITOR: {why}")))?;
    let Some((program, args)) = words.split_first() else { return Err(Error::options("No editor is set.")) };
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    Command::new(&**program).args(&args).arg(copy).status().map_err(|e| {
        Error::new(format!("Unable to execute the command \"{editor} {copy}\": {}", os_error(&e, program)))
    })?;
    let edited = fs::read(copy).map_err(|e| os_error(&e, copy))?;
    if plain == Some(edited.as_slice()) {
        return Ok(());
    }
    let text = vault::encrypt(&edited, secret, Some(id))?;
    let kept = fs::metadata(file).ok();
    write(text.as_bytes(), file, false)?;
    kept.map_or(Ok(()), |k| restore(file, &k))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_replaces_and_keeps_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "old").unwrap();
        let name = path.to_str().unwrap();
        write(b"new", name, true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
