//! The context: an archive that is read while it arrives. It is written to the build's directory and never
//! unpacked; what COPY wants of it is read from there.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use pileus_base::{Error, Result};
use pileus_host::pipe::FromPieces;
use pileus_http::Chunks;
use tokio::sync::mpsc;

use super::{
    Options, archive,
    sources::leaves,
    tree::{Kind, Node, Tree},
};
use crate::{Docker, model::dockerfile::Ignore, new_id};

/// A build's directory and what it is built of. It is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where the build keeps what it makes.
    pub dir: PathBuf,
    /// The files; none where the request named only a Dockerfile.
    pub(super) tree: Option<Arc<Tree>>,
    /// The Dockerfile's text.
    pub dockerfile: String,
}

impl Drop for Context {
    fn drop(&mut self) {
        // Gone already where it was closed; else the next start sweeps it.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Where builds have their directories.
pub(super) fn builds(docker: &Docker) -> PathBuf {
    docker.options.state_dir.join("docker/tmp")
}

impl Context {
    /// Makes the build's directory.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn begin(docker: &Docker) -> Result<Self> {
        let dir = builds(docker).join(format!("build-{}", &new_id()[..16]));
        tokio::fs::create_dir_all(&dir).await.map_err(|e| Error::wrap("making the build's directory", e))?;
        Ok(Self { dir, tree: None, dockerfile: String::new() })
    }

    /// Takes a request's body in.
    ///
    /// # Errors
    /// 400 where it is no archive or has no Dockerfile.
    pub async fn receive(docker: &Docker, mut body: Chunks, options: &Options) -> Result<Self> {
        let mut context = Self::begin(docker).await?;
        let spool = context.dir.join("context.tar");
        let (to, from) = mpsc::channel(16);
        let reading = tokio::task::spawn_blocking(move || archive::read(FromPieces::new(from), &spool));
        let arrived: Result<()> = async {
            while let Some(chunk) = body.next().await? {
                if to.send(Ok(chunk)).await.is_err() {
                    break;
                }
            }
            Ok(())
        }
        .await;
        if let Err(e) = &arrived {
            // Half an archive is none.
            let _ = to.send(Err(std::io::Error::other(e.message().to_owned()))).await;
        }
        drop(to);
        let tree = reading.await.map_err(|e| Error::wrap("reading the context broke off", e))?;
        arrived.and_then(|()| context.fill(tree?, &options.dockerfile))?;
        Ok(context)
    }

    /// Takes files, and the Dockerfile among them.
    ///
    /// # Errors
    /// 400 where there is none.
    pub(super) fn fill(&mut self, mut tree: Tree, name: &str) -> Result<()> {
        self.dockerfile = dockerfile(&mut tree, name)?;
        self.tree = Some(Arc::new(tree));
        Ok(())
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

/// Removes what builds of an earlier daemon left: containers of steps, and their files.
///
/// # Errors
/// Those of the host and of the disk.
pub(crate) async fn sweep(docker: &Arc<Docker>) -> Result<()> {
    let dir = builds(docker);
    let listed = |dir: PathBuf| {
        blocking(move || {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            Ok(entries.map(|e| e.path()).collect::<Vec<_>>())
        })
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for build in listed(dir).await? {
        if !name(&build).starts_with("build-") {
            continue;
        }
        for container in listed(build.join("containers")).await? {
            match docker.remove_container(&name(&container), true, true).await {
                Err(e) if !e.is_not_found() => return Err(e),
                _ => {}
            }
        }
        tokio::fs::remove_dir_all(&build).await.map_err(|e| Error::wrap("removing a build's files", e))?;
    }
    Ok(())
}

fn file(tree: &Tree, path: &str) -> Result<Option<Vec<u8>>> {
    let real = tree.resolve(path.as_bytes())?;
    let Some(Node { kind: Kind::File(data), .. }) = tree.get(&real) else { return Ok(None) };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut data.read(), &mut bytes)
        .map_err(|e| Error::wrap(format!("reading {path}"), e))?;
    Ok(Some(bytes))
}

/// The Dockerfile's text. What `.dockerignore` says of the Dockerfile and of itself is done here; all else
/// the client has left out.
fn dockerfile(tree: &mut Tree, name: &str) -> Result<String> {
    if leaves(name) {
        return Err(Error::bad_request(format!("forbidden path outside the build context: {name} ()")));
    }
    let mut name = name;
    if name == "Dockerfile" && file(tree, name)?.is_none() && file(tree, "dockerfile")?.is_some() {
        name = "dockerfile";
    }
    let none = || Error::bad_request(format!("Cannot locate specified Dockerfile: {name}"));
    let text = file(tree, name)?.ok_or_else(none)?;
    if text.is_empty() {
        return Err(Error::bad_request(format!("the Dockerfile ({name}) cannot be empty")));
    }
    if let Some(rules) = file(tree, ".dockerignore")? {
        let rules = Ignore::read(&String::from_utf8_lossy(&rules));
        for path in [".dockerignore", name] {
            if rules.excludes(path) {
                let real = tree.resolve(path.as_bytes())?;
                tree.remove(&real);
            }
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Data, *};

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            let data = Data::Bytes(text.as_bytes().into());
            tree.put(path.as_bytes(), Node::new(Kind::File(data), 0o644, 0)).unwrap();
        }
        tree
    }

    #[test]
    fn a_dockerfile_is_found_or_named() {
        let of = |files: &[(&str, &str)], name: &str| {
            dockerfile(&mut tree(files), name).map_err(|e| e.message().to_owned())
        };
        assert_eq!(of(&[], "Dockerfile").unwrap_err(), "Cannot locate specified Dockerfile: Dockerfile");
        assert_eq!(of(&[("dockerfile", "FROM x")], "Dockerfile").unwrap(), "FROM x");
        assert_eq!(
            of(&[("Dockerfile", "")], "Dockerfile").unwrap_err(),
            "the Dockerfile (Dockerfile) cannot be empty"
        );
        assert!(of(&[], "../x").unwrap_err().contains("forbidden path"));
    }

    #[test]
    fn an_ignored_dockerfile_is_no_source() {
        let mut tree = tree(&[("f", "FROM x"), (".dockerignore", "f\n.dockerignore\n"), ("g", "")]);
        assert_eq!(dockerfile(&mut tree, "f").unwrap(), "FROM x");
        let left: Vec<_> = tree.below(b"").map(|(p, _)| p.to_vec()).collect();
        assert_eq!(left, [b"g".to_vec()]);
    }
}
