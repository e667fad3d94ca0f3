//! Pulling: a manifest, its blobs a few at a time, the layers unpacked as they come, the image.
//!
//! What has been fetched is noted before it is, so that a pull that breaks off goes on later; it is let go
//! once the image is kept, or a day after.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, TryStreamExt};
use http::{Method, StatusCode};
use pileus_base::{Error, Kind, Result, Scope};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Credentials, Platform,
    client::{Client, whole},
    download::Download,
    manifest::{Manifest, denied, manifest, nothing, tags},
};
use crate::{
    Docker, Image, Pull,
    engine::images::{
        bringing_in, digest_of,
        load::{Parts, pick_platform, reader_of},
        progress::Progress,
        remove::chain_ids_of,
    },
    events::now_ns,
    model::reference::{Reference, familiar, is_digest},
};

/// How many blobs are fetched at once, as the reference does.
const AT_ONCE: usize = 3;

/// What a manifest's configuration may be.
const CONFIGS: &[&str] = &[
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/octet-stream",
    "",
];

/// A layer of a manifest.
struct Layer {
    digest: String,
    size: u64,
}

impl Layer {
    fn label(&self) -> &str {
        self.digest.get(7..19).unwrap_or_default()
    }
}

impl Docker {
    /// Finds the first registry that has a name: mirrors before the Hub.
    pub(super) async fn locate(
        &self,
        name: &Reference,
        auth: Option<Credentials>,
    ) -> Result<(Arc<Client>, Manifest)> {
        let mut last = None;
        for (base, mirror) in self.registries(&name.registry).await {
            let client = Arc::new(self.client(base, auth.clone().filter(|_| !mirror)));
            match manifest(&client, name, name.wanted()).await {
                Ok(found) => return Ok((client, found)),
                // A mirror that stands for the Hub answers as the Hub does.
                Err(e) if mirror && self.options.mirrors_authoritative && e.is_not_found() => {
                    let lacks = tags(&client, name).await.is_err();
                    let said = "denied: requested access to the resource is denied";
                    last = Some(if lacks { denied(name, said) } else { e });
                }
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| Error::not_found("no registry to ask")))
    }

    /// Pulls an image, or where the name has neither tag nor digest, all tags of the repository.
    ///
    /// # Errors
    /// 404 where the registry doesn't have it; 500 where it can't be reached.
    pub(crate) async fn pull_image(
        &self,
        name: &Reference,
        auth: Option<Credentials>,
        platform: Option<&Platform>,
        progress: &Progress,
    ) -> Result<()> {
        let work = async {
            if name.tag.is_some() || name.digest.is_some() {
                return self.pull_one(name, auth, platform, progress).await;
            }
            let (mut news, mut last) = (false, None);
            let mut names = Vec::new();
            for (base, mirror) in self.registries(&name.registry).await {
                let client = self.client(base, auth.clone().filter(|_| !mirror));
                match tags(&client, name).await {
                    Ok(found) => {
                        names = found;
                        last = None;
                        break;
                    }
                    Err(e) => last = Some(e),
                }
            }
            if let Some(e) = last {
                return Err(e);
            }
            for tag in names {
                let one = Reference { tag: Some(tag), ..name.clone() };
                news |= self.pull_one(&one, auth.clone(), platform, progress).await?;
            }
            Ok(news)
        };
        // Nobody waits for it any more: it ends, and goes on from there another time.
        let done = tokio::select! {
            done = work => done,
            () = progress.closed() => Err(Error::unavailable("context canceled")),
        };
        let news = match done {
            Ok(news) => news,
            Err(e) => {
                self.sweep_images().await?;
                // A client that is told 401 by its engine asks its user for a password.
                return Err(match e.kind() {
                    Kind::Unauthorized => Error::internal(e.message().to_owned()),
                    _ => e,
                });
            }
        };
        let shown = name.to_string();
        let shown = familiar(&shown);
        progress.status(&match news {
            true => format!("Status: Downloaded newer image for {shown}"),
            false => format!("Status: Image is up to date for {shown}"),
        });
        Ok(())
    }

