//! `pileus docker fsck`: whether what is on disk is what the documents say, and the reverse.
//!
//! Every blob's digest is computed anew; every layer and blob that a document names must be there; what none
//! names is counted. Repairing removes what is broken from disk and from the documents: an image that lacks
//! a layer goes, where no container needs it; a blob that is gone is forgotten, so that the next push or
//! pull makes it anew. Nothing is invented.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use pileus_base::{Error, Result, Scope};
use pileus_store::Query;
use serde::Serialize;

use super::{INCOMING, blobs::hash_file, hex};
use crate::{
    Container, Docker, Image, Pull,
    store::registry::{Link, Manifest},
};

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `blob`, `layer`, `image`, `container`, `manifest`, `orphan`.
    pub kind: &'static str,
    /// What it is about.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
    /// Whether it has been set right.
    pub repaired: bool,
}

/// What was looked at, and what is wrong.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Blobs whose digests were computed.
    pub blobs: usize,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Layers on disk.
    pub layers: usize,
    /// Images.
    pub images: usize,
    /// Manifests of the registry.
    pub manifests: usize,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// The documents, at one moment.
struct Seen {
    images: Vec<Image>,
    containers: Vec<Container>,
    links: Vec<Link>,
    manifests: Vec<Manifest>,
    pulls: Vec<Pull>,
}

impl Docker {
    /// Checks the store of images.
    ///
    /// # Errors
    /// Those of the disk, the host and the store: nothing could be said then.
    pub async fn fsck(&self, repair: bool) -> Result<Report> {
        let mut report = Report::default();
        let mut here = BTreeSet::new();
        for digest in self.blobs().list().await? {
            report.blobs += 1;
            report.blob_bytes += self.blobs().size(&digest).await.unwrap_or(0);
            match self.found_digest(&digest).await? {
                // It went while it was looked for.
                None => {}
                Some(found) if found == digest => drop(here.insert(digest)),
                Some(found) => {
                    if repair {
                        self.blobs().remove(&digest).await?;
                    }
                    report.add("blob", &digest, format!("its content has the digest {found}"), repair);
                }
            }
        }
        // Nothing comes in while documents and disk are compared.
        let _alone = INCOMING.write().await;
        let seen = self.seen().await?;
        let layers: BTreeSet<String> = self.host.layers().await?.into_iter().collect();
        here.extend(self.blobs().list().await?.into_iter().filter(|d| repair || !report.broken(d)));
        (report.layers, report.images, report.manifests) =
            (layers.len(), seen.images.len(), seen.manifests.len());
        self.check_images(&mut report, &seen, &layers, &here, repair).await?;
        self.check_registry(&mut report, &seen, &here, repair).await?;
        self.check_orphans(&mut report, &seen, &layers, repair).await?;
        Ok(report)
    }

    async fn seen(&self) -> Result<Seen> {
        self.store
            .read(|rd| {
                let all = Scope::All;
                Ok(Seen {
                    images: rd.list(&all, &Query::all())?.into_iter().map(|d| d.value).collect(),
                    containers: rd.list(&all, &Query::all())?.into_iter().map(|d| d.value).collect(),
                    links: rd.list(&all, &Query::all())?.into_iter().map(|d| d.value).collect(),
                    manifests: rd.list(&all, &Query::all())?.into_iter().map(|d| d.value).collect(),
                    pulls: rd.list(&all, &Query::all())?.into_iter().map(|d| d.value).collect(),
                })
            })
            .await
    }

    /// The digest of what a blob's file holds.
    async fn found_digest(&self, digest: &str) -> Result<Option<String>> {
        let path = self.blobs().path(digest);
        let hashed = tokio::task::spawn_blocking(move || {
            let hash = hash_file(&path)?.0;
            Ok::<_, std::io::Error>(sha2::Digest::finalize(hash))
        })
        .await
        .map_err(|e| Error::wrap("failed to check a blob", e))?;
        match hashed {
            Ok(hash) => Ok(Some(format!("sha256:{}", hex(&hash)))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::wrap("failed to read a blob", e)),
        }
    }

