//! Addresses, and what comes of a port on the host.

use std::time::Instant;

use pileus_base::{Ctx, ids::PortId};
use pileus_network::ports::{self, PortCreate};
use serde_json::json;

use crate::bench::{id, start};

#[tokio::test]
async fn addresses_come_from_the_pool_once_each() {
    let b = start().await;
    let net = id(&b.make("alice", "network", json!({})).await);
    let pool = json!([{"start": "10.0.0.10", "end": "10.0.0.12"}]);
    let asked = json!({"network_id": net, "ip_version": 4, "cidr": "10.0.0.0/24", "allocation_pools": pool});
    let subnet = id(&b.make("alice", "subnet", asked).await);
    let mut got = Vec::new();
    for _ in 0..2 {
        let port = b.make("alice", "port", json!({"network_id": net})).await;
        got.push(port["fixed_ips"][0]["ip_address"].as_str().unwrap().to_owned());
    }
    assert_eq!(got, ["10.0.0.11", "10.0.0.12"], "the first is the network's own");
    let full = b.post("alice", "ports", json!({"port": {"network_id": net}})).await.is(409);
    assert_eq!(full.kind(), "IpAddressGenerationFailure");
    // Outside the pool, but on the subnet; the one address isn't given twice to one port.
    let asked = json!({"network_id": net, "fixed_ips": [{"ip_address": "10.0.0.200"}]});
    let outside = b.make("alice", "port", asked).await;
    let twice = json!({"port": {"fixed_ips": [{"ip_address": "10.0.0.200"}, {"ip_address": "10.0.0.201"}]}});
    let path = format!("ports/{}", id(&outside));
    let both = b.put("alice", &path, twice).await.is(200).json();
    assert_eq!(both["port"]["fixed_ips"].as_array().unwrap().len(), 2);
    assert_eq!(b.delete("alice", &format!("subnets/{subnet}")).await.is(409).kind(), "SubnetInUse");
    b.delete("alice", &path).await.is(204);
    b.delete("alice", &path).await.is(404);
    b.stop().await;
}

#[tokio::test]
async fn a_given_and_a_free_address_of_one_port_differ() {
    let b = start().await;
    let (net, subnet) = b.lan("alice", json!({})).await;
    let asked = json!({"network_id": net, "fixed_ips": [{"ip_address": "10.0.0.3"}, {"subnet_id": subnet}]});
    let port = b.make("alice", "port", asked).await;
    assert_eq!(port["fixed_ips"][1]["ip_address"], "10.0.0.4");
    b.stop().await;
}

#[tokio::test]
async fn guests_on_slaac_have_the_address_of_their_mac() {
    let b = start().await;
    let (net, _) = b.lan("alice", json!({})).await;
    let asked = json!({"network_id": net, "ip_version": 6, "cidr": "fd00:1::/64", "ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"});
    b.make("alice", "subnet", asked).await;
    let port = b.make("alice", "port", json!({"network_id": net, "mac_address": "fa:16:3e:00:00:01"})).await;
    assert_eq!(port["fixed_ips"][1]["ip_address"], "fd00:1::f816:3eff:fe00:1");
    b.stop().await;
}

#[tokio::test]
async fn the_ten_thousandth_port_costs_what_the_first_did() {
    let b = start().await;
    let net = id(&b.make("admin", "network", json!({})).await);
    let asked = json!({"network_id": net, "ip_version": 4, "cidr": "10.0.0.0/16"});
    b.make("admin", "subnet", asked).await;
    b.put("admin", "quotas/admin", json!({"quota": {"port": -1}})).await.is(200);
    let network_id = net.parse().unwrap();
    let project = pileus_base::ids::ProjectId::from("admin");
    let mut took = Vec::new();
    for _ in 0..10 {
        let (begun, project) = (Instant::now(), project.clone());
        b.store
            .write(move |tx| {
                for _ in 0..1000 {
                    let asked =
                        PortCreate { network_id, project_id: Some(project.clone()), ..PortCreate::default() };
                    ports::create(tx, &Ctx::internal(), asked)?;
                }
                Ok(())
            })
            .await
            .unwrap();
        took.push(begun.elapsed());
    }
    println!("each thousand: {took:?}");
    assert!(took[9] < took[0] * 5, "it grows: {took:?}");
    b.stop().await;
}

#[tokio::test]
async fn a_port_is_brought_about_once_until_it_changes() {
    let b = start().await;
    let (net, _) = b.lan("alice", json!({})).await;
    let port: PortId = id(&b.make("alice", "port", json!({"network_id": net})).await).parse().unwrap();
    b.store
        .write(move |tx| ports::bind(tx, port, "server", "compute:nova", "host", Some("one")))
        .await
        .unwrap();
    let other = b.store.write(move |tx| ports::bind(tx, port, "other", "compute:nova", "host", None)).await;
    assert_eq!(other.unwrap_err().code_word(), Some("PortInUse"));
    b.networks.ensure_port(port).await.unwrap();
    b.networks.ensure_port(port).await.unwrap();
    let made = || (b.host.networks.lock().unwrap().len(), b.host.ports.lock().unwrap().len());
    assert_eq!(made(), (1, 1));
    let down = json!({"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}});
    b.put("alice", &format!("ports/{port}"), down).await.is(200);
    b.networks.ensure_port(port).await.unwrap();
    assert_eq!(b.host.ports.lock().unwrap().len(), 2);
    b.delete("alice", &format!("networks/{net}")).await.is(409);
    b.stop().await;
}
