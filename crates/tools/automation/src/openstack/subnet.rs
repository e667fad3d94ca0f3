//! `openstack.cloud.subnet` and `subnets_info`.

use serde_json::{Map, Value, json};

use super::network::{id, listed};
use super::{Call, Reply, Stop, changed, fields};

/// Which calls are done natively.
pub fn covers(params: &Map<String, Value>) -> bool {
    let rare = ["project", "subnet_pool", "use_default_subnet_pool", "prefix_length", "extra_attrs"];
    super::none_of(params, &rare)
}

/// What the task wants, in the fields of the Networking API.
fn wanted(call: &Call) -> Map<String, Value> {
    let mut out = Map::new();
    let plain = [
        ("description", "description"),
        ("dns_nameservers", "dns_nameservers"),
        ("gateway_ip", "gateway_ip"),
        ("host_routes", "host_routes"),
        ("is_dhcp_enabled", "enable_dhcp"),
        ("ipv6_address_mode", "ipv6_address_mode"),
        ("ipv6_ra_mode", "ipv6_ra_mode"),
        ("allocation_pools", "allocation_pools"),
    ];
    for (parameter, field) in plain {
        if !call.raw(parameter).is_null() {
            out.insert(field.into(), call.raw(parameter).clone());
        }
    }
    if call.flag("disable_gateway_ip") == Some(true) {
        out.insert("gateway_ip".into(), Value::Null);
    }
    if let (Some(start), Some(end)) = (call.text("allocation_pool_start"), call.text("allocation_pool_end")) {
        out.insert("allocation_pools".into(), json!([{"start": start, "end": end}]));
    }
    out
}

/// Whether a subnet has that value: lists in any order.
fn same(wanted: &Value, has: &Value) -> bool {
    match (wanted, has) {
        (Value::Array(wanted), Value::Array(has)) => {
            wanted.len() == has.len() && wanted.iter().all(|w| has.contains(w))
        }
        _ => wanted == has,
    }
}

/// Runs `subnet`.
pub fn run(call: &Call) -> Reply {
    let session = &call.session;
    let name = call.text("name").unwrap_or_default();
    let mut path = String::from("/subnets");
    let mut network = None;
    if let Some(wanted) = call.text("network") {
        let found = session.find("network", "/networks", "networks", wanted)?;
        let found = found.ok_or_else(|| Stop::Failed(format!("No Network found for {wanted}")))?;
        path = format!("/subnets?network_id={}", id(&found));
        network = Some(found);
    }
    let found = session.find("network", &path, "subnets", name)?;
    if call.absent() {
        if let Some(subnet) = found.as_ref().filter(|_| !call.check) {
            session.delete("network", &format!("/subnets/{}", id(subnet)))?;
        }
        return Ok(changed(found.is_some()));
    }
    let mut wanted = wanted(call);
    let (different, subnet) = match found {
        None => {
            let (Some(network), Some(cidr)) = (&network, call.text("cidr")) else {
                return Err(Stop::Failed("a new subnet needs network and cidr".into()));
            };
            if call.check {
                return Ok(changed(true));
            }
            wanted.insert("name".into(), name.into());
            wanted.insert("network_id".into(), id(network).into());
            wanted.insert("cidr".into(), cidr.into());
            wanted.insert("ip_version".into(), call.raw("ip_version").clone());
            (true, session.post("network", "/subnets", &json!({"subnet": wanted}))?["subnet"].clone())
        }
        Some(subnet) => {
            let fixed = [("cidr", "cidr"), ("ip_version", "ip_version")];
            for (parameter, field) in fixed {
                let value = call.raw(parameter);
                if !value.is_null() && *value != subnet[field] {
                    return Err(Stop::Failed(format!("Cannot update {parameter} in existing subnet")));
                }
            }
            wanted.retain(|field, value| !same(value, &subnet[field.as_str()]));
            if call.check {
                return Ok(changed(!wanted.is_empty()));
            }
            if wanted.is_empty() {
                (false, subnet)
            } else {
                let path = format!("/subnets/{}", id(&subnet));
                (true, session.put("network", &path, &json!({"subnet": wanted}))?["subnet"].clone())
            }
        }
    };
    let mut shown = fields::subnet(&subnet);
    shown["location"] = session.location();
    let mut out = changed(different);
    out.insert("id".into(), subnet["id"].clone());
    out.insert("subnet".into(), shown);
    Ok(out)
}

/// Runs `subnets_info`.
pub fn info(call: &Call) -> Reply {
    let mut out = changed(false);
    out.insert("subnets".into(), listed(call, "subnets", fields::subnet)?.into());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_any_order() {
        assert!(same(&json!(["a", "b"]), &json!(["b", "a"])) && !same(&json!(["a"]), &json!(["a", "b"])));
        assert!(same(&Value::Null, &Value::Null) && !same(&json!(true), &json!(false)));
    }
}
