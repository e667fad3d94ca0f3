//! A client of OCI registries: HTTP/1.1 over TCP or TLS, Docker's tokens, redirects.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pileus_base::{Error, Result};
use pileus_http::Body;
use pileus_tls::{AUTHORITIES, Trust, roots};
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::Value;

use super::Credentials;
use crate::engine::{images::blobs::chunks_of, reason::reason};

/// How many redirects are followed.
const REDIRECTS: usize = 5;
/// How long a registry may take to answer a connection.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(30);
/// How long it is waited for TLS where there may be none.
const PROBE: std::time::Duration = std::time::Duration::from_secs(5);
/// The largest answer that is read whole.
const ANSWER_MAX: usize = 8 << 20;

/// What is sent.
#[derive(Debug, Clone)]
pub(super) enum Payload {
    /// These bytes, of a media type.
    Bytes(Bytes, String),
    /// A file, of this many bytes.
    File(PathBuf, u64),
}

/// One registry, and who asks it.
pub(super) struct Client {
    /// `http://127.0.0.1:5000`
    pub base: String,
    credentials: Option<Credentials>,
    authorization: Mutex<Option<String>>,
    /// Authorities to trust besides the host's.
    authorities: Vec<PathBuf>,
    /// Whether anybody's certificate will do.
    insecure: bool,
}

impl Client {
    /// A client of the registry at `base`, which trusts the authorities in these files too, or where it is
    /// `insecure`, anybody.
    pub fn new(
        base: String,
        credentials: Option<Credentials>,
        authorities: Vec<PathBuf>,
        insecure: bool,
    ) -> Self {
        Self { base, credentials, authorization: Mutex::default(), authorities, insecure }
    }

    /// The same, with a token to begin with.
    pub fn with_token(self, token: &str) -> Self {
        *self.authorization.lock() = Some(format!("Bearer {token}"));
        self
    }

    /// Sends a request below the registry, or to a whole URL; logs in where it is asked to.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        payload: Payload,
    ) -> Result<Response<Incoming>> {
        self.fetch(method, path, accept, payload, None).await
    }

    /// The same, from a byte on.
    pub async fn fetch(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        payload: Payload,
        from: Option<u64>,
    ) -> Result<Response<Incoming>> {
        let mut url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        let (mut tries, mut asked) = (0, false);
        loop {
            let ours = url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
            let authorization = self.authorization.lock().clone().filter(|_| ours);
            let head = Head { accept, authorization: authorization.as_deref(), from };
            let reply = self.once(method.clone(), &url, head, payload.clone()).await?;
            if reply.status() == StatusCode::UNAUTHORIZED && !asked && ours {
                asked = true;
                let challenge = reply.headers().get(header::WWW_AUTHENTICATE);
                let challenge = challenge.and_then(|c| c.to_str().ok()).unwrap_or_default().to_owned();
                if let Some(answer) = self.answer(&method, &url, &challenge).await? {
                    *self.authorization.lock() = Some(answer);
                    continue;
                }
            }
            let to = reply.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
            if let (true, Some(to)) = (reply.status().is_redirection(), to)
                && matches!(method, Method::GET | Method::HEAD)
            {
                tries += 1;
                if tries > REDIRECTS {
                    return Err(Error::internal(format!("too many redirects from {url}")));
                }
                url = self.absolute(to);
                continue;
            }
            return Ok(reply);
        }
    }

    async fn once(
        &self,
        method: Method,
        url: &str,
        head: Head<'_>,
        payload: Payload,
    ) -> Result<Response<Incoming>> {
        // Only the registry itself: who it redirects to is known by name.
        let ours = url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
        once(method, url, head, payload, (&self.authorities, self.insecure && ours)).await
    }

    /// A URL that an answer names, whole.
    pub fn absolute(&self, to: &str) -> String {
        if to.starts_with('/') { format!("{}{to}", self.base) } else { to.to_owned() }
    }

    /// What answers a challenge.
    async fn answer(&self, method: &Method, asked: &str, challenge: &str) -> Result<Option<String>> {
        let basic = self.credentials.as_ref().map(|c| {
            let pair = format!("{}:{}", c.user, c.password);
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        });
        let Some((scheme, rest)) = challenge.split_once(' ') else { return Ok(None) };
        let verb = if *method == Method::HEAD { "Head" } else { "Get" };
        if scheme.eq_ignore_ascii_case("basic") {
            let none = || Error::internal(format!("{verb} \"{asked}\": no basic auth credentials"));
            return basic.map(Some).ok_or_else(none);
        }
        let Some(realm) = field(rest, "realm") else { return Ok(None) };
        let encode = |t: &str| {
            percent_encoding::utf8_percent_encode(t, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let mut url = format!("{realm}?client_id=docker");
        for name in ["service", "scope"] {
            if let Some(value) = field(rest, name) {
                url.push_str(&format!("&{name}={}", encode(&value)));
            }
        }
        let head = Head { accept: "application/json", authorization: basic.as_deref(), from: None };
        let reply = self.once(Method::GET, &url, head, super::manifest::nothing()).await?;
        if !reply.status().is_success() {
            let status = reply.status();
            let said = super::manifest::said(reply).await.1;
            let why = format!("{verb} \"{asked}\": {said}");
            return Err(match status {
                StatusCode::UNAUTHORIZED => Error::unauthorized(why),
                _ => Error::internal(why),
            });
        }
        let value: Value = serde_json::from_slice(&whole(reply).await?).unwrap_or_default();
        let token = value["token"].as_str().or(value["access_token"].as_str());
        Ok(token.map(|t| format!("Bearer {t}")))
    }
}

/// A field of a challenge: `name="value"`.
fn field(challenge: &str, name: &str) -> Option<String> {
    let at = challenge.find(&format!("{name}=\""))? + name.len() + 2;
    challenge[at..].split('"').next().map(str::to_owned)
}

/// The whole of an answer, where it is small.
pub(super) async fn whole(reply: Response<Incoming>) -> Result<Bytes> {
    let limited = http_body_util::Limited::new(reply.into_body(), ANSWER_MAX);
    let all = limited.collect().await;
    all.map(http_body_util::Collected::to_bytes)
        .map_err(|e| Error::internal(format!("failed to read a registry's answer: {e}")))
}

/// What a request's head bears besides its URL.
#[derive(Clone, Copy)]
struct Head<'a> {
    accept: &'a str,
    authorization: Option<&'a str>,
    from: Option<u64>,
}

