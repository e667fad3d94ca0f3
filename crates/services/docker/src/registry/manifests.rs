//! Manifests: OCI's and Docker's, of images and indexes. One that is taken refers only to what is here.

use bytes::Bytes;
use http::{HeaderName, header};
use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::{Read, Tx};
use serde_json::{Value, json};

use super::{Call, MANIFEST_MAX, unknown, with_digest, wrong};
use crate::{
    engine::images::digest_of,
    model::reference::{is_digest, is_tag},
    store::registry::{Link, Manifest, Repository, Tag},
};

/// The media types that are taken, and whether they are lists.
const MEDIA: &[(&str, bool)] = &[
    ("application/vnd.oci.image.manifest.v1+json", false),
    ("application/vnd.docker.distribution.manifest.v2+json", false),
    ("application/vnd.oci.image.index.v1+json", true),
    ("application/vnd.docker.distribution.manifest.list.v2+json", true),
];

fn missing() -> Error {
    unknown("MANIFEST_UNKNOWN", "manifest unknown")
}

fn find(rd: &mut Read<'_>, at: &Repository, reference: &str) -> Result<Option<Manifest>> {
    let digest = match is_digest(reference) {
        true => reference.to_owned(),
        false => match rd.find::<Tag>(&Scope::All, Tag::key(at, reference))? {
            Some(tag) => tag.value.digest,
            None => return Ok(None),
        },
    };
    Ok(rd.find::<Manifest>(&Scope::All, Manifest::key(at, &digest))?.map(|m| m.value))
}

/// `GET` and `HEAD /v2/<name>/manifests/<reference>`
pub(super) async fn get(call: Call, at: Repository) -> Result<Reply> {
    let reference = call.param("reference").to_owned();
    let found = call.state.docker.store.read(move |rd| find(rd, &at, &reference)).await?;
    let found = found.ok_or_else(missing)?;
    let mut reply = Reply::bytes(200, "application/json", found.text.into_bytes());
    if let Ok(media) = found.media.parse() {
        reply.headers.insert(header::CONTENT_TYPE, media);
    }
    Ok(with_digest(reply.header(header::ETAG, format!("\"{}\"", found.digest)), &found.digest))
}

