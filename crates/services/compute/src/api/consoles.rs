//! Consoles: a URL with a token, and behind it the serial line or the screen over a websocket.

use std::collections::HashMap;

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use pileus_base::{Error, Result, Scope, Time, ids::ServerId};
use pileus_host::Stream;
use pileus_http::{HeaderName, Reply, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use super::Call;
use crate::{
    Server,
    model::states::VmState,
    wire::{
        fields::{Fields, invalid},
        mv,
    },
};

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Serial,
    Vnc,
}

/// Tokens given out. They live in memory: after a restart a client asks for a new one.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<String, (ServerId, Kind, Time)>>);

impl Tokens {
    fn issue(&self, server: ServerId, kind: Kind, ttl_s: i64) -> String {
        let token = uuid::Uuid::new_v4().to_string();
        let now = Time::now();
        let mut all = self.0.lock();
        all.retain(|_, (.., until)| *until > now);
        all.insert(token.clone(), (server, kind, now.plus_secs(ttl_s)));
        token
    }
    fn open(&self, token: &str, kind: Kind) -> Option<ServerId> {
        let all = self.0.lock();
        let (server, of, until) = all.get(token)?;
        (*of == kind && *until > Time::now()).then_some(*server)
    }
}

fn url(call: &Call, server: &Server, kind: Kind) -> Result<String> {
    if server.vm_state != VmState::Active && server.vm_state != VmState::Paused {
        return Err(Error::conflict(format!("Instance {} is not ready", server.id)));
    }
    let token = call.state.consoles.issue(server.id, kind, call.state.options.console_ttl_s);
    let base = call.base.url("");
    Ok(match kind {
        Kind::Serial => format!("{}/consoles/serial?token={token}", base.replacen("http", "ws", 1)),
        Kind::Vnc => format!("{base}/consoles/vnc?token={token}"),
    })
}

/// `POST /servers/{id}/remote-consoles`
pub async fn create(mut call: Call) -> Result<Reply> {
    if call.version < mv::REMOTE_CONSOLES {
        return Err(super::no_such_path());
    }
    let body = call.value().await?;
    let mut f = Fields::body(&body, "remote_console", &[])?;
    let protocol = f.text("protocol", 1, 255)?.unwrap_or("").to_owned();
    let kind = f.text("type", 1, 255)?.unwrap_or("").to_owned();
    f.finish()?;
    let opened = match (protocol.as_str(), kind.as_str()) {
        ("vnc", "novnc") => Kind::Vnc,
        ("serial", "serial") => Kind::Serial,
        ("vnc" | "spice" | "rdp" | "mks", "xvpvnc" | "spice-html5" | "rdp-html5" | "webmks") => {
            return Err(Error::bad_request(format!("Unavailable console type {kind}.")));
        }
        _ => {
            return Err(invalid(
                "protocol",
                &json!(protocol),
                "is not one of ['vnc', 'spice', 'rdp', 'serial', 'mks']",
            ));
        }
    };
    let server = call.state.named(&call).await?;
    let url = url(&call, &server, opened)?;
    Reply::ok(&json!({"remote_console": {"protocol": protocol, "type": kind, "url": url}}))
}

/// The actions that asked for consoles before 2.6.
pub fn create_old(call: &Call, server: &Server, action: &str, args: &Value) -> Result<Reply> {
    let kind = if action == "os-getSerialConsole" { Kind::Serial } else { Kind::Vnc };
    let word = args["type"].as_str().unwrap_or("");
    if !matches!((kind, word), (Kind::Serial, "serial") | (Kind::Vnc, "novnc")) {
        return Err(Error::bad_request(format!("Unavailable console type {word}.")));
    }
    Reply::ok(&json!({"console": {"type": word, "url": url(call, server, kind)?}}))
}

/// `GET /consoles/serial`, upgraded.
pub async fn serial(call: Call) -> Result<Reply> {
    attach(call, Kind::Serial).await
}

/// `GET /consoles/vnc`, upgraded.
pub async fn vnc(call: Call) -> Result<Reply> {
    attach(call, Kind::Vnc).await
}

async fn attach(mut call: Call, kind: Kind) -> Result<Reply> {
    let unknown = || Error::forbidden("The console's token is not valid or has expired.");
    let token = call.query.get("token").ok_or_else(unknown)?;
    let server = call.state.consoles.open(token, kind).ok_or_else(unknown)?;
    let known = call.state.store.read(move |rd| rd.find::<Server>(&Scope::All, server)).await?;
    known.ok_or_else(unknown)?;
    if !same_origin(&call) {
        return Err(Error::forbidden("Origin header does not match this host."));
    }
    let key =
        call.header("sec-websocket-key").ok_or_else(|| Error::bad_request("A websocket is expected."))?;
    let accept = derive_accept_key(key.as_bytes());
    let offered = call.header("sec-websocket-protocol");
    let binary = offered.is_some_and(|p| p.split(',').any(|p| p.trim() == "binary"));
    if offered.is_some() && !binary {
        return Err(Error::bad_request("Client must support the 'binary' protocol."));
    }
    let stream = match kind {
        Kind::Serial => call.state.host.serial(server).await?,
        Kind::Vnc => call.state.host.vnc(server).await?,
    };
    let upgraded = call.upgrade()?;
    tokio::spawn(async move {
        let io = match upgraded.await {
            Ok(io) => io,
            Err(e) => return tracing::debug!(error = e.chain(), "a console's client went away"),
        };
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        carry(socket, stream).await;
    });
    let mut reply = Reply::empty(101)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(HeaderName::from_static("sec-websocket-accept"), accept);
    if binary {
        reply = reply.header(HeaderName::from_static("sec-websocket-protocol"), "binary");
    }
    Ok(reply)
}

/// Whether a browser asks from a page of this host: a page of elsewhere may have come by the token, but not
/// by its user's will (CVE-2015-0259). What sends no origin is no browser.
fn same_origin(call: &Call) -> bool {
    let Some(origin) = call.header("origin") else { return true };
    let host = |authority: &str| authority.parse::<http::uri::Authority>().ok().map(|a| a.host().to_owned());
    let Some((_, from)) = origin.split_once("://") else { return false };
    let own = call.header("host").and_then(host);
    own.is_some() && host(from) == own
}

/// Carries bytes both ways until either side ends.
async fn carry(socket: WebSocketStream<pileus_http::Upgraded>, stream: Box<dyn Stream>) {
    let (mut to_client, mut from_client) = socket.split();
    let (mut from_guest, mut to_guest) = tokio::io::split(stream);
    let down = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match from_guest.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    if to_client.send(Message::binary(buffer[..n].to_vec())).await.is_err() {
                        break;
                    }
                }
            }
        }
        // The client may have gone already.
        let _ = to_client.close().await;
    };
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            let bytes = match message {
                Message::Binary(b) => b.to_vec(),
                Message::Text(t) => t.as_bytes().to_vec(),
                Message::Close(_) => break,
                _ => continue,
            };
            if to_guest.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = down => {}, () = up => {} }
}
