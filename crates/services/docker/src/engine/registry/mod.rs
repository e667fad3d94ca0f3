//! Registries: pulling, pushing, logging in.

mod client;
mod download;
pub(crate) mod fetch;
mod manifest;
mod pull;
mod push;

use std::{net::IpAddr, path::PathBuf};

use http::{Method, StatusCode};
use pileus_base::{Error, Result};
use serde_json::Value;

use crate::{Docker, model::reference::HUB};
use client::{Client, speaks_tls};
use manifest::nothing;

/// Where Docker Hub's registry is.
const HUB_HOST: &str = "registry-1.docker.io";

/// Where certificates of registries' authorities are, in a folder each.
const CERTIFICATES: &str = "/etc/docker/certs.d";

/// Who asks a registry.
#[derive(Clone)]
pub(crate) struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// From Docker's AuthConfig; none where it holds none.
    pub fn read(value: &Value) -> Option<Self> {
        use base64::Engine;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let mut found = Self { user: text("username"), password: text("password") };
        if found.user.is_empty()
            && let Ok(pair) = base64::engine::general_purpose::STANDARD.decode(text("auth"))
            && let Ok(pair) = String::from_utf8(pair)
            && let Some((user, password)) = pair.split_once(':')
        {
            found = Self { user: user.to_owned(), password: password.to_owned() };
        }
        (!found.user.is_empty()).then_some(found)
    }
}

/// What an image is to run on.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`
    pub architecture: String,
    /// May be empty.
    pub variant: String,
}

/// Go's name of this machine's architecture.
pub(crate) fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

impl Platform {
    /// This machine's.
    pub fn host() -> Self {
        Self { os: "linux".into(), architecture: host_architecture().into(), variant: String::new() }
    }

