//! A flavor as it travels.

use std::collections::BTreeMap;

use pileus_http::{Base, Version};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::mv;
use crate::model::flavors::Flavor;

/// `self` and `bookmark` of a resource.
pub fn links(base: &Base, path: &str) -> Value {
    json!([
        {"rel": "self", "href": base.url(&format!("/v2.1/{path}"))},
        {"rel": "bookmark", "href": base.url(&format!("/{path}"))},
    ])
}

/// The short form, in `GET /flavors`.
pub fn brief(flavor: &Flavor, base: &Base, v: Version) -> Value {
    let mut view = json!({
        "id": flavor.flavorid,
        "name": flavor.name,
        "links": links(base, &format!("flavors/{}", flavor.flavorid)),
    });
    if v >= mv::FLAVOR_DESCRIPTION {
        view["description"] = json!(flavor.description);
    }
    view
}

/// The whole form.
pub fn whole(flavor: &Flavor, base: &Base, v: Version) -> Value {
    let mut view = brief(flavor, base, v);
    let swap = if flavor.swap_mib == 0 { json!("") } else { json!(flavor.swap_mib) };
    let more = json!({
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "swap": swap,
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gib,
        "OS-FLV-DISABLED:disabled": false,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.public,
        "rxtx_factor": flavor.rxtx_factor,
    });
    extend(&mut view, more);
    if v >= mv::EXTRA_SPECS_IN_FLAVOR {
        view["extra_specs"] = json!(flavor.extra_specs);
    }
    view
}

/// The form inside a server, since 2.47.
#[derive(Serialize)]
pub struct Embedded<'a> {
    original_name: &'a str,
    vcpus: u32,
    ram: u64,
    disk: u64,
    ephemeral: u64,
    swap: u64,
    extra_specs: &'a BTreeMap<String, String>,
}

/// `flavor` as it stands in a server.
pub fn embedded(flavor: &Flavor) -> Embedded<'_> {
    Embedded {
        original_name: &flavor.name,
        vcpus: flavor.vcpus,
        ram: flavor.ram_mib,
        disk: flavor.disk_gib,
        ephemeral: flavor.ephemeral_gib,
        swap: flavor.swap_mib,
        extra_specs: &flavor.extra_specs,
    }
}

/// Adds the fields of `more` to `view`.
pub fn extend(view: &mut Value, more: Value) {
    if let (Value::Object(view), Value::Object(more)) = (view, more) {
        let more: Map<String, Value> = more;
        view.extend(more);
    }
}
