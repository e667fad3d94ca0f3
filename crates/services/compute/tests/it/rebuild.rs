//! A server made anew.

use serde_json::{Value, json};

use crate::bench::start;

#[tokio::test]
async fn a_server_is_made_anew_and_keeps_its_address() {
    let mut b = start().await;
    b.lan("alice", "lan").await;
    let server = b.make("alice", "s", json!({"metadata": {"a": "1"}, "user_data": "YQ=="})).await;
    let other = b.upload("other", &[1; 2048]).await;
    b.go();
    let before = b.settled("alice", &server).await;
    b.hold().await;
    let asked = json!({"rebuild": {
        "imageRef": other, "name": "t", "metadata": {"b": "2"}, "description": "new", "user_data": null,
        "adminPass": "secret", "accessIPv4": "192.0.2.1", "key_name": null,
    }});
    let answer = b.act("alice", &server, asked).await.is(202);
    assert!(answer.head.contains(&format!("/compute/v2.1/servers/{server}")));
    let shown = answer.json()["server"].take();
    assert_eq!((&shown["status"], &shown["adminPass"]), (&json!("REBUILD"), &json!("secret")));
    assert_eq!((&shown["name"], &shown["image"]["id"]), (&json!("t"), &json!(other)));
    assert_eq!((&shown["user_data"], &shown["key_name"]), (&Value::Null, &Value::Null));
    assert_eq!(b.show("alice", &server).await["OS-EXT-STS:task_state"], "rebuilding");
    let busy = b.act("alice", &server, json!({"rebuild": {"imageRef": other}})).await.is(409);
    assert_eq!(
        busy.message(),
        format!("Cannot 'rebuild' instance {server} while it is in task_state rebuilding")
    );
    b.go();
    let after = b.settled("alice", &server).await;
    assert_eq!((&after["status"], &after["OS-EXT-STS:power_state"]), (&json!("ACTIVE"), &json!(1)));
    assert_eq!((&after["metadata"], &after["description"]), (&json!({"b": "2"}), &json!("new")));
    assert_eq!(after["addresses"], before["addresses"]);
    // What is off stays off.
    b.act("alice", &server, json!({"os-stop": null})).await.is(202);
    b.settled("alice", &server).await;
    let old = json!({"rebuild": {"imageRef": b.image}});
    let path = format!("/servers/{server}/action");
    let answer = b.ask("alice", "2.1", "POST", &path, old).await.is(202).json();
    assert!(answer["server"].get("key_name").is_none());
    let after = b.settled("alice", &server).await;
    assert_eq!((&after["status"], &after["image"]["id"]), (&json!("SHUTOFF"), &json!(b.image)));
    b.act("alice", &server, json!({"os-start": null})).await.is(202);
    assert_eq!(b.settled("alice", &server).await["status"], "ACTIVE");
    b.stop().await;
}

#[tokio::test]
async fn bad_rebuilds_are_refused_and_nothing_is_lost() {
    let mut b = start().await;
    let server = b.make("alice", "s", json!({"networks": "none"})).await;
    b.go();
    let before = b.settled("alice", &server).await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (args, said) in [
        (json!({}), "'imageRef' is a required property"),
        (json!({"imageRef": "x"}), "'x' is not a 'uuid'"),
        (json!({"imageRef": nobody}), "Image 00000000-0000-4000-8000-000000000000 could not be found."),
        (json!({"imageRef": b.image, "name": ""}), "'' is too short"),
        (json!({"imageRef": b.image, "metadata": {"a": 1}}), "1 is not of type 'string'"),
        (json!({"imageRef": b.image, "key_name": "none"}), "Invalid key_name provided."),
        (json!({"imageRef": b.image, "user_data": "!"}), "is not a 'base64'"),
        (json!({"imageRef": b.image, "x": 1}), "Additional properties are not allowed ('x' was unexpected)"),
    ] {
        let refused = b.act("alice", &server, json!({"rebuild": args.clone()})).await.is(400);
        assert!(refused.message().contains(said), "{args}: {}", refused.body);
    }
    assert_eq!(b.show("alice", &server).await, before);
    b.act("alice", &server, json!({"pause": null})).await.is(202);
    b.settled("alice", &server).await;
    b.act("alice", &server, json!({"rebuild": {"imageRef": b.image}})).await.is(409);
    b.stop().await;
}
