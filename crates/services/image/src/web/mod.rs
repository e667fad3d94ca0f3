//! Fetching by HTTP, under a [`Guard`].
//!
//! ```text
//!   URL ─► name resolved once ─► addresses that the guard allows ─► TCP to one of them ─► TLS by name ─► GET
//!    ▲                                                                                              │
//!    └── a redirect: everything is checked again, five times at most; never from https to http ─────┘
//! ```
//! Since the connection is made to an address that was checked, a name that answers otherwise the second time
//! (DNS rebinding) gains nothing. No proxy, no credentials, no cookies; dropping the download ends it.

mod connect;
pub mod guard;
mod url;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pileus_base::{Error, Result};
use tokio_rustls::rustls::ClientConfig;

pub use guard::Guard;
pub use url::Url;

/// Redirects followed.
const HOPS_MAX: usize = 5;
/// From the request to the answer's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server may pause inside a body.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The client.
pub struct Web {
    guard: Guard,
    /// Certificates of authorities to trust instead of the system's.
    authorities: Option<PathBuf>,
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

/// What is being fetched.
pub struct Download {
    /// In bytes, where the server says so.
    pub length: Option<u64>,
    body: Incoming,
}

fn failed(url: &Url, why: impl std::fmt::Display) -> Error {
    Error::bad_request(format!("Failed to download {url}: {why}"))
}

impl Web {
    /// A client under `guard`, which trusts the system's authorities, or those in the file `authorities`.
    pub fn new(guard: Guard, authorities: Option<PathBuf>) -> Self {
        Self { guard, authorities, tls: Mutex::default() }
    }

    /// The URL, where it may be fetched as far as it tells by itself: names are resolved later.
    ///
    /// # Errors
    /// 400 in Glance's words.
    pub fn check(&self, text: &str) -> Result<Url> {
        let refused = || Error::bad_request(format!("URI for web-download does not pass filtering: {text}"));
        let url = Url::parse(text).map_err(|e| refused().caused_by(e))?;
        match url.address() {
            Some(address) if !self.guard.allows(address, url.port()) => Err(refused()),
            _ => Ok(url),
        }
    }

    /// Begins to fetch `url`.
    ///
    /// # Errors
    /// 400 that says what went wrong, in words that tell nothing of the network behind.
    pub async fn get(&self, url: &Url) -> Result<Download> {
        let mut url = url.clone();
        for _ in 0..=HOPS_MAX {
            let asked = tokio::time::timeout(HEAD_TIMEOUT, self.ask(&url)).await;
            let answer = asked.map_err(|_| failed(&url, "the server did not answer in time"))??;
            match answer.status().as_u16() {
                200 => return accept(&url, answer),
                301 | 302 | 303 | 307 | 308 => url = follow(&url, &answer)?,
                other => return Err(failed(&url, format!("the server answered {other}"))),
            }
        }
        Err(failed(&url, "too many redirects"))
    }

    async fn ask(&self, url: &Url) -> Result<Response<Incoming>> {
        let io = self.connect(url).await?;
        let broke = |e: hyper::Error| failed(url, "the server speaks no HTTP").caused_by(e);
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(broke)?;
        tokio::spawn(connection);
        let request = Request::get(url.target())
            .header(header::HOST, url.authority())
            .header(header::USER_AGENT, concat!("pileus/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*")
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Empty::<Bytes>::new());
        let request = request.map_err(|e| failed(url, "it is no URL").caused_by(e))?;
        sender.send_request(request).await.map_err(broke)
    }
}

fn accept(url: &Url, answer: Response<Incoming>) -> Result<Download> {
    let encoding = answer.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|e| e != "identity") {
        return Err(failed(url, "the server sends it compressed"));
    }
    let length = hyper::body::Body::size_hint(answer.body()).exact();
    Ok(Download { length, body: answer.into_body() })
}

fn follow(url: &Url, answer: &Response<Incoming>) -> Result<Url> {
    let location = answer.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
    let location = location.ok_or_else(|| failed(url, "a redirect leads nowhere"))?;
    let next = url.join(location).map_err(|e| failed(url, "a redirect leads to no URL").caused_by(e))?;
    if url.is_secure() && !next.is_secure() {
        return Err(failed(url, "a redirect leads from https to http"));
    }
    Ok(next)
}

impl Download {
    /// Its pieces. What ends before its announced length is an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send + Unpin {
        let pieces = futures_util::stream::try_unfold(self.body, |mut body| async move {
            loop {
                let late = |_| Error::bad_request("The download came to a halt.");
                let frame = match tokio::time::timeout(PAUSE_MAX, body.frame()).await.map_err(late)? {
                    None => return Ok(None),
                    Some(f) => f.map_err(|e| Error::bad_request("The download broke off.").caused_by(e))?,
                };
                if let Ok(data) = frame.into_data() {
                    return Ok(Some((data, body)));
                }
            }
        });
        Box::pin(pieces)
    }
}
