//! What the controller fetches for a helper. A target says what it wants, and a target may be in a stranger's hands:
//! so only https, only from servers that the task itself names or that such a server has just redirected to, through no
//! proxy but one of the task's environment, and never a socket of this machine.

use pileus_modules::net::url::Url;
use pileus_modules::{FetchReply, FetchRequest};
use serde_json::Value;

use super::run::ModuleCall;

/// The servers and proxies of one call.
pub struct Permit {
    servers: Vec<(String, u16)>,
    proxies: Vec<String>,
}

impl Permit {
    /// Those that a call's arguments and environment name.
    pub fn of(call: &ModuleCall) -> Self {
        let mut permit = Self { servers: Vec::new(), proxies: Vec::new() };
        for value in call.args.values() {
            permit.named(value);
        }
        let proxies =
            call.environment.iter().filter(|(name, _)| name.to_ascii_lowercase().ends_with("_proxy"));
        let whole =
            |value: &String| if value.contains("://") { value.clone() } else { format!("http://{value}") };
        permit.proxies.extend(proxies.map(|(_, value)| whole(value)));
        permit
    }

    /// Adds the servers of the URLs in a value (`url`, `src`, a `checksum`'s).
    fn named(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                for scheme in ["https://", "http://"] {
                    let Some(at) = text.find(scheme) else { continue };
                    let Ok(url) = Url::parse(text[at..].trim()) else { continue };
                    // A server of plain http may send its callers to its own https.
                    self.servers.push((url.host.clone(), if url.is_tls() { url.port } else { 443 }));
                }
            }
            Value::Array(all) => all.iter().for_each(|value| self.named(value)),
            Value::Object(all) => all.values().for_each(|value| self.named(value)),
            _ => {}
        }
    }

    /// Whether a request keeps to this.
    ///
    /// # Errors
    /// What the helper is told, and the module's caller.
    pub fn check(&self, request: &FetchRequest) -> Result<(), String> {
        let url = Url::parse(&request.url)?;
        if !url.is_tls() || request.unix_socket.is_some() {
            return Err("the controller fetches only https for a target".into());
        }
        if !self.servers.contains(&(url.host.clone(), url.port)) {
            return Err(format!(
                "the controller does not fetch from {}, which the task does not name",
                url.host
            ));
        }
        match &request.proxy {
            Some(proxy) if !self.proxies.contains(proxy) => {
                Err("the controller uses no proxy that the task's environment does not name".into())
            }
            _ => Ok(()),
        }
    }

    /// Learns where a server redirected to.
    pub fn learn(&mut self, request: &FetchRequest, reply: &FetchReply) {
        let location = reply.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
        let (Some((_, location)), Ok(url)) = (location, Url::parse(&request.url)) else { return };
        if (300..400).contains(&reply.status)
            && let Ok(next) = Url::parse(&url.join(location))
            && next.is_tls()
        {
            self.servers.push((next.host, next.port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> FetchRequest {
        FetchRequest { url: url.into(), ..FetchRequest::default() }
    }

    #[test]
    fn a_target_gets_what_the_task_names_and_no_more() {
        let args =
            serde_json::json!({ "url": "https://a.test/x", "checksum": "sha256:https://b.test:8443/sums" });
        let call = ModuleCall {
            name: "get_url".into(),
            args: args.as_object().unwrap().clone(),
            environment: vec![("https_proxy".into(), "p.test:3128".into())],
            ..ModuleCall::default()
        };
        let mut permit = Permit::of(&call);
        assert_eq!(permit.check(&request("https://a.test/other")), Ok(()));
        assert_eq!(permit.check(&request("https://b.test:8443/sums")), Ok(()));
        for other in ["https://a.test:444/", "https://c.test/", "http://a.test/", "https://169.254.169.254/"]
        {
            assert!(permit.check(&request(other)).is_err(), "{other}");
        }
        let socket =
            FetchRequest { unix_socket: Some("/run/docker.sock".into()), ..request("https://a.test/") };
        assert!(permit.check(&socket).is_err());
        let proxy = |proxy: &str| FetchRequest { proxy: Some(proxy.into()), ..request("https://a.test/") };
        assert_eq!(permit.check(&proxy("http://p.test:3128")), Ok(()));
        assert!(permit.check(&proxy("http://127.0.0.1:6379")).is_err());
        let moved = FetchReply {
            status: 302,
            headers: vec![("Location".into(), "https://c.test/y".into())],
            ..FetchReply::default()
        };
        permit.learn(&request("https://a.test/x"), &moved);
        assert_eq!(permit.check(&request("https://c.test/y")), Ok(()));
    }
}
