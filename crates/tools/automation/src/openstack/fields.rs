//! openstacksdk's names of attributes beside the services' (`fields.txt`: `is_shared=shared`), as results show them.

use serde_json::{Map, Value};

static FIELDS: &str = include_str!("fields.txt");

/// A resource in openstacksdk's words; what the service does not say is null.
pub fn of(kind: &str, resource: &Value) -> Map<String, Value> {
    let line =
        FIELDS.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(": ")).unwrap_or_default();
    let mut out = Map::new();
    for field in line.split(' ').filter(|f| !f.is_empty()) {
        let (name, wire) = field.split_once('=').unwrap_or((field, field));
        let value = resource.get(wire).or_else(|| resource.get(name)).cloned().unwrap_or(Value::Null);
        out.insert(name.into(), value);
    }
    out
}

/// A network.
pub fn network(resource: &Value) -> Value {
    let mut out = of("network", resource);
    out.insert("tenant_id".into(), resource["tenant_id"].clone());
    Value::Object(out)
}

/// A subnet.
pub fn subnet(resource: &Value) -> Value {
    Value::Object(of("subnet", resource))
}

/// A keypair, whose id is its name.
pub fn keypair(resource: &Value) -> Value {
    let mut out = of("keypair", resource);
    out.insert("id".into(), resource["name"].clone());
    Value::Object(out)
}

/// A server, with its flavor and image in the same words.
pub fn server(resource: &Value) -> Value {
    let mut out = of("server", resource);
    let volumes = out.get("attached_volumes").cloned().unwrap_or(Value::Null);
    let drive = out.get("has_config_drive").cloned().unwrap_or(Value::Null);
    out.insert("volumes".into(), volumes);
    out.insert("config_drive".into(), drive);
    if let Some(name) = resource["flavor"]["original_name"].as_str() {
        let mut flavor = of("flavor", &resource["flavor"]);
        for (field, value) in [("id", Value::from(name)), ("name", name.into()), ("is_public", true.into())] {
            flavor.insert(field.into(), value);
        }
        flavor.insert("ephemeral".into(), resource["flavor"]["ephemeral"].clone());
        flavor.insert("location".into(), Value::Null);
        out.insert("flavor".into(), Value::Object(flavor));
    }
    if resource["image"].is_object() {
        let mut image = of("image", &resource["image"]);
        let mut properties = Map::new();
        properties.insert("links".into(), resource["image"]["links"].clone());
        image.insert("properties".into(), Value::Object(properties));
        image.insert("tags".into(), Value::Array(Vec::new()));
        for field in ["location", "owner"] {
            image.insert(field.into(), Value::Null);
        }
        out.insert("image".into(), Value::Object(image));
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_the_sdk() {
        let told =
            network(&json!({"id": "1", "admin_state_up": true, "router:external": false, "tenant_id": "t"}));
        assert_eq!((&told["is_admin_state_up"], &told["is_router_external"]), (&json!(true), &json!(false)));
        assert_eq!((&told["mtu"], &told["tenant_id"]), (&Value::Null, &json!("t")));
        assert_eq!(keypair(&json!({"name": "k"}))["id"], "k");
        let told = server(
            &json!({"OS-EXT-STS:vm_state": "active", "flavor": {"original_name": "m1.tiny", "ram": 512}}),
        );
        assert_eq!((&told["vm_state"], &told["flavor"]["id"]), (&json!("active"), &json!("m1.tiny")));
    }
}
