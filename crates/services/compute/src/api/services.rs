//! Nova's services and zones: here one program plays all parts.

use pileus_base::{Result, Time};
use pileus_http::{Reply, Version};
use serde_json::{Value, json};

use super::{Call, hypervisors::name_id};
use crate::wire::mv;

/// `GET /os-services`
pub async fn index(call: Call) -> Result<Reply> {
    let host = &call.state.facts.hostname;
    let parts = ["nova-conductor", "nova-scheduler", "nova-compute"];
    let list: Vec<Value> = (1..)
        .zip(parts)
        .filter(|(_, binary)| call.query.get("binary").is_none_or(|b| b == *binary))
        .filter(|_| call.query.get("host").is_none_or(|h| h == host))
        .map(|(n, binary)| {
            let mut view = json!({
                "id": if call.version >= mv::UUID_IDS { json!(name_id(binary, host)) } else { json!(n) },
                "binary": binary,
                "host": host,
                "zone": if binary == "nova-compute" { "nova" } else { "internal" },
                "status": "enabled",
                "state": "up",
                "disabled_reason": null,
                "updated_at": Time::now().micros(),
            });
            if call.version >= Version(2, 11) {
                view["forced_down"] = json!(false);
            }
            view
        })
        .collect();
    Reply::ok(&json!({"services": list}))
}

/// `GET /os-availability-zone`
pub async fn zones(_: Call) -> Result<Reply> {
    Reply::ok(&json!({"availabilityZoneInfo": [
        {"zoneName": "nova", "zoneState": {"available": true}, "hosts": null},
    ]}))
}

/// `GET /os-availability-zone/detail`
pub async fn zones_detail(call: Call) -> Result<Reply> {
    let host = call.state.facts.hostname.as_str();
    let now = Time::now().micros();
    let up = json!({"available": true, "active": true, "updated_at": now});
    Reply::ok(&json!({"availabilityZoneInfo": [
        {"zoneName": "internal", "zoneState": {"available": true},
         "hosts": {host: {"nova-conductor": up.clone(), "nova-scheduler": up.clone()}}},
        {"zoneName": "nova", "zoneState": {"available": true}, "hosts": {host: {"nova-compute": up}}},
    ]}))
}
