//! WebSockets that carry a container's streams: what comes is standard input, what goes out is output, in
//! binary messages.

use futures_util::{SinkExt, StreamExt};
use http::{
    HeaderName,
    header::{CONNECTION, UPGRADE},
};
use pileus_base::{Error, Result};
use pileus_host::Stream;
use pileus_http::{Reply, Upgraded};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use super::hijack::Client;
use crate::api::Call;

/// What may wait for a slow client.
const ROOM: usize = 64 << 10;

/// The answer to a client's key.
///
/// # Errors
/// 400 where it is no WebSocket that is asked for.
pub fn accept(call: &Call) -> Result<String> {
    let asked = call.header("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
    let key = call.header("sec-websocket-key").filter(|_| asked);
    key.map(|key| derive_accept_key(key.as_bytes()))
        .ok_or_else(|| Error::bad_request("not websocket protocol"))
}

/// The answer's head, and the client that comes of it.
///
/// # Errors
/// 400 where the connection can't be upgraded.
pub fn take_over(call: &mut Call, accept: String) -> Result<(Reply, Client)> {
    let upgrade = call.upgrade()?;
    let client: Client = Box::pin(async move {
        let io = upgrade.await.ok()?;
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        let (ours, theirs) = tokio::io::duplex(ROOM);
        tokio::spawn(carry(socket, ours));
        Some(Box::new(theirs) as Box<dyn Stream>)
    });
    let reply = Reply::empty(101)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(HeaderName::from_static("sec-websocket-accept"), accept);
    Ok((reply, client))
}

async fn carry(socket: WebSocketStream<Upgraded>, stream: DuplexStream) {
    let (mut to_client, mut from_client) = socket.split();
    let (mut output, mut input) = tokio::io::split(stream);
    let down = async {
        let mut said = vec![0; 16 << 10];
        loop {
            let n = output.read(&mut said).await.unwrap_or(0);
            if n == 0 || to_client.send(Message::binary(said[..n].to_vec())).await.is_err() {
                break;
            }
        }
        // The client may have gone already.
        let _ = to_client.close().await;
    };
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            let sent = match message {
                Message::Binary(bytes) => input.write_all(&bytes).await,
                Message::Text(text) => input.write_all(text.as_bytes()).await,
                Message::Close(_) => break,
                _ => Ok(()),
            };
            if sent.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = down => {}, () = up => {} }
}