async fn once(
    method: Method,
    url: &str,
    head: Head<'_>,
    payload: Payload,
    (authorities, insecure): (&[PathBuf], bool),
) -> Result<Response<Incoming>> {
    let Head { accept, authorization, from } = head;
    let verb = match method.as_str() {
        "GET" => "Get",
        "HEAD" => "Head",
        "PUT" => "Put",
        "POST" => "Post",
        other => other,
    };
    let failed = |e: String| Error::internal(format!("{verb} {url:?}: {e}"));
    let uri: Uri = url.parse().map_err(|_| failed("invalid URL".into()))?;
    let tls = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let mut request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header(header::HOST, uri.authority().map_or("", |a| a.as_str()))
        .header(header::USER_AGENT, "docker/28.2.2 (linux) pileus");
    if !accept.is_empty() {
        request = request.header(header::ACCEPT, accept);
    }
    if let Some(authorization) = authorization.and_then(|a| HeaderValue::from_str(a).ok()) {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    if let Some(from) = from {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    let body = match payload {
        Payload::Bytes(bytes, media) => {
            if !media.is_empty() {
                request = request.header(header::CONTENT_TYPE, media);
            }
            Body::full(bytes)
        }
        Payload::File(path, size) => {
            request = request.header(header::CONTENT_TYPE, "application/octet-stream");
            let file = tokio::fs::File::open(path).await.map_err(|e| failed(e.to_string()))?;
            Body::stream(chunks_of(file), Some(size))
        }
    };
    let request = request.body(body).map_err(|e| failed(e.to_string()))?;
    let connect = tokio::net::TcpStream::connect((&*host, port));
    let tcp = tokio::time::timeout(SILENCE, connect)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(|e| failed(format!("dial tcp {host}:{port}: connect: {}", reason(&e))))?;
    if tls {
        let name = ServerName::try_from(host).map_err(|e| failed(e.to_string()))?;
        let connector = tokio_rustls::TlsConnector::from(trusting(authorities, insecure)?);
        let io = connector.connect(name, tcp).await.map_err(|e| failed(format!("tls: {e}")))?;
        talk(io, request).await
    } else {
        talk(tcp, request).await
    }
    .map_err(|e| failed(e.to_string()))
}

async fn talk(
    io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

/// TLS that trusts this host's authorities and those in `more`, or anybody.
fn trusting(more: &[PathBuf], anybody: bool) -> Result<Arc<ClientConfig>> {
    let files = std::iter::once(Path::new(AUTHORITIES)).chain(more.iter().map(PathBuf::as_path));
    let trust = if anybody { Trust::Anybody } else { Trust::Authorities(roots(files)) };
    Ok(Arc::new(pileus_tls::client(trust)?.with_no_client_auth()))
}

/// Whether TLS is spoken at `registry` (`host`, `host:port`), whosever certificate is shown.
pub(super) async fn speaks_tls(registry: &str) -> bool {
    let uri: std::result::Result<Uri, _> = format!("https://{registry}").parse();
    let Ok(uri) = uri else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let (Ok(name), Ok(config)) = (ServerName::try_from(host.clone()), trusting(&[], true)) else {
        return false;
    };
    let tried = async {
        let tcp = tokio::net::TcpStream::connect((&*host, port)).await?;
        tokio_rustls::TlsConnector::from(config).connect(name, tcp).await
    };
    tokio::time::timeout(PROBE, tried).await.is_ok_and(|tried| tried.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"realm="https://auth/token",service="registry",scope="repository:x:pull,push""#;
        assert_eq!(field(text, "realm").as_deref(), Some("https://auth/token"));
        assert_eq!(field(text, "scope").as_deref(), Some("repository:x:pull,push"));
        assert_eq!(field(text, "error"), None);
    }
}
