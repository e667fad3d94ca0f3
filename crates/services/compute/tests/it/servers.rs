//! Servers from their request to their end.

use serde_json::{Value, json};

use crate::bench::{at, each, id, start};

#[tokio::test]
async fn a_server_is_made_shown_changed_and_removed() {
    let mut b = start().await;
    let lan = b.lan("alice", "lan").await;
    let more = json!({"metadata": {"a": "1"}, "description": "mine", "tags": ["x"], "config_drive": true});
    let made = b.post("alice", "/servers", b.server("web", more)).await.is(202);
    let server = id(&made.json()["server"]);
    assert!(made.head.contains(&format!("location: http://cloud:1/compute/v2.1/servers/{server}")));
    assert_eq!(made.json()["server"]["adminPass"].as_str().unwrap().len(), 12);
    let shown = b.show("alice", &server).await;
    assert_eq!(shown["status"], "BUILD");
    assert_eq!(shown["OS-EXT-STS:task_state"], "spawning");
    assert_eq!(shown["progress"], 0);
    b.go();
    let shown = b.settled("alice", &server).await;
    assert_eq!(shown["status"], "ACTIVE");
    assert_eq!(shown["OS-EXT-STS:vm_state"], "active");
    assert_eq!(shown["OS-EXT-STS:power_state"], 1);
    assert_eq!(shown["metadata"], json!({"a": "1"}));
    assert_eq!((&shown["description"], &shown["tags"]), (&json!("mine"), &json!(["x"])));
    assert_eq!(shown["config_drive"], "True");
    assert_eq!(shown["flavor"]["original_name"], "m1.tiny");
    assert_eq!(shown["image"]["id"], b.image.as_str());
    assert_eq!(shown["addresses"]["lan"][0]["OS-EXT-IPS:type"], "fixed");
    assert_eq!(shown["security_groups"], json!([{"name": "default"}]));
    assert!(shown["OS-SRV-USG:launched_at"].is_string());
    assert!(shown.get("OS-EXT-SRV-ATTR:host").is_none(), "for administrators");
    let port = b.get("alice", &format!("/servers/{server}/os-interface")).await.is(200).json();
    assert_eq!(port["interfaceAttachments"][0]["net_id"], lan.as_str());

    let path = format!("/servers/{server}");
    let change = json!({"server": {"name": "www", "accessIPv4": "192.0.2.7", "description": null}});
    let changed = b.put("alice", &path, change).await.is(200).json();
    assert_eq!(changed["server"]["name"], "www");
    assert_eq!(changed["server"]["accessIPv4"], "192.0.2.7");
    assert_eq!(changed["server"]["description"], Value::Null);
    b.delete("alice", &path).await.is(204);
    b.gone("alice", &server).await;
    assert_eq!(
        b.delete("alice", &path).await.is(404).message(),
        format!("Instance {server} could not be found.")
    );
    b.stop().await;
}

#[tokio::test]
async fn many_servers_come_of_one_request() {
    let mut b = start().await;
    let asked = b.server("web", json!({"min_count": 2, "max_count": 3, "return_reservation_id": true}));
    let made = b.post("alice", "/servers", asked).await.is(202).json();
    assert!(made["reservation_id"].as_str().unwrap().starts_with("r-"));
    let list = b.get("alice", "/servers?sort_key=display_name&sort_dir=asc").await.is(200).json();
    assert_eq!(each(&list["servers"], "name"), ["web-1", "web-2", "web-3"]);
    // Seven are left of ten: fewer than asked for, but not fewer than the least.
    b.post("alice", "/servers", b.server("more", json!({"min_count": 5, "max_count": 20}))).await.is(202);
    let list = b.get("alice", "/servers?name=more").await.is(200).json();
    assert_eq!(list["servers"].as_array().unwrap().len(), 7);
    let refused = b.post("alice", "/servers", b.server("none", json!({}))).await.is(403);
    assert_eq!(
        refused.message(),
        "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
    );
    b.go();
    for server in each(&list["servers"], "id") {
        assert_eq!(b.settled("alice", server).await["status"], "ACTIVE");
        b.delete("alice", &format!("/servers/{server}")).await.is(204);
        b.gone("alice", server).await;
    }
    let limits = b.get("alice", "/limits").await.is(200).json();
    assert_eq!(limits["limits"]["absolute"]["totalInstancesUsed"], 3);
    b.stop().await;
}

