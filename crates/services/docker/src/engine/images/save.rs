//! `docker save`: an OCI layout that is also the archive of older engines.

use std::{collections::BTreeSet, path::PathBuf};

use bytes::Bytes;
use pileus_base::{Error, Kind, Result};
use serde_json::{Map, Value, json};
use tokio::{io::AsyncReadExt, sync::mpsc};

use super::{blobs::Scratch, digest_of};
use crate::{
    Docker, Image,
    model::reference::{Reference, familiar, repository_of},
};

/// A layer as a file.
pub(crate) struct LayerFile {
    /// Where it is.
    pub path: PathBuf,
    /// Of the file.
    pub digest: String,
    /// Of the file.
    pub size: u64,
    /// The media type, OCI's.
    pub media: &'static str,
    /// Removed with it, where the file is made for this use.
    pub _scratch: Option<Scratch>,
}

/// The media type of a layer's file, by how it begins.
async fn media_of(path: &std::path::Path) -> Result<&'static str> {
    let failed = |e| Error::wrap("failed to read a layer", e);
    let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut magic = [0; 4];
    let n = file.read(&mut magic).await.map_err(failed)?;
    Ok(match &magic[..n] {
        [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    })
}

impl Docker {
    /// Layer `at` of an image as a file: as it came, or written anew.
    pub(crate) async fn layer_file(&self, image: &Image, at: usize) -> Result<LayerFile> {
        let blobs = self.blobs();
        if let Some(digest) = image.blobs.get(&at)
            && let Some(size) = blobs.size(digest).await
        {
            let path = blobs.path(digest);
            let media = media_of(&path).await?;
            return Ok(LayerFile { path, digest: digest.clone(), size, media, _scratch: None });
        }
        let id = image.layers.get(at).ok_or_else(|| Error::internal("an image without one of its layers"))?;
        let (scratch, digest, size) = blobs.take(self.host.export_layer(id).await?).await?;
        let promised = image.value()["rootfs"]["diff_ids"][at].clone();
        if promised != digest {
            return Err(Error::internal(format!(
                "layer {promised} can't be written as it came: its blob is gone; pull or load the image again"
            )));
        }
        let media = "application/vnd.oci.image.layer.v1.tar";
        Ok(LayerFile { path: scratch.0.clone(), digest, size, media, _scratch: Some(scratch) })
    }

    /// The images that names stand for, each with the tags that were asked for.
    ///
    /// # Errors
    /// 404 for a name that stands for none.
    pub(crate) async fn images_to_save(&self, names: &[String]) -> Result<Vec<(Image, Vec<String>)>> {
        let mut all: Vec<(Image, Vec<String>)> = Vec::new();
        for name in names {
            let parsed = Reference::parse(name).ok().filter(|r| r.digest.is_none());
            let mut found = Vec::new();
            if let Some(repository) = parsed.as_ref().filter(|r| r.tag.is_none()).map(Reference::repository) {
                for image in self.images().await? {
                    let tags: Vec<_> =
                        image.tags.iter().filter(|t| repository_of(t) == repository).cloned().collect();
                    if !tags.is_empty() {
                        found.push((image.value, tags));
                    }
                }
            }
            if found.is_empty() {
                let image = self.image(name).await?.value;
                let tag = parsed.map(|r| r.tagged()).filter(|t| image.tags.contains(t));
                found.push((image, tag.into_iter().collect()));
            }
            for (image, tags) in found {
                match all.iter_mut().find(|(i, _)| i.id == image.id) {
                    Some((_, have)) => have.extend(tags),
                    None => all.push((image, tags)),
                }
            }
        }
        Ok(all)
    }

