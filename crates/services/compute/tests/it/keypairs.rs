//! Keypairs.

use serde_json::{Value, json};

use crate::bench::{each, start};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpHHe6jEX1QxVFQM2vFLTmSsWl8ZzYDXvZ0kRrFoHTG me";

#[tokio::test]
async fn keypairs_are_made_imported_listed_and_removed() {
    let b = start().await;
    let made = b.post("alice", "/os-keypairs", json!({"keypair": {"name": "made"}})).await.is(201).json();
    assert!(made["keypair"]["private_key"].as_str().unwrap().contains("PRIVATE KEY"));
    let asked = json!({"keypair": {"name": "mine", "public_key": KEY}});
    let imported = b.post("alice", "/os-keypairs", asked.clone()).await.is(201).json();
    assert!(imported["keypair"].get("private_key").is_none());
    assert_eq!(imported["keypair"]["fingerprint"].as_str().unwrap().len(), 47);
    assert_eq!(
        b.post("alice", "/os-keypairs", asked).await.is(409).message(),
        "Key pair 'mine' already exists."
    );
    let list = b.get("alice", "/os-keypairs").await.is(200).json();
    let names: Vec<_> = list["keypairs"].as_array().unwrap().iter().map(|k| &k["keypair"]["name"]).collect();
    assert_eq!(names, ["made", "mine"]);
    let page = b.get("alice", "/os-keypairs?limit=1").await.is(200).json();
    assert!(page["keypairs_links"][0]["href"].as_str().unwrap().contains("marker=made"));
    assert_eq!(b.get("alice", "/os-keypairs/mine").await.is(200).json()["keypair"]["user_id"], "alice");
    assert_eq!(b.get("bob", "/os-keypairs").await.is(200).json(), json!({"keypairs": []}));
    b.get("bob", "/os-keypairs?user_id=alice").await.is(403);
    let hers = b.get("admin", "/os-keypairs?user_id=alice").await.is(200).json();
    assert_eq!(hers["keypairs"].as_array().unwrap().len(), 2);
    b.delete("alice", "/os-keypairs/made").await.is(204);
    b.ask("alice", "2.1", "DELETE", "/os-keypairs/mine", Value::Null).await.is(202);
    let gone = b.get("alice", "/os-keypairs/mine").await.is(404);
    assert_eq!(gone.message(), "Keypair mine not found for user alice");
    let old =
        b.ask("alice", "2.1", "POST", "/os-keypairs", json!({"keypair": {"name": "old"}})).await.is(200);
    assert!(old.json()["keypair"].get("type").is_none());
    b.stop().await;
}

#[tokio::test]
async fn bad_keypairs_are_refused() {
    let b = start().await;
    for (pair, status, said) in [
        (
            json!({}),
            400,
            "Invalid input for field/attribute keypair. Value: {}. 'name' is a required property",
        ),
        (json!({"name": ""}), 400, "is too short"),
        (json!({"name": "x".repeat(256)}), 400, "is too long"),
        (json!({"name": 5}), 400, "5 is not of type 'string'"),
        (json!({"name": "a/b"}), 400, "Keypair data is invalid: Keypair name contains unsafe characters"),
        (
            json!({"name": "k", "public_key": "nonsense"}),
            400,
            "Keypair data is invalid: failed to generate fingerprint",
        ),
        (json!({"name": "k", "type": "pgp"}), 400, "'pgp' is not one of ['ssh', 'x509']"),
        (json!({"name": "k", "x": 1}), 400, "Additional properties are not allowed ('x' was unexpected)"),
    ] {
        let refused = b.post("alice", "/os-keypairs", json!({"keypair": pair.clone()})).await;
        assert_eq!(refused.status, status, "{pair}: {}", refused.body);
        assert!(refused.message().contains(said), "{pair}: {}", refused.body);
    }
    b.put("admin", "/os-quota-sets/alice", json!({"quota_set": {"key_pairs": 1}})).await.is(200);
    b.post("alice", "/os-keypairs", json!({"keypair": {"name": "a"}})).await.is(201);
    let refused = b.post("alice", "/os-keypairs", json!({"keypair": {"name": "b"}})).await.is(403);
    assert_eq!(refused.message(), "Quota exceeded, too many key pairs.");
    let list = b.get("alice", "/os-keypairs").await.is(200).json();
    assert_eq!(each(&json!([list["keypairs"][0]["keypair"]]), "name"), ["a"]);
    b.stop().await;
}
