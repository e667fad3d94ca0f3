//! `openstack.cloud.network` and `networks_info`.

use serde_json::{Map, Value, json};

use super::session::encode;
use super::{Call, Reply, Stop, changed, fields};

/// The parameters and their fields of the Networking API.
const FIELDS: &[(&str, &str)] = &[
    ("admin_state_up", "admin_state_up"),
    ("shared", "shared"),
    ("mtu", "mtu"),
    ("port_security_enabled", "port_security_enabled"),
    ("dns_domain", "dns_domain"),
    ("external", "router:external"),
    ("provider_network_type", "provider:network_type"),
    ("provider_physical_network", "provider:physical_network"),
    ("provider_segmentation_id", "provider:segmentation_id"),
];

/// Which calls are done natively.
pub fn covers(params: &Map<String, Value>) -> bool {
    super::none_of(params, &["project", "is_default", "is_vlan_transparent"])
}

/// Runs `network`.
pub fn run(call: &Call) -> Reply {
    let session = &call.session;
    let name = call.text("name").unwrap_or_default();
    let found = session.find("network", "/networks", "networks", name)?;
    if call.absent() {
        if let Some(network) = &found {
            session.delete("network", &format!("/networks/{}", id(network)))?;
        }
        return Ok(changed(found.is_some()));
    }
    let mut wanted = Map::new();
    for (parameter, field) in FIELDS {
        let value = call.raw(parameter);
        let differs = found.as_ref().is_none_or(|f| f[*field] != *value);
        if !value.is_null() && differs {
            wanted.insert((*field).into(), value.clone());
        }
    }
    let (different, network) = match found {
        None => {
            wanted.insert("name".into(), name.into());
            let made = session.post("network", "/networks", &json!({"network": wanted}))?;
            (true, made["network"].clone())
        }
        Some(network) if wanted.is_empty() => (false, network),
        Some(network) => {
            let path = format!("/networks/{}", id(&network));
            (true, session.put("network", &path, &json!({"network": wanted}))?["network"].clone())
        }
    };
    let mut out = changed(different);
    out.insert("id".into(), network["id"].clone());
    out.insert("network".into(), fields::network(&network));
    Ok(out)
}

/// A resource's id.
pub fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap_or_default()
}

/// The items of a list by name, id and filters, which are fields that the service compares itself.
pub fn listed(call: &Call, list: &str, show: fn(&Value) -> Value) -> Result<Vec<Value>, Stop> {
    let mut query = String::new();
    for (field, value) in call.raw("filters").as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        query.push_str(&format!(
            "{}{}={}",
            if query.is_empty() { '?' } else { '&' },
            encode(field),
            encode(&text)
        ));
    }
    let found = call.session.get("network", &format!("/{list}{query}"))?;
    let wanted = call.text("name");
    let fits = |item: &&Value| wanted.is_none_or(|w| item["name"] == w || item["id"] == w);
    Ok(found[list].as_array().into_iter().flatten().filter(fits).map(show).collect())
}

/// Runs `networks_info`.
pub fn info(call: &Call) -> Reply {
    let mut out = changed(false);
    out.insert("networks".into(), listed(call, "networks", fields::network)?.into());
    Ok(out)
}
