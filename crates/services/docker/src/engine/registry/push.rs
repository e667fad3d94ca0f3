//! Pushing: blobs that the registry lacks, a few at a time, the configuration, the manifest.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use http::{Method, StatusCode, header};
use pileus_base::{Error, Result};
use serde_json::{Value, json};

use super::{
    Credentials,
    client::{Client, Payload},
    manifest::{nothing, said},
};
use crate::{
    Docker, Image,
    engine::images::{digest_of, progress::Progress, save::LayerFile},
    model::reference::{Reference, familiar, repository_of},
};

/// How many layers are sent at once, as the reference does.
const AT_ONCE: usize = 5;

/// Media types as the reference pushes them, and OCI's where a layer is of a kind that Docker's has not.
struct Media {
    manifest: &'static str,
    config: &'static str,
    gzip: &'static str,
}

const DOCKER: Media = Media {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};
const OCI: Media = Media {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    gzip: OCI_GZIP,
};
const OCI_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A layer that the registry has.
struct Sent {
    digest: String,
    size: u64,
    media: &'static str,
}

impl Docker {
    /// Pushes a tag, or all tags of a repository.
    ///
    /// # Errors
    /// 404 where there is none; those of the registry.
    pub(crate) async fn push_image(
        &self,
        name: &Reference,
        auth: Option<Credentials>,
        progress: &Progress,
    ) -> Result<()> {
        let repository = name.repository();
        let mut all = Vec::new();
        for image in self.images().await? {
            for tag in &image.tags {
                let asked = match &name.tag {
                    Some(_) => *tag == name.tagged(),
                    None => repository_of(tag) == repository,
                };
                if asked {
                    all.push((tag.clone(), image.value.clone()));
                }
            }
        }
        progress.status(&format!("The push refers to repository [{repository}]"));
        if all.is_empty() {
            let shown = name.to_string();
            return Err(Error::not_found(match &name.tag {
                Some(tag) => format!("tag does not exist: {}:{tag}", familiar(&repository)),
                None => {
                    format!("An image does not exist locally with the tag: {}", familiar(&shown))
                }
            }));
        }
        let client = self.client(self.registry_url(&name.registry).await, auth);
        for (tag, image) in all {
            let label = tag.rsplit_once(':').map_or("latest", |(_, label)| label).to_owned();
            let (digest, size, blobs) = self.push_one(&client, name, &label, &image, progress).await?;
            progress.status(&format!("{label}: digest: {digest} size: {size}"));
            progress.say(&json!({
                "progressDetail": {},
                "aux": { "Tag": label, "Digest": digest, "Size": size },
            }));
            let digests = vec![format!("{repository}@{digest}")];
            // What the registry of this cloud has is here: the next push and pull need it not made anew.
            let mut image = Image { digests, tags: vec![], ..image };
            for (at, blob) in blobs.into_iter().enumerate() {
                if self.blobs().size(&blob).await.is_some() {
                    image.blobs.entry(at).or_insert(blob);
                }
            }
            self.save_image(image).await?;
            self.image_event("push", familiar(&tag), familiar(&repository));
        }
        Ok(())
    }

    /// The manifest's digest and size, and the blobs of its layers.
    async fn push_one(
        &self,
        client: &Client,
        name: &Reference,
        tag: &str,
        image: &Image,
        progress: &Progress,
    ) -> Result<(String, usize, Vec<String>)> {
        let diffs = image.value()["rootfs"]["diff_ids"].clone();
        let labels: Vec<String> = (0..image.layers.len())
            .map(|at| diffs[at].as_str().and_then(|d| d.get(7..19)).unwrap_or_default().to_owned())
            .collect();
        labels.iter().for_each(|label| progress.step(label, "Preparing"));
        labels.iter().skip(AT_ONCE).for_each(|label| progress.step(label, "Waiting"));
        let elsewhere: Vec<&str> = image
            .digests
            .iter()
            .map(|d| repository_of(d))
            .filter_map(|r| r.strip_prefix(&*name.registry)?.strip_prefix('/'))
            .filter(|path| *path != name.path)
            .collect();
        let mut sends = Vec::new();
        for (at, label) in labels.iter().enumerate() {
            sends.push(self.send_layer(client, name, image, at, label, &elsewhere, progress).boxed());
        }
        let sent: Vec<Sent> = futures_util::stream::iter(sends).buffered(AT_ONCE).try_collect().await?;
        let media = if sent.iter().all(|l| l.media == OCI_GZIP) { &DOCKER } else { &OCI };
        if !has(client, name, &image.id).await? {
            let bytes = Bytes::from(image.config.clone().into_bytes());
            let kind = "application/octet-stream".to_owned();
            upload(client, name, &image.id, Payload::Bytes(bytes, kind)).await?;
        }
        let layers: Vec<Value> = sent
            .iter()
            .map(|l| {
                let kind = if l.media == OCI_GZIP { media.gzip } else { l.media };
                json!({ "mediaType": kind, "size": l.size, "digest": l.digest })
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media.manifest,
            "config": { "mediaType": media.config, "size": image.config.len(), "digest": image.id },
            "layers": layers,
        })
        .to_string();
        let (digest, size) = (digest_of(manifest.as_bytes()), manifest.len());
        let path = format!("/v2/{}/manifests/{tag}", name.path);
        let payload = Payload::Bytes(manifest.into(), media.manifest.into());
        let reply = client.send(Method::PUT, &path, "", payload).await?;
        if !reply.status().is_success() {
            return Err(refused(name, reply).await);
        }
        Ok((digest, size, sent.into_iter().map(|l| l.digest).collect()))
    }

