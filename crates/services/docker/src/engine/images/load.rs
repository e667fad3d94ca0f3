//! `docker load`: archives of `docker save` (manifest.json) and OCI layouts (index.json).
//!
//! An archive is taken apart while it comes in: each of its files becomes a scratch file that is digested as
//! it is written, so that a layer is written once and is a blob by a rename. Then all layers are unpacked at
//! once ([`Docker::unpack_image`]), while the blobs are made to last.

use std::{
    io,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use pileus_base::{Error, Result};
use pileus_host::pipe::{FromPieces, Source};
use pileus_http::Chunks;
use serde_json::{Value, json};

use super::{
    archive::{Archive, Feed},
    blobs::{Scratch, chunks_of},
    bringing_in, digest_of,
    progress::Progress,
};
use crate::{
    Docker, Image,
    engine::registry::host_architecture,
    events::now_ns,
    model::reference::{Reference, familiar},
};

/// A body that comes in.
pub(crate) struct Incoming(BoxStream<'static, Result<Bytes>>);

impl Source for Incoming {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.0.poll_next_unpin(cx).map(|piece| piece.map(|piece| piece.map_err(io::Error::other)))
    }
}

/// Reads a stream of bytes.
pub(crate) fn reader_of(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> FromPieces<Incoming> {
    FromPieces::new(Incoming(stream.fuse().boxed()))
}

/// An image in an archive.
struct Found {
    config: Vec<u8>,
    tags: Vec<String>,
    layers: Vec<String>,
}

fn blob_path(digest: &Value) -> String {
    format!("blobs/{}", digest.as_str().unwrap_or_default().replacen(':', "/", 1))
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn images_of(archive: &Archive) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    if archive.holds("manifest.json") {
        let manifest = archive.json("manifest.json")?;
        for one in manifest.as_array().into_iter().flatten() {
            let config = archive.bytes(one["Config"].as_str().unwrap_or_default())?;
            all.push(Found { config, tags: texts(&one["RepoTags"]), layers: texts(&one["Layers"]) });
        }
        return Ok(all);
    }
    if !archive.holds("index.json") {
        return Err(Error::bad_request("invalid archive: does not contain a manifest.json"));
    }
    let index = archive.json("index.json")?;
    for entry in index["manifests"].as_array().into_iter().flatten() {
        let mut manifest = archive.json(&blob_path(&entry["digest"]))?;
        if manifest["manifests"].is_array() {
            let Some(ours) = pick_platform(&manifest, "linux", host_architecture(), "") else { continue };
            manifest = archive.json(&blob_path(&json!(ours)))?;
        }
        let config = archive.bytes(&blob_path(&manifest["config"]["digest"]))?;
        let layers =
            manifest["layers"].as_array().into_iter().flatten().map(|l| blob_path(&l["digest"])).collect();
        let notes = &entry["annotations"];
        let name = notes["io.containerd.image.name"]
            .as_str()
            .or(notes["org.opencontainers.image.ref.name"].as_str());
        let tags = name.filter(|n| n.contains([':', '/'])).map(str::to_owned).into_iter().collect();
        all.push(Found { config, tags, layers });
    }
    Ok(all)
}

/// The manifest of a list that is for a platform.
pub(crate) fn pick_platform(list: &Value, os: &str, arch: &str, variant: &str) -> Option<String> {
    list["manifests"].as_array()?.iter().find_map(|m| {
        let p = &m["platform"];
        let same = variant.is_empty() || p["variant"] == variant;
        // Every arm64 is v8.
        let same = same || (arch == "arm64" && variant == "v8" && p["variant"].is_null());
        let fits = p["os"] == os && p["architecture"] == arch && same;
        m["digest"].as_str().filter(|_| fits).map(str::to_owned)
    })
}

/// A configuration that has been read.
pub(crate) struct Parts {
    id: String,
    config: String,
    /// The digests of the uncompressed layers, the lowest first.
    pub diffs: Vec<String>,
}

impl Parts {
    /// Reads a configuration of so many layers.
    ///
    /// # Errors
    /// 400 where it is none, is for another system, or doesn't fit.
    pub fn read(config: Vec<u8>, layers: usize) -> Result<Self> {
        let id = digest_of(&config);
        let config =
            String::from_utf8(config).map_err(|_| Error::bad_request("invalid image configuration"))?;
        let value: Value = serde_json::from_str(&config)
            .map_err(|e| Error::bad_request(format!("invalid image configuration: {e}")))?;
        if let Some(os) = value["os"].as_str().filter(|os| *os != "linux") {
            return Err(Error::bad_request(format!("cannot load {os} image on linux")));
        }
        let diffs = texts(&value["rootfs"]["diff_ids"]);
        if diffs.len() != layers {
            return Err(Error::bad_request(format!(
                "invalid manifest, layers length mismatch: expected {layers}, got {}",
                diffs.len()
            )));
        }
        if let Some(odd) = diffs.iter().find(|d| !crate::model::reference::is_digest(d)) {
            return Err(Error::bad_request(format!("invalid checksum digest format: {odd}")));
        }
        Ok(Self { id, config, diffs })
    }
}

impl Docker {
    /// Keeps a body in a scratch file.
    pub(crate) async fn receive(&self, body: Chunks) -> Result<Scratch> {
        let blobs = self.blobs();
        Ok(blobs.take(reader_of(body.into_stream())).await?.0)
    }

    /// Loads all images of an archive.
    ///
    /// # Errors
    /// 400 for an archive that holds none or is broken; nothing of it stays.
    pub(crate) async fn load_images(&self, body: Chunks, quiet: bool, progress: &Progress) -> Result<()> {
        let done = self.load_all(body, quiet, progress).await;
        // Half an image, or blobs of one that has others already.
        self.sweep_images().await?;
        done
    }

    async fn load_all(&self, mut body: Chunks, quiet: bool, progress: &Progress) -> Result<()> {
        let _incoming = bringing_in().await;
        let (to, feed) = Feed::new();
        let blobs = self.blobs();
        let archive = tokio::task::spawn_blocking(move || Archive::open(feed, &blobs));
        let broke = loop {
            match body.next().await {
                Ok(Some(chunk)) => {
                    // Who reads has seen enough, or found it wrong: the rest is of no use.
                    if to.send(Ok(chunk)).await.is_err() {
                        break None;
                    }
                }
                Ok(None) => break None,
                Err(e) => {
                    let _ = to.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
                    break Some(e);
                }
            }
        };
        drop(to);
        let archive = archive.await.map_err(|e| Error::wrap("failed to read the archive", e))?;
        if let Some(e) = broke {
            return Err(e);
        }
        let mut archive = archive?;
        for found in images_of(&archive)? {
            self.load_one(&mut archive, found, quiet, progress).await?;
        }
        Ok(())
    }

    async fn load_one(
        &self,
        archive: &mut Archive,
        found: Found,
        quiet: bool,
        progress: &Progress,
    ) -> Result<()> {
        let mut tags = Vec::new();
        for tag in &found.tags {
            tags.push(Reference::parse(tag)?.tagged());
        }
        let parts = Parts::read(found.config, found.layers.len())?;
        let blobs = self.blobs();
        let (mut digests, mut readers) = (Vec::new(), Vec::new());
        for (layer, diff) in found.layers.iter().zip(&parts.diffs) {
            let (digest, size) = archive.keep(layer, &blobs).await?;
            let told = (!quiet).then(|| (progress.clone(), diff[7..19].to_owned()));
            let mut so_far = 0;
            let chunks = chunks_of(blobs.read(&digest).await?);
            let chunks = chunks.map(move |chunk| {
                let chunk = chunk.map_err(|e| Error::wrap("failed to read a blob", e))?;
                so_far += chunk.len() as u64;
                if let Some((progress, label)) = &told {
                    progress.layer(label, "Loading layer", so_far, size);
                }
                Ok(chunk)
            });
            readers.push(Box::new(reader_of(chunks)) as pileus_host::Reader);
            digests.push(digest);
        }
        let kept = digests.clone();
        let lasting = tokio::spawn(async move { blobs.sync(&kept).await });
        let image = self.unpack_image(parts, digests.into_iter().map(Some).collect(), readers).await;
        let lasting = lasting.await.map_err(|e| Error::wrap("failed to sync blobs", e))?;
        let image = image?;
        lasting?;
        for tag in &tags {
            if let Ok(old) = self.image(familiar(tag)).await
                && old.id != image.id
            {
                progress.stream(&format!(
                    "The image {} already exists, renaming the old one with ID {} to empty string\n",
                    familiar(tag),
                    old.id
                ));
            }
        }
        let id = image.id.clone();
        self.save_image(Image { tags: tags.clone(), ..image }).await?;
        self.image_event("load", &id, &id);
        for tag in &tags {
            progress.stream(&format!("Loaded image: {}\n", familiar(tag)));
        }
        if tags.is_empty() {
            progress.stream(&format!("Loaded image ID: {id}\n"));
        }
        Ok(())
    }

    /// Unpacks an image's layers, which `readers` give; those that are here are not read. It has no tags yet.
    ///
    /// # Errors
    /// 400 where a layer is broken or is not the one that the configuration names.
    pub(crate) async fn unpack_image(
        &self,
        parts: Parts,
        blobs: Vec<Option<String>>,
        readers: Vec<pileus_host::Reader>,
    ) -> Result<Image> {
        let applied = self.host.apply_layers(readers, &parts.diffs).await?;
        Ok(Image {
            id: parts.id,
            config: parts.config,
            layer_bytes: applied.iter().map(|l| l.size_bytes).collect(),
            layers: applied.into_iter().map(|l| l.id).collect(),
            tags: vec![],
            digests: vec![],
            parent: String::new(),
            tagged_ns: now_ns(),
            blobs: blobs.into_iter().enumerate().filter_map(|(at, blob)| Some((at, blob?))).collect(),
        })
    }
}
