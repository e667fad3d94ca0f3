//! Registries: pulling, pushing, logging in.

mod client;
mod pull;
mod push;

use bytes::Bytes;
use http::{Method, StatusCode};
use pileus_base::{Error, Result};
use serde_json::Value;

use crate::{Docker, model::reference::HUB};
use client::{Client, Payload};

/// Where Docker Hub's registry is.
const HUB_HOST: &str = "registry-1.docker.io";

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

impl Docker {
    /// The URL of a registry.
    fn registry_url(&self, registry: &str) -> String {
        let registry = if registry == HUB { HUB_HOST } else { registry };
        let plain = on_loopback(registry) || self.options.insecure_registries.iter().any(|r| r == registry);
        format!("{}://{registry}", if plain { "http" } else { "https" })
    }

    /// Where to ask for a registry's images, in order, and whether it is a mirror.
    fn registries(&self, registry: &str) -> Vec<(String, bool)> {
        let mut all = Vec::new();
        if registry == HUB {
            for mirror in &self.options.mirrors {
                let mirror = mirror.trim_end_matches('/');
                let whole = mirror.starts_with("http://") || mirror.starts_with("https://");
                all.push((if whole { mirror.to_owned() } else { self.registry_url(mirror) }, true));
            }
            if self.options.mirrors_authoritative && !all.is_empty() {
                return all;
            }
        }
        all.push((self.registry_url(registry), false));
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
        let base = self.registry_url(registry);
        let client = Client::new(base.clone(), credentials);
        let empty = Payload::Bytes(Bytes::new(), String::new());
        let reply = client.send(Method::GET, "/v2/", "", empty).await?;
        match reply.status() {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Error::unauthorized(format!("login attempt to {base}/v2/ failed with status: 401 Unauthorized")))
            }
            other => Err(Error::internal(format!("login attempt to {base}/v2/ failed with status: {other}"))),
        }
    }
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
}
