//! Pulling: a manifest, its blobs, the image.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use pileus_base::{Error, Kind, Result};
use serde_json::{Value, json};

use super::{
    Credentials, Platform,
    client::{Client, Payload, whole},
};
use crate::{
    Docker, Image,
    engine::images::{
        bringing_in, digest_of,
        load::{pick_platform, tokio_stream_reader::reader_of},
        progress::Progress,
    },
    model::reference::{Reference, familiar, is_digest},
};

/// The manifests that are understood.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A manifest as a registry has it.
pub(super) struct Manifest {
    /// Of its bytes.
    pub digest: String,
    /// In bytes.
    pub size: usize,
    /// Its content.
    pub value: Value,
}

fn nothing() -> Payload {
    Payload::Bytes(Bytes::new(), String::new())
}

/// A manifest of a tag or digest.
pub(super) async fn manifest(client: &Client, name: &Reference, wanted: &str) -> Result<Manifest> {
    let path = format!("/v2/{}/manifests/{wanted}", name.path);
    let reply = client.send(Method::GET, &path, MANIFESTS, nothing()).await?;
    let shown = name.to_string();
    match reply.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            return Err(Error::not_found(format!(
                "manifest for {} not found: manifest unknown: manifest unknown",
                familiar(&shown)
            )));
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(Error::not_found(format!(
                "pull access denied for {}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                familiar(&name.repository())
            )));
        }
        other => return Err(Error::internal(format!("received unexpected HTTP status: {other}"))),
    }
    let bytes = whole(reply).await?;
    let digest = digest_of(&bytes);
    if is_digest(wanted) && digest != wanted {
        return Err(Error::internal(format!("manifest verification failed for digest {wanted}")));
    }
    let value = serde_json::from_slice(&bytes)
        .map_err(|e| Error::internal(format!("a manifest that can't be read: {e}")))?;
    Ok(Manifest { digest, size: bytes.len(), value })
}

impl Docker {
    /// Finds the first registry that has a name: mirrors before the Hub.
    pub(super) async fn locate(
        &self,
        name: &Reference,
        auth: Option<Credentials>,
    ) -> Result<(Client, Manifest)> {
        let mut last = None;
        for (base, mirror) in self.registries(&name.registry) {
            let client = Client::new(base, auth.clone().filter(|_| !mirror));
            match manifest(&client, name, name.wanted()).await {
                Ok(found) => return Ok((client, found)),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| Error::not_found("no registry to ask")))
    }

    /// Pulls an image.
    ///
    /// # Errors
    /// 404 where the registry doesn't have it; 500 where it can't be reached.
    pub(crate) async fn pull_image(
        &self,
        name: &Reference,
        auth: Option<Credentials>,
        platform: &Platform,
        progress: &Progress,
    ) -> Result<()> {
        let (client, top) = self.locate(name, auth).await?;
        progress.say(&json!({ "status": format!("Pulling from {}", name.path), "id": name.wanted() }));
        let mut value = top.value;
        if value["manifests"].is_array() {
            let Platform { os, architecture, variant } = platform;
            let ours = pick_platform(&value, os, architecture, variant).ok_or_else(|| {
                Error::not_found(format!(
                    "no matching manifest for {os}/{architecture} in the manifest list entries"
                ))
            })?;
            value = manifest(&client, name, &ours).await?.value;
        }
        let _incoming = bringing_in().await;
        let config_digest = value["config"]["digest"].as_str().unwrap_or_default().to_owned();
        let shown = name.to_string();
        let shown = familiar(&shown);
        let known = self.images().await?.into_iter().find(|i| i.id == config_digest).map(|i| i.value);
        let fresh = known.is_none();
        let image = match known {
            Some(image) => image,
            None => self.fetch(&client, name, &config_digest, &value, progress).await?,
        };
        let by_digest = format!("{}@{}", name.repository(), top.digest);
        let tags = if name.digest.is_some() { vec![] } else { vec![name.tagged()] };
        let news = fresh || tags.iter().any(|t| !image.tags.contains(t));
        let id = image.id.clone();
        let tagged_ns = crate::events::now_ns();
        self.save_image(Image { tags, digests: vec![by_digest], tagged_ns, ..image }).await?;
        self.image_event("pull", shown, familiar(&name.repository()));
        tracing::debug!(image = id, "pulled");
        progress.status(&format!("Digest: {}", top.digest));
        progress.status(&match news {
            true => format!("Status: Downloaded newer image for {shown}"),
            false => format!("Status: Image is up to date for {shown}"),
        });
        Ok(())
    }