    /// From `os/architecture/variant`, or one of the first two alone.
    ///
    /// # Errors
    /// 400, in the reference's words.
    pub fn read(text: &str) -> Result<Self> {
        const SYSTEMS: &[&str] = &["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris"];
        let text = text.to_lowercase();
        let mut platform = Self::host();
        let parts: Vec<&str> = text.split('/').collect();
        let known = |a: &str| {
            let a = match a {
                "x86_64" | "x86-64" => "amd64",
                "aarch64" => "arm64",
                "i386" => "386",
                a => a,
            };
            let all = [
                "amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "mips64le", "ppc64", "loong64",
            ];
            all.contains(&a).then(|| a.to_owned())
        };
        let bad = |why: &str| Error::bad_request(format!("{text:?}: {why}: invalid argument"));
        if parts
            .iter()
            .any(|p| p.is_empty() || !p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)))
            || parts.len() > 3
        {
            return Err(bad("cannot parse platform specifier"));
        }
        match parts[..] {
            [one] if SYSTEMS.contains(&one) => platform.os = one.to_owned(),
            [one] => {
                platform.architecture =
                    known(one).ok_or_else(|| bad("unknown operating system or architecture"))?
            }
            [os, architecture, ..] => {
                platform.os = os.to_owned();
                platform.architecture = known(architecture).unwrap_or_else(|| architecture.to_owned());
                platform.variant = parts.get(2).copied().unwrap_or_default().to_owned();
            }
            [] => {}
        }
        Ok(platform)
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl Docker {
    /// Whether a registry may do without TLS, or with anybody's certificate.
    fn insecure(&self, registry: &str) -> bool {
        on_loopback(registry) || insecure(&self.options.insecure_registries, registry)
    }

    /// The URL of a registry. One that may do without TLS is tried with it first, as by the reference.
    async fn registry_url(&self, registry: &str) -> String {
        let registry = if registry == HUB { HUB_HOST } else { registry };
        if self.is_own(registry) {
            return self.options.registry.clone();
        }
        let plain = self.insecure(registry) && !speaks_tls(registry).await;
        format!("{}://{registry}", if plain { "http" } else { "https" })
    }

    /// Whether it is the registry of this cloud.
    fn is_own(&self, registry: &str) -> bool {
        let own = self.options.registry.split_once("://").map_or("", |(_, own)| own);
        let port = |r: &str| r.rsplit_once(':').map(|(_, port)| port.to_owned());
        own == registry || (on_loopback(own) && on_loopback(registry) && port(own) == port(registry))
    }

    /// A client of the registry at `base`. The engine is known to its own cloud's.
    fn client(&self, base: String, credentials: Option<Credentials>) -> Client {
        let registry = base.split_once("://").map_or("", |(_, registry)| registry).to_owned();
        let own = credentials.is_none() && self.is_own(&registry);
        let mut authorities = vec![self.options.state_dir.join("ca.pem")];
        if let Ok(files) = std::fs::read_dir(PathBuf::from(CERTIFICATES).join(&registry)) {
            let files = files.filter_map(|f| f.ok().map(|f| f.path()));
            authorities.extend(files.filter(|f| f.extension().is_some_and(|e| e == "crt")));
        }
        let client = Client::new(base, credentials, authorities, self.insecure(&registry));
        if own { client.with_token(&self.own_token) } else { client }
    }

    /// Where to ask for a registry's images, in order, and whether it is a mirror.
    async fn registries(&self, registry: &str) -> Vec<(String, bool)> {
        let mut all = Vec::new();
        if registry == HUB {
            for mirror in &self.options.mirrors {
                let mirror = mirror.trim_end_matches('/');
                let whole = mirror.starts_with("http://") || mirror.starts_with("https://");
                all.push((if whole { mirror.to_owned() } else { self.registry_url(mirror).await }, true));
            }
            if self.options.mirrors_authoritative && !all.is_empty() {
                return all;
            }
        }
        all.push((self.registry_url(registry).await, false));
        all
    }

    /// Checks credentials with a registry.
    ///
    /// # Errors
    /// 401 where it refuses them.
    pub(crate) async fn log_in(&self, address: &str, credentials: Option<Credentials>) -> Result<()> {
        let bare = address.trim_start_matches("https://").trim_start_matches("http://");
        let bare = bare.split('/').next().unwrap_or_default();
        let registry = if bare.is_empty() || bare == "index.docker.io" { HUB } else { bare };
        let base = self.registry_url(registry).await;
        // Nobody's credentials are not the engine's own.
        let asked = Some(credentials.unwrap_or(Credentials { user: String::new(), password: String::new() }));
        let client = self.client(base.clone(), asked);
        let reply = client.send(Method::GET, "/v2/", "", nothing()).await?;
        match reply.status() {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Error::unauthorized(format!(
                "login attempt to {base}/v2/ failed with status: 401 Unauthorized"
            ))),
            other => Err(Error::internal(format!("login attempt to {base}/v2/ failed with status: {other}"))),
        }
    }
}

/// Whether a registry is one of those that are spoken to without TLS: by name, by address, by network.
fn insecure(list: &[String], registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host).trim_matches(['[', ']']);
    let address: Option<IpAddr> = host.parse().ok();
    list.iter().any(|one| {
        let network: Option<ipnet::IpNet> = one.parse().ok();
        one == registry
            || one == host
            || network.zip(address).is_some_and(|(network, address)| network.contains(&address))
    })
}

/// Whether a registry is on this machine: it is spoken to without TLS.
fn on_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.rsplit_once(':').map_or(registry, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_no_tls() {
        assert!(on_loopback("127.0.0.1:5000") && on_loopback("localhost") && on_loopback("[::1]:5000"));
        assert!(!on_loopback("10.0.0.1:5000") && !on_loopback("registry:5000"));
    }

    #[test]
    fn networks_may_be_insecure() {
        let list = ["10.0.0.0/8".to_owned(), "registry:5000".to_owned()];
        assert!(insecure(&list, "10.1.2.3:5000") && insecure(&list, "registry:5000"));
        assert!(!insecure(&list, "11.1.2.3:5000") && !insecure(&list, "registry:5001"));
    }

    #[test]
    fn platforms_are_read() {
        let of = |t: &str| Platform::read(t).map(|p| p.to_string());
        assert_eq!(of("linux/arm/v7").unwrap(), "linux/arm/v7");
        assert_eq!(of("arm64").unwrap(), "linux/arm64");
        assert_eq!(of("windows").unwrap(), format!("windows/{}", host_architecture()));
        assert!(of("foobar").is_err());
    }
}
