//! Pushing: blobs that the registry lacks, the configuration, the manifest.

use bytes::Bytes;
use http::{Method, StatusCode, header};
use pileus_base::{Error, Result};
use serde_json::json;

use super::{
    Credentials,
    client::{Client, Payload, whole},
};
use crate::{
    Docker, Image,
    engine::images::{digest_of, progress::Progress, save::LayerFile},
    model::reference::{Reference, familiar, repository_of},
};

/// The media type of what is pushed.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn nothing() -> Payload {
    Payload::Bytes(Bytes::new(), String::new())
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
        let client = Client::new(self.registry_url(&name.registry), auth);
        for (tag, image) in all {
            let label = tag.rsplit_once(':').map_or("latest", |(_, label)| label).to_owned();
            let (digest, size) = self.push_one(&client, name, &label, &image, progress).await?;
            progress.status(&format!("{label}: digest: {digest} size: {size}"));
            progress.say(&json!({
                "progressDetail": {},
                "aux": { "Tag": label, "Digest": digest, "Size": size },
            }));
            let digests = vec![format!("{repository}@{digest}")];
            self.save_image(Image { digests, ..image }).await?;
            self.image_event("push", familiar(&tag), familiar(&repository));
        }
        Ok(())
    }

    async fn push_one(
        &self,
        client: &Client,
        name: &Reference,
        tag: &str,
        image: &Image,
        progress: &Progress,
    ) -> Result<(String, usize)> {
        let diffs = image.value()["rootfs"]["diff_ids"].clone();
        let short = |at: usize| diffs[at].as_str().and_then(|d| d.get(7..19)).unwrap_or_default().to_owned();
        (0..image.layers.len()).for_each(|at| progress.step(&short(at), "Preparing"));
        let mut layers = Vec::new();
        for at in 0..image.layers.len() {
            let layer = self.compressed(self.layer_file(image, at).await?).await?;
            if has(client, name, &layer.digest).await? {
                progress.step(&short(at), "Layer already exists");
            } else {
                progress.layer(&short(at), "Pushing", 0, layer.size);
                upload(client, name, &layer.digest, Payload::File(layer.path.clone(), layer.size)).await?;
                progress.step(&short(at), "Pushed");
            }
            layers.push(json!({ "mediaType": layer.media, "size": layer.size, "digest": layer.digest }));
        }
        if !has(client, name, &image.id).await? {
            let bytes = Bytes::from(image.config.clone().into_bytes());
            let media = "application/octet-stream".to_owned();
            upload(client, name, &image.id, Payload::Bytes(bytes, media)).await?;
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "size": image.config.len(),
                "digest": image.id,
            },
            "layers": layers,
        })
        .to_string();
        let (digest, size) = (digest_of(manifest.as_bytes()), manifest.len());
        let path = format!("/v2/{}/manifests/{tag}", name.path);
        let reply =
            client.send(Method::PUT, &path, "", Payload::Bytes(manifest.into(), MANIFEST.into())).await?;
        if !reply.status().is_success() {
            return Err(refused(name, reply).await);
        }
        Ok((digest, size))
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
            let mut out = flate2::write::GzEncoder::new(
                std::fs::File::create(&to.0)?,
                flate2::Compression::fast(),
            );
            std::io::copy(&mut std::fs::File::open(from)?, &mut out)?;
            out.finish().map(|_| to)
        })
        .await
        .map_err(|e| Error::wrap("failed to compress a layer", e))?
        .map_err(failed)?;
        let (scratch, digest, size) =
            blobs.take(tokio::fs::File::open(&to.0).await.map_err(failed)?).await?;
        let media = "application/vnd.oci.image.layer.v1.tar+gzip";
        Ok(LayerFile { path: scratch.0.clone(), digest, size, media, scratch: Some(scratch) })
    }
}

async fn has(client: &Client, name: &Reference, digest: &str) -> Result<bool> {
    let path = format!("/v2/{}/blobs/{digest}", name.path);
    Ok(client.send(Method::HEAD, &path, "", nothing()).await?.status() == StatusCode::OK)
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

async fn refused(name: &Reference, reply: http::Response<hyper::body::Incoming>) -> Error {
    let status = reply.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let shown = name.repository();
        return Error::unauthorized(format!(
            "denied: requested access to the resource {} is denied",
            familiar(&shown)
        ));
    }
    let body = whole(reply).await.unwrap_or_default();
    Error::internal(format!("the registry answered {status}: {}", String::from_utf8_lossy(&body)))
}