    async fn fetch(
        &self,
        client: &Client,
        name: &Reference,
        config: &str,
        manifest: &Value,
        progress: &Progress,
    ) -> Result<Image> {
        let path = format!("/v2/{}/blobs/{config}", name.path);
        let reply = client.send(Method::GET, &path, "", nothing()).await?;
        if reply.status() != StatusCode::OK {
            return Err(Error::not_found(format!("unknown blob {config}: {}", reply.status())));
        }
        let bytes = whole(reply).await?;
        if digest_of(&bytes) != config {
            return Err(Error::internal("image config verification failed for digest"));
        }
        let layers: Vec<(String, u64)> = manifest["layers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|l| (l["digest"].as_str().unwrap_or_default().to_owned(), l["size"].as_u64().unwrap_or(0)))
            .collect();
        if let Some((odd, _)) = layers.iter().find(|(digest, _)| !is_digest(digest)) {
            return Err(Error::bad_request(format!("invalid digest {odd:?}")));
        }
        let short = |digest: &str| digest.get(7..19).unwrap_or_default().to_owned();
        layers.iter().for_each(|(digest, _)| progress.step(&short(digest), "Pulling fs layer"));
        for (digest, size) in &layers {
            if self.blobs().size(digest).await.is_none() {
                self.download(client, name, digest, *size, progress).await?;
            }
            progress.step(&short(digest), "Download complete");
        }
        let blobs: Vec<String> = layers.iter().map(|(digest, _)| digest.clone()).collect();
        self.unpack_image(bytes.to_vec(), blobs, |at| progress.step(&short(&layers[at].0), "Pull complete"))
            .await
    }

    async fn download(
        &self,
        client: &Client,
        name: &Reference,
        digest: &str,
        size: u64,
        progress: &Progress,
    ) -> Result<()> {
        let path = format!("/v2/{}/blobs/{digest}", name.path);
        let reply = client.send(Method::GET, &path, "", nothing()).await?;
        if reply.status() != StatusCode::OK {
            return Err(Error::new(Kind::NotFound, format!("unknown blob {digest}: {}", reply.status())));
        }
        let (mut so_far, mut told) = (0, 0);
        let (progress, id) = (progress.clone(), digest.get(7..19).unwrap_or_default().to_owned());
        let step = (size / 50).max(512 << 10);
        let body = reply.into_body().into_data_stream().map(move |chunk| {
            let chunk = chunk.map_err(|e| Error::wrap("the registry broke off", e))?;
            so_far += chunk.len() as u64;
            if so_far - told >= step {
                told = so_far;
                progress.layer(&id, "Downloading", so_far, size);
            }
            Ok(chunk)
        });
        let (scratch, found, _) = self.blobs().take(reader_of(body)).await?;
        if found != digest {
            return Err(Error::internal(format!("filesystem layer verification failed for digest {digest}")));
        }
        self.blobs().place(scratch, digest).await
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
                let path = format!("/v2/{}/blobs/{config}", name.path);
                let reply = client.send(Method::GET, &path, "", nothing()).await?;
                let value: Value = serde_json::from_slice(&whole(reply).await?).unwrap_or_default();
                vec![json!({ "architecture": value["architecture"], "os": value["os"] })]
            }
        };
        Ok(json!({
            "Descriptor": {
                "mediaType": top.value["mediaType"],
                "digest": top.digest,
                "size": top.size,
            },
            "Platforms": platforms,
        }))
    }
}