    async fn check_images(
        &self,
        report: &mut Report,
        seen: &Seen,
        layers: &BTreeSet<String>,
        here: &BTreeSet<String>,
        repair: bool,
    ) -> Result<()> {
        for image in &seen.images {
            let lacks: Vec<&String> = image.layers.iter().filter(|l| !layers.contains(*l)).collect();
            if !lacks.is_empty() {
                let used = seen.containers.iter().any(|c| c.image_id == image.id);
                let gone = repair && !used;
                if gone {
                    let id = image.id.clone();
                    self.store.write(move |tx| tx.delete::<Image>(&id)).await?;
                }
                report.add("image", &image.id, format!("it lacks layers {lacks:?}"), gone);
                continue;
            }
            if super::digest_of(image.config.as_bytes()) != image.id {
                report.add("image", &image.id, "its configuration has another digest".into(), false);
            }
            let missing: BTreeMap<usize, &String> =
                image.blobs.iter().filter(|(_, b)| !here.contains(*b)).map(|(at, b)| (*at, b)).collect();
            if missing.is_empty() {
                continue;
            }
            if repair {
                let (id, gone): (String, Vec<usize>) = (image.id.clone(), missing.keys().copied().collect());
                self.store
                    .write(move |tx| {
                        tx.update::<Image>(&Scope::All, &id, |i| {
                            i.blobs.retain(|at, _| !gone.contains(at));
                            Ok(())
                        })
                    })
                    .await?;
            }
            let names: Vec<&&String> = missing.values().collect();
            // A layer that was made here is written anew just so; one that came from elsewhere may not be.
            let mut whole = repair;
            for at in missing.keys() {
                let bare = Image { blobs: BTreeMap::new(), ..image.clone() };
                whole = whole && self.layer_file(&bare, *at).await.is_ok();
            }
            report.add("image", &image.id, format!("it lacks blobs {names:?}; bring it in again"), whole);
        }
        for c in &seen.containers {
            let lacks: Vec<&String> = c.rootfs.layers.iter().filter(|l| !layers.contains(*l)).collect();
            if !lacks.is_empty() {
                report.add("container", &c.id, format!("it lacks layers {lacks:?}"), false);
            }
        }
        Ok(())
    }

    async fn check_registry(
        &self,
        report: &mut Report,
        seen: &Seen,
        here: &BTreeSet<String>,
        repair: bool,
    ) -> Result<()> {
        for link in seen.links.iter().filter(|l| !here.contains(&l.digest)) {
            let key = Link::key(&link.at, &link.digest);
            if repair {
                let key = key.clone();
                self.store.write(move |tx| tx.delete::<Link>(&key)).await?;
            }
            report.add("blob", &key, "a repository has it, the disk does not".into(), repair);
        }
        let linked: HashSet<String> = seen
            .links
            .iter()
            .filter(|l| here.contains(&l.digest))
            .map(|l| Link::key(&l.at, &l.digest))
            .collect();
        for manifest in &seen.manifests {
            let lacks: Vec<&String> =
                manifest.blobs.iter().filter(|b| !linked.contains(&Link::key(&manifest.at, b))).collect();
            if !lacks.is_empty() {
                let key = Manifest::key(&manifest.at, &manifest.digest);
                report.add("manifest", &key, format!("it lacks blobs {lacks:?}; push it again"), false);
            }
        }
        Ok(())
    }

    async fn check_orphans(
        &self,
        report: &mut Report,
        seen: &Seen,
        layers: &BTreeSet<String>,
        repair: bool,
    ) -> Result<()> {
        let mut used: HashSet<&String> = seen.images.iter().flat_map(|i| &i.layers).collect();
        used.extend(seen.containers.iter().flat_map(|c| &c.rootfs.layers));
        for layer in layers.iter().filter(|l| !used.contains(l)) {
            if repair {
                self.host.remove_layer(layer).await?;
            }
            report.add("orphan", layer, "no image and no container uses this layer".into(), repair);
        }
        let mut named: HashSet<&String> = seen.images.iter().flat_map(|i| i.blobs.values()).collect();
        named.extend(seen.links.iter().map(|l| &l.digest));
        named.extend(seen.pulls.iter().flat_map(|p| &p.blobs));
        for digest in self.blobs().list().await?.iter().filter(|d| !named.contains(d)) {
            if repair {
                self.blobs().remove(digest).await?;
            }
            report.add("orphan", digest, "nothing refers to this blob".into(), repair);
        }
        Ok(())
    }
}

impl Report {
    fn add(&mut self, kind: &'static str, what: &str, why: String, repaired: bool) {
        self.problems.push(Problem { kind, what: what.to_owned(), why, repaired });
    }
    fn broken(&self, digest: &str) -> bool {
        self.problems.iter().any(|p| p.kind == "blob" && p.what == digest)
    }
}
