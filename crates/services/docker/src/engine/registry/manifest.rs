//! Manifests as a registry has them, and what it says where it hasn't.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use pileus_base::{Error, Result};
use serde_json::Value;

use super::client::{Client, Payload, whole};
use crate::{
    engine::images::digest_of,
    model::reference::{Reference, familiar, is_digest},
};

/// The manifests that are understood.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
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
    /// Its media type.
    pub media: String,
}

/// Nothing to send.
pub(super) fn nothing() -> Payload {
    Payload::Bytes(Bytes::new(), String::new())
}

/// What a registry says of a refusal: its code and, in the reference's form, `code word: message`.
pub(super) async fn said(reply: Response<Incoming>) -> (String, String) {
    let status = reply.status();
    let body = whole(reply).await.unwrap_or_default();
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    let first = &value["errors"][0];
    match (first["code"].as_str(), first["message"].as_str()) {
        (Some(code), message) => {
            let word = code.to_lowercase().replace('_', " ");
            (code.to_owned(), format!("{word}: {}", message.unwrap_or(&word)))
        }
        _ if status == StatusCode::UNAUTHORIZED => {
            ("UNAUTHORIZED".into(), "unauthorized: authentication required".into())
        }
        _ => (String::new(), format!("received unexpected HTTP status: {status}")),
    }
}

/// Why a name can't be pulled.
pub(super) async fn refused(name: &Reference, reply: Response<Incoming>) -> Error {
    let status = reply.status();
    let (code, said) = said(reply).await;
    let (whole, repository) = (name.to_string(), name.repository());
    match &*code {
        "DENIED" => denied(name, &said),
        "MANIFEST_UNKNOWN" => {
            Error::not_found(format!("manifest for {} not found: {said}", familiar(&whole)))
        }
        "NAME_UNKNOWN" => Error::not_found(format!("repository {} not found: {said}", familiar(&repository))),
        _ if status == StatusCode::NOT_FOUND => Error::not_found(format!(
            "manifest for {} not found: manifest unknown: manifest unknown",
            familiar(&whole)
        )),
        _ => Error::internal(said),
    }
}

/// Docker Hub's answer to who asks for what it doesn't have.
pub(super) fn denied(name: &Reference, said: &str) -> Error {
    Error::not_found(format!(
        "pull access denied for {}, repository does not exist or may require 'docker login': {said}",
        familiar(&name.repository())
    ))
}

/// A manifest of a tag or digest.
///
/// # Errors
/// 404 where there is none; 500 where it can't be had or is not what it should be.
pub(super) async fn manifest(client: &Client, name: &Reference, wanted: &str) -> Result<Manifest> {
    let path = format!("/v2/{}/manifests/{wanted}", name.path);
    let reply = client.send(Method::GET, &path, MANIFESTS, nothing()).await?;
    if reply.status() != StatusCode::OK {
        return Err(refused(name, reply).await);
    }
    let media = reply.headers().get(http::header::CONTENT_TYPE).and_then(|m| m.to_str().ok());
    let media = media.unwrap_or_default().to_owned();
    let bytes = whole(reply).await?;
    let digest = digest_of(&bytes);
    if is_digest(wanted) && digest != wanted {
        return Err(Error::internal(format!("manifest verification failed for digest {wanted}")));
    }
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| Error::internal(format!("a manifest that can't be read: {e}")))?;
    let media = value["mediaType"].as_str().map_or(media, str::to_owned);
    Ok(Manifest { digest, size: bytes.len(), value, media })
}

/// All tags of a repository.
///
/// # Errors
/// Those of [`manifest`].
pub(super) async fn tags(client: &Client, name: &Reference) -> Result<Vec<String>> {
    let (mut all, mut path) = (Vec::new(), format!("/v2/{}/tags/list", name.path));
    loop {
        let reply = client.send(Method::GET, &path, "application/json", nothing()).await?;
        if reply.status() != StatusCode::OK {
            return Err(refused(name, reply).await);
        }
        let next = reply.headers().get(http::header::LINK).and_then(|l| l.to_str().ok());
        let next =
            next.and_then(|l| l.strip_prefix('<')).and_then(|l| l.split('>').next()).map(str::to_owned);
        let value: Value = serde_json::from_slice(&whole(reply).await?).unwrap_or_default();
        let page = value["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        all.extend(page.map(str::to_owned));
        match next {
            Some(next) if next != path => path = next,
            _ => return Ok(all),
        }
    }
}
