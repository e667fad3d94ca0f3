//! Connections taken over: after the answer's head the connection carries a process's streams, both ways.
//!
//! A client that doesn't ask for that with `Upgrade` gets the output as the answer's body, and can't write.

use std::{
    io::{self, Cursor},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use hyper_util::rt::TokioIo;
use pileus_base::{Error, Result};
use pileus_host::Stream;
use pileus_http::{Body, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
};

use crate::{api::Call, engine::streams::frame};

/// A client's side, once the head of the answer has been sent; `None` where it has gone before.
pub(in crate::api) type Client = Pin<Box<dyn Future<Output = Option<Box<dyn Stream>>> + Send>>;

const RAW: &str = "application/vnd.docker.raw-stream";
const FRAMED: &str = "application/vnd.docker.multiplexed-stream";
/// What may wait for a client that gets the output as a body.
const ROOM: usize = 64 << 10;
/// How long a client's reading of the head is waited for.
const HEAD_READ: Duration = Duration::from_millis(15);

/// The media type of output; clients before 1.42 know one only.
pub(in crate::api) fn media(call: &Call, raw: bool) -> &'static str {
    let old = ["/v1.40/", "/v1.41/", "/v1.2", "/v1.3"].iter().any(|v| call.uri.path().starts_with(v));
    if raw || old { RAW } else { FRAMED }
}

/// The answer's head, and the client that comes of it.
///
/// # Errors
/// 400 where the connection can't be upgraded.
pub(in crate::api) fn take_over(call: &mut Call, raw: bool) -> Result<(Reply, Client)> {
    let media = media(call, raw);
    if call.header("upgrade").is_none() {
        let (ours, theirs) = tokio::io::duplex(ROOM);
        let client: Client = Box::pin(async move { Some(Box::new(theirs) as Box<dyn Stream>) });
        return Ok((Reply::stream(200, media, Body::stream(chunks(Some(ours)), None)), client));
    }
    let upgrade = call.upgrade()?;
    let client = async move {
        let io = upgrade.await.ok()?.into_inner();
        Some(match io.downcast::<TokioIo<UnixStream>>() {
            Ok(parts) => {
                let stream = parts.io.into_inner();
                head_read(&stream).await;
                // Registered anew: what was forgotten of its room for writing isn't told again.
                let stream = UnixStream::from_std(stream.into_std().ok()?).ok()?;
                let (read, write) = stream.into_split();
                let read = Cursor::new(parts.read_buf).chain(read);
                Box::new(tokio::io::join(read, write)) as Box<dyn Stream>
            }
            Err(io) => Box::new(TokioIo::new(io)),
        })
    };
    let reply =
        Reply::empty(101).header(CONNECTION, "Upgrade").header(UPGRADE, "tcp").header(CONTENT_TYPE, media);
    Ok((reply, Box::pin(client)))
}

/// Waits until the client has read the answer's head, or a moment. Clients that read the head through a buffer
/// and the streams around it (docker-py) lose what came together with it. The kernel tells of room for writing,
/// edge-triggered, each time the other side has read something.
async fn head_read(stream: &UnixStream) {
    let forget = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
    // What was told before the head was read says nothing.
    let _ = stream.try_io(Interest::WRITABLE, forget);
    // One that had read it already isn't told of again.
    let _ = tokio::time::timeout(HEAD_READ, stream.writable()).await;
}

/// Tells a failure as output, as the reference does once the head has been sent.
pub(in crate::api) async fn tell(client: &mut Box<dyn Stream>, e: &Error, raw: bool) {
    let text = format!("{}\r\n", e.message());
    let told = if raw { text.into_bytes() } else { frame(1, text.as_bytes()) };
    // A client that is gone can't be told.
    let _ = client.write_all(&told).await;
}

/// What is read, piece by piece.
pub(in crate::api) fn chunks<R: tokio::io::AsyncRead + Send + Unpin + 'static>(
    reader: Option<R>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    futures_util::stream::unfold(reader, |reader| async move {
        let mut reader = reader?;
        let mut chunk = vec![0; 64 << 10];
        match reader.read(&mut chunk).await {
            Ok(0) => None,
            Ok(n) => {
                chunk.truncate(n);
                Some((Ok(Bytes::from(chunk)), Some(reader)))
            }
            Err(e) => Some((Err(e), None)),
        }
    })
}
