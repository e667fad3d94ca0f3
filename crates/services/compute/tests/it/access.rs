//! Other tenants' servers aren't there, and readers only read.

use serde_json::{Value, json};

use crate::bench::start;

#[tokio::test]
async fn other_tenants_servers_are_not_there() {
    let b = start().await;
    let server = b.make("alice", "s", json!({"networks": "none"})).await;
    let path = format!("/servers/{server}");
    let gone = format!("Instance {server} could not be found.");
    for (method, more, body) in [
        ("GET", "", Value::Null),
        ("PUT", "", json!({"server": {"name": "x"}})),
        ("DELETE", "", Value::Null),
        ("POST", "/action", json!({"os-stop": null})),
        ("POST", "/action", json!({"os-getConsoleOutput": {}})),
        ("GET", "/ips", Value::Null),
        ("GET", "/metadata", Value::Null),
        ("POST", "/metadata", json!({"metadata": {"a": "b"}})),
        ("PUT", "/metadata/a", json!({"meta": {"a": "b"}})),
        ("DELETE", "/metadata/a", Value::Null),
        ("GET", "/tags", Value::Null),
        ("PUT", "/tags/x", Value::Null),
        ("GET", "/os-instance-actions", Value::Null),
        ("GET", "/os-interface", Value::Null),
        ("GET", "/os-volume_attachments", Value::Null),
        ("GET", "/os-security-groups", Value::Null),
        ("POST", "/remote-consoles", json!({"remote_console": {"protocol": "serial", "type": "serial"}})),
    ] {
        let answer = b.ask("bob", "2.79", method, &format!("{path}{more}"), body).await.is(404);
        assert_eq!(answer.message(), gone, "{method} {more}");
    }
    assert_eq!(b.show("alice", &server).await["name"], "s");
    // Her network, port and key are no more his.
    let lan = b.lan("alice", "lan").await;
    let refused =
        b.post("bob", "/servers", b.server("x", json!({"networks": [{"uuid": lan}]}))).await.is(400);
    assert_eq!(refused.message(), format!("Network {lan} could not be found."));
    let port = b.network("alice", "port", json!({"network_id": lan})).await["id"].take();
    let refused =
        b.post("bob", "/servers", b.server("x", json!({"networks": [{"port": port}]}))).await.is(400);
    assert_eq!(refused.message(), format!("Port id {} could not be found.", port.as_str().unwrap()));
    b.post("alice", "/os-keypairs", json!({"keypair": {"name": "k"}})).await.is(201);
    let refused = b.post("bob", "/servers", b.server("x", json!({"key_name": "k"}))).await.is(400);
    assert_eq!(refused.message(), "Invalid key_name provided.");
    b.stop().await;
}

#[tokio::test]
async fn readers_read_and_strangers_do_not() {
    let b = start().await;
    b.get("reader", "/servers/detail").await.is(200);
    let refused = b.post("reader", "/servers", b.server("x", json!({}))).await.is(403);
    assert_eq!(refused.message(), "Policy doesn't allow os_compute_api:servers:create to be performed.");
    for path in ["/os-hypervisors", "/os-services", "/os-availability-zone/detail"] {
        b.get("alice", path).await.is(403);
        b.get("admin", path).await.is(200);
    }
    b.get("", "/servers").await.is(401);
    b.get("alice", "/os-quota-sets/bob").await.is(403);
    b.stop().await;
}
