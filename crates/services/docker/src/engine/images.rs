//! Images: finding, keeping, removing.
//!
//! An image is a document; its layers are the host's, its compressed layers are [`blobs`]. What no image and
//! no container uses is removed by [`Docker::sweep_images`], which looks at all documents in one snapshot and
//! never runs while an image is being brought in ([`bringing_in`]).

pub(crate) mod archive;
pub mod blobs;
pub mod fsck;
pub mod import;
pub mod load;
pub mod progress;
pub mod remove;
pub mod save;
mod search;

use std::collections::{BTreeMap, HashSet};

use pileus_base::{Error, Result};
use pileus_store::{Query, Resource, Stored};
use sha2::{Digest, Sha256};
use tokio::sync::{RwLock, RwLockReadGuard};

use crate::{
    Container, Docker, Image, Pull,
    events::now_ns,
    model::reference::{Reference, familiar, is_digest},
    registry::forgotten,
    store::registry::{self as documents, Link},
};

/// How long what a pull has fetched is kept for it to go on, in nanoseconds: a day.
const PULL_NS: i64 = 24 * 3600 * 1_000_000_000;

/// Held for reading while layers and blobs come in that no document names yet.
static INCOMING: RwLock<()> = RwLock::const_new(());

/// Keeps new layers and blobs from being swept away until their image is saved.
pub(crate) async fn bringing_in() -> RwLockReadGuard<'static, ()> {
    INCOMING.read().await
}

/// `sha256:` and the digest of bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Docker {
    /// Makes the store of images ready: removes what a killed daemon left half brought in.
    pub(crate) async fn open_images(&self) -> Result<()> {
        self.blobs().open().await?;
        self.sweep_images().await
    }

    /// Every image.
    pub(crate) async fn images(&self) -> Result<Vec<Stored<Image>>> {
        self.store.read(|rd| rd.list::<Image>(&pileus_base::Scope::All, &Query::all())).await
    }

    /// The image of a name, tag, digest or id (or its beginning).
    ///
    /// # Errors
    /// 404, `No such image: X`; 400 where it is no name.
    pub(crate) async fn image(&self, name: &str) -> Result<Stored<Image>> {
        let all = self.images().await?;
        match pick(&all, name)? {
            Some(at) => all.into_iter().nth(at).ok_or_else(|| Image::not_found(name)),
            None => Err(Image::not_found(&shown(name))),
        }
    }

    /// Keeps an image: new, or added to the one of its id. Its tags are taken from the images that have them.
    /// Layers that came as blobs are known by them in what is made of their images too: a registry's own bytes can't be
    /// written anew.
    pub(crate) async fn save_image(&self, image: Image) -> Result<()> {
        self.store
            .write(move |tx| {
                let all = pileus_base::Scope::All;
                let mut image = image.clone();
                for (at, layer) in image.layers.clone().iter().enumerate() {
                    if image.blobs.contains_key(&at) {
                        continue;
                    }
                    let parent = tx.find::<Image>(&all, &image.parent)?.map(|p| p.value);
                    let of = |i: &Image| {
                        (i.layers.get(at) == Some(layer)).then(|| i.blobs.get(&at).cloned()).flatten()
                    };
                    let known = match parent.as_ref().and_then(of) {
                        None => tx
                            .list::<Image>(&all, &Query::by("layer", layer))?
                            .iter()
                            .find_map(|i| of(&i.value)),
                        known => known,
                    };
                    if let Some(blob) = known {
                        image.blobs.insert(at, blob);
                    }
                }
                for tag in &image.tags {
                    for mut other in tx.list::<Image>(&all, &Query::by("tag", tag))? {
                        if other.id != image.id {
                            other.value.tags.retain(|t| t != tag);
                            tx.put(&other)?;
                        }
                    }
                }
                match tx.find::<Image>(&all, &image.id)? {
                    None => tx.insert(&image),
                    Some(mut known) => {
                        let have = &mut known.value;
                        add(&mut have.tags, &image.tags);
                        add(&mut have.digests, &image.digests);
                        for (at, blob) in &image.blobs {
                            have.blobs.entry(*at).or_insert_with(|| blob.clone());
                        }
                        have.layers.clone_from(&image.layers);
                        have.layer_bytes.clone_from(&image.layer_bytes);
                        if !image.parent.is_empty() {
                            have.parent.clone_from(&image.parent);
                        }
                        have.tagged_ns = image.tagged_ns;
                        tx.put(&known)
                    }
                }
            })
            .await
    }

    /// Gives an image a tag, which another image may lose.
    pub(crate) async fn tag_image(&self, image: &Image, to: &Reference) -> Result<()> {
        let mut tagged = image.clone();
        tagged.tags = vec![to.tagged()];
        tagged.tagged_ns = now_ns();
        self.save_image(tagged).await?;
        self.image_event("tag", &image.id, familiar(&to.tagged()));
        Ok(())
    }

    /// Tells of an image.
    pub(crate) fn image_event(&self, action: &str, id: &str, name: &str) {
        self.events.emit("image", action, id, BTreeMap::from([("name".to_owned(), name.to_owned())]));
    }

    /// Lets go of blobs that a push left in a repository without a manifest; the links that stay.
    async fn drop_forgotten(&self, links: Vec<Stored<Link>>) -> Result<Vec<Stored<Link>>> {
        let all = |rd: &mut pileus_store::Read<'_>| {
            rd.list::<documents::Manifest>(&pileus_base::Scope::All, &Query::all())
        };
        let manifests = self.store.read(all).await?;
        let gone: Vec<String> = {
            let links: Vec<&Link> = links.iter().map(|l| &l.value).collect();
            let manifests: Vec<_> = manifests.iter().map(|m| &m.value).collect();
            let gone = forgotten(&links, &manifests, now_ns());
            gone.into_iter().map(|l| Link::key(&l.at, &l.digest)).collect()
        };
        if gone.is_empty() {
            return Ok(links);
        }
        let ids = gone.clone();
        let write = self.store.write(move |tx| ids.iter().try_for_each(|id| tx.delete::<Link>(id).map(drop)));
        write.await?;
        Ok(links.into_iter().filter(|l| !gone.contains(&Link::key(&l.at, &l.digest))).collect())
    }

    /// Removes layers and blobs that nothing uses. Does nothing while images come in: a later sweep does.
    pub(crate) async fn sweep_images(&self) -> Result<()> {
        let Ok(_alone) = INCOMING.try_write() else { return Ok(()) };
        let (mut layers, mut blobs) = (HashSet::new(), HashSet::new());
        let (images, containers, links, pulls) = self
            .store
            .read(|rd| {
                let all = pileus_base::Scope::All;
                let images = rd.list::<Image>(&all, &Query::all())?;
                let links = rd.list::<Link>(&all, &Query::all())?;
                let pulls = rd.list::<Pull>(&all, &Query::all())?;
                Ok((images, rd.list::<Container>(&all, &Query::all())?, links, pulls))
            })
            .await?;
        let links = self.drop_forgotten(links).await?;
        for image in images {
            layers.extend(image.value.layers);
            blobs.extend(image.value.blobs.into_values());
        }
        blobs.extend(pulls.into_iter().filter(|p| now_ns() - p.at_ns < PULL_NS).flat_map(|p| p.value.blobs));
        blobs.extend(links.into_iter().map(|l| l.value.digest));
        containers.into_iter().for_each(|c| layers.extend(c.value.rootfs.layers));
        for id in self.host.layers().await? {
            if !layers.contains(&id) {
                self.host.remove_layer(&id).await?;
            }
        }
        self.blobs().keep_only(&blobs).await
    }
}

