//! The engine's API for the modules: where it is, which version it speaks, requests with JSON, errors in the words of
//! the reference.
//!
//! Connections with TLS and over ssh are handed over to the modules in Python.

use std::fmt;
use std::io::{BufReader, Write};
use std::time::Duration;

use serde_json::Value;

use super::http::{self, Place, Request, Stream};
use crate::cx::Cx;
use crate::net::wire::Head;
use crate::result::{Fail, Map};
use crate::spec::{to_bool, to_int};

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Why a request gave nothing.
#[derive(Debug)]
pub struct ApiError {
    /// The status; 0 where there was no answer.
    pub status: u16,
    /// What is shown.
    pub text: String,
    /// What the engine said alone.
    pub explanation: String,
}

impl ApiError {
    /// There is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status == 404
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<ApiError> for Fail {
    fn from(e: ApiError) -> Self {
        if e.status == 0 {
            return Fail::msg(format!(
                "An unexpected requests error occurred when trying to talk to the Docker daemon: {e}"
            ));
        }
        Fail::msg(format!("An unexpected Docker error occurred: {e}"))
    }
}

/// One parameter of a query.
pub type Pair<'a> = (&'a str, String);

/// An engine.
pub struct Docker {
    place: Place,
    /// `/v1.51`.
    prefix: String,
    timeout: Duration,
    /// Major and minor version of its API.
    pub version: (u32, u32),
}

/// Whether the connection's parameters are ours to serve.
pub fn covers(params: &Map) -> bool {
    let set = |name: &str| params.get(name).and_then(Value::as_bool).unwrap_or(false);
    let host = params.get("docker_host").and_then(Value::as_str);
    !set("tls")
        && !set("validate_certs")
        && !set("use_ssh_client")
        && host
            .is_none_or(|h| h.starts_with("unix://") || h.starts_with("tcp://") || h.starts_with("http://"))
}

/// A parameter, or the environment's word for it where it isn't given.
fn fallback(cx: &mut Cx<'_>, name: &str, variable: &str, default: Value) {
    if cx.raw(name).is_null() {
        let value = cx.env(variable).map_or(default, Value::String);
        cx.params.insert(name.into(), value);
    }
}

