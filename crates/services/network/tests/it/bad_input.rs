//! What is refused, and in which words.

use serde_json::{Value, json};

use crate::bench::start;

#[tokio::test]
async fn bad_networks_and_subnets_are_refused() {
    let b = start().await;
    let (net, subnet) = b.lan("alice", json!({"name": "lan"})).await;
    for (body, status, kind) in [
        (json!({"network": {"foo": 1}}), 400, "HTTPBadRequest"),
        (json!({"network": {"name": 5}}), 400, "HTTPBadRequest"),
        (json!({"network": {"name": "x".repeat(256)}}), 400, "HTTPBadRequest"),
        (json!({"network": {"mtu": 10}}), 400, "HTTPBadRequest"),
        (json!({"network": {"shared": true}}), 403, "PolicyNotAuthorized"),
        (json!({"network": {"project_id": "bob"}}), 403, "AdminRequired"),
        (json!({"network": []}), 400, "HTTPBadRequest"),
        (json!({"net": {}}), 400, "HTTPBadRequest"),
        (json!([]), 400, "HTTPBadRequest"),
    ] {
        let answer = b.post("alice", "networks", body.clone()).await;
        assert_eq!((answer.status, answer.kind().as_str()), (status, kind), "{body}: {}", answer.body);
    }
    let subnet_with = |more: Value| {
        let mut body = json!({"network_id": net, "ip_version": 4, "cidr": "10.1.0.0/24"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"subnet": body})
    };
    let pool = |from: &str, to: &str| json!({"start": from, "end": to});
    for (more, status, kind) in [
        (json!({"cidr": "10.1.0.0/33"}), 400, "HTTPBadRequest"),
        (json!({"cidr": "no"}), 400, "HTTPBadRequest"),
        (json!({"cidr": null}), 400, "BadRequest"),
        (json!({"cidr": "10.0.0.128/25"}), 400, "InvalidInput"),
        (json!({"cidr": "10.0.0.0/8"}), 400, "InvalidInput"),
        (json!({"ip_version": 6}), 400, "InvalidInput"),
        (json!({"ip_version": 5}), 400, "HTTPBadRequest"),
        (json!({"ipv6_ra_mode": "slaac"}), 400, "InvalidInput"),
        (json!({"ip_version": 6, "cidr": "fd00::/80", "ipv6_address_mode": "slaac"}), 400, "InvalidInput"),
        (json!({"gateway_ip": "10.2.0.1"}), 400, "InvalidInput"),
        (json!({"gateway_ip": "fd00::1"}), 400, "InvalidInput"),
        (json!({"gateway_ip": "x"}), 400, "HTTPBadRequest"),
        (json!({"allocation_pools": [pool("10.1.0.9", "10.1.0.2")]}), 400, "InvalidAllocationPool"),
        (json!({"allocation_pools": [pool("10.1.0.9", "10.1.1.2")]}), 400, "OutOfBoundsAllocationPool"),
        (
            json!({"allocation_pools": [pool("10.1.0.1", "10.1.0.9")]}),
            409,
            "GatewayConflictWithAllocationPools",
        ),
        (
            json!({"allocation_pools": [pool("10.1.0.5", "10.1.0.9"), pool("10.1.0.9", "10.1.0.20")]}),
            409,
            "OverlappingAllocationPools",
        ),
        (json!({"allocation_pools": [{"start": "10.1.0.5"}]}), 400, "HTTPBadRequest"),
        (json!({"dns_nameservers": ["x"]}), 400, "HTTPBadRequest"),
        (json!({"host_routes": [{"destination": "x", "nexthop": "10.1.0.9"}]}), 400, "HTTPBadRequest"),
        (json!({"foo": 1}), 400, "HTTPBadRequest"),
        (json!({"network_id": "00000000-0000-4000-8000-000000000000"}), 404, "NetworkNotFound"),
    ] {
        let answer = b.post("alice", "subnets", subnet_with(more.clone())).await;
        assert_eq!((answer.status, answer.kind().as_str()), (status, kind), "{more}: {}", answer.body);
    }
    let one = format!("subnets/{subnet}");
    for (change, status) in [
        (json!({"gateway_ip": "192.168.0.1"}), 400),
        (json!({"gateway_ip": "fd00::1"}), 400),
        (json!({"gateway_ip": "10.0.0.7"}), 409),
        (json!({"cidr": "10.9.0.0/24"}), 400),
        (json!({"allocation_pools": [pool("10.0.0.2", "10.0.0.100")]}), 200),
        (json!({"gateway_ip": "10.0.0.254"}), 200),
    ] {
        let answer = b.put("alice", &one, json!({"subnet": change})).await;
        assert_eq!(answer.status, status, "{change}: {}", answer.body);
    }
    b.stop().await;
}

