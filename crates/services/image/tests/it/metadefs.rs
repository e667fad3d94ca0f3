//! The metadata definitions catalog, as Tempest walks it.

use serde_json::{Value, json};

use crate::bench::start;

const ROOT: &str = "/v2/metadefs/namespaces";

#[tokio::test]
async fn namespaces_come_and_go() {
    let b = start(1 << 30, None).await;
    let types = b.get("reader", "/v2/metadefs/resource_types").await.is(200).json();
    let first = types["resource_types"][0]["name"].as_str().unwrap().to_owned();
    let body = json!({"namespace": "n", "visibility": "public", "display_name": "N", "protected": true,
        "resource_type_associations": [{"name": first}], "tags": [{"name": "t"}],
        "properties": {"p": {"title": "P", "type": "string"}}});
    b.send("p", "POST", ROOT, body.clone()).await.is(403);
    b.send("admin", "POST", ROOT, body.clone()).await.is(201);
    b.send("admin", "POST", ROOT, body).await.is(409);
    for bad in [
        json!({}),
        json!({"namespace": ""}),
        json!({"namespace": 1}),
        json!({"namespace": "x", "visibility": "x"}),
    ] {
        b.send("admin", "POST", ROOT, bad).await.is(400);
    }
    b.send("admin", "POST", ROOT, json!({"namespace": "hidden"})).await.is(201);
    let list = b.get("reader", ROOT).await.is(200).json();
    assert_eq!(list["namespaces"].as_array().unwrap().len(), 1);
    b.get("reader", &format!("{ROOT}/hidden")).await.is(404);
    assert_eq!(b.get("admin", ROOT).await.json()["namespaces"].as_array().unwrap().len(), 2);
    let page = b.get("admin", &format!("{ROOT}?limit=1")).await.is(200).json();
    let next = b.get("admin", page["next"].as_str().unwrap()).await.is(200).json();
    assert_ne!(page["namespaces"][0]["namespace"], next["namespaces"][0]["namespace"]);
    let n = format!("{ROOT}/n");
    let shown = b.get("reader", &n).await.is(200).json();
    assert_eq!(shown["resource_type_associations"][0]["name"], first);
    assert_eq!(shown["properties"]["p"]["title"], "P");
    b.send("admin", "DELETE", &n, json!({})).await.is(403);
    let renamed = json!({"namespace": "m", "visibility": "private", "protected": false});
    let shown = b.send("admin", "PUT", &n, renamed).await.is(200).json();
    assert_eq!((&shown["visibility"], &shown["protected"]), (&json!("private"), &json!(false)));
    b.get("admin", &n).await.is(404);
    b.send("admin", "PUT", &format!("{ROOT}/m"), json!({"namespace": "hidden"})).await.is(409);
    b.send("admin", "DELETE", &format!("{ROOT}/m"), json!({})).await.is(204);
    b.get("admin", &format!("{ROOT}/m")).await.is(404);
    b.stop().await;
}

#[tokio::test]
async fn what_stands_in_them_is_kept() {
    let b = start(1 << 30, None).await;
    b.send("admin", "POST", ROOT, json!({"namespace": "n", "visibility": "public"})).await.is(201);
    let at = |path: &str| format!("{ROOT}/n{path}");
    let property =
        |name: &str, title: &str| json!({"name": name, "title": title, "type": "string", "enum": ["a"]});
    for (section, one, other) in [
        ("objects", json!({"name": "OS::A"}), json!({"name": "b", "description": "B"})),
        ("properties", property("OS::A", "A"), property("b", "B")),
    ] {
        let (all, first, second) =
            (at(&format!("/{section}")), at(&format!("/{section}/OS::A")), at(&format!("/{section}/b")));
        b.send("p", "POST", &all, one.clone()).await.is(403);
        b.send("admin", "POST", &all, json!({})).await.is(400);
        assert_eq!(b.send("admin", "POST", &all, one.clone()).await.is(201).json()["name"], "OS::A");
        b.send("admin", "POST", &all, one.clone()).await.is(409);
        b.get("reader", &first).await.is(200);
        let changed = b.send("admin", "PUT", &first, other.clone()).await.is(200).json();
        assert_eq!(changed["name"], "b");
        b.get("reader", &first).await.is(404);
        b.send("admin", "POST", &all, one).await.is(201);
        b.send("admin", "PUT", &first, other).await.is(409);
        b.send("admin", "DELETE", &second, json!({})).await.is(204);
        b.send("admin", "DELETE", &second, json!({})).await.is(404);
        let left = b.get("reader", &all).await.is(200).json();
        let names = left[section].to_string();
        assert!(names.contains("OS::A") && !names.contains("\"b\""), "{left}");
        b.send("admin", "DELETE", &all, json!({})).await.is(204);
        let left = b.get("reader", &all).await.is(200).json();
        assert!(left[section] == json!([]) || left[section] == json!({}), "{left}");
    }
    b.send("admin", "POST", &at("/properties"), json!({"name": "x", "title": "X", "type": "thing"}))
        .await
        .is(400);

    let tags = json!({"tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    assert_eq!(b.send("admin", "POST", &at("/tags"), tags).await.is(201).json()["tags"][2]["name"], "c");
    b.send("admin", "POST", &at("/tags/d"), Value::Null).await.is(201);
    b.send("admin", "POST", &at("/tags/d"), Value::Null).await.is(409);
    assert_eq!(
        b.send("admin", "PUT", &at("/tags/d"), json!({"name": "e"})).await.is(200).json()["name"],
        "e"
    );
    b.send("admin", "DELETE", &at("/tags/e"), json!({})).await.is(204);
    assert_eq!(b.get("reader", &at("/tags")).await.json()["tags"].as_array().unwrap().len(), 3);
    b.send("admin", "DELETE", &at("/tags"), json!({})).await.is(204);
    assert_eq!(b.get("reader", &at("/tags")).await.json()["tags"], json!([]));

    let association = json!({"name": "OS::My::Thing", "prefix": "my_"});
    b.send("admin", "POST", &at("/resource_types"), association).await.is(201);
    let all = b.get("reader", &at("/resource_types")).await.is(200).json();
    assert_eq!(all["resource_type_associations"][0]["prefix"], "my_");
    assert!(b.get("reader", "/v2/metadefs/resource_types").await.body.contains("OS::My::Thing"));
    b.send("admin", "DELETE", &at("/resource_types/OS::My::Thing"), json!({})).await.is(204);
    assert_eq!(b.get("reader", &at("/resource_types")).await.json()["resource_type_associations"], json!([]));
    for (word, name) in [
        ("namespace", "namespace"),
        ("namespaces", "namespaces"),
        ("resource_type", "resource_type_association"),
        ("resource_types", "resource_type_associations"),
        ("object", "object"),
        ("objects", "objects"),
        ("property", "property"),
        ("properties", "properties"),
        ("tag", "tag"),
        ("tags", "tags"),
    ] {
        let schema = b.get("reader", &format!("/v2/schemas/metadefs/{word}")).await.is(200).json();
        assert_eq!(schema["name"], name);
    }
    b.stop().await;
}
