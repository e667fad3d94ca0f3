//! Places that are asked for: checked before anything is taken.

use std::net::IpAddr;

use pileus_base::{Error, Result};
use serde_json::{Value, json};

use crate::{Network, store::Endpoint};

/// The place of a container on a network, of the API's `EndpointSettings`.
///
/// # Errors
/// 400 for settings that don't fit the network.
pub(crate) fn place(network: &Network, config: &Value) -> Result<Endpoint> {
    let config = if config.is_object() { config.clone() } else { json!({}) };
    let asked = [address(&config, "IPv4Address")?, address(&config, "IPv6Address")?];
    if asked.iter().any(Option::is_some) && network.driver != "pileus" {
        if super::predefined(&network.name) {
            return Err(Error::bad_request(
                "invalid config for network bridge: invalid endpoint settings:\nuser specified IP address is supported on user defined networks only"
                    .replace("bridge", &network.name),
            ));
        }
        if !network.subnets_asked {
            return Err(Error::bad_request(format!(
                "invalid config for network {}: invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks with user configured subnets",
                network.name
            )));
        }
        for ip in asked.into_iter().flatten() {
            if !network.subnets.iter().any(|s| s.subnet.contains(&ip)) {
                return Err(Error::bad_request(format!(
                    "invalid config for network {}: invalid endpoint settings:\nno configured subnet or ip-range contain the IP address {ip}",
                    network.name
                )));
            }
        }
    }
    let aliases = config["Aliases"].as_array().is_some_and(|a| !a.is_empty());
    if aliases && super::predefined(&network.name) {
        return Err(Error::bad_request(format!(
            "invalid config for network {}: invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined networks",
            network.name
        )));
    }
    Ok(Endpoint { network_id: network.id.clone(), config, ..Endpoint::default() })
}

/// An address that was asked for.
///
/// # Errors
/// 400 where it is none.
pub(crate) fn address(config: &Value, name: &str) -> Result<Option<IpAddr>> {
    let text = config["IPAMConfig"][name].as_str();
    match text.filter(|t| !t.is_empty()) {
        Some(text) => text.parse().map(Some).map_err(|_| {
            Error::bad_request(format!("invalid endpoint settings:\ninvalid IP address: {text}"))
        }),
        None => Ok(None),
    }
}

/// A list of texts in a value.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