    /// Whether it was new.
    async fn pull_one(
        &self,
        name: &Reference,
        auth: Option<Credentials>,
        platform: Option<&Platform>,
        progress: &Progress,
    ) -> Result<bool> {
        let (client, top) = self.locate(name, auth).await?;
        progress.say(&json!({ "status": format!("Pulling from {}", name.path), "id": name.wanted() }));
        let wanted = platform.cloned().unwrap_or_else(Platform::host);
        let mut value = top.value;
        if value["manifests"].is_array() {
            let ours = pick_platform(&value, &wanted.os, &wanted.architecture, &wanted.variant);
            let ours = ours.ok_or_else(|| {
                Error::not_found(format!("no matching manifest for {wanted} in the manifest list entries"))
            })?;
            value = manifest(&client, name, &ours).await?.value;
        }
        let kind = value["config"]["mediaType"].as_str().unwrap_or_default();
        if !CONFIGS.contains(&kind) {
            return Err(Error::bad_request(format!("Encountered remote {kind:?}(unknown) when fetching")));
        }
        let _incoming = bringing_in().await;
        let config_digest = value["config"]["digest"].as_str().unwrap_or_default().to_owned();
        let shown = name.to_string();
        let known = self.images().await?.into_iter().find(|i| i.id == config_digest).map(|i| i.value);
        let fresh = known.is_none();
        let image = match known {
            Some(image) => image,
            None => self.fetch(&client, name, &config_digest, &value, progress).await?,
        };
        let by_digest = format!("{}@{}", name.repository(), top.digest);
        let tags = if name.digest.is_some() { vec![] } else { vec![name.tagged()] };
        let news = fresh || tags.iter().any(|t| !image.tags.contains(t));
        self.warn(&image, name, platform, progress);
        self.save_image(Image { tags, digests: vec![by_digest], tagged_ns: now_ns(), ..image }).await?;
        let pull = shown.clone();
        self.store.write(move |tx| tx.delete::<Pull>(&pull)).await?;
        self.image_event("pull", familiar(&shown), familiar(&name.repository()));
        progress.status(&format!("Digest: {}", top.digest));
        Ok(news)
    }

    /// Tells that an image is for another platform than was asked for.
    fn warn(&self, image: &Image, name: &Reference, platform: Option<&Platform>, progress: &Progress) {
        let Some(wanted) = platform else { return };
        let value = image.value();
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let found = Platform { os: text("os"), architecture: text("architecture"), variant: text("variant") };
        if found.os != wanted.os || found.architecture != wanted.architecture {
            let name = name.to_string();
            progress.status(&format!(
                "WARNING: image with reference {} was found but its platform ({found}) does not match the specified platform ({wanted})",
                familiar(&name)
            ));
        }
    }

    async fn fetch(
        &self,
        client: &Arc<Client>,
        name: &Reference,
        config: &str,
        manifest: &Value,
        progress: &Progress,
    ) -> Result<Image> {
        let bytes = self.config(client, name, config).await?;
        let layers: Vec<Layer> = manifest["layers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|l| Layer {
                digest: l["digest"].as_str().unwrap_or_default().to_owned(),
                size: l["size"].as_u64().unwrap_or(0),
            })
            .collect();
        if let Some(odd) = layers.iter().find(|l| !is_digest(&l.digest)) {
            return Err(Error::bad_request(format!("invalid digest {:?}", odd.digest)));
        }
        let parts = Parts::read(bytes, layers.len())?;
        let pull = Pull {
            name: name.to_string(),
            blobs: layers.iter().map(|l| l.digest.clone()).collect(),
            at_ns: now_ns(),
        };
        self.store
            .write(move |tx| match tx.find::<Pull>(&Scope::All, &pull.name)? {
                None => tx.insert(&pull),
                Some(mut old) => {
                    old.value = pull.clone();
                    tx.put(&old)
                }
            })
            .await?;
        let have = self.layers_here(&parts.diffs).await?;
        let (mut readers, mut downloads, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
        for (layer, have) in layers.iter().zip(&have) {
            if let Some(blob) = have {
                progress.step(layer.label(), "Already exists");
                readers.push(Box::new(tokio::io::empty()) as pileus_host::Reader);
                blobs.push(blob.clone());
                continue;
            }
            progress.step(layer.label(), "Pulling fs layer");
            let (ready, waits) = watch::channel(false);
            readers.push(self.extracting(layer, waits, progress));
            blobs.push(Some(layer.digest.clone()));
            let download = Download {
                client: client.clone(),
                path: name.path.clone(),
                digest: layer.digest.clone(),
                size: layer.size,
                blobs: self.blobs(),
                progress: progress.clone(),
                label: layer.label().to_owned(),
            };
            downloads.push((download, ready));
        }
        for (download, _) in downloads.iter().skip(AT_ONCE) {
            progress.step(&download.label, "Waiting");
        }
        let downloads =
            futures_util::stream::iter(downloads.into_iter().map(|(download, ready)| async move {
                let (label, progress) = (download.label.clone(), download.progress.clone());
                download.run().await?;
                progress.step(&label, "Download complete");
                let _ = ready.send(true);
                Ok::<_, Error>(())
            }))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>();
        let unpacked = self.unpack_image(parts, blobs, readers);
        // Where a blob can't be had, its reader ends the unpacking; the cause is what is told.
        let (fetched, unpacked) = tokio::join!(downloads, unpacked);
        fetched?;
        unpacked
    }

