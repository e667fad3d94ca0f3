//! What a request for a server may not say, and Nova's words for it.

use serde_json::{Value, json};

use crate::bench::{at, start};

#[tokio::test]
async fn bad_servers_are_refused_and_nothing_is_made() {
    let b = start().await;
    let lan = b.lan("alice", "lan").await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    let nic = |more: Value| json!({"networks": [more]});
    for (more, status, said) in [
        (json!({"name": ""}), 400, "Invalid input for field/attribute name. Value: . '' is too short"),
        (json!({"name": "x".repeat(256)}), 400, "is too long"),
        (
            json!({"name": 5}),
            400,
            "Invalid input for field/attribute name. Value: 5. 5 is not of type 'string'",
        ),
        (
            json!({"name": null}),
            400,
            "Invalid input for field/attribute name. Value: None. None is not of type 'string'",
        ),
        (json!({"name": "a\u{0}"}), 400, "NUL"),
        (json!({"foo": 1}), 400, "Additional properties are not allowed ('foo' was unexpected)"),
        (json!({"flavorRef": "99"}), 400, "Flavor 99 could not be found."),
        (json!({"flavorRef": {}}), 400, "Invalid input for field/attribute flavorRef. Value: {}."),
        (json!({"imageRef": "no"}), 400, "Invalid imageRef provided."),
        (json!({"imageRef": nobody}), 400, "Image 00000000-0000-4000-8000-000000000000 could not be found."),
        (json!({"key_name": "none"}), 400, "Invalid key_name provided."),
        (
            json!({"metadata": {"a": 1}}),
            400,
            "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'",
        ),
        (json!({"metadata": {"a": "x".repeat(256)}}), 400, "is too long"),
        (json!({"metadata": {"x".repeat(256): "a"}}), 400, "was unexpected)"),
        (
            json!({"metadata": []}),
            400,
            "Invalid input for field/attribute metadata. Value: []. [] is not of type 'object'",
        ),
        (
            json!({"min_count": 0}),
            400,
            "Invalid input for field/attribute min_count. Value: 0. 0 is less than the minimum of 1",
        ),
        (json!({"min_count": -1}), 400, "-1 is less than the minimum of 1"),
        (
            json!({"max_count": "x"}),
            400,
            "Invalid input for field/attribute max_count. Value: x. 'x' does not match '^[0-9]*$'",
        ),
        (json!({"min_count": 3, "max_count": 2}), 400, "min_count must be <= max_count"),
        (json!({"user_data": "not base64!"}), 400, "is not a 'base64'"),
        (json!({"user_data": "YQ==".repeat(20_000)}), 400, "is too long"),
        (json!({"availability_zone": "mars"}), 400, "The requested availability zone is not available"),
        (
            json!({"security_groups": [{"name": "none"}]}),
            400,
            "Security group none not found for project alice.",
        ),
        (json!({"OS-DCF:diskConfig": "SOMETIMES"}), 400, "is not one of ['AUTO', 'MANUAL']"),
        (json!({"accessIPv4": "::1"}), 400, "'::1' is not a 'ipv4'"),
        (
            json!({"config_drive": "perhaps"}),
            400,
            "Invalid input for field/attribute config_drive. Value: perhaps.",
        ),
        (json!({"networks": "some"}), 400, "'some' is not valid under any of the given schemas"),
        (nic(json!({})), 400, "'uuid' is a required property"),
        (
            nic(json!({"uuid": "x"})),
            400,
            "Invalid input for field/attribute uuid. Value: x. 'x' is not a 'uuid'",
        ),
        (
            nic(json!({"uuid": nobody})),
            400,
            "Network 00000000-0000-4000-8000-000000000000 could not be found.",
        ),
        (nic(json!({"uuid": lan, "fixed_ip": "10.0.0.300"})), 400, "10.0.0.300"),
        (
            nic(json!({"uuid": lan, "fixed_ip": "10.1.0.3"})),
            400,
            "Fixed IP 10.1.0.3 is not a valid ip address for network",
        ),
        (
            nic(json!({"uuid": lan, "x": 1})),
            400,
            "Additional properties are not allowed ('x' was unexpected)",
        ),
        (json!({"tags": ["a/b"]}), 400, "a/b"),
        (json!({"imageRef": ""}), 501, "Booting from a volume is not built yet."),
    ] {
        let refused = b.post("alice", "/servers", b.server("s", more.clone())).await;
        assert_eq!(refused.status, status, "{more}: {}", refused.body);
        assert!(refused.message().contains(said), "{more}: {}", refused.body);
    }
    for (body, said) in [
        (json!({}), "'server' is a required property"),
        (json!([]), "[] is not of type 'object'"),
        (
            json!({"server": []}),
            "Invalid input for field/attribute server. Value: []. [] is not of type 'object'",
        ),
        (
            json!({"server": {"imageRef": b.image, "flavorRef": "1", "networks": "none"}}),
            "'name' is a required property",
        ),
        (
            json!({"server": {"name": "s", "imageRef": b.image, "networks": "none"}}),
            "'flavorRef' is a required property",
        ),
        (
            json!({"server": {"name": "s", "imageRef": b.image, "flavorRef": "1"}}),
            "'networks' is a required property",
        ),
        (json!({"server": {}, "more": 1}), "Additional properties are not allowed ('more' was unexpected)"),
    ] {
        let refused = b.post("alice", "/servers", body.clone()).await.is(400);
        assert!(refused.message().contains(said), "{body}: {}", refused.body);
    }
    let broken = b.raw("alice", "POST", "/compute/v2.1/servers", &at("2.79"), b"{\"server\": ").await.is(400);
    assert!(broken.message().starts_with("Malformed request body"), "{}", broken.body);
    let list = b.get("alice", "/servers").await.is(200).json();
    assert_eq!(list, json!({"servers": []}));
    let used = b.get("alice", "/limits").await.is(200).json();
    assert_eq!(used["limits"]["absolute"]["totalInstancesUsed"], 0);
    b.stop().await;
}

#[tokio::test]
async fn an_image_that_does_not_fit_its_flavor_is_refused() {
    let b = start().await;
    let body = json!({"flavor": {"id": "f", "name": "f", "ram": 64, "vcpus": 1, "disk": 1}}).to_string();
    b.raw("admin", "POST", "/compute/v2.1/flavors", "", body.as_bytes()).await.is(200);
    let patch = json!([{"op": "replace", "path": "/min_ram", "value": 128}]).to_string();
    let media = "Content-Type: application/openstack-images-v2.1-json-patch\r\n";
    let path = format!("/image/v2/images/{}", b.image);
    b.raw("admin", "PATCH", &path, media, patch.as_bytes()).await.is(200);
    let refused = b.post("alice", "/servers", b.server("s", json!({"flavorRef": "f"}))).await.is(400);
    assert_eq!(refused.message(), "Flavor's memory is too small for requested image.");
    let patch = json!([
        {"op": "replace", "path": "/min_ram", "value": 0},
        {"op": "replace", "path": "/min_disk", "value": 2},
    ]);
    b.raw("admin", "PATCH", &path, media, patch.to_string().as_bytes()).await.is(200);
    let refused = b.post("alice", "/servers", b.server("s", json!({"flavorRef": "f"}))).await.is(400);
    assert!(
        refused.message().starts_with("Flavor's disk is too small for requested image."),
        "{}",
        refused.body
    );
    b.stop().await;
}
