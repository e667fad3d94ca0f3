//! Listeners and connections: TCP, TLS and unix sockets in; the mounted services behind.
//!
//! A request's handler runs as a task of its own: a client that goes away does not cut it off half-way,
//! and a panic in it is one 500. [`Server::stop`] lets requests under way finish, within a bound.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response, header};
use hyper::{body::Incoming as HyperBody, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pileus_base::{Error, Kind, ids::RequestId};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Authenticator, Base, Body, Chunks, Family, Metrics, Reply, Service, openstack_fault, routes::Incoming,
};

/// How long a client may take over its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests under way may take once the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a request's head.
const HEAD_MAX: usize = 64 * 1024;

/// For paths that belong to no service.
static NOWHERE: Family = Family {
    name: "none",
    fault: openstack_fault,
    denied: |_| String::new(),
    versions: None,
    request_id_header: None,
    body_max: 0,
};

/// A service at a path.
#[derive(Clone)]
pub struct Mount {
    /// `/compute`, or empty for the root.
    pub prefix: &'static str,
    /// What is served there.
    pub service: Arc<Service>,
}

struct Shared {
    authenticator: Arc<dyn Authenticator>,
    metrics: Arc<Metrics>,
    /// The path of Keystone below the root, for `WWW-Authenticate`.
    auth_path: &'static str,
}

/// All listeners of the daemon.
pub struct Server {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// A server without listeners. `auth_path` is where a client without a token is sent.
    pub fn new(
        authenticator: Arc<dyn Authenticator>,
        metrics: Arc<Metrics>,
        auth_path: &'static str,
    ) -> Self {
        let shared = Arc::new(Shared { authenticator, metrics, auth_path });
        Self { shared, tasks: JoinSet::new(), stop: watch::Sender::new(false) }
    }

    /// Serves `mounts` on a TCP listener, with TLS where given.
    pub fn tcp(&mut self, listener: TcpListener, tls: Option<TlsAcceptor>, mounts: Vec<Mount>) {
        let (shared, mounts, mut stopped) = (self.shared.clone(), sorted(mounts), self.stop.subscribe());
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    Some(_) = connections.join_next() => continue,
                    _ = stopped.wait_for(|s| *s) => break,
                };
                let (stream, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(e) => {
                        // Out of descriptors, mostly: the connection stays in the queue meanwhile.
                        tracing::warn!(error = %e, "failed to accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let _ = stream.set_nodelay(true);
                let (shared, mounts, tls, stopped) =
                    (shared.clone(), mounts.clone(), tls.clone(), stopped.clone());
                connections.spawn(async move {
                    match tls {
                        None => connection(stream, Some(peer), "http", mounts, shared, stopped).await,
                        Some(tls) => {
                            let shaken = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await;
                            if let Ok(Ok(stream)) = shaken {
                                connection(stream, Some(peer), "https", mounts, shared, stopped).await;
                            }
                        }
                    }
                });
            }
            drain(connections).await;
        });
    }

    /// Serves `mounts` on a unix socket.
    pub fn unix(&mut self, listener: UnixListener, mounts: Vec<Mount>) {
        let (shared, mounts, mut stopped) = (self.shared.clone(), sorted(mounts), self.stop.subscribe());
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    Some(_) = connections.join_next() => continue,
                    _ = stopped.wait_for(|s| *s) => break,
                };
                let Ok((stream, _)) = accepted else { continue };
                let (shared, mounts, stopped) = (shared.clone(), mounts.clone(), stopped.clone());
                connections.spawn(connection(stream, None, "http", mounts, shared, stopped));
            }
            drain(connections).await;
        });
    }

    /// Takes no more requests and waits for those under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn drain(mut connections: JoinSet<()>) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, all).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

/// Longest prefix first.
fn sorted(mut mounts: Vec<Mount>) -> Arc<[Mount]> {
    mounts.sort_by_key(|m| std::cmp::Reverse(m.prefix.len()));
    mounts.into()
}

async fn connection<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: IO,
    peer: Option<SocketAddr>,
    scheme: &'static str,
    mounts: Arc<[Mount]>,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let (mounts, shared) = (mounts.clone(), shared.clone());
        async move { Ok::<_, Infallible>(answer(request, peer, scheme, mounts, shared).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_MAX);
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service).with_upgrades());
    tokio::select! {
        _ = served.as_mut() => return,
        _ = stopped.wait_for(|s| *s) => {}
    }
    served.as_mut().graceful_shutdown();
    // Its error is the client's affair.
    let _ = served.await;
}

async fn answer(
    mut request: Request<HyperBody>,
    peer: Option<SocketAddr>,
    scheme: &'static str,
    mounts: Arc<[Mount]>,
    shared: Arc<Shared>,
) -> Response<Body> {
    let started = Instant::now();
    let request_id = RequestId::new();
    let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let host = parts.headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
    let root = format!("{scheme}://{host}");
    let mount = mounts
        .iter()
        .find(|m| path.strip_prefix(m.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let family = mount.map_or(&NOWHERE, |m| m.service.family);
    let (reply, version) = match mount {
        None => (Err(Error::not_found("The resource could not be found.")), None),
        Some(mount) => {
            let below = &path[mount.prefix.len()..];
            let trimmed = below.trim_end_matches('/');
            let incoming = Incoming {
                parts,
                body: Chunks::new(body),
                upgrade,
                path: if trimmed.is_empty() { "/".into() } else { trimmed.into() },
                base: Base { root: root.clone(), prefix: mount.prefix.into() },
                peer,
                request_id: request_id.clone(),
            };
            let (service, shared) = (mount.service.clone(), shared.clone());
            let task = tokio::spawn(async move { service.run(incoming, &*shared.authenticator).await });
            task.await.unwrap_or_else(|e| (Err(Error::wrap("a handler panicked", e)), None))
        }
    };
    let mut reply =
        reply.unwrap_or_else(|e| fault(family, &e, &request_id, &format!("{root}{}", shared.auth_path)));
    if let Ok(value) = HeaderValue::from_str(&request_id.0) {
        reply.headers.insert("x-openstack-request-id", value.clone());
        if let Some(name) = &family.request_id_header {
            reply.headers.insert(name.clone(), value);
        }
    }
    if let (Some(version), Some(versions)) = (version, &family.versions) {
        versions.echo(version, &mut reply.headers);
    }
    if let Some(stamp) = mount.and_then(|m| m.service.stamp) {
        stamp(&mut reply.headers);
    }
    let took = started.elapsed();
    shared.metrics.served(family.name, method_label(&method), reply.status.as_u16(), took);
    tracing::debug!(
        target: "pileus::access",
        %request_id, service = family.name, %method, path, status = reply.status.as_u16(),
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), "served"
    );
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// The reply for an error; the log gets what the caller doesn't.
fn fault(family: &Family, error: &Error, request_id: &RequestId, auth_url: &str) -> Reply {
    if error.kind() == Kind::Internal {
        tracing::error!(%request_id, service = family.name, error = error.chain(), "a request failed");
    } else {
        tracing::debug!(%request_id, service = family.name, error = error.chain(), "a request was refused");
    }
    let fault = (family.fault)(error);
    let mut reply = Reply::bytes(fault.status, fault.media, fault.body);
    if fault.status == 401 {
        reply = reply.header(header::WWW_AUTHENTICATE, format!("Keystone uri=\"{auth_url}\""));
    }
    reply
}

/// Only known methods become labels: a client must not be able to make metrics grow.
fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}
