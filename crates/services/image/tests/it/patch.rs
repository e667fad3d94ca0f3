//! Changes and bad input.

use serde_json::{Value, json};

use crate::bench::{DATA, JSON, start};

#[tokio::test]
async fn a_patch_changes_what_may_be_changed() {
    let b = start(1 << 30, None).await;
    let image = b.make("p", json!({"os_distro": "cirros", "tags": ["a"]})).await;
    let change = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
    let table = [
        (change("replace", "/name", json!("two")), 200),
        (change("add", "/hw_disk_bus", json!("ide")), 200),
        (change("replace", "/os_distro", json!("x")), 200),
        (json!([{"op": "remove", "path": "/os_distro"}]), 200),
        (json!([{"op": "remove", "path": "/os_distro"}]), 409),
        (change("replace", "/missing", json!("x")), 409),
        (json!([{"op": "remove", "path": "/name"}]), 403),
        (change("replace", "/status", json!("active")), 403),
        (change("replace", "/id", json!("x")), 403),
        (change("replace", "/checksum", json!("x")), 403),
        (change("add", "/os_glance_x", json!("x")), 403),
        (change("replace", "/visibility", json!("public")), 403),
        (change("replace", "/owner", json!("q")), 403),
        (change("replace", "/visibility", json!("secret")), 400),
        (change("replace", "/min_ram", json!(-1)), 400),
        (change("replace", "/min_ram", json!("1")), 400),
        (change("replace", "/protected", json!("yes")), 400),
        (change("replace", "/disk_format", json!("floppy")), 400),
        (change("add", "/x", json!(1)), 400),
        (change("move", "/x", json!("x")), 400),
        (change("add", "x", json!("x")), 400),
        (change("add", "/a/b", json!("x")), 400),
        (json!([{"op": "add", "path": "/x"}]), 400),
        (json!([1]), 400),
        (json!({}), 400),
    ];
    for (changes, status) in table {
        let answer = b.patch("p", &image, changes.clone()).await;
        assert_eq!(answer.status, status, "{changes}: {}", answer.body);
    }
    let shown = b.get("p", &image).await.is(200).json();
    assert_eq!((&shown["name"], &shown["hw_disk_bus"]), (&json!("two"), &json!("ide")));
    assert!(shown.get("os_distro").is_none() && shown.get("x").is_none());
    let all_or_nothing = json!([
        {"op": "replace", "path": "/name", "value": "three"}, {"op": "replace", "path": "/status", "value": "x"},
    ]);
    b.patch("p", &image, all_or_nothing).await.is(403);
    assert_eq!(b.get("p", &image).await.json()["name"], "two");
    b.ask("p", "PATCH", &image, JSON, b"[]").await.is(415);
    b.stop().await;
}

#[tokio::test]
async fn bad_images_are_refused() {
    let b = start(1 << 30, None).await;
    let long = "x".repeat(256);
    let table = [
        (json!([]), 400),
        (json!({"id": "x"}), 400),
        (json!({"name": 1}), 400),
        (json!({"name": long}), 400),
        (json!({"disk_format": "floppy"}), 400),
        (json!({"min_disk": 1.5}), 400),
        (json!({"tags": "a"}), 400),
        (json!({"tags": [long]}), 400),
        (json!({"status": "active"}), 403),
        (json!({"size": 1}), 403),
        (json!({"visibility": "public"}), 403),
        (json!({"owner": "q"}), 403),
    ];
    for (body, status) in table {
        let answer = b.send("p", "POST", "/v2/images", body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    b.send("reader", "POST", "/v2/images", json!({})).await.is(403);
    let id = "1bea47ed-f6a9-463b-b423-14b9cca9ad27";
    b.make("p", json!({"id": id})).await;
    let twice = b.send("q", "POST", "/v2/images", json!({"id": id})).await.is(409);
    assert!(twice.head.contains("text/html") && twice.body.contains("<title>409 Conflict</title>"));
    b.get("p", "/v2/images/nothing").await.is(404);
    b.ask("p", "POST", "/v2/images", DATA, b"{").await.is(400);
    let image = b.make("p", json!({})).await;
    b.send("p", "POST", &format!("{image}/import"), json!({"method": {"name": "copy-image"}})).await.is(400);
    for name in ["image", "images", "member", "members"] {
        assert_eq!(b.get("p", &format!("/v2/schemas/{name}")).await.is(200).json()["name"], name);
    }
    assert_eq!(b.get("p", "/").await.is(300).json()["versions"][0]["status"], "CURRENT");
    b.stop().await;
}
