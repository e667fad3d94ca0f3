//! COPY and ADD: files of the context or of another image put into a container that never runs, and what
//! that wrote committed. The host resolves the paths inside; no program of the image is run.

use std::{fs, path::PathBuf};

use pileus_base::{Error, Result};
use pileus_host::{AppliedLayer, Rootfs};
use serde_json::Value;

use super::{
    Builder,
    context::{blocking, unpack},
    files::{self, Item, Owner},
};
use crate::{
    model::dockerfile::{Copy, expand},
    new_id,
};

/// Go's mode bit of a directory.
const DIR: u32 = 1 << 31;

/// One source.
struct Source {
    name: String,
    path: PathBuf,
    items: Vec<Item>,
    archive: bool,
}

impl Source {
    /// Its files for the digest: a file that is copied alone counts with its name.
    fn hashed(&self) -> Vec<Item> {
        let mut items = self.items.clone();
        if let [one] = items.as_mut_slice() {
            one.below.clone_from(&self.name);
        }
        items
    }
}

impl Builder {
    /// COPY and ADD.
    pub(super) async fn copy(&mut self, copy: &Copy) -> Result<()> {
        let what = if copy.add { "ADD" } else { "COPY" };
        let mut words = copy.words.iter().map(|w| self.word(w)).collect::<Result<Vec<_>>>()?;
        let given = words.pop().unwrap_or_default();
        if words.len() > 1 && !given.ends_with('/') {
            return Err(Error::bad_request(format!(
                "When using {what} with more than one source file, the destination must be a directory and end with a /"
            )));
        }
        let root = match &copy.from {
            Some(from) => self.other(from, &words).await?,
            None => self.context.root.clone(),
        };
        let docs = self.written_out(copy)?;
        let (add, from_image) = (copy.add, copy.from.is_some());
        let sources = blocking(move || {
            let mut all = Vec::new();
            for word in &words {
                match docs.iter().find(|(mark, ..)| mark == word) {
                    Some((_, name, path)) => all.push(source(name, path.clone(), false)?),
                    None => all.extend(find(&root, word, what, add && !from_image)?),
                }
            }
            Ok(all)
        })
        .await?;
        if sources.is_empty() {
            return Err(Error::bad_request(format!("{what} failed: no source files were specified")));
        }
        if sources.len() > 1 && !given.ends_with('/') {
            return Err(Error::bad_request(format!(
                "When using {what} with more than one source file, the destination must be a directory and end with a /"
            )));
        }
        let kind = match sources.as_slice() {
            [one] if one.path.is_dir() => "dir",
            [_] => "file",
            _ => "multi",
        };
        let items: Vec<Item> = sources.iter().flat_map(Source::hashed).collect();
        let hash = blocking(move || files::digest(&items)).await?;
        let mut command = self.shell()?;
        let owner = [("chown", &copy.chown), ("chmod", &copy.chmod)]
            .iter()
            .filter_map(|(n, v)| v.as_ref().map(|v| format!("--{n}={v} ")))
            .collect::<String>();
        command.push(format!("#(nop) {what} {owner}{kind}:{hash} in {given} "));
        let step = self.step_config(&command)?;
        if self.cache(&step).await? {
            return Ok(());
        }
        let stage = self.stage()?;
        let rootfs = Rootfs { layers: stage.layers.clone() };
        let workdir = stage.config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/").to_owned();
        let owner = self.owner(copy, &rootfs).await?;
        let id = new_id();
        let host = self.docker.host.clone();
        host.ensure_container(&id, &rootfs).await?;
        let put = self.put(&id, &rootfs, sources, (&workdir, &given), owner).await;
        host.remove_container(&id).await?;
        self.keep(step, Some(put?), "").await
    }

