//! Nova's services: what administrators say of them, and what follows.

use serde_json::{Value, json};

use crate::bench::{Bench, start};

/// `nova-compute` and `nova-conductor`, as they are listed.
async fn services(b: &Bench) -> (Value, Value) {
    let list = b.get("admin", "/os-services").await.is(200).json()["services"].take();
    let of = |name: &str| list.as_array().unwrap().iter().find(|s| s["binary"] == name).unwrap().clone();
    (of("nova-compute"), of("nova-conductor"))
}

#[tokio::test]
async fn a_disabled_host_takes_no_servers() {
    let mut b = start().await;
    b.go();
    let old = b.make("alice", "old", json!({"networks": "none"})).await;
    b.settled("alice", &old).await;
    let (compute, conductor) = services(&b).await;
    let path = format!("/os-services/{}", compute["id"].as_str().unwrap());
    b.put("alice", &path, json!({"status": "disabled"})).await.is(403);
    let off = json!({"status": "disabled", "disabled_reason": "mending"});
    let shown = b.put("admin", &path, off).await.is(200).json()["service"].take();
    assert_eq!((&shown["status"], &shown["disabled_reason"]), (&json!("disabled"), &json!("mending")));
    assert_eq!(services(&b).await.0["status"], "disabled");
    let host = b.get("admin", "/os-hypervisors").await.is(200).json()["hypervisors"][0].take();
    assert_eq!((&host["status"], &host["state"]), (&json!("disabled"), &json!("up")));
    let server = b.make("alice", "new", json!({"networks": "none"})).await;
    let shown = b.show("alice", &server).await;
    assert_eq!(shown["status"], "ERROR");
    assert_eq!(shown["fault"]["message"], "No valid host was found. ");
    // What is there already is served on.
    b.act("alice", &old, json!({"reboot": {"type": "HARD"}})).await.is(202);
    assert_eq!(b.settled("alice", &old).await["status"], "ACTIVE");
    b.put("admin", &path, json!({"status": "enabled"})).await.is(200);
    assert_eq!(services(&b).await.0["disabled_reason"], Value::Null);
    let down = b.put("admin", &path, json!({"forced_down": true})).await.is(200).json();
    assert_eq!((&down["service"]["state"], &down["service"]["forced_down"]), (&json!("down"), &json!(true)));
    b.put("admin", &path, json!({"forced_down": false})).await.is(200);
    let server = b.make("alice", "new", json!({"networks": "none"})).await;
    assert_eq!(b.settled("alice", &server).await["status"], "ACTIVE");

    let other = format!("/os-services/{}", conductor["id"].as_str().unwrap());
    let nobody = "/os-services/00000000-0000-4000-8000-000000000000".to_owned();
    for (path, body, status, said) in [
        (&path, json!({}), 400, "No updates were requested."),
        (&path, json!({"status": "off"}), 400, "'off' is not one of ['enabled', 'disabled']"),
        (&path, json!({"status": "enabled", "disabled_reason": "x"}), 400, "requires that status is"),
        (&path, json!({"x": 1}), 400, "Additional properties are not allowed"),
        (&other, json!({"status": "disabled"}), 400, "Updating a nova-conductor service is not supported."),
        (&nobody, json!({"status": "disabled"}), 404, "could not be found."),
        (&"/os-services/x".to_owned(), json!({"status": "disabled"}), 400, "Invalid uuid x"),
    ] {
        let refused = b.put("admin", path, body.clone()).await;
        assert_eq!(refused.status, status, "{path} {body}: {}", refused.body);
        assert!(refused.message().contains(said), "{path} {body}: {}", refused.body);
    }
    b.stop().await;
}

#[tokio::test]
async fn services_are_changed_in_the_old_way_too() {
    let b = start().await;
    let host = services(&b).await.0["host"].clone();
    let named = json!({"host": host, "binary": "nova-compute"});
    let put = async |version: &str, what: &str, body: Value| {
        b.ask("admin", version, "PUT", &format!("/os-services/{what}"), body).await
    };
    let mut reason = named.clone();
    reason["disabled_reason"] = json!("mending");
    let off = put("2.1", "disable-log-reason", reason).await.is(200).json();
    assert_eq!(off["service"]["status"], "disabled");
    assert_eq!(services(&b).await.0["disabled_reason"], "mending");
    assert_eq!(put("2.1", "enable", named.clone()).await.is(200).json()["service"]["status"], "enabled");
    put("2.1", "enable", json!({"host": "elsewhere", "binary": "nova-compute"})).await.is(404);
    put("2.1", "enable", json!({"host": host})).await.is(400);
    put("2.1", "dance", named.clone()).await.is(404);
    put("2.10", "force-down", named).await.is(404);
    b.stop().await;
}
