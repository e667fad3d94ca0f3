//! The cloud's own API, as its administrator: a token by `clouds.yaml`, then requests with bodies of any size.

use std::{path::Path, pin::Pin, sync::Arc};

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Request, Response, body::Frame, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use pileus_host::Stream as Io;
use pileus_image::web::Url;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A body on its way out.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;
/// Pieces of one.
pub type Pieces = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// The cloud, logged in to.
pub struct Cloud {
    base: Url,
    ca: Option<std::path::PathBuf>,
    token: String,
}

/// A body that is whole.
pub fn whole(value: &Value) -> Body {
    Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is made as it is sent.
pub fn pieces(pieces: Pieces) -> Body {
    use futures_util::TryStreamExt;
    StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync()
}

impl Cloud {
    /// Logs in as the cloud's administrator.
    pub async fn open(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join("clouds.yaml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("failed to read `{}`: has the cloud been started?", path.display()))?;
        let line = text.lines().find_map(|l| l.trim().strip_prefix("pileus-admin: "));
        let entry: Value = serde_json::from_str(line.context("clouds.yaml has no pileus-admin")?)?;
        let auth = &entry["auth"];
        let of = |key: &str| auth[key].as_str().with_context(|| format!("clouds.yaml has no {key}"));
        let identity = of("auth_url")?;
        let root = identity.strip_suffix("/identity").unwrap_or(identity);
        let base = Url::parse(root).map_err(crate::daemon::told)?;
        let ca = entry["cacert"].as_str().map(Into::into);
        let mut cloud = Self { base, ca, token: String::new() };
        let domain = json!({"id": "default"});
        let asked = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": of("username")?, "domain": domain, "password": of("password")?,
            }}},
            "scope": {"project": {"name": of("project_name")?, "domain": domain}},
        }});
        let answer = cloud.ask("POST", "/identity/v3/auth/tokens", "application/json", whole(&asked)).await?;
        let token = answer.headers().get("x-subject-token").and_then(|t| t.to_str().ok());
        cloud.token = token.context("the cloud gave no token")?.to_owned();
        Ok(cloud)
    }

    /// One request, whose answer must be a good one.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        media: &str,
        body: Body,
    ) -> anyhow::Result<Response<Bytes>> {
        let io = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.base.authority())
            .header(header::CONTENT_TYPE, media)
            .header("x-auth-token", &self.token)
            .body(body)?;
        let answer = sender.send_request(request).await.context("the cloud broke off")?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        if !head.status.is_success() {
            bail!("{}", said(&String::from_utf8_lossy(&body), head.status));
        }
        Ok(Response::from_parts(head, body))
    }

    async fn connect(&self) -> anyhow::Result<Box<dyn Io>> {
        let at = (self.base.host(), self.base.port());
        let tcp = TcpStream::connect(at).await;
        let tcp = tcp.with_context(|| {
            format!("nothing answers at {}: start the cloud with `pileus up`", self.base.authority())
        })?;
        let Some(ca) = self.ca.as_ref().filter(|_| self.base.is_secure()) else { return Ok(Box::new(tcp)) };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(self.base.host().to_owned())?;
        Ok(Box::new(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?))
    }
}

/// What a fault says: Glance writes HTML, the others JSON.
fn said(body: &str, status: hyper::StatusCode) -> String {
    if let Ok(value) = serde_json::from_str::<Value>(body)
        && let Some(message) = value["error"]["message"].as_str()
    {
        return message.to_owned();
    }
    let told = body.split_once("</h1>").and_then(|(_, rest)| rest.split_once("<br")).map(|(m, _)| m.trim());
    let told = told.map(|m| m.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"));
    told.unwrap_or_else(|| format!("the cloud answered {status}"))
}