impl Docker {
    /// Finds the engine of the task and asks for its version.
    ///
    /// # Errors
    /// Where nobody answers; TLS and ssh are handed over.
    pub fn connect(cx: &mut Cx<'_>) -> Result<Self, Fail> {
        fallback(cx, "docker_host", "DOCKER_HOST", DEFAULT_HOST.into());
        fallback(cx, "tls_hostname", "DOCKER_TLS_HOSTNAME", Value::Null);
        fallback(cx, "api_version", "DOCKER_API_VERSION", "auto".into());
        fallback(cx, "timeout", "DOCKER_TIMEOUT", 60.into());
        for (name, variable) in [("tls", "DOCKER_TLS"), ("validate_certs", "DOCKER_TLS_VERIFY")] {
            fallback(cx, name, variable, false.into());
            if to_bool(cx.raw(name)).unwrap_or(true) {
                return Err(Fail::hand_over("TLS to a Docker engine needs the module in Python"));
            }
            cx.params.insert(name.into(), false.into());
        }
        let host = cx.string("docker_host");
        let place = if let Some(path) = host.strip_prefix("unix://") {
            Place::Unix(if path.starts_with('/') { path.into() } else { format!("/{path}") })
        } else if let Some(address) = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://")) {
            let address = address.trim_end_matches('/');
            Place::Tcp(if address.contains(':') { address.into() } else { format!("{address}:2375") })
        } else {
            return Err(Fail::hand_over(format!("{host} needs the module in Python")));
        };
        let seconds = to_int(cx.raw("timeout")).ok().and_then(|s| u64::try_from(s).ok()).unwrap_or(60);
        let timeout = Duration::from_secs(seconds.max(1));
        let mut docker = Docker { place, prefix: String::new(), timeout, version: (0, 0) };
        let wanted = cx.string("api_version");
        let version = if wanted == "auto" {
            let told = docker.get("/version", &[]).map_err(|e| {
                Fail::msg(format!("Error connecting: Error while fetching server API version: {e}"))
            })?;
            told["ApiVersion"].as_str().unwrap_or_default().to_string()
        } else {
            wanted
        };
        docker.version = version
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| Fail::msg(format!("Error connecting: the API version {version} is none")))?;
        docker.prefix = format!("/v{version}");
        Ok(docker)
    }

    /// `GET`.
    pub fn get(&self, path: &str, query: &[Pair<'_>]) -> Result<Value, ApiError> {
        self.json("GET", path, query, None, Some(self.timeout))
    }

    /// `GET` of something that may not be there.
    pub fn find(&self, path: &str, query: &[Pair<'_>]) -> Result<Option<Value>, ApiError> {
        match self.get(path, query) {
            Err(e) if e.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// `POST`.
    pub fn post(&self, path: &str, query: &[Pair<'_>], body: Option<&Value>) -> Result<Value, ApiError> {
        self.json("POST", path, query, body, Some(self.timeout))
    }

    /// `POST` whose answer may take as long as it likes.
    pub fn wait(&self, path: &str, query: &[Pair<'_>], limit: Option<Duration>) -> Result<Value, ApiError> {
        self.json("POST", path, query, None, limit)
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str, query: &[Pair<'_>]) -> Result<Value, ApiError> {
        self.json("DELETE", path, query, None, Some(self.timeout))
    }

    /// `POST` whose answer is lines of JSON that come while something is done (pull, load). A line with an `error` is
    /// its failure.
    pub fn progress(
        &self,
        path: &str,
        query: &[Pair<'_>],
        headers: &[(&str, &str)],
    ) -> Result<Vec<Value>, ApiError> {
        let mut answer = Vec::new();
        self.raw("POST", path, query, headers, b"", None, &mut answer)?;
        let lines: Vec<Value> =
            serde_json::Deserializer::from_slice(&answer).into_iter().map_while(Result::ok).collect();
        match lines.iter().find_map(|line| line["error"].as_str()) {
            Some(error) => {
                Err(ApiError { status: 500, text: error.to_string(), explanation: error.to_string() })
            }
            None => Ok(lines),
        }
    }

    /// The bytes of an answer, to a writer.
    pub fn download(&self, path: &str, query: &[Pair<'_>], into: &mut dyn Write) -> Result<(), ApiError> {
        self.raw("GET", path, query, &[], b"", None, into)
    }

    fn json(
        &self,
        method: &str,
        path: &str,
        query: &[Pair<'_>],
        body: Option<&Value>,
        timeout: Option<Duration>,
    ) -> Result<Value, ApiError> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let headers: &[(&str, &str)] =
            if body.is_some() { &[("Content-Type", "application/json")] } else { &[] };
        let mut answer = Vec::new();
        self.raw(method, path, query, headers, text.as_bytes(), timeout, &mut answer)?;
        Ok(serde_json::from_slice(&answer).unwrap_or(Value::Null))
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a request")]
    fn raw(
        &self,
        method: &str,
        path: &str,
        query: &[Pair<'_>],
        headers: &[(&str, &str)],
        body: &[u8],
        timeout: Option<Duration>,
        into: &mut dyn Write,
    ) -> Result<(), ApiError> {
        let target = self.target(path, query);
        let request = Request { method, target: &target, headers, body, timeout };
        let (head, refusal) = http::ask(&self.place, request, into).map_err(|e| lost(&e))?;
        if head.status >= 400 { Err(self.refused(&head, &refusal, &target)) } else { Ok(()) }
    }

    /// `POST` with JSON whose connection becomes a raw stream (exec, attach).
    pub fn hijack(&self, path: &str, body: &Value) -> Result<BufReader<Stream>, ApiError> {
        let target = self.target(path, &[]);
        let text = body.to_string();
        let request = Request {
            method: "POST",
            target: &target,
            headers: &[("Content-Type", "application/json"), ("Upgrade", "tcp")],
            body: text.as_bytes(),
            timeout: None,
        };
        let (head, stream) = http::upgrade(&self.place, request).map_err(|e| lost(&e))?;
        stream.map_err(|refusal| self.refused(&head, &refusal, &target))
    }

    fn target(&self, path: &str, query: &[Pair<'_>]) -> String {
        let mut target = format!("{}{path}", self.prefix);
        for (i, (name, value)) in query.iter().enumerate() {
            target.push(if i == 0 { '?' } else { '&' });
            target += &format!("{name}={}", encode(value));
        }
        target
    }

    /// A refusal as the reference shows it.
    fn refused(&self, head: &Head, body: &[u8], target: &str) -> ApiError {
        let explanation = serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|v| Some(v.get("message")?.as_str()?.to_string()))
            .unwrap_or_else(|| crate::py::text(body).trim().to_string());
        let whose = if head.status >= 500 { "Server" } else { "Client" };
        let base = match &self.place {
            Place::Unix(_) => "http+docker://localhost".to_string(),
            Place::Tcp(address) => format!("http://{address}"),
        };
        let mut text = format!("{} {whose} Error for {base}{target}: {}", head.status, head.reason);
        if !explanation.is_empty() {
            text += &format!(" (\"{explanation}\")");
        }
        ApiError { status: head.status, text, explanation }
    }
}

/// A connection that did not come about, or broke.
fn lost(error: &std::io::Error) -> ApiError {
    let class = match error.kind() {
        std::io::ErrorKind::NotFound => "FileNotFoundError",
        std::io::ErrorKind::ConnectionRefused => "ConnectionRefusedError",
        std::io::ErrorKind::PermissionDenied => "PermissionError",
        std::io::ErrorKind::ConnectionReset => "ConnectionResetError",
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "TimeoutError",
        _ => "OSError",
    };
    let words = crate::py::repr_str(&crate::result::strerror(error));
    let inner = match error.raw_os_error() {
        Some(code) => format!("{class}({code}, {words})"),
        None => format!("{class}({words})"),
    };
    let text = format!("('Connection aborted.', {inner})");
    ApiError { status: 0, explanation: text.clone(), text }
}

/// Percent-encodes what is no unreserved character (RFC 3986, 2.3).
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `filters` as the API takes them: every value is a list of texts.
pub fn filters(wanted: &Value) -> Option<String> {
    let wanted = wanted.as_object().filter(|m| !m.is_empty())?;
    let mut out = Map::new();
    for (name, value) in wanted {
        let list = match value {
            Value::Array(items) => items.iter().map(word).collect(),
            other => vec![word(other)],
        };
        out.insert(name.clone(), list.into());
    }
    Some(Value::Object(out).to_string())
}

/// A value as a filter has it: `true`, not `True`.
fn word(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn queries_and_filters() {
        assert_eq!(encode("a/b:1 é"), "a%2Fb%3A1%20%C3%A9");
        let wanted = json!({"label": ["a", "b"], "dangling": true});
        assert_eq!(filters(&wanted).as_deref(), Some(r#"{"label":["a","b"],"dangling":["true"]}"#));
        assert_eq!(filters(&json!({})), None);
    }

    #[test]
    fn tls_is_not_ours() {
        assert!(covers(&Map::new()));
        assert!(!covers(&crate::map! {"tls" => true}));
        assert!(!covers(&crate::map! {"docker_host" => "ssh://host"}));
        assert!(covers(&crate::map! {"docker_host" => "unix:///run/x.sock", "tls" => false}));
    }
}