/// `PUT /v2/<name>/manifests/<reference>`
pub(super) async fn put(mut call: Call, at: Repository) -> Result<Reply> {
    let reference = call.param("reference").to_owned();
    let media = call.header(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
    let body = call.chunks().collect(MANIFEST_MAX).await?;
    let manifest = read(&at, &media, &body)?;
    let digest = manifest.digest.clone();
    if is_digest(&reference) {
        if reference != digest {
            return Err(wrong("DIGEST_INVALID", "provided digest did not match uploaded content"));
        }
    } else if !is_tag(&reference) {
        return Err(wrong("TAG_INVALID", "manifest tag did not match URI"));
    }
    let subject = manifest.subject.clone();
    let tag = (!is_digest(&reference)).then(|| Tag { at, name: reference.clone(), digest: digest.clone() });
    call.state.docker.store.write(move |tx| keep(tx, &manifest, tag.as_ref())).await?;
    let place = format!("/v2/{}/manifests/{digest}", call.param("name"));
    let mut reply = Reply::empty(201).location(place);
    if let Some(subject) = subject {
        reply = reply.header(HeaderName::from_static("oci-subject"), subject);
    }
    Ok(with_digest(reply, &digest))
}

/// Keeps a manifest whose parts are all here, and lets a tag stand for it.
fn keep(tx: &mut Tx<'_>, manifest: &Manifest, tag: Option<&Tag>) -> Result<()> {
    let at = &manifest.at;
    for blob in &manifest.blobs {
        if tx.find::<Link>(&Scope::All, Link::key(at, blob))?.is_none() {
            return Err(unknown("MANIFEST_BLOB_UNKNOWN", format!("blob unknown to registry: {blob}")));
        }
    }
    for part in &manifest.manifests {
        if tx.find::<Manifest>(&Scope::All, Manifest::key(at, part))?.is_none() {
            return Err(unknown("MANIFEST_BLOB_UNKNOWN", format!("manifest unknown to registry: {part}")));
        }
    }
    match tx.find::<Manifest>(&Scope::All, Manifest::key(at, &manifest.digest))? {
        None => tx.insert(manifest)?,
        Some(mut old) => {
            old.value = manifest.clone();
            tx.put(&old)?;
        }
    }
    let Some(tag) = tag else { return Ok(()) };
    match tx.find::<Tag>(&Scope::All, Tag::key(at, &tag.name))? {
        None => tx.insert(tag),
        Some(mut old) => {
            old.value = tag.clone();
            tx.put(&old)
        }
    }
}

/// Reads a manifest.
fn read(at: &Repository, media: &str, body: &Bytes) -> Result<Manifest> {
    let bad = |why: &str| wrong("MANIFEST_INVALID", format!("manifest invalid: {why}"));
    let text = String::from_utf8(body.to_vec()).map_err(|_| bad("it is no text"))?;
    let value: Value = serde_json::from_str(&text).map_err(|e| bad(&e.to_string()))?;
    if value["schemaVersion"] != 2 {
        return Err(bad("schemaVersion must be 2"));
    }
    let media = media.split(';').next().unwrap_or_default().trim();
    let own = value["mediaType"].as_str().unwrap_or(media);
    let Some((media, list)) = MEDIA.iter().find(|(m, _)| *m == own && (media.is_empty() || *m == media))
    else {
        return Err(bad("its media type is not one that is taken"));
    };
    let digests = |list: &Value| -> Result<Vec<String>> {
        let mut all = Vec::new();
        for one in list.as_array().into_iter().flatten() {
            let digest = one["digest"].as_str().unwrap_or_default();
            if !is_digest(digest) {
                return Err(bad("a digest in it is none"));
            }
            // What is to be had elsewhere only need not be here.
            if one["urls"].as_array().is_none_or(Vec::is_empty) {
                all.push(digest.to_owned());
            }
        }
        Ok(all)
    };
    let (blobs, manifests) = match list {
        true => (Vec::new(), digests(&value["manifests"])?),
        false => {
            let mut blobs = digests(&json!([value["config"]]))?;
            blobs.extend(digests(&value["layers"])?);
            (blobs, Vec::new())
        }
    };
    let subject = match &value["subject"] {
        Value::Null => None,
        subject => digests(&json!([subject]))?.into_iter().next(),
    };
    let config = value["config"]["mediaType"].as_str();
    Ok(Manifest {
        at: at.clone(),
        digest: digest_of(body),
        media: (*media).to_owned(),
        blobs,
        manifests,
        subject,
        artifact: value["artifactType"].as_str().or(config).map(str::to_owned),
        annotations: value["annotations"].clone(),
        text,
    })
}

/// `DELETE /v2/<name>/manifests/<reference>`: a tag, or a manifest with all that stands for it.
pub(super) async fn delete(call: Call, at: Repository) -> Result<Reply> {
    let reference = call.param("reference").to_owned();
    call.state.docker.store.write(move |tx| remove(tx, &at, &reference)).await?;
    call.state.docker.sweep_images().await?;
    Ok(Reply::empty(202))
}

fn remove(tx: &mut Tx<'_>, at: &Repository, reference: &str) -> Result<()> {
    if !is_digest(reference) {
        return match tx.delete::<Tag>(Tag::key(at, reference))? {
            true => Ok(()),
            false => Err(missing()),
        };
    }
    let Some(gone) = tx.find::<Manifest>(&Scope::All, Manifest::key(at, reference))? else {
        return Err(missing());
    };
    for tag in tx.list::<Tag>(&Scope::All, &at.query())? {
        if tag.digest == reference {
            tx.delete::<Tag>(Tag::key(at, &tag.name))?;
        }
    }
    tx.delete::<Manifest>(Manifest::key(at, reference))?;
    let left = tx.list::<Manifest>(&Scope::All, &at.query())?;
    for blob in &gone.blobs {
        if !left.iter().any(|m| m.blobs.contains(blob)) {
            tx.delete::<Link>(Link::key(at, blob))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

    #[test]
    fn manifests_say_what_they_refer_to() {
        let at = Repository { project: "p".into(), name: "x".into() };
        let d = |c: &str| format!("sha256:{}", c.repeat(64));
        let value = json!({
            "schemaVersion": 2,
            "config": { "mediaType": "c", "digest": d("a") },
            "layers": [{ "digest": d("b") }, { "digest": d("c"), "urls": ["http://elsewhere"] }],
            "subject": { "digest": d("d") },
        });
        let got = read(&at, IMAGE, &Bytes::from(value.to_string())).unwrap();
        assert_eq!((got.blobs, got.subject), (vec![d("a"), d("b")], Some(d("d"))));
        assert_eq!(got.artifact.as_deref(), Some("c"));
        for (media, text) in [
            (IMAGE, "{"),
            (IMAGE, "{\"schemaVersion\":1}"),
            ("text/plain", "{\"schemaVersion\":2}"),
            (IMAGE, "{\"schemaVersion\":2,\"config\":{\"digest\":\"x\"}}"),
            (IMAGE, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\"}"),
        ] {
            assert!(read(&at, media, &Bytes::from_static(text.as_bytes())).is_err(), "{text}");
        }
    }
}
