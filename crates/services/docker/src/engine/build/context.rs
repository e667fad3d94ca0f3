//! The context: taken in to a file, unpacked under the state directory. No path leaves it: an archive's
//! names are resolved below one directory that nobody else writes to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pileus_base::{Error, Result};
use pileus_http::Chunks;
use tokio::io::AsyncWriteExt;

use super::{Options, files};
use crate::{Docker, model::dockerfile::Ignore, new_id};

/// A context that has been unpacked. It is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where the build keeps what it makes.
    pub dir: PathBuf,
    /// Where the context is.
    pub root: PathBuf,
    /// The Dockerfile's text.
    pub dockerfile: String,
}

impl Drop for Context {
    fn drop(&mut self) {
        // Gone already where it was closed.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Context {
    /// Takes a request's body in.
    ///
    /// # Errors
    /// 400 where it is no archive or has no Dockerfile.
    pub async fn receive(docker: &Docker, mut body: Chunks, options: &Options) -> Result<Self> {
        let dir = docker.options.state_dir.join("docker/tmp").join(format!("build-{}", &new_id()[..16]));
        let root = dir.join("context");
        tokio::fs::create_dir_all(&root).await.map_err(|e| Error::wrap("making the build's directory", e))?;
        let mut context = Self { dir, root, dockerfile: String::new() };
        let spool = context.dir.join("context.tar");
        let mut file =
            tokio::fs::File::create(&spool).await.map_err(|e| Error::wrap("writing the context", e))?;
        while let Some(chunk) = body.next().await? {
            file.write_all(&chunk).await.map_err(|e| Error::wrap("writing the context", e))?;
        }
        file.flush().await.map_err(|e| Error::wrap("writing the context", e))?;
        drop(file);
        let (root, name) = (context.root.clone(), options.dockerfile.clone());
        context.dockerfile = blocking(move || {
            unpack(&spool, &root)?;
            fs::remove_file(&spool).map_err(|e| Error::wrap("removing the context's archive", e))?;
            dockerfile(&root, &name)
        })
        .await?;
        Ok(context)
    }

    /// Removes it.
    pub async fn close(self) {
        // What is left is removed by the drop, or told by it to nobody.
        let _ = blocking(move || {
            drop(self);
            Ok(())
        })
        .await;
    }
}

/// Runs what blocks.
pub(super) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f).await.map_err(|e| Error::wrap("a build's step broke off", e))?
}

/// Unpacks an archive below `root`.
pub(super) fn unpack(archive: &Path, root: &Path) -> Result<()> {
    let bad = |e: std::io::Error| Error::bad_request(format!("Error processing tar file: {e}"));
    let mut tar = tar::Archive::new(files::decoded(archive)?);
    tar.set_preserve_permissions(true);
    tar.set_preserve_mtime(true);
    let mut dirs = Vec::new();
    for entry in tar.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            // Modes of directories last: one may be read only.
            if let (Ok(path), Ok(mode)) = (entry.path(), entry.header().mode()) {
                dirs.push((path.into_owned(), mode));
            }
        } else if !kind.is_file() && !kind.is_symlink() && !kind.is_hard_link() {
            continue;
        }
        if !entry.unpack_in(root).map_err(bad)? && entry.path_bytes().as_ref() != b"/" {
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            return Err(Error::bad_request(format!(
                "Error processing tar file: {path:?} is outside of the context"
            )));
        }
    }
    for (path, mode) in dirs.into_iter().rev() {
        if let Some(real) = files::resolve(root, &path.to_string_lossy()).filter(|p| p.is_dir()) {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(real, fs::Permissions::from_mode(mode & 0o7777)).map_err(bad)?;
        }
    }
    Ok(())
}

/// The Dockerfile's text. What `.dockerignore` says of the Dockerfile and of itself is done here; all else
/// the client has left out.
fn dockerfile(root: &Path, name: &str) -> Result<String> {
    let none = || Error::bad_request(format!("Cannot locate specified Dockerfile: {name}"));
    if files::leaves(name) {
        return Err(Error::bad_request(format!("forbidden path outside the build context: {name} ()")));
    }
    let mut path = files::resolve(root, name).filter(|p| p.is_file());
    if path.is_none() && name == "Dockerfile" {
        path = files::resolve(root, "dockerfile").filter(|p| p.is_file());
    }
    let path = path.ok_or_else(none)?;
    let text = fs::read(&path).map_err(|e| Error::wrap("reading the Dockerfile", e))?;
    if text.is_empty() {
        return Err(Error::bad_request(format!("The Dockerfile ({name}) cannot be empty")));
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let rules = files::resolve(root, ".dockerignore").and_then(|p| fs::read_to_string(p).ok());
    if let Some(rules) = rules.map(|r| Ignore::read(&r)) {
        for file in [".dockerignore", name] {
            if rules.excludes(file)
                && let Some(real) = files::resolve(root, file)
                && real.is_file()
            {
                fs::remove_file(real).map_err(|e| Error::wrap("leaving out an ignored file", e))?;
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_context() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let mut h = tar::Header::new_gnu();
        h.set_entry_type(tar::EntryType::Symlink);
        h.set_size(0);
        tar.append_link(&mut h, "out", "..").unwrap();
        let mut h = tar::Header::new_gnu();
        h.set_size(1);
        h.set_mode(0o644);
        tar.append_data(&mut h, "out/evil", &b"x"[..]).unwrap();
        let archive = dir.path().join("a.tar");
        fs::write(&archive, tar.into_inner().unwrap()).unwrap();
        assert!(unpack(&archive, &root).is_err());
        assert!(!dir.path().join("evil").exists());
    }

    #[test]
    fn a_dockerfile_is_found_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let e = dockerfile(dir.path(), "Dockerfile").unwrap_err();
        assert_eq!(e.message(), "Cannot locate specified Dockerfile: Dockerfile");
        fs::write(dir.path().join("dockerfile"), "FROM x").unwrap();
        assert_eq!(dockerfile(dir.path(), "Dockerfile").unwrap(), "FROM x");
        assert!(dockerfile(dir.path(), "../x").is_err());
    }
}
