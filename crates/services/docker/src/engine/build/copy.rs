//! COPY and ADD: files of the context, of another image, or from elsewhere, put into a container that never
//! runs, which becomes a layer. The host resolves the paths inside; no program of the image is run.

use std::{io::Write, path::Component, path::Path, sync::Arc};

use pileus_base::{Error, Result};
use pileus_host::{AppliedLayer, Rootfs, pipe};
use serde_json::Value;

use super::{
    Builder,
    archive::is_archive,
    context::blocking,
    place::{self, Owner, Source},
    sources::{self, Miss, Place, gathered},
    tree::{Data, Kind, Node, Tree},
};
use crate::{events::now_ns, model::dockerfile::Copy, new_id};

/// Go's mode bit of a directory.
const DIR: u32 = 1 << 31;

/// `path` from the directory `base`, without `.`, `..` and doubled slashes; absolute.
pub(super) fn absolute(base: &str, path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for c in Path::new("/").join(base).join(path).components() {
        match c {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}

impl Builder {
    /// COPY and ADD.
    pub(super) async fn copy(&mut self, copy: &Copy) -> Result<()> {
        let what = if copy.add { "ADD" } else { "COPY" };
        let failed = |e: Error| {
            let message = format!("{what} failed: {}", e.message());
            Error::new(e.kind(), message).caused_by(e)
        };
        let words = copy.sources.iter().map(|w| self.word(w)).collect::<Result<Vec<_>>>()?;
        let given = self.word(&copy.to)?;
        let chown = copy.chown.as_deref().map(|c| self.word(c)).transpose()?.filter(|c| !c.is_empty());
        let chmod = copy.chmod.as_deref().map(|c| self.word(c)).transpose()?.filter(|c| !c.is_empty());
        let mut found = self.find(copy, &words, &given).await.map_err(failed)?;
        found.extend(self.docs(copy)?);
        if found.is_empty() {
            return Err(Error::bad_request(format!("{what} failed: no source files were specified")));
        }
        if found.len() > 1 && !given.ends_with('/') {
            return Err(Error::bad_request(format!(
                "When using {what} with more than one source file, the destination must be a directory and end with a /"
            )));
        }
        let hash = match found.as_slice() {
            [one] => one.hash.clone(),
            all => gathered("multi", &all.iter().map(|s| s.hash.clone()).collect::<Vec<_>>()),
        };
        let flags = [("chown", &chown), ("chmod", &chmod)];
        let flags: String =
            flags.iter().filter_map(|(n, v)| v.as_ref().map(|v| format!("--{n}={v} "))).collect();
        let mut command = self.shell()?;
        command.push(format!("#(nop) {what} {flags}{hash} in {given} "));
        let step = self.step_config(&command)?;
        if self.cache(&step).await? {
            return Ok(());
        }
        let stage = self.stage()?;
        let rootfs = Rootfs { layers: stage.layers.clone() };
        let workdir = stage.config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/").to_owned();
        let owner = self.owner(chown.as_deref(), chmod.as_deref(), copy.from.is_some(), &rootfs).await?;
        let id = new_id();
        let host = self.docker.host.clone();
        host.ensure_container(&id, &rootfs).await?;
        let put = self.put(&id, &rootfs, found, (&workdir, &given), owner).await;
        host.remove_container(&id).await?;
        let put = put.map_err(|e| {
            Error::new(e.kind(), format!("failed to copy files: {}", e.message())).caused_by(e)
        })?;
        self.keep(step, Some(put), "").await
    }

    /// What the words find: in the context, in an image, at URLs.
    async fn find(&mut self, copy: &Copy, words: &[String], given: &str) -> Result<Vec<Source>> {
        if let Some(from) = &copy.from {
            return self.find_in_image(from, words).await;
        }
        let mut all = Vec::new();
        for word in words {
            if word.starts_with("http://") || word.starts_with("https://") {
                if !copy.add {
                    return Err(Error::bad_request("source can't be a URL for COPY"));
                }
                all.push(self.download(word, given, copy.checksum.as_deref()).await?);
                continue;
            }
            if copy.checksum.is_some() {
                return Err(Error::bad_request("checksum can't be used with non-HTTP(S) sources"));
            }
            if copy.add && (word.starts_with("git@") || word.starts_with("git://")) {
                return Err(Error::bad_request("ADD of a git repository requires BuildKit"));
            }
            let tree =
                self.context.tree.clone().ok_or_else(|| Error::bad_request("missing build context"))?;
            let (word, unpack) = (word.clone(), copy.add);
            let found = blocking(move || {
                let found = match (Place { tree: &tree, image: false }.find(&word)) {
                    Ok(found) => found,
                    Err(Miss::Fault(e)) => return Err(e),
                    Err(Miss::Need(_)) => return Err(Error::internal("a context is whole")),
                };
                let mut all = Vec::new();
                for found in found {
                    let real = tree.resolve(&found.path)?;
                    let archive = match tree.get(&real) {
                        Some(Node { kind: Kind::File(data), .. }) if unpack => is_archive(data),
                        _ => false,
                    };
                    all.push(Source { tree: tree.clone(), path: found.path, hash: found.hash, archive });
                }
                Ok(all)
            });
            all.extend(found.await?);
        }
        Ok(all)
    }

    /// What the words find in an image or a stage, of which no more is taken than they name.
    async fn find_in_image(&mut self, from: &str, words: &[String]) -> Result<Vec<Source>> {
        let bad = |why: &str| Error::bad_request(format!("invalid from flag value {from}: {why}"));
        let done = self.stages.len().saturating_sub(1);
        let named = self.stages[..done].iter().find(|s| s.name.as_deref() == Some(&from.to_lowercase()));
        let layers = match (named, from.parse::<i64>()) {
            (Some(stage), _) => stage.layers.clone(),
            (None, Ok(n)) if n == done as i64 => return Err(bad("refers to current build stage")),
            (None, Ok(n)) => match usize::try_from(n).ok().and_then(|n| self.stages[..done].get(n)) {
                Some(stage) => stage.layers.clone(),
                None => return Err(bad("index out of bounds")),
            },
            (None, Err(_)) => self.base(from, None).await.map_err(|e| bad(e.message()))?.layers,
        };
        let (id, rootfs) = (new_id(), Rootfs { layers });
        let host = self.docker.host.clone();
        host.ensure_container(&id, &rootfs).await?;
        let found = self.take(&id, &rootfs, words).await;
        host.remove_container(&id).await?;
        found
    }

    async fn take(&self, id: &str, rootfs: &Rootfs, words: &[String]) -> Result<Vec<Source>> {
        let mut tree = Tree::default();
        let mut all = Vec::new();
        for word in words {
            let plain: Vec<&str> = word.split('/').take_while(|p| !sources::is_pattern(p)).collect();
            let mut need = absolute("/", &plain.join("/"));
            let mut tries = 0;
            loop {
                place::take(&self.docker, (id, rootfs), &self.context.dir, &mut tree, &need).await?;
                let shared = Arc::new(std::mem::take(&mut tree));
                let (looked, asked) = (shared.clone(), word.clone());
                let found = blocking(move || Ok(Place { tree: &looked, image: true }.find(&asked))).await?;
                match found {
                    Ok(found) => {
                        all.extend(found.into_iter().map(|f| Source {
                            tree: shared.clone(),
                            path: f.path,
                            hash: f.hash,
                            archive: false,
                        }));
                        tree = Tree::clone(&shared);
                        break;
                    }
                    Err(Miss::Fault(e)) => return Err(e),
                    Err(Miss::Need(path)) => {
                        tries += 1;
                        if tries > 64 {
                            return Err(Error::bad_request(format!("too many links in {word}")));
                        }
                        need = format!("/{}", String::from_utf8_lossy(&path));
                        tree = Tree::clone(&shared);
                    }
                }
            }
        }
        Ok(all)
    }

    /// Here-documents, as files.
    fn docs(&self, copy: &Copy) -> Result<Vec<Source>> {
        let mut all = Vec::new();
        for doc in &copy.docs {
            let text = doc.content();
            let text = match doc.expand {
                true => self.with_lex(|lex| lex.document(&text))?,
                false => text,
            };
            let data = Data::Bytes(text.into_bytes().into());
            let node = Node::new(Kind::File(data), 0o644, now_ns() / 1_000_000_000);
            let path = doc.name.clone().into_bytes();
            let hash = format!("file:{}", sources::node_sum(&path, &node)?);
            let mut tree = Tree::default();
            tree.put(&path, node)?;
            all.push(Source { tree: Arc::new(tree), path, hash, archive: false });
        }
        Ok(all)
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
        // Links at the end of the way are followed here, those on the way by the host.
        let (mut to, mut is_dir) = (absolute(workdir, given), false);
        for _ in 0..64 {
            match host.stat_path(id, rootfs, None, &to).await {
                Ok(stat) if !stat.link_target.is_empty() => to = absolute("/", &stat.link_target),
                Ok(stat) => {
                    is_dir = stat.mode & DIR != 0;
                    if !is_dir && (given.ends_with('/') || sources.iter().any(|s| s.archive || s.is_dir())) {
                        return Err(Error::bad_request(format!("mkdir {to}: not a directory")));
                    }
                    break;
                }
                Err(_) => break,
            }
        }
        let inside = is_dir || given.ends_with('/');
        let whole = inside || sources.iter().any(|s| s.archive || s.is_dir());
        let parent = if whole { to.clone() } else { absolute(&to, "..") };
        let missing = if is_dir { Vec::new() } else { self.missing(id, rootfs, &parent).await };
        let (files, archives): (Vec<_>, Vec<_>) = sources.into_iter().partition(|s| !s.archive);
        let at = to.clone();
        let tar = pipe::reader(move |out: &mut dyn Write| {
            place::write(out, &files, &missing, (&at, inside), owner)
        });
        host.copy_in(id, rootfs, None, "/", tar, false).await?;
        for archive in archives {
            let tar = pipe::reader(move |out: &mut dyn Write| archive.unpacked(out));
            host.copy_in(id, rootfs, None, &to, tar, false).await?;
        }
        host.turn_into_layer(id, rootfs, false).await
    }

    /// The directories on the way to `path` that are missing, the highest first.
    async fn missing(&self, id: &str, rootfs: &Rootfs, path: &str) -> Vec<String> {
        let mut missing = Vec::new();
        let mut at = path.to_owned();
        while at != "/" && self.docker.host.stat_path(id, rootfs, None, &at).await.is_err() {
            missing.insert(0, at.clone());
            at = absolute(&at, "..");
        }
        missing
    }

    /// Makes a directory where it is missing.
    pub(super) async fn make_dir(
        &self,
        id: &str,
        rootfs: &Rootfs,
        path: &str,
    ) -> Result<Option<AppliedLayer>> {
        let missing = self.missing(id, rootfs, path).await;
        if missing.is_empty() {
            return Ok(None);
        }
        let root = Owner { ids: Some((0, 0)), mode: None };
        let mut tar = Vec::new();
        place::write(&mut tar, &[], &missing, ("/", true), root)?;
        let host = &self.docker.host;
        host.copy_in(id, rootfs, None, "/", Box::new(std::io::Cursor::new(tar)), false).await?;
        Ok(Some(host.turn_into_layer(id, rootfs, false).await?))
    }

    async fn owner(
        &self,
        chown: Option<&str>,
        chmod: Option<&str>,
        keep: bool,
        rootfs: &Rootfs,
    ) -> Result<Owner> {
        let mut owner = Owner { ids: if keep { None } else { Some((0, 0)) }, mode: None };
        if let Some(mode) = chmod {
            let bits = u32::from_str_radix(mode, 8).ok().filter(|m| *m <= 0o7777);
            owner.mode = Some(bits.ok_or_else(|| {
                Error::bad_request(format!(
                    "invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777"
                ))
            })?);
        }
        let Some(chown) = chown else { return Ok(owner) };
        let parts: Vec<&str> = chown.split(':').collect();
        let bad = |why: String| {
            Error::bad_request(format!("unable to convert uid/gid chown string to host mapping: {why}"))
        };
        let (user, group) = match parts.as_slice() {
            [user] => (*user, *user),
            [user, group] => (*user, *group),
            _ => return Err(bad(format!("invalid chown string format: {chown}"))),
        };
        let uid = self.number(user, rootfs, "/etc/passwd").await?;
        let uid = uid.ok_or_else(|| bad(format!("can't find uid for user {user}: no such user: {user}")))?;
        let gid = self.number(group, rootfs, "/etc/group").await?;
        let gid =
            gid.ok_or_else(|| bad(format!("can't find gid for group {group}: no such group: {group}")))?;
        owner.ids = Some((uid, gid));
        Ok(owner)
    }

    async fn number(&self, name: &str, rootfs: &Rootfs, file: &str) -> Result<Option<u64>> {
        if let Ok(n) = name.parse::<u32>() {
            return Ok(Some(n.into()));
        }
        let text = self.docker.host.read_small(None, rootfs, file).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(text.lines().find_map(|l| {
            let mut fields = l.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_clean() {
        assert_eq!(absolute("/w", "x/../y"), "/w/y");
        assert_eq!(absolute("w", "../../z/"), "/z");
    }
}
