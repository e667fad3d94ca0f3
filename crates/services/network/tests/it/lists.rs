//! Many at once, and many on several pages.

use serde_json::json;

use crate::bench::start;

#[tokio::test]
async fn a_bulk_create_is_all_or_nothing() {
    let b = start().await;
    let two = json!({"networks": [{"name": "a"}, {"name": "b"}]});
    assert_eq!(
        b.post("alice", "networks", two).await.is(201).json()["networks"].as_array().unwrap().len(),
        2
    );
    let bad = json!({"networks": [{"name": "c"}, {"name": "d", "shared": true}]});
    b.post("alice", "networks", bad).await.is(403);
    b.post("alice", "networks", json!({"networks": []})).await.is(400);
    let (net, _) = b.lan("alice", json!({"name": "lan"})).await;
    let same = json!({"network_id": net, "fixed_ips": [{"ip_address": "10.0.0.50"}]});
    b.post("alice", "ports", json!({"ports": [same, same]})).await.is(409);
    assert_eq!(b.get("alice", "networks").await.json()["networks"].as_array().unwrap().len(), 3);
    let used = b.get("alice", "quotas/alice/details.json").await.is(200).json();
    assert_eq!((&used["quota"]["network"]["used"], &used["quota"]["port"]["used"]), (&json!(3), &json!(0)));
    b.put("admin", "quotas/alice", json!({"quota": {"network": 3}})).await.is(200);
    let over = b.post("alice", "networks", json!({"network": {}})).await.is(409);
    assert_eq!(over.json()["NeutronError"]["message"], "Quota exceeded for resources: ['network'].");
    b.stop().await;
}

#[tokio::test]
async fn pages_follow_one_another() {
    let b = start().await;
    let all: Vec<_> = (0..5).map(|n| json!({"name": format!("n{n}")})).collect();
    b.post("alice", "networks", json!({"networks": all})).await.is(201);
    let mut path = "networks?limit=2&sort_key=name&sort_dir=desc&fields=id&fields=name".to_owned();
    let mut names = Vec::new();
    loop {
        let page = b.get("alice", &path).await.is(200).json();
        for network in page["networks"].as_array().unwrap() {
            assert_eq!(network.as_object().unwrap().len(), 2);
            names.push(network["name"].as_str().unwrap().to_owned());
        }
        let links = page["networks_links"].as_array().cloned().unwrap_or_default();
        let Some(next) = links.iter().find(|l| l["rel"] == "next") else { break };
        let href = next["href"].as_str().unwrap();
        path = href.split_once("/v2.0/").unwrap().1.to_owned();
        assert!(names.len() <= 5, "pages go round in circles");
    }
    assert_eq!(names, ["n4", "n3", "n2", "n1", "n0"]);
    let by = |query: &'static str| async {
        b.get("alice", query).await.is(200).json()["networks"].as_array().unwrap().len()
    };
    assert_eq!(by("networks?name=n1&name=n2").await, 2);
    assert_eq!(by("networks?tenant_id=alice&shared=False").await, 5);
    assert_eq!(by("networks?admin_state_up=false").await, 0);
    b.get("alice", "networks?sort_key=nothing").await.is(400);
    b.get("alice", "networks?limit=x").await.is(400);
    b.stop().await;
}