    async fn put(
        &self,
        id: &str,
        rootfs: &Rootfs,
        sources: Vec<Source>,
        (workdir, given): (&str, &str),
        owner: Owner,
    ) -> Result<AppliedLayer> {
        let host = &self.docker.host;
        let to = files::absolute(workdir, given);
        let stat = host.stat_path(id, rootfs, None, &to).await.ok();
        let real = match &stat {
            Some(s) if !s.link_target.is_empty() => files::absolute("/", &s.link_target),
            _ => to.clone(),
        };
        let is_dir = host.stat_path(id, rootfs, None, &real).await.is_ok_and(|s| s.mode & DIR != 0);
        let inside =
            given.ends_with('/') || given.ends_with("/.") || given == "." || is_dir || sources.len() > 1;
        let archives: Vec<PathBuf> = sources.iter().filter(|s| s.archive).map(|s| s.path.clone()).collect();
        let whole = inside || !archives.is_empty() || sources.iter().any(|s| s.path.is_dir());
        let parent = if whole { real.clone() } else { files::absolute(&real, "..") };
        let (top, missing) = self.missing(id, rootfs, &parent).await;
        let below = |path: &str| path.get(top.len()..).unwrap_or_default().trim_start_matches('/').to_owned();
        let missing: Vec<String> = missing.iter().map(|d| below(d)).collect();
        let path = self.context.dir.join(format!("{}.tar", &id[..12]));
        let spool = path.clone();
        let base = below(&real);
        blocking(move || {
            let write = || -> std::io::Result<()> {
                let mut tar = tar::Builder::new(std::io::BufWriter::new(fs::File::create(&spool)?));
                for dir in &missing {
                    files::add_dir(&mut tar, dir, owner)?;
                }
                for s in sources.iter().filter(|s| !s.archive) {
                    let dir = s.path.is_dir();
                    for item in &s.items {
                        let to = match (dir, item.below.is_empty()) {
                            (true, true) => continue,
                            (true, false) => format!("{base}/{}", item.below),
                            (false, _) if inside => format!("{base}/{}", s.name),
                            (false, _) => base.clone(),
                        };
                        files::add(&mut tar, &item.from, to.trim_start_matches('/'), owner)?;
                    }
                }
                std::io::Write::flush(&mut tar.into_inner()?)
            };
            write().map_err(|e| Error::wrap("putting files together", e))
        })
        .await?;
        self.copy_file(id, rootfs, &top, &path).await?;
        for archive in archives {
            self.copy_file(id, rootfs, &real, &archive).await?;
        }
        // What is left goes with the build's directory.
        let _ = tokio::fs::remove_file(&path).await;
        host.commit_container(id, rootfs).await
    }

    async fn copy_file(&self, id: &str, rootfs: &Rootfs, to: &str, tar: &std::path::Path) -> Result<()> {
        let file = tokio::fs::File::open(tar).await.map_err(|e| Error::wrap("reading an archive", e))?;
        self.docker.host.copy_in(id, rootfs, None, to, Box::new(file), false).await
    }

    /// The lowest directory on the way to `path` that is there, and those that are not, the highest first.
    async fn missing(&self, id: &str, rootfs: &Rootfs, path: &str) -> (String, Vec<String>) {
        let mut missing = Vec::new();
        let mut at = path.to_owned();
        while at != "/" && self.docker.host.stat_path(id, rootfs, None, &at).await.is_err() {
            missing.insert(0, at.clone());
            at = files::absolute(&at, "..");
        }
        (at, missing)
    }

    /// Makes a directory where it is missing.
    pub(super) async fn make_dir(
        &self,
        id: &str,
        rootfs: &Rootfs,
        path: &str,
    ) -> Result<Option<AppliedLayer>> {
        let (top, missing) = self.missing(id, rootfs, path).await;
        if missing.is_empty() {
            return Ok(None);
        }
        let mut tar = tar::Builder::new(Vec::new());
        for dir in &missing {
            let below = dir.get(top.len()..).unwrap_or_default().trim_start_matches('/');
            files::add_dir(&mut tar, below, Owner::default())
                .map_err(|e| Error::wrap("making a directory", e))?;
        }
        let bytes = tar.into_inner().map_err(|e| Error::wrap("making a directory", e))?;
        let reader = Box::new(std::io::Cursor::new(bytes));
        self.docker.host.copy_in(id, rootfs, None, &top, reader, false).await?;
        Ok(Some(self.docker.host.commit_container(id, rootfs).await?))
    }

