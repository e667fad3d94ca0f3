//! Neutron's types: networks, subnets, ports, security groups.

mod net;
mod port;
mod security_group;
mod subnet;

use pileus_base::{Error, Result};

use super::Registry;
use crate::model::Json;

/// Adds them.
pub fn register(registry: &mut Registry) {
    registry.add(net::Net);
    registry.add(subnet::Subnet);
    registry.add(port::Port);
    registry.add(security_group::SecurityGroup);
}

/// What is gone already is removed.
fn gone(done: Result<()>) -> Result<()> {
    match done {
        Err(e) if e.is_not_found() => Ok(()),
        other => other,
    }
}

/// A value that must read as a `T`.
fn parsed<T: std::str::FromStr>(what: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        Error::bad_request(format!("Invalid input for {what}. Reason: '{text}' is not valid."))
            .code("BadRequest")
    })
}

/// The texts of a list.
fn strings(value: &Json) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The text `key` of a map; `None` where it is empty.
fn entry(value: &Json, key: &str) -> Option<String> {
    value.get(key).and_then(Json::as_str).filter(|s| !s.is_empty()).map(str::to_owned)
}
