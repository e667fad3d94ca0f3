//! Routes of networks.

mod change;
mod create;

use std::sync::Arc;

use pileus_base::{Error, Result, Scope};
use pileus_http::{Reply, Routes};
use pileus_store::{Query, Stored};
use serde_json::{Map, Value, json};

use super::{Call, Flags, SOCKET, body};
use crate::{Container, Docker, Network, events::rfc3339};

/// Adds the routes of networks.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table
        .get("/networks", SOCKET, list)
        .post("/networks/create", SOCKET, create::create)
        .post("/networks/prune", SOCKET, change::prune)
        .get("/networks/{id}", SOCKET, inspect)
        .delete("/networks/{id}", SOCKET, change::remove)
        .delete("/containers/{id}/{alias}", SOCKET, change::unlink)
        .post("/networks/{id}/connect", SOCKET, change::connect)
        .post("/networks/{id}/disconnect", SOCKET, change::disconnect)
}

/// All containers.
pub(super) async fn containers(docker: &Docker) -> Result<Vec<Stored<Container>>> {
    docker.store.read(|rd| rd.list::<Container>(&Scope::All, &Query::all())).await
}

/// A network as the API shows it, without its containers.
pub(super) fn view(n: &Network) -> Value {
    let ranges: Vec<Value> = n
        .subnets
        .iter()
        .map(|s| {
            let mut range = json!({"Subnet": s.subnet});
            if !s.gateway.is_unspecified() {
                range["Gateway"] = json!(s.gateway);
            }
            if let Some(part) = s.ip_range {
                range["IPRange"] = json!(part);
            }
            if !s.auxiliary.is_empty() {
                range["AuxiliaryAddresses"] = json!(s.auxiliary);
            }
            range
        })
        .collect();
    json!({
        "Name": n.name,
        "Id": n.id,
        "Created": rfc3339(n.created_ns),
        "Scope": "local",
        "Driver": n.driver,
        "EnableIPv4": n.ipv4,
        "EnableIPv6": n.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": n.ipam_options,
            "Config": if ranges.is_empty() && n.driver != "bridge" && !n.config_only { Value::Null } else { json!(ranges) },
        },
        "Internal": n.internal,
        "Attachable": n.attachable,
        "Ingress": false,
        "ConfigFrom": {"Network": n.config_from},
        "ConfigOnly": n.config_only,
        "Containers": {},
        "Options": n.options,
        "Labels": n.labels,
    })
}

/// Those that are plugged in, by their ids.
pub(super) fn plugged(n: &Network, containers: &[Stored<Container>]) -> Map<String, Value> {
    let mut out = Map::new();
    for c in containers {
        let place = c.endpoints.values().find(|e| e.network_id == n.id && !e.id.is_empty());
        let Some(place) = place.filter(|_| c.runs()) else { continue };
        let text = |a: Option<ipnet::IpNet>| a.map(|a| a.to_string()).unwrap_or_default();
        out.insert(
            c.id.clone(),
            json!({
                "Name": c.name,
                "EndpointID": place.id,
                "MacAddress": place.mac,
                "IPv4Address": text(place.ipv4),
                "IPv6Address": text(place.ipv6),
            }),
        );
    }
    out
}

async fn list(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(&["name", "id", "driver", "scope", "type", "dangling", "label", "label!"])?;
    for kind in filters.of("type") {
        if !matches!(kind.as_str(), "custom" | "builtin") {
            return Err(Error::bad_request(format!("invalid filter: 'type'='{kind}'")));
        }
    }
    let truth = |text: &String| match text.as_str() {
        "true" | "1" | "True" => Ok(true),
        "false" | "0" | "False" => Ok(false),
        other => Err(Error::bad_request(format!("invalid value for filter 'dangling': \"{other}\""))),
    };
    let dangling = filters.of("dangling").first().map(truth).transpose()?;
    let containers = containers(&call.state).await?;
    let mut networks = call.state.networks().await?;
    networks.retain(|n| {
        let part = |name: &str, value: &str, all: bool| {
            let asked = filters.of(name);
            asked.is_empty()
                || asked
                    .iter()
                    .any(|a| if all { value.contains(a.as_str()) } else { value.starts_with(a.as_str()) })
        };
        let builtin = crate::engine::networks::predefined(&n.name);
        let used = containers.iter().any(|c| c.endpoints.values().any(|e| e.network_id == n.id));
        part("name", &n.name, true)
            && part("id", &n.id, true)
            && filters.passes("driver", &n.driver)
            && filters.passes("scope", "local")
            && filters.passes("type", if builtin { "builtin" } else { "custom" })
            && dangling.is_none_or(|d| d == (!builtin && !used))
            && filters.labels(&n.labels)
    });
    let views: Vec<Value> = networks.iter().map(|n| view(n)).collect();
    Reply::ok(&views)
}

async fn inspect(call: Call) -> Result<Reply> {
    let network = call.state.network(call.param("id")).await?;
    let scope = call.text("scope");
    if !matches!(scope.as_str(), "" | "local") {
        return Err(Error::not_found(format!("network {} not found", call.param("id"))));
    }
    let mut shown = view(&network);
    shown["Containers"] = json!(plugged(&network, &containers(&call.state).await?));
    Reply::ok(&shown)
}
