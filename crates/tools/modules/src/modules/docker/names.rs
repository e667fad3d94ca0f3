//! What several modules want of images: names, finding one, pulling one.

use serde_json::Value;

use super::client::{ApiError, Docker, encode};
use crate::result::Fail;

/// A name's repository and tag; a digest counts as a tag. The default is `tag`.
pub fn split(name: &str, tag: &str) -> (String, String) {
    if let Some((repository, digest)) = name.split_once('@') {
        // A tag beside a digest is ignored by the engine.
        return (repository.to_string(), digest.to_string());
    }
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository.to_string(), tag.to_string()),
        _ => (name.to_string(), tag.to_string()),
    }
}

/// A whole name of both.
pub fn join(repository: &str, tag: &str) -> String {
    if tag.is_empty() {
        return repository.to_string();
    }
    let by = if tag.starts_with("sha256:") { '@' } else { ':' };
    format!("{repository}{by}{tag}")
}

/// Whether the name is an image's id.
pub fn is_id(name: &str) -> bool {
    name.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether a tag may be one.
pub fn valid_tag(tag: &str) -> bool {
    let first = tag.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && tag.len() <= 128
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// A name in a path: its slashes and colons are part of the API's routes.
pub fn in_path(name: &str) -> String {
    encode(name).replace("%2F", "/").replace("%3A", ":").replace("%40", "@")
}

/// An image as inspected.
pub fn find(docker: &Docker, name: &str) -> Result<Option<Value>, ApiError> {
    docker.find(&format!("/images/{}/json", in_path(name)), &[])
}

/// Pulls an image.
///
/// # Errors
/// Where the engine or its registry refuses.
pub fn pull(docker: &Docker, repository: &str, tag: &str, platform: Option<&str>) -> Result<(), Fail> {
    let mut query = vec![("tag", tag.to_string()), ("fromImage", repository.to_string())];
    if let Some(platform) = platform {
        query.push(("platform", platform.to_string()));
    }
    let credentials = super::credentials::header(repository);
    let headers: Vec<(&str, &str)> =
        credentials.as_deref().map(|value| ("X-Registry-Auth", value)).into_iter().collect();
    let done = docker.progress("/images/create", &query, &headers);
    done.map(drop).map_err(|e| {
        let shown = join(repository, tag);
        Fail::msg(format!("Error pulling image {shown} - {e}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let split = |name| split(name, "latest");
        assert_eq!(split("busybox"), ("busybox".into(), "latest".into()));
        assert_eq!(split("h:5000/a/b"), ("h:5000/a/b".into(), "latest".into()));
        assert_eq!(split("h:5000/a/b:1"), ("h:5000/a/b".into(), "1".into()));
        assert_eq!(split("a@sha256:00"), ("a".into(), "sha256:00".into()));
        assert_eq!(join("a", "sha256:00"), "a@sha256:00");
        assert!(valid_tag("1.0-x_y") && !valid_tag("-x") && !valid_tag("") && !valid_tag("a/b"));
    }
}
