//! Whose things are whose.

use serde_json::{Value, json};

use crate::bench::{id, start};

#[tokio::test]
async fn anothers_things_are_not_there() {
    let b = start().await;
    assert_eq!(b.ask("", "GET", "/", "").await.status, 200);
    assert_eq!(b.get("", "networks").await.status, 401);
    let (net, subnet) = b.lan("alice", json!({})).await;
    let port = id(&b.make("alice", "port", json!({"network_id": net})).await);
    let group = id(&b.make("alice", "security_group", json!({"name": "web"})).await);
    for path in [
        format!("networks/{net}"),
        format!("subnets/{subnet}"),
        format!("ports/{port}"),
        format!("security-groups/{group}"),
    ] {
        let name = path.split('/').next().unwrap().trim_end_matches('s').replace('-', "_");
        b.get("bob", &path).await.is(404);
        b.delete("bob", &path).await.is(404);
        b.put("bob", &path, json!({name.as_str(): {"name": "mine"}})).await.is(404);
        b.put("bob", &format!("{path}/tags/x"), json!({})).await.is(404);
        b.delete("reader", &path).await.is(403);
        b.get("admin", &path).await.is(200);
        b.get("alice", &path).await.is(200);
    }
    for kind in ["networks", "subnets", "ports"] {
        assert_eq!(b.get("bob", kind).await.is(200).json()[kind], json!([]));
    }
    let bobs = id(&b.make("bob", "network", json!({})).await);
    for (path, body) in [
        ("ports", json!({"port": {"network_id": net}})),
        ("subnets", json!({"subnet": {"network_id": net, "ip_version": 4, "cidr": "10.7.0.0/24"}})),
        ("ports", json!({"port": {"network_id": bobs, "fixed_ips": [{"subnet_id": subnet}]}})),
        ("ports", json!({"port": {"network_id": bobs, "security_groups": [group]}})),
        (
            "security-group-rules",
            json!({"security_group_rule": {"security_group_id": group, "direction": "ingress"}}),
        ),
    ] {
        assert_eq!(b.post("bob", path, body.clone()).await.status, 404, "{body}");
    }
    assert_eq!(b.get("bob", "quotas/alice").await.status, 403);
    assert_eq!(b.get("alice", "agents").await.status, b.get("bob", "agents").await.status);
    b.get("alice", "routers").await.is(404);
    let seen = b.get("alice", &format!("ports/{port}")).await.json();
    assert_eq!(seen["port"].get("binding:host_id"), None);
    b.stop().await;
}

#[tokio::test]
async fn who_only_shares_a_network_cant_pretend_to_be_another() {
    let b = start().await;
    let (net, _) = b.lan("admin", json!({"shared": true})).await;
    let port = b.make("bob", "port", json!({"network_id": net})).await;
    let path = format!("ports/{}", id(&port));
    for more in [
        json!({"mac_address": "fa:16:3e:00:00:01"}),
        json!({"fixed_ips": [{"ip_address": "10.0.0.77"}]}),
        json!({"port_security_enabled": false}),
        json!({"allowed_address_pairs": [{"ip_address": "10.0.0.0/24"}]}),
        json!({"device_owner": "network:dhcp"}),
    ] {
        let mut body = json!({"network_id": net});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = b.post("bob", "ports", json!({"port": body})).await;
        assert_eq!((made.status, made.kind().as_str()), (403, "PolicyNotAuthorized"), "{more}");
        assert_eq!(b.put("bob", &path, json!({"port": more})).await.status, 403, "{more}");
    }
    b.put("bob", &path, json!({"port": {"name": "mine", "device_owner": "compute:x"}})).await.is(200);
    b.delete("bob", &format!("networks/{net}")).await.is(403);
    assert_eq!(b.delete("admin", &format!("networks/{net}")).await.is(409).kind(), "NetworkInUse");
    let ports: Value = b.get("bob", "ports").await.json();
    assert_eq!(ports["ports"].as_array().unwrap().len(), 1, "the others' aren't shown");
    b.stop().await;
}

#[tokio::test]
async fn the_default_group_is_made_once_and_stays() {
    let b = start().await;
    let list = b.get("alice", "security-groups").await.is(200).json();
    let group = list["security_groups"][0].clone();
    assert_eq!(
        (group["name"].as_str(), group["security_group_rules"].as_array().unwrap().len()),
        (Some("default"), 4)
    );
    b.post("alice", "security-groups", json!({"security_group": {"name": "default"}})).await.is(409);
    let path = format!("security-groups/{}", id(&group));
    b.delete("alice", &path).await.is(409);
    b.put("alice", &path, json!({"security_group": {"name": "other"}})).await.is(409);
    b.delete("admin", &path).await.is(204);
    b.stop().await;
}
