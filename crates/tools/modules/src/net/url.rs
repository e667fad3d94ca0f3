//! URLs as HTTP needs them (RFC 3986): parts, and references made absolute.

/// A URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `http` or `https`, in small letters.
    pub scheme: String,
    /// `user:password`, still encoded.
    pub user: Option<String>,
    /// The host, without brackets.
    pub host: String,
    /// The port, the scheme's own when none is written.
    pub port: u16,
    /// The host and port as written.
    pub authority: String,
    /// Path and query, never empty.
    pub target: String,
}

impl Url {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// Python's words: `unknown url type: …`, `no host given`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.split('#').next().unwrap_or_default();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("unknown url type: {}", crate::py::repr_str(text)));
        };
        let scheme = scheme.to_ascii_lowercase();
        let standard = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(format!("<urlopen error unknown url type: {scheme}>")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (whole, target) = rest.split_at(end);
        let (user, authority) = match whole.rsplit_once('@') {
            Some((user, authority)) => (Some(user.to_string()), authority),
            None => (None, whole),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let port = match port {
            "" => standard,
            digits => {
                digits.parse().map_err(|_| format!("nonnumeric port: {}", crate::py::repr_str(digits)))?
            }
        };
        if host.is_empty() {
            return Err("no host given".into());
        }
        // What would end the request's line never gets into it.
        if text.chars().any(|c| c.is_control() || c == ' ') {
            let found = text.chars().find(|c| c.is_control() || *c == ' ').unwrap_or(' ').to_string();
            return Err(format!(
                "An unknown error occurred: URL can't contain control characters. {} (found at least {})",
                crate::py::repr_str(target),
                crate::py::repr_str(&found)
            ));
        }
        let target = match target {
            "" => "/".to_string(),
            t if t.starts_with('?') => format!("/{t}"),
            t => t.to_string(),
        };
        Ok(Url {
            scheme,
            user,
            host: host.trim_start_matches('[').trim_end_matches(']').to_string(),
            port,
            authority: authority.to_string(),
            target: encode_text(&target),
        })
    }

    /// Whether it wants TLS.
    pub fn is_tls(&self) -> bool {
        self.scheme == "https"
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The URL without the user's part.
    pub fn bare(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.target)
    }

    /// A reference (`Location`) made absolute.
    pub fn join(&self, reference: &str) -> String {
        let root = format!("{}://{}", self.scheme, self.authority);
        if reference.contains("://") {
            return reference.to_string();
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return format!("{}://{rest}", self.scheme);
        }
        let (path, query) = match reference.find(['?', '#']) {
            Some(at) => reference.split_at(at),
            None => (reference, ""),
        };
        if path.is_empty() {
            return match query.starts_with('?') {
                true => format!("{root}{}{query}", self.path()),
                false => format!("{root}{}", self.target),
            };
        }
        let merged = match path.starts_with('/') {
            true => path.to_string(),
            false => format!("{}/{path}", self.path().rsplit_once('/').map_or("", |(dir, _)| dir)),
        };
        format!("{root}{}{query}", without_dots(&merged))
    }
}

/// `remove_dot_segments` of RFC 3986, 5.2.4.
fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        match *part {
            "." if last => out.push(""),
            "." => {}
            ".." => {
                out.pop();
                if last {
                    out.push("");
                }
            }
            part => out.push(part),
        }
    }
    format!("/{}", out.join("/"))
}

/// What isn't ASCII, percent-encoded.
fn encode_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii() {
            true => out.push(byte as char),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `urllib.parse.quote_plus`.
pub fn quote_plus(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"_.-~".contains(&b) => out.push(b as char),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// `urllib.parse.unquote`.
pub fn unquote(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match code.and_then(|c| u8::from_str_radix(c, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    crate::py::text(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_references() {
        let url = Url::parse("HTTP://u:p@Host:8080/a/b?c=d#e").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.target.as_str()), ("Host", 8080, "/a/b?c=d"));
        assert_eq!((url.user.as_deref(), url.path()), (Some("u:p"), "/a/b"));
        for (reference, absolute) in [
            ("/x", "http://Host:8080/x"),
            ("x?y", "http://Host:8080/a/x?y"),
            ("../x/./z", "http://Host:8080/x/z"),
            ("?q", "http://Host:8080/a/b?q"),
            ("//o/p", "http://o/p"),
            ("https://o/p", "https://o/p"),
        ] {
            assert_eq!(url.join(reference), absolute);
        }
        assert_eq!(Url::parse("https://[::1]").unwrap().host, "::1");
        assert!(Url::parse("http://a/\r\nX: y").is_err() && Url::parse("ftp://a").is_err());
        assert_eq!((quote_plus("a b/ä"), unquote("a%20%C3%A4%")), ("a+b%2F%C3%A4".into(), "a ä%".into()));
    }
}