    #[expect(clippy::too_many_arguments, reason = "one layer of a push: all of it is the push's")]
    async fn send_layer(
        &self,
        client: &Client,
        name: &Reference,
        image: &Image,
        at: usize,
        label: &str,
        elsewhere: &[&str],
        progress: &Progress,
    ) -> Result<Sent> {
        let layer = self.compressed(self.layer_file(image, at).await?).await?;
        let sent = Sent { digest: layer.digest.clone(), size: layer.size, media: layer.media };
        if has(client, name, &layer.digest).await? {
            progress.step(label, "Layer already exists");
            return Ok(sent);
        }
        for from in elsewhere {
            if mount(client, name, &layer.digest, from).await? {
                progress.step(label, &format!("Mounted from {from}"));
                return Ok(sent);
            }
        }
        progress.layer(label, "Pushing", 0, layer.size);
        upload(client, name, &layer.digest, Payload::File(layer.path.clone(), layer.size)).await?;
        progress.layer(label, "Pushing", layer.size, layer.size);
        progress.step(label, "Pushed");
        Ok(sent)
    }

    /// A layer with gzip, where it has no compression.
    async fn compressed(&self, layer: LayerFile) -> Result<LayerFile> {
        if layer.media != "application/vnd.oci.image.layer.v1.tar" {
            return Ok(layer);
        }
        let blobs = self.blobs();
        let (from, to) = (layer.path.clone(), blobs.scratch());
        let failed = |e: std::io::Error| Error::wrap("failed to compress a layer", e);
        let to = tokio::task::spawn_blocking(move || {
            let mut out =
                flate2::write::GzEncoder::new(std::fs::File::create(&to.0)?, flate2::Compression::fast());
            std::io::copy(&mut std::fs::File::open(from)?, &mut out)?;
            out.finish().map(|_| to)
        })
        .await
        .map_err(|e| Error::wrap("failed to compress a layer", e))?
        .map_err(failed)?;
        let (scratch, digest, size) = blobs.take(tokio::fs::File::open(&to.0).await.map_err(failed)?).await?;
        Ok(LayerFile { path: scratch.0.clone(), digest, size, media: OCI_GZIP, _scratch: Some(scratch) })
    }
}

async fn has(client: &Client, name: &Reference, digest: &str) -> Result<bool> {
    let path = format!("/v2/{}/blobs/{digest}", name.path);
    let reply = client.send(Method::HEAD, &path, "", nothing()).await?;
    match reply.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(refused(name, reply).await),
        status => Ok(status == StatusCode::OK),
    }
}

/// Takes a blob over from another repository of the registry, where it can.
async fn mount(client: &Client, name: &Reference, digest: &str, from: &str) -> Result<bool> {
    let path = format!("/v2/{}/blobs/uploads/?mount={digest}&from={from}", name.path);
    let reply = client.send(Method::POST, &path, "", nothing()).await?;
    let to = reply.headers().get(header::LOCATION).and_then(|l| l.to_str().ok()).map(|l| client.absolute(l));
    if reply.status() == StatusCode::ACCEPTED
        && let Some(to) = to
    {
        // The upload that it began instead: ours begins anew.
        client.send(Method::DELETE, &to, "", nothing()).await?;
    }
    Ok(reply.status() == StatusCode::CREATED)
}

async fn upload(client: &Client, name: &Reference, digest: &str, payload: Payload) -> Result<()> {
    let path = format!("/v2/{}/blobs/uploads/", name.path);
    let reply = client.send(Method::POST, &path, "", nothing()).await?;
    let to = reply.headers().get(header::LOCATION).and_then(|l| l.to_str().ok()).map(|l| client.absolute(l));
    let Some(to) = to.filter(|_| reply.status() == StatusCode::ACCEPTED) else {
        return Err(refused(name, reply).await);
    };
    let join = if to.contains('?') { '&' } else { '?' };
    let reply = client.send(Method::PUT, &format!("{to}{join}digest={digest}"), "", payload).await?;
    if reply.status().is_success() { Ok(()) } else { Err(refused(name, reply).await) }
}

/// What a registry answers, in the reference's words.
async fn refused(name: &Reference, reply: http::Response<hyper::body::Incoming>) -> Error {
    let status = reply.status();
    let (_, said) = said(reply).await;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let shown = name.repository();
            tracing::debug!(repository = shown, said, "a push was refused");
            Error::unauthorized("denied: requested access to the resource is denied")
        }
        _ => Error::internal(said),
    }
}