    /// What `--from` names, unpacked as far as it is asked for; where that is.
    async fn other(&mut self, from: &str, words: &[String]) -> Result<PathBuf> {
        let before = self.stages.len().saturating_sub(1);
        let named = self.stages[..before].iter().rfind(|s| s.name.as_deref() == Some(&from.to_lowercase()));
        let layers = match (named, from.parse::<usize>()) {
            (Some(stage), _) => stage.layers.clone(),
            (None, Ok(n)) if n < before => self.stages[n].layers.clone(),
            (None, Ok(_)) => {
                return Err(Error::bad_request(format!(
                    "invalid from flag value {from}: invalid stage index"
                )));
            }
            (None, Err(_)) => self.base(from).await?.layers,
        };
        let (id, rootfs) = (new_id(), Rootfs { layers });
        let root = self.context.dir.join(format!("from-{}", &id[..12]));
        let host = self.docker.host.clone();
        host.ensure_container(&id, &rootfs).await?;
        let taken = self.take(&id, &rootfs, words, &root).await;
        host.remove_container(&id).await?;
        taken.map(|()| root)
    }

    async fn take(&self, id: &str, rootfs: &Rootfs, words: &[String], root: &std::path::Path) -> Result<()> {
        for (i, word) in words.iter().enumerate() {
            let plain: Vec<&str> = word.split('/').take_while(|p| !p.contains(['*', '?', '['])).collect();
            let mut path = files::absolute("/", &plain.join("/"));
            let stat = self.docker.host.stat_path(id, rootfs, None, &path).await.map_err(|_| {
                Error::bad_request(format!(
                    "COPY failed: stat {}: file does not exist",
                    word.trim_start_matches('/')
                ))
            })?;
            let dir = root.join(path.trim_start_matches('/'));
            let at = if path == "/" { root.to_owned() } else { dir.parent().unwrap_or(root).to_owned() };
            let asked = path.rsplit('/').next().unwrap_or_default().to_owned();
            if !stat.link_target.is_empty() {
                path = files::absolute("/", &stat.link_target);
            }
            let (stat, mut tar) = self.docker.host.copy_out(id, rootfs, None, &path).await?;
            let spool = self.context.dir.join(format!("{}-{i}.tar", &id[..12]));
            let broken = |e| Error::wrap("taking files from an image", e);
            let mut file = tokio::fs::File::create(&spool).await.map_err(broken)?;
            tokio::io::copy(&mut tar, &mut file).await.map_err(broken)?;
            tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(broken)?;
            blocking(move || {
                fs::create_dir_all(&at).map_err(broken)?;
                unpack(&spool, &at)?;
                if !asked.is_empty() && asked != stat.name && at.join(&stat.name).exists() {
                    fs::rename(at.join(&stat.name), at.join(&asked)).map_err(broken)?;
                }
                fs::remove_file(&spool).map_err(broken)
            })
            .await?;
        }
        Ok(())
    }

    /// Here-documents as files: the word that announces each, its name, and where it is.
    fn written_out(&self, copy: &Copy) -> Result<Vec<(String, String, PathBuf)>> {
        let mut all = Vec::new();
        for word in copy.words.iter().filter(|w| w.starts_with("<<")) {
            let name = word.trim_start_matches('<').trim_start_matches('-').trim_matches(['"', '\'']);
            let Some(doc) = copy.heredocs.iter().find(|d| d.name == name) else { continue };
            let text = if doc.expand { self.lines(&doc.text)? } else { doc.text.clone() };
            let dir = self.context.dir.join(format!("doc-{}", &new_id()[..12]));
            fs::create_dir_all(&dir)
                .and_then(|()| fs::write(dir.join(name), text))
                .map_err(|e| Error::wrap("writing a here-document", e))?;
            all.push((self.word(word)?, name.to_owned(), dir.join(name)));
        }
        Ok(all)
    }

