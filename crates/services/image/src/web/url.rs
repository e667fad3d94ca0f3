//! An address of the web: `http` or `https`, a host, a port, a target; no credentials.

use std::{fmt, net::IpAddr};

use http::Uri;
use pileus_base::{Error, Result};

/// A checked URL.
#[derive(Debug, Clone, PartialEq)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    target: String,
}

impl Url {
    /// Reads it.
    ///
    /// # Errors
    /// 400 where it is none, or names credentials.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::bad_request(format!("{text} is no URL to fetch: {why}"));
        let text_only = text.split('#').next().unwrap_or_default();
        let uri: Uri = text_only.parse().map_err(|_| bad("it is malformed"))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it names a user"));
        }
        let host = authority.host().to_ascii_lowercase();
        let inner = host.trim_start_matches('[').trim_end_matches(']');
        if inner.is_empty() || host.len() > 255 {
            return Err(bad("it names no host"));
        }
        let rest = &authority.as_str()[authority.host().len()..];
        let port = match rest.strip_prefix(':') {
            None | Some("") => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().map_err(|_| bad("the port is no number"))?,
        };
        let target = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Ok(Self { secure, host, port, target: if target.is_empty() { "/".into() } else { target } })
    }

    /// Where `reference`, found at this URL, leads.
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn join(&self, reference: &str) -> Result<Self> {
        let scheme = if self.secure { "https" } else { "http" };
        let is_absolute = reference
            .split_once("://")
            .is_some_and(|(s, _)| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric()));
        if is_absolute {
            Self::parse(reference)
        } else if reference.starts_with("//") {
            Self::parse(&format!("{scheme}:{reference}"))
        } else if reference.starts_with('/') {
            Self::parse(&format!("{scheme}://{}{reference}", self.authority()))
        } else {
            let path = self.target.split('?').next().unwrap_or("/");
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            Self::parse(&format!("{scheme}://{}{dir}/{reference}", self.authority()))
        }
    }

    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
    /// The host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
    /// The host where it is an address.
    pub fn address(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }
    /// What `Host` says.
    pub fn authority(&self) -> String {
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }
    /// The last part of the path.
    pub fn file_name(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the query: it often carries a signature.
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_joined() {
        let url = Url::parse("https://Example.org/a/b.qcow2?sig=1#x").unwrap();
        assert_eq!((url.host(), url.port(), url.target()), ("example.org", 443, "/a/b.qcow2?sig=1"));
        assert_eq!(url.file_name(), "b.qcow2");
        assert_eq!(url.to_string(), "https://example.org/a/b.qcow2");
        assert_eq!(url.join("c").unwrap().target(), "/a/c");
        assert_eq!(url.join("/c?d=http://x").unwrap().target(), "/c?d=http://x");
        assert_eq!(url.join("//other/c").unwrap().host(), "other");
        assert_eq!(url.join("http://other:81/").unwrap().authority(), "other:81");
        let six = Url::parse("http://[::1]:8080/").unwrap();
        assert_eq!((six.host(), six.port()), ("::1", 8080));
        assert_eq!(six.address(), Some("::1".parse().unwrap()));
        assert_eq!(Url::parse("http://h").unwrap().target(), "/");
        for bad in [
            "",
            "ftp://h/",
            "file:///etc/passwd",
            "http://u@h/",
            "http://u:p@h/",
            "/x",
            "http:///x",
            "http://h:x/",
            "http://h:99999/",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }
}
