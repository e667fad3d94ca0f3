//! Files and directories that users of containers see. The daemon's umask keeps everybody out of what it
//! makes; these are made with the modes that the reference gives them.

use std::{io, os::unix::fs::PermissionsExt, path::Path};

use tokio::fs;

/// Makes a directory and those that are missing above it, each 0755. One that is there stays as it is.
///
/// # Errors
/// The system's.
pub async fn make_dir(path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    for above in path.ancestors() {
        if fs::try_exists(above).await? {
            break;
        }
        missing.push(above);
    }
    fs::create_dir_all(path).await?;
    for one in missing {
        fs::set_permissions(one, PermissionsExt::from_mode(0o755)).await?;
    }
    Ok(())
}

/// The same for the last directory alone: who isn't root doesn't get through those above it.
///
/// # Errors
/// The system's.
pub async fn make_last(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).await?;
    }
    make_dir(path).await
}

/// Writes a file in place, 0644.
///
/// # Errors
/// The system's.
pub async fn write(path: &Path, text: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(path, text).await?;
    fs::set_permissions(path, PermissionsExt::from_mode(0o644)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn what_is_new_is_open_and_what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        make_dir(&dir.path().join("a/b")).await.unwrap();
        assert_eq!((mode(&dir.path().join("a")), mode(&dir.path().join("a/b"))), (0o755, 0o755));
        std::fs::set_permissions(dir.path().join("a/b"), PermissionsExt::from_mode(0o700)).unwrap();
        make_dir(&dir.path().join("a/b")).await.unwrap();
        assert_eq!(mode(&dir.path().join("a/b")), 0o700);
        write(&dir.path().join("f"), "x").await.unwrap();
        assert_eq!(mode(&dir.path().join("f")), 0o644);
    }
}