#[tokio::test]
async fn cards_are_chosen_by_network_address_or_port() {
    let mut b = start().await;
    let lan = b.lan("alice", "lan").await;
    let fixed = b.make("alice", "fixed", json!({"networks": [{"uuid": lan, "fixed_ip": "10.0.0.77"}]})).await;
    let port =
        b.network("alice", "port", json!({"network_id": lan, "fixed_ips": [{"ip_address": "10.0.0.99"}]}));
    let port = id(&port.await);
    let with_port = b.make("alice", "with-port", json!({"networks": [{"port": port}, {"uuid": lan}]})).await;
    let none = b.make("alice", "none", json!({"networks": "none"})).await;
    b.go();
    let shown = b.settled("alice", &fixed).await;
    assert_eq!(each(&shown["addresses"]["lan"], "addr"), ["10.0.0.77"]);
    let shown = b.settled("alice", &with_port).await;
    let addresses = each(&shown["addresses"]["lan"], "addr");
    assert_eq!((addresses[0], addresses.len()), ("10.0.0.99", 2));
    assert_eq!(b.settled("alice", &none).await["addresses"], json!({}));
    for (nic, status, said) in [
        (
            json!({"uuid": lan, "fixed_ip": "10.0.0.77"}),
            400,
            "Fixed IP address 10.0.0.77 is already in use on instance",
        ),
        (
            json!({"uuid": lan, "fixed_ip": "10.9.9.9"}),
            400,
            "Fixed IP 10.9.9.9 is not a valid ip address for network",
        ),
        (json!({"port": port}), 409, "is still in use."),
        (json!({"port": lan}), 400, "could not be found."),
        (json!({"uuid": port}), 400, "could not be found."),
    ] {
        let asked = b.server("x", json!({"networks": [nic.clone()]}));
        let refused = b.post("alice", "/servers", asked).await;
        assert_eq!(refused.status, status, "{nic}: {}", refused.body);
        assert!(refused.message().contains(said), "{nic}: {}", refused.body);
    }
    // A port that was given stays, unbound; one that was made goes.
    b.delete("alice", &format!("/servers/{with_port}")).await.is(204);
    b.gone("alice", &with_port).await;
    let ports = b.raw("alice", "GET", "/networking/v2.0/ports?device_owner=", "", b"").await.is(200).json();
    assert_eq!(each(&ports["ports"], "id"), [port.as_str()]);
    // Two networks are no choice.
    b.lan("alice", "other").await;
    let refused = b.post("alice", "/servers", b.server("x", json!({}))).await.is(409);
    assert_eq!(refused.message(), "Multiple possible networks found, use a Network ID to be more specific.");
    b.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why_and_can_be_removed() {
    let simulate = pileus_agent::Simulate { failures_per_mille: 1000, ..Default::default() };
    let mut b = crate::bench::start_with(Default::default(), simulate).await;
    b.lan("alice", "lan").await;
    let server = b.make("alice", "s", json!({})).await;
    b.go();
    let shown = b.settled("alice", &server).await;
    assert_eq!(shown["status"], "ERROR");
    assert_eq!(shown["fault"]["code"], 500);
    assert!(shown["fault"].get("details").is_none());
    assert!(b.show("admin", &server).await["fault"]["details"].is_string());
    let actions = b.get("alice", &format!("/servers/{server}/os-instance-actions")).await.is(200).json();
    assert_eq!(actions["instanceActions"][0]["message"], "Error");
    b.delete("alice", &format!("/servers/{server}")).await.is(204);
    b.gone("alice", &server).await;
    let ports = b.raw("alice", "GET", "/networking/v2.0/ports?device_owner=compute:nova", "", b"").await;
    assert_eq!(ports.is(200).json()["ports"], json!([]));
    b.stop().await;
}

#[tokio::test]
async fn a_server_can_be_removed_while_it_is_made() {
    let simulate = pileus_agent::Simulate { latency_ms: 300, ..Default::default() };
    let mut b = crate::bench::start_with(Default::default(), simulate).await;
    b.go();
    let server = b.make("alice", "s", json!({"networks": "none"})).await;
    b.delete("alice", &format!("/servers/{server}")).await.is(204);
    let shown = b.get("alice", &format!("/servers/{server}")).await;
    if shown.status == 200 {
        assert_eq!(shown.json()["server"]["OS-EXT-STS:task_state"], "deleting");
    }
    b.gone("alice", &server).await;
    assert_eq!(pileus_host::Host::servers(&*b.host).await.unwrap(), []);
    b.stop().await;
}

#[tokio::test]
async fn metadata_and_tags_are_kept() {
    let b = start().await;
    let server = b.make("alice", "s", json!({"metadata": {"a": "1"}})).await;
    let path = format!("/servers/{server}/metadata");
    let merged = b.post("alice", &path, json!({"metadata": {"b": "2"}})).await.is(200).json();
    assert_eq!(merged, json!({"metadata": {"a": "1", "b": "2"}}));
    let set = b.put("alice", &format!("{path}/c"), json!({"meta": {"c": "3"}})).await.is(200).json();
    assert_eq!(set, json!({"meta": {"c": "3"}}));
    let refused = b.put("alice", &format!("{path}/c"), json!({"meta": {"d": "3"}})).await.is(400);
    assert_eq!(refused.message(), "Request body and URI mismatch");
    b.delete("alice", &format!("{path}/a")).await.is(204);
    assert_eq!(b.get("alice", &format!("{path}/a")).await.is(404).message(), "Metadata item was not found");
    b.put("alice", &path, json!({"metadata": {"z": "9"}})).await.is(200);
    assert_eq!(b.get("alice", &path).await.is(200).json(), json!({"metadata": {"z": "9"}}));

    let tags = format!("/servers/{server}/tags");
    b.put("alice", &tags, json!({"tags": ["red", "blue"]})).await.is(200);
    b.put("alice", &format!("{tags}/green"), Value::Null).await.is(201);
    b.put("alice", &format!("{tags}/green"), Value::Null).await.is(204);
    let list = b.get("alice", "/servers?tags=green,red").await.is(200).json();
    assert_eq!(each(&list["servers"], "id"), [server.as_str()]);
    b.get("alice", &format!("{tags}/red")).await.is(204);
    b.delete("alice", &format!("{tags}/red")).await.is(204);
    b.get("alice", &format!("{tags}/red")).await.is(404);
    b.delete("alice", &tags).await.is(204);
    assert_eq!(b.get("alice", &tags).await.is(200).json(), json!({"tags": []}));
    b.stop().await;
}

#[tokio::test]
async fn each_microversion_shows_its_own_fields() {
    let b = start().await;
    let server = b.make("alice", "s", json!({"networks": "none"})).await;
    let path = format!("/servers/{server}");
    let shown = async |token: &str, version: &str| {
        b.ask(token, version, "GET", &path, Value::Null).await.is(200).json()["server"].take()
    };
    for (since, field) in [
        ("2.9", "locked"),
        ("2.19", "description"),
        ("2.26", "tags"),
        ("2.63", "trusted_image_certificates"),
        ("2.71", "server_groups"),
        ("2.73", "locked_reason"),
    ] {
        let minor: u16 = since[2..].parse().unwrap();
        assert!(shown("alice", since).await.get(field).is_some(), "{field} at {since}");
        let before = format!("2.{}", minor - 1);
        assert!(shown("alice", &before).await.get(field).is_none(), "{field} at {before}");
    }
    assert!(shown("alice", "2.46").await["flavor"]["links"].is_array());
    assert_eq!(shown("alice", "2.47").await["flavor"]["vcpus"], 1);
    assert_eq!(shown("admin", "2.16").await["host_status"], "UP");
    assert_eq!(shown("admin", "2.3").await["OS-EXT-SRV-ATTR:root_device_name"], "/dev/vda");
    assert!(shown("alice", "2.3").await.get("OS-EXT-SRV-ATTR:root_device_name").is_none());
    let tooth = b.ask("alice", "2.999", "GET", &path, Value::Null).await.is(406);
    assert!(
        tooth.body.contains("Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.79.")
    );
    let bad = b.ask("alice", "two", "GET", &path, Value::Null).await.is(400);
    assert!(bad.body.contains("is of invalid format"), "{}", bad.body);
    let (full, legacy) = (format!("/compute/v2.1{path}"), "X-OpenStack-Nova-API-Version: 2.26\r\n");
    let old = b.raw("alice", "GET", &full, legacy, b"").await.is(200);
    assert!(old.json()["server"].get("tags").is_some());
    assert!(old.head.contains("x-openstack-nova-api-version: 2.26"), "{}", old.head);
    let latest = b.raw("alice", "GET", &format!("/compute/v2.1{path}"), &at("latest"), b"").await.is(200);
    assert!(latest.head.contains("openstack-api-version: compute 2.79"), "{}", latest.head);
    b.stop().await;
}
