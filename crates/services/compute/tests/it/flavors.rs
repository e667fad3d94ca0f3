//! Flavors, their extra specs, and quotas.

use serde_json::{Value, json};

use crate::bench::{each, start};

fn flavor(id: &str, more: Value) -> Value {
    let mut flavor = json!({"id": id, "name": id, "ram": 64, "vcpus": 1, "disk": 1});
    flavor.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"flavor": flavor})
}

#[tokio::test]
async fn flavors_are_made_listed_and_removed() {
    let b = start().await;
    let list = b.get("alice", "/flavors").await.is(200).json();
    assert_eq!(each(&list["flavors"], "name"), ["m1.tiny", "m1.small", "m1.medium", "m1.large", "m1.xlarge"]);
    b.post("alice", "/flavors", flavor("f", json!({}))).await.is(403);
    let made = b.post("admin", "/flavors", flavor("f", json!({"swap": 5, "description": "d"}))).await.is(200);
    let made = made.json()["flavor"].take();
    assert_eq!(
        (&made["swap"], &made["description"], &made["extra_specs"]),
        (&json!(5), &json!("d"), &json!({}))
    );
    let refused = b.post("admin", "/flavors", flavor("f", json!({}))).await.is(409);
    assert!(refused.message().starts_with("Flavor with"), "{}", refused.body);
    let specs = json!({"extra_specs": {"hw:cpu_policy": "shared", "quota:x": "1"}});
    b.post("admin", "/flavors/f/os-extra_specs", specs.clone()).await.is(200);
    assert_eq!(b.get("alice", "/flavors/f/os-extra_specs").await.is(200).json(), specs);
    b.put("admin", "/flavors/f/os-extra_specs/quota:x", json!({"quota:x": "2"})).await.is(200);
    let one = b.get("alice", "/flavors/f/os-extra_specs/quota:x").await.is(200).json();
    assert_eq!(one, json!({"quota:x": "2"}));
    b.put("alice", "/flavors/f/os-extra_specs/quota:x", json!({"quota:x": "3"})).await.is(403);
    b.delete("admin", "/flavors/f/os-extra_specs/quota:x").await.is(200);
    b.get("alice", "/flavors/f/os-extra_specs/quota:x").await.is(404);
    assert_eq!(
        b.get("alice", "/flavors/f").await.is(200).json()["flavor"]["extra_specs"]["hw:cpu_policy"],
        "shared"
    );
    let small = b.get("alice", "/flavors?minRam=2048&limit=1").await.is(200).json();
    assert_eq!(each(&small["flavors"], "name"), ["m1.small"]);
    // Taken with the server that it makes, so that its end changes nothing.
    let server = b.make("alice", "s", json!({"flavorRef": "f"})).await;
    b.delete("admin", "/flavors/f").await.is(202);
    assert_eq!(b.get("alice", "/flavors/f").await.is(404).message(), "Flavor f could not be found.");
    assert_eq!(b.show("alice", &server).await["flavor"]["original_name"], "f");
    b.post("admin", "/flavors", flavor("hidden", json!({"os-flavor-access:is_public": false}))).await.is(200);
    b.get("alice", "/flavors/hidden").await.is(404);
    let refused = b.post("alice", "/servers", b.server("x", json!({"flavorRef": "hidden"}))).await.is(400);
    assert_eq!(refused.message(), "Flavor hidden could not be found.");
    b.stop().await;
}

#[tokio::test]
async fn bad_flavors_are_refused() {
    let b = start().await;
    for (more, said) in [
        (json!({"vcpus": 0}), "0 is less than the minimum of 1"),
        (json!({"ram": -1}), "-1 is less than the minimum of 1"),
        (json!({"ram": "x"}), "'x' does not match '^[0-9]*$'"),
        (json!({"disk": 1u64 << 32}), "is greater than the maximum of 2147483647"),
        (json!({"name": ""}), "is too short"),
        (json!({"x": 1}), "Additional properties are not allowed ('x' was unexpected)"),
    ] {
        let refused = b.post("admin", "/flavors", flavor("f", more.clone())).await;
        assert_eq!(refused.status, 400, "{more}: {}", refused.body);
        assert!(refused.message().contains(said), "{more}: {}", refused.body);
    }
    b.stop().await;
}

#[tokio::test]
async fn quotas_bind() {
    let b = start().await;
    let set = json!({"quota_set": {"cores": 1, "ram": 600, "metadata_items": 1}});
    b.put("alice", "/os-quota-sets/alice", set.clone()).await.is(403);
    let set = b.put("admin", "/os-quota-sets/alice", set).await.is(200).json();
    assert_eq!((&set["quota_set"]["cores"], &set["quota_set"]["instances"]), (&json!(1), &json!(10)));
    let refused = b.post("alice", "/servers", b.server("x", json!({"flavorRef": "3"}))).await.is(403);
    assert_eq!(
        refused.message(),
        "Quota exceeded for cores, ram: Requested 2, 4096, but already used 0, 0 of 1, 600 cores, ram"
    );
    let asked = b.server("x", json!({"metadata": {"a": "1", "b": "2"}}));
    let refused = b.post("alice", "/servers", asked).await.is(403);
    assert!(refused.message().contains("Maximum number of metadata items exceeds 1"), "{}", refused.body);
    b.make("alice", "s", json!({})).await;
    let used = b.get("admin", "/os-quota-sets/alice/detail").await.is(200).json();
    assert_eq!(used["quota_set"]["ram"], json!({"limit": 600, "in_use": 512, "reserved": 0}));
    b.post("alice", "/servers", b.server("x", json!({}))).await.is(403);
    b.delete("admin", "/os-quota-sets/alice").await.is(202);
    b.make("alice", "t", json!({})).await;
    b.stop().await;
}
