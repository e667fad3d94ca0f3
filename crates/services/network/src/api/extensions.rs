//! What this Neutron can: its extensions, agents and zones.

use pileus_base::{Error, Result, Time};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::{Call, list};

/// Alias and name of what works; the list names nothing else.
const EXTENSIONS: [(&str, &str); 23] = [
    ("agent", "agent"),
    ("allowed-address-pairs", "Allowed Address Pairs"),
    ("availability_zone", "Availability Zone"),
    ("binding", "Port Binding"),
    ("dns-integration", "DNS Integration"),
    ("external-net", "Neutron external network"),
    ("extra_dhcp_opt", "Neutron Extra DHCP options"),
    ("net-mtu", "Network MTU"),
    ("net-mtu-writable", "Network MTU (writable)"),
    ("network_availability_zone", "Network Availability Zone"),
    ("pagination", "Pagination support"),
    ("port-security", "Port Security"),
    ("project-id", "project_id field enabled"),
    ("provider", "Provider Network"),
    ("quota_details", "Quota details management support"),
    ("quotas", "Quota management support"),
    ("security-group", "security-group"),
    ("sorting", "Sorting support"),
    ("standard-attr-description", "standard-attr-description"),
    ("standard-attr-revisions", "Resource revision numbers"),
    ("standard-attr-tag", "Tag support for resources with standard attribute"),
    ("standard-attr-timestamp", "Resource timestamps"),
    ("stateful-security-group", "Stateful security group"),
];

fn all() -> impl Iterator<Item = Value> {
    EXTENSIONS.into_iter().map(|(alias, name)| {
        json!({"alias": alias, "name": name, "description": name, "updated": "2016-01-01T00:00:00-00:00", "links": []})
    })
}

/// `GET /extensions`
pub async fn index(_: Call) -> Result<Reply> {
    Reply::ok(&json!({"extensions": all().collect::<Vec<_>>()}))
}

/// `GET /extensions/{alias}`
pub async fn show(call: Call) -> Result<Reply> {
    let alias = call.param("alias");
    let found = all().find(|e| e["alias"] == alias);
    let found = found.ok_or_else(|| {
        Error::not_found(format!("Extension with alias {alias} does not exist")).code("HTTPNotFound")
    })?;
    Reply::ok(&json!({"extension": found}))
}

/// `GET /agents`: the one program, in its role as DHCP and metadata agent.
pub async fn agents(call: Call) -> Result<Reply> {
    if !call.ctx.is_admin() {
        return list::reply(&call, "agents", Vec::new());
    }
    let facts = call.state.host.facts().await?;
    let agent = |binary: &str, kind: &str| {
        let id =
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, format!("{binary}.{}", facts.hostname).as_bytes());
        json!({
            "id": id, "agent_type": kind, "binary": binary, "host": facts.hostname, "topic": "N/A", "alive": true,
            "admin_state_up": true, "availability_zone": "nova", "configurations": {}, "description": null,
            "created_at": Time::now().z(), "started_at": Time::now().z(), "heartbeat_timestamp": Time::now().z(),
            "resources_synced": null,
        })
    };
    let agents =
        vec![agent("neutron-dhcp-agent", "DHCP agent"), agent("neutron-metadata-agent", "Metadata agent")];
    list::reply(&call, "agents", agents)
}

/// `GET /availability_zones`
pub async fn zones(call: Call) -> Result<Reply> {
    list::reply(
        &call,
        "availability_zones",
        vec![json!({"name": "nova", "resource": "network", "state": "available"})],
    )
}
