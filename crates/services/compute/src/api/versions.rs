//! Version documents and the (fixed) list of extensions.

use pileus_base::{Error, Result};
use pileus_http::{Base, Reply};
use serde_json::{Value, json};

use super::Call;
use crate::FAMILY;

fn document(base: &Base, id: &str, path: &str) -> Value {
    let current = id == "v2.1";
    let range = FAMILY.versions.as_ref().filter(|_| current);
    json!({
        "id": id,
        "status": if current { "CURRENT" } else { "SUPPORTED" },
        "version": range.map_or(String::new(), |v| v.max.to_string()),
        "min_version": range.map_or(String::new(), |v| v.min.to_string()),
        "updated": if current { "2013-07-23T11:33:21Z" } else { "2011-01-21T11:33:21Z" },
        "links": [{"rel": "self", "href": base.url(path)}],
    })
}

fn one(base: &Base, id: &str, path: &str) -> Value {
    let mut doc = document(base, id, path);
    let described = json!({"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"});
    if let Some(links) = doc["links"].as_array_mut() {
        links.push(described);
    }
    let number = id.trim_start_matches('v').split('.').next().unwrap_or("2");
    let minor = if id == "v2.1" { "2.1" } else { number };
    doc["media-types"] = json!([{
        "base": "application/json",
        "type": format!("application/vnd.openstack.compute+json;version={minor}"),
    }]);
    doc
}

/// `GET /`
pub async fn list(call: Call) -> Result<Reply> {
    let base = &call.base;
    Reply::ok(&json!({"versions": [document(base, "v2.0", "/v2/"), document(base, "v2.1", "/v2.1/")]}))
}

/// `GET /v2.1`
pub async fn v21(call: Call) -> Result<Reply> {
    Reply::ok(&json!({"version": one(&call.base, "v2.1", "/v2.1/")}))
}

/// `GET /v2`: described, as Nova does, though served by v2.1's code alone.
pub async fn v20(call: Call) -> Result<Reply> {
    Reply::ok(&json!({"version": one(&call.base, "v2.0", "/v2/")}))
}

/// What is there of Nova's extensions; since microversions the list no longer changes.
const EXTENSIONS: [(&str, &str); 12] = [
    ("os-availability-zone", "AvailabilityZone"),
    ("os-config-drive", "ConfigDrive"),
    ("os-console-output", "ConsoleOutput"),
    ("os-extended-status", "ExtendedStatus"),
    ("os-flavor-access", "FlavorAccess"),
    ("os-flavor-extra-specs", "FlavorExtraSpecs"),
    ("os-hypervisors", "Hypervisors"),
    ("os-instance-actions", "InstanceActions"),
    ("os-keypairs", "Keypairs"),
    ("os-quota-sets", "Quotas"),
    ("os-security-groups", "SecurityGroups"),
    ("os-services", "Services"),
];

fn extension_view((alias, name): (&str, &str)) -> Value {
    json!({
        "alias": alias, "name": name, "description": "", "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml", "updated": "2014-12-03T00:00:00Z",
    })
}

/// `GET /extensions`
pub async fn extensions(_: Call) -> Result<Reply> {
    Reply::ok(&json!({"extensions": EXTENSIONS.map(extension_view)}))
}

/// `GET /extensions/{alias}`
pub async fn extension(call: Call) -> Result<Reply> {
    let alias = call.param("alias");
    let found = EXTENSIONS.iter().find(|(a, _)| *a == alias);
    let found = found.ok_or_else(|| Error::not_found("The resource could not be found."))?;
    Reply::ok(&json!({"extension": extension_view(*found)}))
}
