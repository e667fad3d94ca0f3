//! Who sees what; members, lists.

use serde_json::json;

use crate::bench::{Bench, start};

async fn names(b: &Bench, token: &str, query: &str) -> Vec<String> {
    let list = b.get(token, &format!("/v2/images{query}")).await.is(200).json();
    let mut names: Vec<String> =
        list["images"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_stranger_sees_nothing_private() {
    let b = start(1 << 30, None).await;
    let private = b.make("p", json!({"name": "private", "visibility": "private"})).await;
    let community = b.make("p", json!({"name": "community", "visibility": "community"})).await;
    let public = b.make("admin", json!({"name": "public", "visibility": "public"})).await;
    b.upload("p", &private, b"good").await.is(204);
    for (method, tail) in
        [("GET", ""), ("DELETE", ""), ("GET", "/file"), ("GET", "/members"), ("PUT", "/tags/x")]
    {
        b.send("q", method, &format!("{private}{tail}"), json!({})).await.is(404);
    }
    b.upload("q", &private, b"good").await.is(404);
    b.patch("q", &private, json!([{"op": "replace", "path": "/name", "value": "x"}])).await.is(404);
    for image in [&community, &public] {
        b.get("q", image).await.is(200);
        b.send("q", "DELETE", image, json!({})).await.is(403);
        b.upload("q", image, b"good").await.is(403);
    }
    assert_eq!(names(&b, "q", "").await, ["public"]);
    assert_eq!(names(&b, "q", "?visibility=community").await, ["community"]);
    assert_eq!(names(&b, "p", "").await, ["community", "private", "public"]);
    b.send("q", "POST", &format!("{public}/actions/deactivate"), json!({})).await.is(403);
    b.send("p", "POST", &format!("{private}/actions/deactivate"), json!({})).await.is(204);
    b.stop().await;
}

#[tokio::test]
async fn a_member_accepts_what_is_shared() {
    let b = start(1 << 30, None).await;
    let image = b.make("p", json!({"name": "shared"})).await;
    let (members, q) = (format!("{image}/members"), format!("{image}/members/q"));
    b.get("q", &image).await.is(404);
    b.send("p", "POST", &members, json!({})).await.is(400);
    b.send("p", "POST", &members, json!({"member": "q"})).await.is(200);
    b.send("p", "POST", &members, json!({"member": "q"})).await.is(409);
    b.send("p", "POST", &members, json!({"member": "r"})).await.is(200);
    b.get("q", &image).await.is(200);
    assert!(names(&b, "q", "").await.is_empty(), "not before it is accepted");
    assert_eq!(names(&b, "q", "?member_status=pending&visibility=shared").await, ["shared"]);
    b.send("p", "PUT", &q, json!({"status": "accepted"})).await.is(403);
    b.send("r", "PUT", &q, json!({"status": "accepted"})).await.is(403);
    b.send("q", "PUT", &q, json!({"status": "fine"})).await.is(400);
    assert_eq!(
        b.send("q", "PUT", &q, json!({"status": "accepted"})).await.is(200).json()["status"],
        "accepted"
    );
    assert_eq!(names(&b, "q", "").await, ["shared"]);
    assert_eq!(b.get("q", &members).await.json()["members"].as_array().unwrap().len(), 1);
    b.get("q", &format!("{members}/r")).await.is(404);
    b.send("q", "DELETE", &image, json!({})).await.is(403);
    b.send("q", "POST", &members, json!({"member": "s"})).await.is(403);
    b.send("p", "DELETE", &q, json!({})).await.is(204);
    b.send("p", "DELETE", &q, json!({})).await.is(404);
    b.get("q", &image).await.is(404);
    b.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let b = start(1 << 30, None).await;
    for name in ["a", "b", "c", "d"] {
        let image = b.make("p", json!({"name": name, "k": name, "tags": [name]})).await;
        if name == "d" {
            b.upload("p", &image, b"good data").await.is(204);
        }
    }
    for (query, wanted) in [
        ("?name=a", vec!["a"]),
        ("?name=in:a,b", vec!["a", "b"]),
        ("?tag=c", vec!["c"]),
        ("?k=b", vec!["b"]),
        ("?status=active", vec!["d"]),
        ("?size_min=5", vec!["d"]),
        ("?created_at=gt:2200-01-01T00:00:00Z", vec![]),
        ("?created_at=lt:2200-01-01T00:00:00Z&tag=a", vec!["a"]),
        ("?os_hidden=true", vec![]),
    ] {
        assert_eq!(names(&b, "p", query).await, wanted, "{query}");
    }
    b.get("p", "/v2/images/").await.is(404);
    b.send("p", "DELETE", "/v2/images/", json!({})).await.is(404);
    b.send("p", "DELETE", "/v2/images", json!({})).await.is(405);
    for bad in ["?limit=-1", "?sort_key=x", "?visibility=x", "?size_min=x", "?marker=x", "?created_at=gt:x"] {
        b.get("p", &format!("/v2/images{bad}")).await.is(400);
    }
    let mut next = "/v2/images?limit=3&sort=name:asc".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = b.get("p", &next).await.is(200).json();
        seen.extend(page["images"].as_array().unwrap().iter().map(|i| i["name"].clone()));
        match page["next"].as_str() {
            Some(link) => next = link.to_owned(),
            None => break,
        }
    }
    assert_eq!(json!(seen), json!(["a", "b", "c", "d"]));
    b.stop().await;
}
