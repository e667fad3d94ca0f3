//! Networks that are only a configuration (`ConfigOnly`), and those made from one (`ConfigFrom`).

use pileus_base::{Error, Result};
use serde_json::Value;

use crate::{Docker, Network, model::pools, store::Subnet};

/// The gateway of a range where none was asked for: the first address of what is given out.
pub(crate) fn first(subnet: &Subnet) -> std::net::IpAddr {
    let part = subnet.ip_range.unwrap_or(subnet.subnet);
    pools::nth(&part, u128::from(part.addr() == subnet.subnet.addr())).unwrap_or(subnet.subnet.addr())
}

/// Checks what a network that is a configuration, or is made from one, may say of itself.
///
/// # Errors
/// 403 in the reference's words.
pub(crate) fn check_configuration(body: &Value) -> Result<()> {
    let on = |name: &str| body[name] == Value::Bool(true);
    let any = |value: &Value| match value {
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        _ => false,
    };
    if on("ConfigOnly")
        && (on("Ingress")
            || on("Internal")
            || on("Attachable")
            || !matches!(body["Scope"].as_str(), None | Some("")))
    {
        return Err(Error::forbidden(
            "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
        ));
    }
    if from(body).is_empty() {
        return Ok(());
    }
    if on("ConfigOnly") {
        return Err(Error::forbidden(
            "a configuration network cannot depend on another configuration network",
        ));
    }
    let ipam = &body["IPAM"];
    if on("EnableIPv6") || any(&body["Labels"]) || any(&ipam["Options"]) || any(&ipam["Config"]) {
        return Err(Error::forbidden(
            "user specified configurations are not supported if the network depends on a configuration network",
        ));
    }
    if any(&body["Options"]) {
        return Err(Error::forbidden(
            "network driver options are not supported if the network depends on a configuration network",
        ));
    }
    Ok(())
}

/// The configuration that a new network is to be made from; empty for none.
pub(crate) fn from(body: &Value) -> &str {
    body["ConfigFrom"]["Network"].as_str().unwrap_or("")
}

impl Docker {
    /// Gives a new network what its configuration says.
    ///
    /// # Errors
    /// 404 where there is no configuration of that name.
    pub(crate) async fn configure(&self, network: &mut Network, from: &str) -> Result<()> {
        let all = self.networks().await?;
        let found = all.iter().find(|n| n.config_only && n.name == from);
        let found = found
            .ok_or_else(|| Error::not_found(format!("configuration network \"{from}\" does not exist")))?;
        network.config_from = from.to_owned();
        network.ipv6 = found.ipv6;
        network.subnets.clone_from(&found.subnets);
        for subnet in &mut network.subnets {
            if subnet.gateway.is_unspecified() {
                subnet.gateway = first(subnet);
            }
        }
        network.options.clone_from(&found.options);
        network.ipam_options.clone_from(&found.ipam_options);
        network.labels.clone_from(&found.labels);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_says_nothing_of_who_uses_it() {
        let told = |body: Value| check_configuration(&body).map_err(|e| e.message().to_owned());
        assert_eq!(told(json!({"ConfigOnly": true, "Labels": {"a": "b"}, "Scope": ""})), Ok(()));
        assert!(
            told(json!({"ConfigOnly": true, "Internal": true}))
                .unwrap_err()
                .contains("internal | attachable")
        );
        let of = |more: Value| {
            let mut body = more;
            body["ConfigFrom"] = json!({"Network": "conf"});
            told(body)
        };
        assert_eq!(of(json!({"Internal": true, "IPAM": {"Config": [], "Options": {}}})), Ok(()));
        assert!(of(json!({"ConfigOnly": true})).unwrap_err().contains("cannot depend on another"));
        assert!(of(json!({"Labels": {"a": "b"}})).unwrap_err().contains("user specified configurations"));
        assert!(of(json!({"IPAM": {"Config": [{}]}})).unwrap_err().contains("user specified configurations"));
        assert!(of(json!({"Options": {"a": "b"}})).unwrap_err().contains("network driver options"));
    }
}
