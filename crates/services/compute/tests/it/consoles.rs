//! Consoles over websockets, against a stand-in for QEMU's sockets.

use futures_util::{SinkExt, StreamExt};
use pileus_compute::Options;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::{
    bench::{Bench, start, start_with},
    host::{SCREEN, SERIAL},
};

async fn running(mut b: Bench) -> (Bench, String) {
    let server = b.make("alice", "s", json!({"networks": "none"})).await;
    b.go();
    b.settled("alice", &server).await;
    (b, server)
}

/// The console's URL.
async fn url(b: &Bench, server: &str, protocol: &str, kind: &str) -> String {
    let asked = json!({"remote_console": {"protocol": protocol, "type": kind}});
    let got = b.post("alice", &format!("/servers/{server}/remote-consoles"), asked).await.is(200).json();
    assert_eq!(
        (&got["remote_console"]["protocol"], &got["remote_console"]["type"]),
        (&json!(protocol), &json!(kind))
    );
    got["remote_console"]["url"].as_str().unwrap().to_owned()
}

type Socket = WebSocketStream<TcpStream>;

/// Opens a websocket there, offering `protocol` and coming from `origin`; what was agreed.
async fn open(b: &Bench, url: &str, protocol: &str, origin: &str) -> Result<(Socket, String), u16> {
    let url = url.replacen("http", "ws", 1);
    let mut request = url.into_client_request().unwrap();
    if !protocol.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    }
    if !origin.is_empty() {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    let stream = TcpStream::connect(b.address).await.unwrap();
    match client_async(request, stream).await {
        Ok((socket, answer)) => {
            let agreed = answer.headers().get("sec-websocket-protocol");
            Ok((socket, agreed.map_or(String::new(), |p| p.to_str().unwrap().to_owned())))
        }
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

/// Reads until `n` bytes have come.
async fn read(socket: &mut Socket, n: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < n {
        match socket.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => got.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    got
}

#[tokio::test]
async fn bytes_go_both_ways_until_either_side_ends() {
    let (b, server) = running(start().await).await;
    for (protocol, kind, greeting) in [("serial", "serial", SERIAL), ("vnc", "novnc", SCREEN)] {
        let url = url(&b, &server, protocol, kind).await;
        assert!(url.starts_with(if kind == "serial" { "ws://cloud:1/" } else { "http://cloud:1/" }), "{url}");
        let (mut socket, agreed) = open(&b, &url, "binary, base64", "http://cloud:1").await.unwrap();
        assert_eq!(agreed, "binary");
        assert_eq!(read(&mut socket, greeting.len()).await, greeting);
        let long: Vec<u8> = (0..=255u8).filter(|b| *b != b'!').cycle().take(100_000).collect();
        let (mut to, mut from) = socket.split();
        let sent = long.clone();
        let sending = tokio::spawn(async move {
            for piece in sent.chunks(3000) {
                to.send(Message::binary(piece.to_vec())).await.unwrap();
            }
            to
        });
        let mut got = Vec::new();
        while got.len() < long.len() {
            got.extend(from.next().await.unwrap().unwrap().into_data());
        }
        assert!(got == long, "what came back differs");
        // Text is what a terminal in a browser sends; `!` makes the guest's side end.
        let mut to = sending.await.unwrap();
        to.send(Message::text("bye!")).await.unwrap();
        loop {
            match from.next().await {
                Some(Ok(Message::Close(_))) | None => break,
                Some(Ok(_)) => {}
                Some(Err(e)) => panic!("no orderly end: {e}"),
            }
        }
        // A token opens again while it lasts, without a subprotocol too; a client may just go.
        let (mut socket, agreed) = open(&b, &url, "", "").await.unwrap();
        assert_eq!(agreed, "");
        assert_eq!(read(&mut socket, greeting.len()).await, greeting);
        drop(socket);
    }
    b.stop().await;
}

#[tokio::test]
async fn tokens_open_one_kind_of_one_server_for_a_while() {
    let (b, server) = running(start().await).await;
    let url = url(&b, &server, "serial", "serial").await;
    for bad in [
        url.replace("serial?", "vnc?"),
        url.split_once("token=").unwrap().0.to_owned() + "token=nonsense",
        url.split_once('?').unwrap().0.to_owned(),
    ] {
        assert_eq!(open(&b, &bad, "binary", "").await.err(), Some(403), "{bad}");
    }
    // A page of elsewhere may not use it, nor a client that speaks no subprotocol of ours.
    assert_eq!(open(&b, &url, "binary", "http://elsewhere.example").await.err(), Some(403));
    assert_eq!(open(&b, &url, "base64", "").await.err(), Some(400));
    let path = url.strip_prefix("ws://cloud:1").unwrap();
    b.raw("", "GET", path, "", b"").await.is(400);
    // Once the server is gone there is nothing to open.
    b.delete("alice", &format!("/servers/{server}")).await.is(204);
    b.gone("alice", &server).await;
    assert_eq!(open(&b, &url, "binary", "").await.err(), Some(403));
    b.stop().await;

    let (b, server) =
        running(start_with(Options { console_ttl_s: 0, ..Options::default() }, Default::default()).await)
            .await;
    let expired = self::url(&b, &server, "serial", "serial").await;
    assert_eq!(open(&b, &expired, "binary", "").await.err(), Some(403));
    b.stop().await;
}

#[tokio::test]
async fn consoles_are_asked_for_in_old_and_new_ways() {
    let mut b = start().await;
    let server = b.make("alice", "s", json!({"networks": "none"})).await;
    let path = format!("/servers/{server}/remote-consoles");
    let asked = |protocol: &str, kind: &str| json!({"remote_console": {"protocol": protocol, "type": kind}});
    let early = b.post("alice", &path, asked("serial", "serial")).await.is(409);
    assert_eq!(early.message(), format!("Instance {server} is not ready"));
    b.go();
    b.settled("alice", &server).await;
    for (protocol, kind) in
        [("vnc", "serial"), ("serial", "novnc"), ("vnc", "xvpvnc"), ("telnet", "serial"), ("", "")]
    {
        b.post("alice", &path, asked(protocol, kind)).await.is(400);
    }
    b.ask("alice", "2.5", "POST", &path, asked("serial", "serial")).await.is(404);
    let action = format!("/servers/{server}/action");
    for (name, kind) in [("os-getVNCConsole", "novnc"), ("os-getSerialConsole", "serial")] {
        let old = b.ask("alice", "2.1", "POST", &action, json!({name: {"type": kind}})).await.is(200).json();
        let url = old["console"]["url"].as_str().unwrap();
        open(&b, url, "binary", "").await.unwrap();
        let bad = b.ask("alice", "2.1", "POST", &action, json!({name: {"type": "other"}})).await.is(400);
        assert!(bad.body.contains("other"), "{}", bad.body);
    }
    b.ask("alice", "2.6", "POST", &action, json!({"os-getVNCConsole": {"type": "novnc"}})).await.is(404);
    b.ask("alice", "2.6", "POST", &action, Value::Null).await.is(400);
    b.stop().await;
}