    /// Writes images as a tar.
    ///
    /// # Errors
    /// Those of reading layers; 503 where nobody reads any more.
    pub(crate) async fn save_archive(&self, images: Vec<(Image, Vec<String>)>, out: &TarOut) -> Result<()> {
        let (mut written, mut index, mut manifest) = (BTreeSet::new(), Vec::new(), Vec::new());
        let mut repositories = Map::new();
        out.folder("blobs/").await?;
        out.folder("blobs/sha256/").await?;
        for (image, tags) in images {
            let (mut layers, mut paths) = (Vec::new(), Vec::new());
            for at in 0..image.layers.len() {
                let layer = self.layer_file(&image, at).await?;
                let path = blob_path(&layer.digest);
                if written.insert(layer.digest.clone()) {
                    out.file(&path, &layer.path, layer.size).await?;
                }
                layers.push(json!({ "mediaType": layer.media, "digest": layer.digest, "size": layer.size }));
                paths.push(path);
            }
            if written.insert(image.id.clone()) {
                out.bytes(&blob_path(&image.id), image.config.as_bytes()).await?;
            }
            let oci = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": image.id,
                    "size": image.config.len(),
                },
                "layers": layers,
            })
            .to_string();
            let digest = digest_of(oci.as_bytes());
            if written.insert(digest.clone()) {
                out.bytes(&blob_path(&digest), oci.as_bytes()).await?;
            }
            let mut entry = json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest,
                "size": oci.len(),
            });
            if tags.is_empty() {
                index.push(entry.clone());
            }
            for tag in &tags {
                let name = tag.rsplit_once(':').map_or("latest", |(_, tag)| tag);
                entry["annotations"] =
                    json!({ "io.containerd.image.name": tag, "org.opencontainers.image.ref.name": name });
                index.push(entry.clone());
                let top = paths.last().and_then(|p| p.rsplit('/').next()).unwrap_or_default();
                repositories
                    .entry(familiar(repository_of(tag)))
                    .or_insert_with(|| json!({}))
                    .as_object_mut()
                    .into_iter()
                    .for_each(|tags| drop(tags.insert(name.to_owned(), json!(top))));
            }
            let shown: Vec<&str> = tags.iter().map(|t| familiar(t)).collect();
            manifest.push(json!({
                "Config": blob_path(&image.id),
                "RepoTags": if shown.is_empty() { Value::Null } else { json!(shown) },
                "Layers": paths,
            }));
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": index,
        });
        out.bytes("index.json", index.to_string().as_bytes()).await?;
        out.bytes("manifest.json", Value::Array(manifest).to_string().as_bytes()).await?;
        out.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#).await?;
        if !repositories.is_empty() {
            out.bytes("repositories", Value::Object(repositories).to_string().as_bytes()).await?;
        }
        out.send(Bytes::from_static(&[0; 1024])).await
    }
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

/// A tar that is sent as it is written.
pub(crate) struct TarOut(pub mpsc::Sender<std::io::Result<Bytes>>);

impl TarOut {
    async fn send(&self, bytes: impl Into<Bytes>) -> Result<()> {
        let gone = |_| Error::new(Kind::Unavailable, "the client went away");
        self.0.send(Ok(bytes.into())).await.map_err(gone)
    }
    async fn head(&self, name: &str, size: u64, kind: tar::EntryType) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(|e| Error::wrap("failed to write an archive", e))?;
        header.set_size(size);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_entry_type(kind);
        header.set_cksum();
        self.send(Bytes::copy_from_slice(header.as_bytes())).await
    }
    async fn pad(&self, size: u64) -> Result<()> {
        let over = usize::try_from(size % 512).unwrap_or(0);
        if over == 0 { Ok(()) } else { self.send(vec![0; 512 - over]).await }
    }
    async fn folder(&self, name: &str) -> Result<()> {
        self.head(name, 0, tar::EntryType::Directory).await
    }
    async fn bytes(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.head(name, bytes.len() as u64, tar::EntryType::Regular).await?;
        self.send(Bytes::copy_from_slice(bytes)).await?;
        self.pad(bytes.len() as u64).await
    }
    async fn file(&self, name: &str, path: &std::path::Path, size: u64) -> Result<()> {
        let failed = |e| Error::wrap("failed to read a layer", e);
        let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
        self.head(name, size, tar::EntryType::Regular).await?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n = file.read(&mut buffer).await.map_err(failed)?;
            if n == 0 {
                return self.pad(size).await;
            }
            self.send(Bytes::copy_from_slice(&buffer[..n])).await?;
        }
    }
}
