//! Attach and logs.

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use pileus_base::{Error, Result};
use pileus_host::{Stream, Wanted};
use pileus_http::{Body, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::{
    api::{Call, Flags},
    engine::logs::{Asked, moment},
};

const RAW: &str = "application/vnd.docker.raw-stream";
const FRAMED: &str = "application/vnd.docker.multiplexed-stream";

/// Hands a stream to the client: over the connection where it asks for that, else as the body.
///
/// What opens the stream runs after the answer's head is under way, as with the reference: clients that read
/// the head through a buffer would lose what came together with it. Its failure is told on the connection.
pub(in crate::api) async fn hand_over(
    call: &mut Call,
    stream: impl Future<Output = Result<Option<Box<dyn Stream>>>> + Send + 'static,
    before: Option<mpsc::Receiver<std::io::Result<Bytes>>>,
    tty: bool,
    stdin: bool,
) -> Result<Reply> {
    let old = ["/v1.40/", "/v1.41/", "/v1.2", "/v1.3"].iter().any(|v| call.uri.path().starts_with(v));
    let media = if tty || old { RAW } else { FRAMED };
    if call.header("upgrade").is_none() {
        let first = futures_util::stream::unfold(before, |rx| async move {
            let mut rx = rx?;
            rx.recv().await.map(|chunk| (chunk, Some(rx)))
        });
        let stream = stream.await?;
        return Ok(Reply::stream(200, media, Body::stream(first.chain(chunks(stream)), None)));
    }
    let upgrade = call.upgrade()?;
    tokio::spawn(async move {
        let Ok(io) = upgrade.await else { return };
        let (mut from, mut to) = tokio::io::split(io);
        if let Some(mut before) = before {
            while let Some(Ok(chunk)) = before.recv().await {
                if to.write_all(&chunk).await.is_err() {
                    return;
                }
            }
        }
        let stream = match stream.await {
            Ok(stream) => stream,
            Err(e) => {
                let _ = to.write_all(&told(&e, tty)).await;
                None
            }
        };
        if let Some(stream) = stream {
            let (mut output, mut input) = tokio::io::split(stream);
            let typed = tokio::spawn(async move {
                if stdin {
                    let _ = tokio::io::copy(&mut from, &mut input).await;
                    let _ = input.shutdown().await;
                }
            });
            let _ = tokio::io::copy(&mut output, &mut to).await;
            typed.abort();
        }
        let _ = to.shutdown().await;
    });
    Ok(Reply::empty(101).header(CONNECTION, "Upgrade").header(UPGRADE, "tcp").header(CONTENT_TYPE, media))
}

/// A failure as output: a frame of standard error where there is no terminal.
fn told(e: &Error, tty: bool) -> Vec<u8> {
    let text = format!("{}\r\n", e.message());
    let mut all = Vec::new();
    if !tty {
        all.extend([2, 0, 0, 0]);
        all.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    all.extend(text.as_bytes());
    all
}

/// What is read, piece by piece.
pub(super) fn chunks<R: tokio::io::AsyncRead + Send + Unpin + 'static>(
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

pub async fn attach(mut call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let (stdout, stderr) = (call.flag("stdout"), call.flag("stderr"));
    let wanted = Wanted { stdin: call.flag("stdin") && c.config["OpenStdin"] == true, stdout, stderr };
    let past = call.flag("logs").then(|| {
        let asked =
            Asked { stdout, stderr, since: 0, until: 0, timestamps: false, tail: None, follow: false };
        call.state.logs(&c, asked)
    });
    let stream = match call.flag("stream") {
        true => Some(call.state.host.attach_container(&c.id, wanted).await?),
        false => None,
    };
    call.state.container_event(&c, "attach", &[]);
    hand_over(&mut call, std::future::ready(Ok(stream)), past, c.tty(), wanted.stdin).await
}

pub async fn attach_ws(_call: Call) -> Result<Reply> {
    Err(Error::not_implemented("attaching over a WebSocket is not supported"))
}

pub async fn logs(call: Call) -> Result<Reply> {
    let c = call.state.container(call.param("id")).await?.value;
    let (stdout, stderr) = (call.flag("stdout"), call.flag("stderr"));
    if !stdout && !stderr {
        return Err(Error::bad_request("Bad parameters: you must choose at least one stream"));
    }
    if c.host_config["LogConfig"]["Type"] == "none" {
        return Err(Error::not_implemented("configured logging driver does not support reading"));
    }
    let asked = Asked {
        stdout,
        stderr,
        since: moment(&call.text("since")),
        until: moment(&call.text("until")),
        timestamps: call.flag("timestamps"),
        tail: call.text("tail").parse().ok(),
        follow: call.flag("follow"),
    };
    let lines = futures_util::stream::unfold(call.state.logs(&c, asked), |mut rx| async move {
        rx.recv().await.map(|chunk| (chunk, rx))
    });
    Ok(Reply::stream(200, if c.tty() { RAW } else { FRAMED }, Body::stream(lines, None)))
}
