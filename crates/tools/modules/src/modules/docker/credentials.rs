//! Credentials for registries, as `docker login` left them in `config.json`.
//!
//! Credential helpers are programs of the client's and are not run; without an entry a pull is anonymous.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

/// The registry of a repository: `index.docker.io` where its first part is no host.
fn registry(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "https://index.docker.io/v1/",
    }
}

/// The value of `X-Registry-Auth` for a repository (Docker Engine API, "Authentication").
pub fn header(repository: &str) -> Option<String> {
    let directory = std::env::var("DOCKER_CONFIG")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.docker")))
        .ok()?;
    let text = std::fs::read_to_string(format!("{directory}/config.json")).ok()?;
    of(&serde_json::from_str(&text).ok()?, registry(repository))
}

fn of(config: &Value, registry: &str) -> Option<String> {
    let plain = |name: &str| {
        let name = name.trim_start_matches("https://").trim_start_matches("http://");
        name.trim_end_matches('/').to_string()
    };
    let (name, entry) =
        config["auths"].as_object()?.iter().find(|(name, _)| plain(name) == plain(registry))?;
    if let Some(token) = entry["identitytoken"].as_str() {
        let auth = json!({"identitytoken": token, "serveraddress": name});
        return Some(URL_SAFE.encode(auth.to_string()));
    }
    let decoded = STANDARD.decode(entry["auth"].as_str()?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let auth = json!({"username": user, "password": password.trim_end_matches('\0'), "serveraddress": name});
    Some(URL_SAFE.encode(auth.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_a_registry() {
        let config = json!({"auths": {"https://r.test:5000": {"auth": STANDARD.encode("me:pass:word")}}});
        let header = of(&config, "r.test:5000").expect("there is one");
        let auth: Value = serde_json::from_slice(&URL_SAFE.decode(header).expect("base64")).expect("JSON");
        assert_eq!((auth["username"].as_str(), auth["password"].as_str()), (Some("me"), Some("pass:word")));
        assert_eq!(of(&config, "other.test"), None);
        assert_eq!(
            (registry("a/b"), registry("h:1/a"), registry("localhost/a")),
            ("https://index.docker.io/v1/", "h:1", "localhost")
        );
    }
}
