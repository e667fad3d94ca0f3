//! Vars plugins and cache plugins in Python.

use pileus_jinja::{Dict, Value};
use pileus_modules::Map;
use serde_json::{Value as Json, json};

use super::places::{self, Kind};
use super::{host, values};
use crate::{Error, config, display};

/// Whether any vars plugin but core's own is there.
fn wanted() -> bool {
    places::any(Kind::Vars)
        || config::current()
            .list("VARIABLE_PLUGINS_ENABLED")
            .iter()
            .any(|n| n.split('.').count() > 2 && !n.starts_with("ansible."))
}

/// What vars plugins say of a host or group, for each of `dirs`; put into `out`.
///
/// # Errors
/// Where one fails, or ansible-core isn't there.
pub fn add(dirs: &[String], group: bool, name: &str, out: &Dict) -> Result<(), Error> {
    if !wanted() {
        return Ok(());
    }
    for dir in dirs {
        let fields = Map::from_iter([
            ("path".to_owned(), Json::from(dir.as_str())),
            ("entities".to_owned(), json!([{ "kind": if group { "group" } else { "host" }, "name": name }])),
        ]);
        let (found, told) =
            host().value("a vars plugin", "vars", fields).map_err(|e| Error::new(e.to_string()))?;
        for text in told {
            if text.contains("deprecated entrypoints") {
                display::deprecated(&text, "2.18", None);
            } else {
                display::warning(&text);
            }
        }
        if let Value::Dict(vars) = values::decode(&found) {
            for (k, v) in vars.items() {
                out.insert(k, v);
            }
        }
    }
    Ok(())
}

/// The facts that the cache plugin `plugin` keeps of a host.
///
/// # Errors
/// Where it fails, or ansible-core isn't there.
pub fn cached(plugin: &str, name: &str) -> Result<Option<Dict>, Error> {
    match values::decode(&cache(plugin, name, Map::new())?) {
        Value::Dict(d) => Ok(Some(d)),
        _ => Ok(None),
    }
}

/// Has the cache plugin `plugin` keep the facts of a host; without any, forget them.
///
/// # Errors
/// Where it fails, or ansible-core isn't there.
pub fn keep(plugin: &str, name: &str, facts: Option<&Dict>) -> Result<(), Error> {
    let fields = match facts {
        Some(facts) => {
            Map::from_iter([("facts".to_owned(), values::encode_placed(&Value::Dict(facts.clone())))])
        }
        None => Map::from_iter([("forget".to_owned(), true.into())]),
    };
    cache(plugin, name, fields).map(|_| ())
}

fn cache(plugin: &str, name: &str, mut fields: Map) -> Result<Json, Error> {
    fields.insert("name".into(), plugin.into());
    fields.insert("host".into(), name.into());
    let (value, told) = host()
        .value(&format!("the cache plugin {plugin}"), "cached", fields)
        .map_err(|e| Error::new(e.to_string()))?;
    for text in told {
        display::warning(&text);
    }
    Ok(value)
}
