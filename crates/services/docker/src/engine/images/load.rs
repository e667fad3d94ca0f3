//! `docker load`: archives of `docker save` (manifest.json) and OCI layouts (index.json).

use std::{collections::BTreeMap, io::Read, io::Seek, path::PathBuf};

use pileus_base::{Error, Result};
use pileus_host::Layers as _;
use pileus_http::Chunks;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_stream_reader::reader_of;

use super::{blobs::Scratch, bringing_in, digest_of, progress::Progress};
use crate::{
    Docker, Image,
    events::now_ns,
    model::reference::{Reference, familiar},
};

/// Readers over bodies that come in.
pub(crate) mod tokio_stream_reader {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use bytes::{Buf, Bytes};
    use futures_util::{Stream, StreamExt};
    use pileus_base::Result;
    use tokio::io::{AsyncRead, ReadBuf};

    /// A stream of bytes, read.
    pub(crate) struct StreamReader {
        stream: Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>,
        chunk: Bytes,
    }

    /// Reads a stream of bytes.
    pub(crate) fn reader_of(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> StreamReader {
        StreamReader { stream: stream.boxed(), chunk: Bytes::new() }
    }

    impl AsyncRead for StreamReader {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            while self.chunk.is_empty() {
                match self.stream.as_mut().poll_next(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Ready(Some(Ok(chunk))) => self.chunk = chunk,
                    Poll::Ready(Some(Err(e))) => return Poll::Ready(Err(io::Error::other(e))),
                }
            }
            let n = buf.remaining().min(self.chunk.len());
            buf.put_slice(&self.chunk[..n]);
            self.chunk.advance(n);
            Poll::Ready(Ok(()))
        }
    }
}

/// The largest JSON file of an archive.
const JSON_MAX: u64 = 8 << 20;

/// Where the files of a tar are in it.
#[derive(Default)]
struct Archive {
    path: PathBuf,
    files: BTreeMap<String, (u64, u64)>,
    links: BTreeMap<String, String>,
    /// The archive unpacked, where it came compressed.
    _plain: Option<Scratch>,
}

impl Archive {
    fn open(path: PathBuf, plain: Scratch) -> std::io::Result<Self> {
        let mut file = std::fs::File::open(&path)?;
        let mut magic = [0; 2];
        let short = file.read(&mut magic)? < 2;
        file.rewind()?;
        let mut archive = Self { path, ..Self::default() };
        if !short && magic == [0x1f, 0x8b] {
            let mut out = std::fs::File::create(&plain.0)?;
            std::io::copy(&mut flate2::read::MultiGzDecoder::new(file), &mut out)?;
            archive.path.clone_from(&plain.0);
            file = std::fs::File::open(&plain.0)?;
            archive._plain = Some(plain);
        }
        for entry in tar::Archive::new(file).entries_with_seek()? {
            let entry = entry?;
            let name = clean(&entry.path()?.to_string_lossy());
            let kind = entry.header().entry_type();
            if kind.is_file() {
                archive.files.insert(name, (entry.raw_file_position(), entry.size()));
            } else if kind.is_symlink() || kind.is_hard_link() {
                let Some(to) = entry.link_name()? else { continue };
                let to = to.to_string_lossy().into_owned();
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let to = if kind.is_hard_link() { clean(&to) } else { clean(&format!("{folder}/{to}")) };
                archive.links.insert(name, to);
            }
        }
        Ok(archive)
    }

    fn place(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = clean(name);
        for _ in 0..8 {
            match self.files.get(&name) {
                Some(place) => return Some(*place),
                None => name = self.links.get(&name)?.clone(),
            }
        }
        None
    }

    async fn open_file(&self, name: &str) -> Result<(tokio::io::Take<tokio::fs::File>, u64)> {
        let (at, size) =
            self.place(name).ok_or_else(|| Error::bad_request(format!("open {name}: no such file or directory")))?;
        let failed = |e| Error::wrap("failed to read the archive", e);
        let mut file = tokio::fs::File::open(&self.path).await.map_err(failed)?;
        file.seek(std::io::SeekFrom::Start(at)).await.map_err(failed)?;
        Ok((file.take(size), size))
    }

    async fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let (mut file, size) = self.open_file(name).await?;
        if size > JSON_MAX {
            return Err(Error::bad_request(format!("{name} is too large")));
        }
        let mut all = Vec::new();
        file.read_to_end(&mut all).await.map_err(|e| Error::wrap("failed to read the archive", e))?;
        Ok(all)
    }

    async fn json(&self, name: &str) -> Result<Value> {
        let bytes = self.bytes(name).await?;
        serde_json::from_slice(&bytes).map_err(|e| Error::bad_request(format!("{name}: {e}")))
    }
}

/// A path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
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