    async fn config(&self, client: &Client, name: &Reference, digest: &str) -> Result<Vec<u8>> {
        let path = format!("/v2/{}/blobs/{digest}", name.path);
        let reply = client.send(Method::GET, &path, "", nothing()).await?;
        if reply.status() != StatusCode::OK {
            return Err(Error::new(Kind::NotFound, format!("unknown blob: {digest}")));
        }
        let bytes = whole(reply).await?;
        if digest_of(&bytes) != digest {
            return Err(Error::internal(format!("image config verification failed for digest {digest}")));
        }
        Ok(bytes.to_vec())
    }

    /// Which layers are unpacked here already, and the blob of each that is known.
    async fn layers_here(&self, diffs: &[String]) -> Result<Vec<Option<Option<String>>>> {
        let here = self.host.layers().await?;
        let mut blobs: HashMap<String, Option<String>> = here.into_iter().map(|id| (id, None)).collect();
        for image in self.images().await? {
            for (at, layer) in image.layers.iter().enumerate() {
                if let (Some(blob), Some(known)) = (image.blobs.get(&at), blobs.get_mut(layer)) {
                    *known = Some(blob.clone());
                }
            }
        }
        let id = |chain: &String| chain.get(7..23).unwrap_or_default().to_owned();
        Ok(chain_ids_of(diffs).iter().map(|chain| blobs.get(&id(chain)).cloned()).collect())
    }

    /// A layer's blob, read once it is here.
    fn extracting(
        &self,
        layer: &Layer,
        mut ready: watch::Receiver<bool>,
        progress: &Progress,
    ) -> pileus_host::Reader {
        let (blobs, digest, size) = (self.blobs(), layer.digest.clone(), layer.size);
        let (progress, label) = (progress.clone(), layer.label().to_owned());
        let open = async move {
            let gone = |_| Error::unavailable("the layer did not arrive");
            ready.wait_for(|ready| *ready).await.map_err(gone)?;
            let (mut so_far, mut told, step) = (0, 0, (size / 20).max(512 << 10));
            let file = blobs.read(&digest).await?;
            let last = progress.clone();
            let end = label.clone();
            let chunks = crate::engine::images::blobs::chunks_of(file).map(move |chunk| {
                let chunk = chunk.map_err(|e| Error::wrap("failed to read a blob", e))?;
                so_far += chunk.len() as u64;
                if so_far - told >= step || so_far == size {
                    told = so_far;
                    progress.layer(&label, "Extracting", so_far, size);
                }
                Ok(chunk)
            });
            let ended = futures_util::stream::once(async move {
                last.step(&end, "Pull complete");
                Ok(bytes::Bytes::new())
            });
            Ok::<_, Error>(chunks.chain(ended))
        };
        Box::new(reader_of(futures_util::stream::once(open).try_flatten()))
    }

    /// What a registry has by a name: `GET /distribution/{name}/json`.
    ///
    /// # Errors
    /// Those of [`Docker::pull_image`].
    pub(crate) async fn distribution(&self, name: &Reference, auth: Option<Credentials>) -> Result<Value> {
        let (client, top) = self.locate(name, auth).await?;
        let platforms: Vec<Value> = match top.value["manifests"].as_array() {
            Some(list) => list.iter().map(|m| m["platform"].clone()).collect(),
            None => {
                let config = top.value["config"]["digest"].as_str().unwrap_or_default();
                let bytes = self.config(&client, name, config).await?;
                let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                vec![json!({ "architecture": value["architecture"], "os": value["os"] })]
            }
        };
        Ok(json!({
            "Descriptor": { "mediaType": top.media, "digest": top.digest, "size": top.size },
            "Platforms": platforms,
        }))
    }
}
