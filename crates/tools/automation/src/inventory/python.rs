//! Inventory plugins in Python: what they make of a source, put into our tables.

use pileus_jinja::Value;
use pileus_modules::Map;
use serde_json::Value as Json;

use super::data::Data;
use crate::python::{host, values};
use crate::{Error, display};

/// What a plugin makes of a source.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The hosts and groups are in the tables.
    Parsed,
    /// The source isn't the plugin's.
    Declined,
    /// There is no such plugin.
    Missing,
}

/// Lets the plugin `name` parse `source`.
///
/// # Errors
/// Where the plugin fails, or ansible-core isn't there.
pub fn parse(data: &mut Data, name: &str, source: &str) -> Result<Answer, Error> {
    let fields = Map::from_iter([
        ("name".to_owned(), Json::from(name)),
        ("source".to_owned(), source.into()),
        ("cache".to_owned(), true.into()),
    ]);
    let mut answer = host()
        .ask(&format!("the inventory plugin {name}"), "inventory", fields, &[])
        .map_err(|e| Error::parser(e.to_string()))?;
    for warning in answer.head.get("warnings").and_then(Json::as_array).into_iter().flatten() {
        display::warning(warning.as_str().unwrap_or_default());
    }
    let missing = answer.head.contains_key("missing");
    match answer.head.remove("value") {
        Some(Json::Object(found)) => {
            fill(data, &found)?;
            Ok(Answer::Parsed)
        }
        _ if missing => Ok(Answer::Missing),
        _ => Ok(Answer::Declined),
    }
}

fn fill(data: &mut Data, found: &Map) -> Result<(), Error> {
    let names = |v: Option<&Json>| -> Vec<String> {
        v.and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(|n| n.as_str().map(str::to_owned))
            .collect()
    };
    for (name, vars) in found.get("hosts").and_then(Json::as_object).into_iter().flatten() {
        let id = data.add_host(name, None, None)?;
        if let Value::Dict(vars) = values::decode(vars) {
            super::merge::update(&data.hosts[id].vars, &vars);
        }
    }
    let groups = found.get("groups").and_then(Json::as_object);
    for (name, group) in groups.into_iter().flatten() {
        let id = data.add_group(name)?;
        for host in names(group.get("hosts")) {
            data.add_host(&host, Some(id), None)?;
        }
        if let Some(Value::Dict(vars)) = group.get("vars").map(values::decode) {
            super::merge::update(&data.groups[id].vars, &vars);
        }
        if let Some(priority) = group.get("priority").and_then(Json::as_i64) {
            data.groups[id].priority = priority;
        }
    }
    for (name, group) in groups.into_iter().flatten() {
        let id = data.add_group(name)?;
        for child in names(group.get("children")) {
            let child = data.add_group(&child)?;
            data.add_child_group(id, child)?;
        }
    }
    Ok(())
}
