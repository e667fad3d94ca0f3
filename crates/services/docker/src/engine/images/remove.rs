//! Removing images: names first, then the image, then what it was built on; as the reference decides it.

use std::collections::HashSet;

use pileus_base::{Error, Result, Scope};
use pileus_store::{Query, Tx};
use serde_json::{Value, json};

use super::digest_of;
use crate::{
    Container, Docker, Image,
    model::reference::{Reference, familiar, repository_of},
};

/// What was done: the API's list, and the events to tell.
#[derive(Default)]
struct Done {
    list: Vec<Value>,
    events: Vec<(&'static str, String, String)>,
}

impl Done {
    fn untagged(&mut self, image: &str, name: &str) {
        self.list.push(json!({ "Untagged": familiar(name) }));
        self.events.push(("untag", image.to_owned(), image.to_owned()));
    }
}

impl Docker {
    /// Removes an image, or one of its names.
    ///
    /// # Errors
    /// 404; 409 where it is in use, in the reference's words.
    pub(crate) async fn remove_image(&self, name: &str, force: bool, prune: bool) -> Result<Vec<Value>> {
        let image = self.image(name).await?;
        let (id, name) = (image.value.id, name.to_owned());
        let done = self.store.write(move |tx| remove(tx, &id, &name, force, prune)).await?;
        for (action, id, name) in &done.events {
            self.image_event(action, id, name);
        }
        self.sweep_images().await?;
        Ok(done.list)
    }
}

fn is_id_prefix(id: &str, name: &str) -> bool {
    let bare = id.strip_prefix("sha256:").unwrap_or(id);
    bare.starts_with(name.strip_prefix("sha256:").unwrap_or(name))
}

/// At most one tag, and digests of no other repository.
fn single(image: &Image) -> bool {
    let repositories: HashSet<&str> =
        image.tags.iter().chain(&image.digests).map(|n| repository_of(n)).collect();
    image.tags.len() + image.digests.len() <= 1 || (image.tags.len() <= 1 && repositories.len() == 1)
}

fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

fn users(tx: &mut Tx<'_>, id: &str) -> Result<Vec<Container>> {
    let all = tx.list::<Container>(&Scope::All, &Query::by("image_id", id))?;
    Ok(all.into_iter().map(|c| c.value).collect())
}

fn remove(tx: &mut Tx<'_>, id: &str, name: &str, force: bool, prune: bool) -> Result<Done> {
    let mut done = Done::default();
    let mut image = tx.get::<Image>(&Scope::All, id)?;
    let mut by_name = false;
    if is_id_prefix(id, name) {
        if single(&image) {
            conflict(tx, &image, !force, false)?;
            untag_all(&mut image.value, &mut done);
            tx.put(&image)?;
        }
    } else {
        if !force
            && single(&image)
            && let Some(user) = users(tx, id)?.first()
        {
            return Err(Error::conflict(format!(
                "conflict: unable to remove repository reference {name:?} (must force) - container {} is using its referenced image {}",
                short(&user.id),
                short(id)
            )));
        }
        let reference = Reference::parse(name)?.or_latest();
        let removed = match &reference.digest {
            Some(digest) => format!("{}@{digest}", reference.repository()),
            None => reference.tagged(),
        };
        let value = &mut image.value;
        value.tags.retain(|t| *t != removed);
        value.digests.retain(|d| *d != removed);
        done.untagged(id, &removed);
        let repository = repository_of(&removed);
        if reference.digest.is_none() && !value.tags.iter().any(|t| repository_of(t) == repository) {
            let (gone, kept) = std::mem::take(&mut value.digests)
                .into_iter()
                .partition::<Vec<_>, _>(|d| repository_of(d) == repository);
            gone.iter().for_each(|d| done.untagged(id, d));
            value.digests = kept;
        }
        tx.put(&image)?;
        if !image.tags.is_empty() || !image.digests.is_empty() {
            return Ok(done);
        }
        by_name = true;
    }
    delete(tx, id, force, prune, by_name, &mut done)?;
    Ok(done)
}

fn untag_all(image: &mut Image, done: &mut Done) {
    let names: Vec<String> = image.tags.drain(..).chain(image.digests.drain(..)).collect();
    names.iter().for_each(|n| done.untagged(&image.id, n));
}

/// Why an image can't be removed; `soft` conflicts give way to force, names are one of them where `names`.
fn conflict(tx: &mut Tx<'_>, image: &Image, soft: bool, names: bool) -> Result<()> {
    let refuse = |how: &str, why: String| {
        Err(Error::conflict(format!("conflict: unable to delete {} ({how}) - {why}", short(&image.id))))
    };
    let images = tx.list::<Image>(&Scope::All, &Query::all())?;
    if images.iter().any(|i| i.parent == image.id) {
        return refuse("cannot be forced", "image has dependent child images".into());
    }
    let users = users(tx, &image.id)?;
    if let Some(user) = users.iter().find(|c| c.runs()) {
        let why = format!("image is being used by running container {}", short(&user.id));
        return refuse("cannot be forced", why);
    }
    if soft && names && !single(image) {
        return refuse("must be forced", "image is referenced in multiple repositories".into());
    }
    if soft && let Some(user) = users.first() {
        let why = format!("image is being used by stopped container {}", short(&user.id));
        return refuse("must be forced", why);
    }
    Ok(())
}

fn delete(tx: &mut Tx<'_>, id: &str, force: bool, prune: bool, quiet: bool, done: &mut Done) -> Result<()> {
    let Some(mut image) = tx.find::<Image>(&Scope::All, id)? else { return Ok(()) };
    let used = !users(tx, id)?.is_empty();
    if let Err(e) = conflict(tx, &image, !force, true) {
        let dangling = image.tags.is_empty() && image.digests.is_empty();
        // What only its name was taken from stays, without a word, where something needs it.
        return if quiet && (!dangling || used || !done.list.is_empty()) { Ok(()) } else { Err(e) };
    }
    untag_all(&mut image.value, done);
    tx.delete::<Image>(id)?;
    done.list.push(json!({ "Deleted": id }));
    done.events.push(("delete", id.to_owned(), id.to_owned()));
    let kept: HashSet<String> = tx
        .list::<Image>(&Scope::All, &Query::all())?
        .into_iter()
        .flat_map(|i| i.value.layers)
        .chain(
            tx.list::<Container>(&Scope::All, &Query::all())?.into_iter().flat_map(|c| c.value.rootfs.layers),
        )
        .collect();
    for (layer, chain) in image.layers.iter().zip(chain_ids(&image)).rev() {
        if !kept.contains(layer) {
            done.list.push(json!({ "Deleted": chain }));
        }
    }
    let parent = image.value.parent;
    let untagged = match tx.find::<Image>(&Scope::All, &parent)? {
        Some(parent) => parent.tags.is_empty() && parent.digests.is_empty(),
        None => false,
    };
    if prune && untagged { delete(tx, &parent, false, true, true, done) } else { Ok(()) }
}

/// The names of the layers with all that is below them.
pub(crate) fn chain_ids(image: &Image) -> Vec<String> {
    let diffs = image.value()["rootfs"]["diff_ids"].clone();
    chain_ids_of(&serde_json::from_value::<Vec<String>>(diffs).unwrap_or_default())
}

/// The same, of layers' digests.
pub(crate) fn chain_ids_of(diffs: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for diff in diffs {
        let next = match all.last() {
            None => diff.to_owned(),
            Some(below) => digest_of(format!("{below} {diff}").as_bytes()),
        };
        all.push(next);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_id_prefix("sha256:abcd", "abc"));
        assert!(is_id_prefix("sha256:abcd", "sha256:ab"));
        assert!(!is_id_prefix("sha256:abcd", "busybox"));
        assert_eq!(short("sha256:0123456789abcdef"), "0123456789ab");
    }
}
