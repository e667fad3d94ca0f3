//! What a guest leaves and finds at the metadata service.

use pileus_host::{MetadataAnswer, MetadataQuery, MetadataSource};
use serde_json::{Value, json};

use crate::bench::{Bench, start};

/// A request from the guest at `peer`.
async fn from(b: &Bench, network: &str, peer: &str, method: &str, path: &str, body: &[u8]) -> MetadataAnswer {
    let query = MetadataQuery {
        network: network.parse().unwrap(),
        peer: peer.parse().unwrap(),
        method: method.into(),
        path: path.into(),
        headers: Vec::new(),
        body: body.to_vec(),
    };
    b.compute.answer(query).await
}

#[tokio::test]
async fn a_guest_leaves_its_password_once() {
    let b = start().await;
    let lan = b.lan("alice", "lan").await;
    let nic = json!({"networks": [{"uuid": lan, "fixed_ip": "10.0.0.9"}]});
    let server = b.make("alice", "s", nic).await;
    let path = format!("/servers/{server}/os-server-password");
    assert_eq!(b.get("alice", &path).await.is(200).json(), json!({"password": ""}));
    let at = "/openstack/latest/password";
    let leave = async |body: &[u8]| from(&b, &lan, "10.0.0.9", "POST", at, body).await.status;
    assert_eq!(leave(&[b'x'; 1021]).await, 400);
    assert_eq!(leave(b"c2VjcmV0").await, 200);
    assert_eq!(leave(b"other").await, 409);
    assert_eq!(from(&b, &lan, "10.0.0.9", "GET", at, b"").await.body, b"c2VjcmV0");
    assert_eq!(from(&b, &lan, "10.0.0.8", "POST", at, b"x").await.status, 404);
    assert_eq!(from(&b, &lan, "10.0.0.9", "POST", "/openstack/latest/user_data", b"x").await.status, 405);
    assert_eq!(b.get("alice", &path).await.is(200).json(), json!({"password": "c2VjcmV0"}));
    b.get("bob", &path).await.is(404);
    b.delete("reader", &path).await.is(403);
    b.delete("alice", &path).await.is(204);
    assert_eq!(b.get("alice", &path).await.is(200).json(), json!({"password": ""}));
    assert_eq!(leave(b"again").await, 200);
    b.stop().await;
}

#[tokio::test]
async fn a_guest_finds_its_files_and_data() {
    let b = start().await;
    let lan = b.lan("alice", "lan").await;
    let file = json!({"path": "/etc/motd", "contents": "aGVsbG8="});
    let more = json!({"user_data": "ZGF0YQ==", "metadata": {"k": "v"}, "personality": [file]});
    let mut asked = b.server("s", more);
    asked["server"]["networks"] = json!([{"uuid": lan, "fixed_ip": "10.0.0.9"}]);
    b.ask("alice", "2.1", "POST", "/servers", asked).await.is(202);
    let get = async |path: &str| from(&b, &lan, "10.0.0.9", "GET", path, b"").await;
    let meta: Value = serde_json::from_slice(&get("/openstack/latest/meta_data.json").await.body).unwrap();
    assert_eq!(meta["files"], json!([{"path": "/etc/motd", "content_path": "/content/0000"}]));
    assert_eq!((&meta["name"], &meta["meta"]), (&json!("s"), &json!({"k": "v"})));
    assert_eq!(get("/openstack/content/0000").await.body, b"hello");
    assert_eq!(get("/openstack/content/0001").await.status, 404);
    assert_eq!(get("/openstack/latest/user_data").await.body, b"data");
    assert_eq!(get("/latest/meta-data/local-ipv4").await.body, b"10.0.0.9");
    assert_eq!(get("/nonsense").await.status, 404);
    b.stop().await;
}
