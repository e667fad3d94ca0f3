//! Names of images: `registry/path:tag@digest`, what a short name means, and how a name is shown.

use std::fmt;

use pileus_base::{Error, Result};

/// The registry that a name without one means.
pub const HUB: &str = "docker.io";

/// A name, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `docker.io`, `127.0.0.1:5000`.
    pub registry: String,
    /// `library/busybox`.
    pub path: String,
    /// The tag, where one was given.
    pub tag: Option<String>,
    /// `sha256:…`, where one was given.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads a name.
    ///
    /// # Errors
    /// 400, in the reference's words.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::bad_request("invalid reference format");
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(bad()),
            None => (text, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((rest, tag)) if !tag.contains('/') => {
                if !is_tag(tag) {
                    return Err(bad());
                }
                (rest, Some(tag.to_owned()))
            }
            _ => (rest, None),
        };
        if rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
            return Err(Error::bad_request(format!(
                "invalid repository name ({rest}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if is_registry(first) => (first, path.to_owned()),
            _ => (HUB, rest.to_owned()),
        };
        let registry = if registry == "index.docker.io" { HUB } else { registry };
        let path = if registry == HUB && !path.contains('/') { format!("library/{path}") } else { path };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(Error::bad_request("invalid reference format: repository name must be lowercase"));
        }
        if path.len() > 255 || !path.split('/').all(is_component) {
            return Err(bad());
        }
        Ok(Self { registry: registry.to_owned(), path, tag, digest })
    }

    /// Reads a repository and a tag that come apart; `latest` where there is none.
    ///
    /// # Errors
    /// 400, in the reference's words.
    pub fn of(repository: &str, tag: &str) -> Result<Self> {
        let name = Self::parse(repository)?;
        if tag.is_empty() {
            return Ok(name.or_latest());
        }
        if !is_tag(tag) {
            return Err(Error::bad_request(format!("invalid tag format: \"{tag}\"")));
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..name })
    }

    /// With the tag `latest` where there is neither a tag nor a digest.
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".into());
        }
        self
    }
    /// Without tag and digest: `docker.io/library/busybox`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.registry, self.path)
    }
    /// `docker.io/library/busybox:latest`.
    pub fn tagged(&self) -> String {
        format!("{}:{}", self.repository(), self.tag.as_deref().unwrap_or("latest"))
    }
    /// The tag or else the digest, as a registry is asked for it.
    pub fn wanted(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// A normalised name as it is shown: `busybox:latest`, `user/x:1`, `127.0.0.1:5000/x:1`.
pub fn familiar(name: &str) -> &str {
    match name.strip_prefix("docker.io/") {
        Some(path) => path.strip_prefix("library/").filter(|p| !p.contains('/')).unwrap_or(path),
        None => name,
    }
}

/// The repository of a normalised name.
pub fn repository_of(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(repository, _)| repository);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// Whether it is `sha256:` and 64 hex digits.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// Whether it may be a tag.
pub fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase())
}

/// Lower-case words, joined by `.`, `_`, `__` or dashes.
pub fn is_component(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = part.bytes().next().is_some_and(word) && part.bytes().last().is_some_and(word);
    edges
        && part.bytes().all(|b| word(b) || matches!(b, b'.' | b'_' | b'-'))
        && part
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        let of = |t: &str| Reference::parse(t).unwrap().or_latest().to_string();
        assert_eq!(of("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(of("u/x:1"), "docker.io/u/x:1");
        assert_eq!(of("127.0.0.1:5000/a/b"), "127.0.0.1:5000/a/b:latest");
        assert_eq!(of("localhost/x"), "localhost/x:latest");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(of(&format!("x@{digest}")), format!("docker.io/library/x@{digest}"));
        for bad in ["", "X", "a:b:c", "a//b", "-a", "a:", "a@b", "a..b", &"a".repeat(64)] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_shown_short() {
        assert_eq!(familiar("docker.io/library/busybox:latest"), "busybox:latest");
        assert_eq!(familiar("docker.io/u/x:1"), "u/x:1");
        assert_eq!(familiar("127.0.0.1:5000/x:1"), "127.0.0.1:5000/x:1");
        assert_eq!(repository_of("127.0.0.1:5000/x"), "127.0.0.1:5000/x");
        assert_eq!(repository_of("127.0.0.1:5000/x:1"), "127.0.0.1:5000/x");
    }
}