    /// Variables replaced in a text whose quotes stay.
    fn lines(&self, text: &str) -> Result<String> {
        let quoted = text.replace('"', "\\\"");
        let inner = |name: &str| self.word(&format!("${name}")).ok();
        expand(&format!("\"{quoted}\""), '\\', &inner)
    }

    async fn owner(&self, copy: &Copy, rootfs: &Rootfs) -> Result<Owner> {
        let mut owner = Owner::default();
        if let Some(mode) = &copy.chmod {
            let mode = self.word(mode)?;
            let bits = u32::from_str_radix(&mode, 8).ok().filter(|m| *m <= 0o7777);
            owner.mode = Some(bits.ok_or_else(|| {
                Error::bad_request(format!(
                    "invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777"
                ))
            })?);
        }
        let Some(chown) = &copy.chown else { return Ok(owner) };
        let chown = self.word(chown)?;
        let (user, group) = chown.split_once(':').map_or((chown.as_str(), None), |(u, g)| (u, Some(g)));
        owner.uid = self.number(user, rootfs, "/etc/passwd", "user").await?;
        owner.gid = self.number(group.unwrap_or(user), rootfs, "/etc/group", "group").await?;
        Ok(owner)
    }

    async fn number(&self, name: &str, rootfs: &Rootfs, file: &str, kind: &str) -> Result<u64> {
        if let Ok(n) = name.parse::<u32>() {
            return Ok(n.into());
        }
        let text = self.docker.host.read_small(None, rootfs, file).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let found = text.lines().find_map(|l| {
            let mut fields = l.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
        });
        found.ok_or_else(|| {
            Error::bad_request(format!(
                "unable to convert uid/gid chown string to host mapping: can't find {} for {kind} {name}: no such {kind}: {name}",
                if kind == "user" { "uid" } else { "gid" }
            ))
        })
    }
}

/// What a word finds in the context.
fn find(root: &std::path::Path, word: &str, what: &str, archives: bool) -> Result<Vec<Source>> {
    if what == "ADD"
        && (word.starts_with("http://") || word.starts_with("https://") || word.starts_with("git@"))
    {
        return Err(Error::not_implemented("ADD of a URL is not supported"));
    }
    if files::leaves(word) {
        return Err(Error::bad_request(format!(
            "{what} failed: forbidden path outside the build context: {word} ()"
        )));
    }
    if word.contains(['*', '?', '[']) {
        let found = files::glob(root, word).into_iter();
        return found
            .filter_map(|p| files::resolve(root, &p).map(|real| (p, real)))
            .map(|(p, real)| source(p.rsplit('/').next().unwrap_or_default(), real, archives))
            .collect();
    }
    let path = files::resolve(root, word).ok_or_else(|| {
        let shown = word.trim_start_matches('/').trim_start_matches("./");
        Error::bad_request(format!(
            "{what} failed: file not found in build context or excluded by .dockerignore: stat {shown}: file does not exist"
        ))
    })?;
    let name = word.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    Ok(vec![source(name, path, archives)?])
}

fn source(name: &str, path: PathBuf, archives: bool) -> Result<Source> {
    let archive = archives && path.is_file() && files::is_archive(&path);
    Ok(Source { name: name.to_owned(), items: files::walk(&path)?, path, archive })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_or_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "x").unwrap();
        let text = |w: &str| find(dir.path(), w, "COPY", false).err().unwrap().message().to_owned();
        assert!(text("b").ends_with("excluded by .dockerignore: stat b: file does not exist"));
        assert!(text("../b").contains("forbidden path outside the build context: ../b ()"));
        let found = find(dir.path(), "*.txt", "COPY", false).unwrap();
        assert_eq!((found.len(), found[0].name.as_str()), (1, "a.txt"));
    }
}