async fn images_of(archive: &Archive) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    if archive.place("manifest.json").is_some() {
        let manifest = archive.json("manifest.json").await?;
        for one in manifest.as_array().into_iter().flatten() {
            let config = archive.bytes(one["Config"].as_str().unwrap_or_default()).await?;
            all.push(Found { config, tags: texts(&one["RepoTags"]), layers: texts(&one["Layers"]) });
        }
        return Ok(all);
    }
    if archive.place("index.json").is_none() {
        return Err(Error::bad_request("invalid archive: does not contain a manifest.json"));
    }
    let index = archive.json("index.json").await?;
    for entry in index["manifests"].as_array().into_iter().flatten() {
        let mut manifest = archive.json(&blob_path(&entry["digest"])).await?;
        if manifest["manifests"].is_array() {
            let Some(ours) = pick_platform(&manifest, "linux", "amd64", "") else { continue };
            manifest = archive.json(&blob_path(&json!(ours))).await?;
        }
        let config = archive.bytes(&blob_path(&manifest["config"]["digest"])).await?;
        let layers = manifest["layers"].as_array().into_iter().flatten().map(|l| blob_path(&l["digest"])).collect();
        let notes = &entry["annotations"];
        let name = notes["io.containerd.image.name"].as_str().or(notes["org.opencontainers.image.ref.name"].as_str());
        let tags = name.filter(|n| n.contains([':', '/'])).map(str::to_owned).into_iter().collect();
        all.push(Found { config, tags, layers });
    }
    Ok(all)
}

/// The manifest of a list that is for a platform.
pub(crate) fn pick_platform(list: &Value, os: &str, arch: &str, variant: &str) -> Option<String> {
    list["manifests"].as_array()?.iter().find_map(|m| {
        let p = &m["platform"];
        let fits = p["os"] == os && p["architecture"] == arch && (variant.is_empty() || p["variant"] == variant);
        m["digest"].as_str().filter(|_| fits).map(str::to_owned)
    })
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
    /// 400 for an archive that holds none or is broken.
    pub(crate) async fn load_images(&self, body: Scratch, quiet: bool, progress: &Progress) -> Result<()> {
        let _incoming = bringing_in().await;
        let (path, plain) = (body.0.clone(), self.blobs().scratch());
        let archive = tokio::task::spawn_blocking(move || Archive::open(path, plain))
            .await
            .map_err(|e| Error::wrap("failed to read the archive", e))?
            .map_err(|e| Error::bad_request(format!("invalid archive: {e}")))?;
        for found in images_of(&archive).await? {
            let mut blobs = Vec::new();
            for layer in &found.layers {
                let (reader, size) = archive.open_file(layer).await?;
                let digest = self.blobs().keep(reader).await?.0;
                if !quiet {
                    progress.layer(&digest["sha256:".len()..][..12], "Loading layer", size, size);
                }
                blobs.push(digest);
            }
            let mut tags = Vec::new();
            for tag in &found.tags {
                tags.push(Reference::parse(tag)?.tagged());
            }
            let image = self.unpack_image(found.config, blobs, |_| {}).await?;
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
        }
        Ok(())
    }

    /// Unpacks an image whose blobs are here; `done` is told of each layer. It has no tags yet.
    ///
    /// # Errors
    /// 400 where configuration and layers don't fit.
    pub(crate) async fn unpack_image(
        &self,
        config: Vec<u8>,
        blobs: Vec<String>,
        done: impl Fn(usize),
    ) -> Result<Image> {
        let id = digest_of(&config);
        let config =
            String::from_utf8(config).map_err(|_| Error::bad_request("invalid image configuration"))?;
        let value: Value = serde_json::from_str(&config)
            .map_err(|e| Error::bad_request(format!("invalid image configuration: {e}")))?;
        if value["os"].as_str().is_some_and(|os| os != "linux") {
            return Err(Error::bad_request(format!(
                "cannot load {} image on linux",
                value["os"].as_str().unwrap_or_default()
            )));
        }
        let diffs = texts(&value["rootfs"]["diff_ids"]);
        if diffs.len() != blobs.len() {
            return Err(Error::bad_request(format!(
                "invalid manifest, layers length mismatch: expected {}, got {}",
                blobs.len(),
                diffs.len()
            )));
        }
        let (mut layers, mut layer_bytes) = (Vec::new(), Vec::new());
        for (at, (blob, diff)) in blobs.iter().zip(&diffs).enumerate() {
            let reader = Box::new(self.blobs().read(blob).await?);
            let applied = self.host.apply_layer(reader, &layers, Some(diff)).await?;
            if applied.diff_id != *diff {
                return Err(Error::bad_request(format!(
                    "invalid diffID for layer {at}: expected {diff:?}, got {:?}",
                    applied.diff_id
                )));
            }
            layers.push(applied.id);
            layer_bytes.push(applied.size_bytes);
            done(at);
        }
        Ok(Image {
            id,
            config,
            layers,
            layer_bytes,
            tags: vec![],
            digests: vec![],
            parent: String::new(),
            tagged_ns: now_ns(),
            blobs: blobs.into_iter().enumerate().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_an_archive_are_found_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        tar.append_data(&mut header, "a/layer.tar", &b"hi"[..]).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "b/layer.tar", "../a/layer.tar").unwrap();
        tar.finish().unwrap();
        let archive = Archive::open(path, Scratch(dir.path().join("plain"))).unwrap();
        assert_eq!(archive.place("b/layer.tar"), Some((512, 2)));
        assert_eq!(archive.place("c"), None);
    }
}
