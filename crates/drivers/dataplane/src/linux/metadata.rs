//! The metadata service at 169.254.169.254:80 inside a network: HTTP/1.1 in, a question to whoever knows
//! the servers, the answer out.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pileus_base::ids::NetworkId;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{Metadata, MetadataAnswer, MetadataQuery};

/// Connections at once, for one network.
const CONNECTIONS_MAX: usize = 64;
/// How long a guest may take over its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may last.
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// Largest body.
const BODY_MAX: usize = 64 * 1024;

/// Answers guests on `listener` until the task is ended.
pub async fn serve(listener: TcpListener, network: NetworkId, metadata: Arc<dyn Metadata>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let metadata = metadata.clone();
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let metadata = metadata.clone();
                async move { Ok::<_, Infallible>(answer(request, network, peer.ip(), &*metadata).await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(16 * 1024);
            let served = builder.serve_connection(TokioIo::new(stream), service);
            // A guest that breaks off is its own affair.
            let _ = tokio::time::timeout(CONNECTION_MAX, served).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    network: NetworkId,
    peer: std::net::IpAddr,
    metadata: &dyn Metadata,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let headers =
        head.headers.iter().map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let answer = match Limited::new(body, BODY_MAX).collect().await {
        Err(_) => MetadataAnswer { status: 413, media: "text/plain".into(), body: b"too large\n".to_vec() },
        Ok(body) => {
            let query = MetadataQuery {
                network,
                peer,
                method: head.method.to_string(),
                path,
                headers: headers.collect(),
                body: body.to_bytes().to_vec(),
            };
            metadata.answer(query).await
        }
    };
    let response = Response::builder().status(answer.status).header(header::CONTENT_TYPE, answer.media);
    response.body(Full::new(answer.body.into())).unwrap_or_default()
}
