//! `POST /networks/create`.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::{Call, body};
use crate::{
    engine::networks::{check, check_configuration, first, from, options, predefined, spec, told},
    model::shape,
    store::Subnet,
};

/// What an engine outside a swarm says.
const SWARM: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

/// A range asked for.
fn range(config: &Value) -> Result<Option<Subnet>> {
    let text = |name: &str| config[name].as_str().filter(|t| !t.is_empty());
    let Some(asked) = text("Subnet") else {
        return match text("Gateway").or(text("IPRange")) {
            Some(_) => {
                Err(Error::bad_request("invalid network config:\ninvalid subnet : subnet must be set"))
            }
            None => Ok(None),
        };
    };
    let bad = |what: &str, value: &str| {
        Error::bad_request(format!(
            "invalid network config:\ninvalid {what} {value}: invalid CIDR block notation"
        ))
    };
    let subnet: IpNet = asked.parse().map_err(|_| bad("subnet", asked))?;
    if subnet.trunc() != subnet {
        return Err(Error::bad_request(format!(
            "invalid network config:\ninvalid subnet {asked}: it should be {}",
            subnet.trunc()
        )));
    }
    let ip_range = text("IPRange").map(|r| r.parse::<IpNet>().map_err(|_| bad("ip-range", r))).transpose()?;
    if let Some(part) = ip_range.filter(|r| !subnet.contains(r)) {
        return Err(Error::bad_request(format!(
            "invalid network config:\ninvalid ip-range {part}: it should be within subnet {subnet}"
        )));
    }
    let address = |what: &str, value: &str| -> Result<IpAddr> {
        let ip: IpAddr = value.split('/').next().unwrap_or(value).parse().map_err(|_| {
            Error::bad_request(format!("invalid network config:\ninvalid {what} {value}: invalid address"))
        })?;
        if subnet.contains(&ip) {
            return Ok(ip);
        }
        Err(Error::bad_request(format!(
            "invalid network config:\ninvalid {what} {value}: parent subnet is an IPv4 block or doesn't contain it"
        )))
    };
    let gateway = match text("Gateway") {
        Some(g) => address("gateway", g)?,
        None => first(&Subnet { subnet, ip_range, gateway: subnet.addr(), auxiliary: BTreeMap::new() }),
    };
    let mut auxiliary = BTreeMap::new();
    let asked = config.get("AuxiliaryAddresses").or(config.get("AuxAddress"));
    for (name, value) in options(asked.unwrap_or(&Value::Null)) {
        auxiliary.insert(name, address("auxiliary address", &value)?);
    }
    Ok(Some(Subnet { subnet, ip_range, gateway, auxiliary }))
}

pub async fn create(mut call: Call) -> Result<Reply> {
    let body = body::needed(&mut call, shape::NETWORK).await?;
    let docker = call.state.clone();
    let name = body["Name"].as_str().unwrap_or("").trim();
    if name.is_empty() {
        return Err(Error::bad_request("invalid network name: name is empty"));
    }
    if predefined(name) {
        return Err(Error::forbidden(format!("operation is not permitted on predefined {name} network")));
    }
    let driver = match body["Driver"].as_str().unwrap_or("") {
        "" | "default" => "bridge",
        driver => driver,
    };
    match driver {
        "bridge" | "macvlan" | "ipvlan" | "pileus" => {}
        "host" | "null" => {
            return Err(Error::forbidden(format!("only one instance of \"{driver}\" network is allowed")));
        }
        "overlay" => {
            return Err(Error::unavailable(SWARM));
        }
        other => {
            return Err(Error::not_found(format!(
                "could not find plugin {other} in v1 plugin registry: plugin \"{other}\" not found"
            )));
        }
    }
    let ipam = &body["IPAM"];
    if !matches!(ipam["Driver"].as_str().unwrap_or(""), "" | "default") {
        return Err(Error::bad_request(format!(
            "could not find ipam driver {}: plugin not found",
            ipam["Driver"].as_str().unwrap_or("")
        )));
    }
    if body["Scope"] == "swarm" || body["Ingress"] == Value::Bool(true) {
        return Err(Error::unavailable(SWARM));
    }
    check_configuration(&body)?;
    let on = |name: &str| body[name] == Value::Bool(true);
    let driver = if on("ConfigOnly") { "null" } else { driver };
    let mut network = docker.blank(name, driver);
    network.config_only = on("ConfigOnly");
    network.internal = on("Internal");
    network.attachable = on("Attachable");
    network.ipv6 = on("EnableIPv6");
    network.ipv4 = body["EnableIPv4"] != Value::Bool(false);
    network.ipam_options = ipam["Options"].is_object().then(|| options(&ipam["Options"]));
    network.options = options(&body["Options"]);
    network.labels = options(&body["Labels"]);
    for config in ipam["Config"].as_array().into_iter().flatten() {
        network.subnets.extend(range(config)?);
    }
    if network.config_only {
        // What nobody asked for, whoever is made from it finds by itself.
        let asked = ipam["Config"].as_array().into_iter().flatten();
        let asked = asked.filter(|c| c["Subnet"].as_str().is_some_and(|s| !s.is_empty()));
        for (subnet, config) in network.subnets.iter_mut().zip(asked) {
            if config["Gateway"].as_str().is_none_or(str::is_empty) {
                subnet.gateway = match subnet.subnet {
                    IpNet::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                    IpNet::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
                };
            }
        }
    } else if !from(&body).is_empty() {
        docker.configure(&mut network, from(&body)).await?;
    }
    network.subnets_asked = !network.subnets.is_empty();
    if !network.ipv4 && !network.ipv6 {
        return Err(Error::bad_request("IPv4 or IPv6 must be enabled"));
    }
    if !network.ipv6 && network.subnets.iter().any(|s| s.subnet.addr().is_ipv6()) {
        // Clients before 1.47 ask for a range alone.
        network.ipv6 = driver != "pileus";
    }
    let others = docker.networks().await?;
    check(&mut network, &others.iter().map(|n| &n.value).collect::<Vec<_>>())?;
    if driver == "pileus" {
        docker.stand_for(&mut network).await?;
    }
    docker.make_parent(&mut network).await?;
    let made = network.clone();
    let network = match docker.keep_network(network).await {
        Ok(network) => network,
        Err(e) => {
            if driver != "bridge" {
                docker.remove_link(&made).await?;
            }
            return Err(e);
        }
    };
    if let Some(spec) = spec(&network)
        && let Err(e) = docker.host.ensure_bridge(&spec).await
    {
        let id = network.id.clone();
        docker.store.write(move |tx| tx.delete::<crate::Network>(&id).map(drop)).await?;
        return Err(e);
    }
    docker.events.emit("network", "create", &network.id, told(&network.name, driver, None));
    Reply::json(201, &json!({"Id": network.id, "Warning": ""}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        let of = |v: Value| range(&v).map(|s| s.map(|s| s.gateway.to_string()));
        assert_eq!(of(json!({"Subnet": "10.1.0.0/24"})).unwrap().unwrap(), "10.1.0.1");
        assert_eq!(of(json!({})).unwrap(), None);
        assert!(of(json!({"Subnet": "10.1.0.7/24"})).is_err());
        assert!(of(json!({"Subnet": "10.1.0.0/24", "Gateway": "10.2.0.1"})).is_err());
    }
}