#[tokio::test]
async fn bad_ports_are_refused() {
    let b = start().await;
    let (net, subnet) = b.lan("alice", json!({})).await;
    let taken = json!({"network_id": net, "mac_address": "FA:16:3E:00:00:09", "fixed_ips": [{"ip_address": "10.0.0.9"}]});
    let port = b.make("alice", "port", taken).await;
    assert_eq!(port["mac_address"], "fa:16:3e:00:00:09");
    for (more, status, kind) in [
        (json!({"fixed_ips": [{"ip_address": "10.0.0.9"}]}), 409, "IpAddressAlreadyAllocated"),
        (json!({"fixed_ips": [{"ip_address": "10.9.0.9"}]}), 400, "InvalidIpForNetwork"),
        (json!({"fixed_ips": [{"ip_address": "10.9.0.9", "subnet_id": subnet}]}), 400, "InvalidIpForSubnet"),
        (json!({"fixed_ips": [{"ip_address": "10.0.0.255"}]}), 400, "InvalidIpForSubnet"),
        (json!({"fixed_ips": [{"ip_address": "10.0.0.300"}]}), 400, "HTTPBadRequest"),
        (json!({"fixed_ips": [{}]}), 400, "HTTPBadRequest"),
        (json!({"fixed_ips": "10.0.0.4"}), 400, "HTTPBadRequest"),
        (
            json!({"fixed_ips": [{"subnet_id": "00000000-0000-4000-8000-000000000000"}]}),
            404,
            "SubnetNotFound",
        ),
        (json!({"mac_address": "fa:16:3e:00:00:09"}), 409, "MacAddressInUse"),
        (json!({"mac_address": "fa:16"}), 400, "HTTPBadRequest"),
        (json!({"mac_address": "+a:16:3e:00:00:01"}), 400, "HTTPBadRequest"),
        (json!({"security_groups": ["x"]}), 400, "HTTPBadRequest"),
        (json!({"security_groups": ["00000000-0000-4000-8000-000000000000"]}), 404, "SecurityGroupNotFound"),
        (
            json!({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:09"}]}),
            400,
            "AddressPairMissingIP",
        ),
        (json!({"dns_name": "a b"}), 400, "HTTPBadRequest"),
        (json!({"dns_name": "a\nb"}), 400, "HTTPBadRequest"),
        (json!({"dns_name": "-a"}), 400, "HTTPBadRequest"),
        (json!({"binding:host_id": "h"}), 403, "PolicyNotAuthorized"),
        (json!({"foo": 1}), 400, "HTTPBadRequest"),
    ] {
        let mut body = json!({"network_id": net});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = b.post("alice", "ports", json!({"port": body})).await;
        assert_eq!((answer.status, answer.kind().as_str()), (status, kind), "{more}: {}", answer.body);
    }
    // Nothing of what was refused is left.
    assert_eq!(b.get("alice", "ports").await.is(200).json()["ports"].as_array().unwrap().len(), 2);
    b.stop().await;
}

#[tokio::test]
async fn bad_rules_are_refused() {
    let b = start().await;
    let group = crate::bench::id(&b.make("alice", "security_group", json!({"name": "web"})).await);
    let tcp = json!({"protocol": "tcp", "port_range_min": 80, "port_range_max": 80});
    for (more, status) in [
        (tcp.clone(), 201),
        (tcp, 409),
        (json!({"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}), 400),
        (json!({"protocol": "tcp", "port_range_min": 70000, "port_range_max": 70000}), 400),
        (json!({"port_range_min": 80, "port_range_max": 80}), 400),
        (json!({"protocol": "icmp", "port_range_max": 1}), 400),
        (json!({"protocol": "icmp", "port_range_min": 256}), 400),
        (json!({"protocol": "300"}), 400),
        (json!({"ethertype": "IPv5"}), 400),
        (json!({"direction": "up"}), 400),
        (json!({"remote_ip_prefix": "10.0.0.0/40"}), 400),
        (json!({"remote_ip_prefix": "fd00::/64"}), 400),
        (json!({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": group}), 400),
        (json!({"remote_group_id": "00000000-0000-4000-8000-000000000000"}), 404),
        (json!({"foo": 1}), 400),
    ] {
        let mut body = json!({"security_group_id": group, "direction": "ingress"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = b.post("alice", "security-group-rules", json!({"security_group_rule": body})).await;
        assert_eq!(answer.status, status, "{more}: {}", answer.body);
    }
    let used = |v: Value| {
        (v["quota"]["security_group_rule"]["used"].clone(), v["quota"]["security_group"]["used"].clone())
    };
    let details = b.get("alice", "quotas/alice/details.json").await.is(200).json();
    assert_eq!(used(details), (json!(7), json!(2)), "four and two made by themselves, and one");
    b.delete("alice", &format!("security-groups/{group}")).await.is(204);
    let details = b.get("alice", "quotas/alice/details.json").await.is(200).json();
    assert_eq!(used(details), (json!(4), json!(1)), "rules go with their group");
    b.stop().await;
}