fn add(to: &mut Vec<String>, more: &[String]) {
    for one in more {
        if !to.contains(one) {
            to.push(one.clone());
        }
    }
}

/// A name in an error: with the tag that it means.
fn shown(name: &str) -> String {
    match Reference::parse(name) {
        Ok(reference) if !name.starts_with("sha256:") => {
            familiar(&reference.or_latest().to_string()).to_owned()
        }
        _ => name.to_owned(),
    }
}

/// Which of the images a name means: a whole id, a tag, a digest, or the beginning of an id.
fn pick(all: &[Stored<Image>], name: &str) -> Result<Option<usize>> {
    if is_digest(name)
        && let Some(at) = all.iter().position(|i| i.id == name)
    {
        return Ok(Some(at));
    }
    let bare = name.strip_prefix("sha256:").unwrap_or(name);
    let whole = format!("sha256:{bare}");
    if let Some(at) = all.iter().position(|i| i.id == whole) {
        return Ok(Some(at));
    }
    let is_hex = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_hexdigit());
    match Reference::parse(name) {
        Ok(reference) => {
            let reference = reference.or_latest();
            let found = match &reference.digest {
                Some(digest) => {
                    let by = format!("{}@{digest}", reference.repository());
                    all.iter().position(|i| i.digests.contains(&by))
                }
                None => {
                    let tag = reference.tagged();
                    all.iter().position(|i| i.tags.contains(&tag))
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Err(e) if !is_hex => return Err(e),
        Err(_) => {}
    }
    if !is_hex {
        return Ok(None);
    }
    let mut by_prefix = all.iter().enumerate().filter(|(_, i)| i.id["sha256:".len()..].starts_with(bare));
    match (by_prefix.next(), by_prefix.next()) {
        (Some(_), Some(_)) => Err(Error::not_found(format!("No such image: {name}: ambiguous ID"))),
        (one, _) => Ok(one.map(|(at, _)| at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, tag: &str) -> Stored<Image> {
        let value = Image {
            id: format!("sha256:{}", id.repeat(32)),
            config: "{}".into(),
            layers: vec![],
            layer_bytes: vec![],
            tags: vec![tag.into()],
            digests: vec![],
            parent: String::new(),
            tagged_ns: 0,
            blobs: BTreeMap::new(),
        };
        Stored { value, revision: 1 }
    }

    #[test]
    fn an_image_is_found_by_each_of_its_names() {
        let all = [image("ab", "docker.io/library/x:latest"), image("ac", "127.0.0.1:5000/x:1")];
        assert_eq!(pick(&all, "x").unwrap(), Some(0));
        assert_eq!(pick(&all, "127.0.0.1:5000/x:1").unwrap(), Some(1));
        assert_eq!(pick(&all, "abab").unwrap(), Some(0));
        assert_eq!(pick(&all, &all[1].id).unwrap(), Some(1));
        assert!(pick(&all, "a").is_err());
        assert_eq!(pick(&all, "y").unwrap(), None);
        assert!(pick(&all, "Y").is_err());
    }
}
