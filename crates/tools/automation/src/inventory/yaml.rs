//! YAML inventories: groups with `hosts`, `vars` and `children`, at any depth.

use pileus_jinja::{Dict, Value};

use super::{address, data::Data, group_type_name};
use crate::{Error, display};

/// Reads the value of a file into `data`.
///
/// # Errors
/// Where it is no inventory.
pub fn parse(data: &mut Data, value: &Value) -> Result<(), Error> {
    if !value.truth()? {
        return Err(Error::parser("Parsed empty YAML file"));
    }
    let Value::Dict(top) = value else {
        return Err(Error::parser(format!(
            "YAML inventory has invalid structure, it should be a dictionary, got: {}",
            group_type_name(value)
        )));
    };
    if top.get("plugin").is_some_and(|p| p.truth().unwrap_or(true)) {
        return Err(Error::parser("Plugin configuration YAML file, not YAML inventory"));
    }
    for (name, body) in top.items() {
        group(data, &name, &body)?;
    }
    Ok(())
}

fn section(name: &str, group: &str, body: &Value) -> Result<Option<Dict>, Error> {
    match body {
        Value::Dict(d) => Ok(Some(d.clone())),
        Value::None => Ok(None),
        Value::Str(_) => {
            let d = Dict::new();
            d.insert(body.clone(), Value::None);
            Ok(Some(d))
        }
        other => Err(Error::parser(format!(
            "Invalid \"{name}\" entry for \"{group}\" group, requires a dictionary, found \"{}\" instead.",
            group_type_name(other)
        ))),
    }
}

fn group(data: &mut Data, name: &Value, body: &Value) -> Result<Option<usize>, Error> {
    let shown = name.to_text()?;
    let dict = match body {
        Value::Dict(d) => Some(d.clone()),
        Value::None => None,
        _ => {
            display::warning(&format!("Skipping '{shown}' as this is not a valid group definition"));
            return Ok(None);
        }
    };
    let Some(text) = name.as_str() else {
        return Err(Error::parser(format!(
            "Unable to add group {shown}: Invalid group name supplied, expected a string but got {} for {shown}",
            group_type_name(name)
        )));
    };
    let id = data.add_group(text).map_err(|e| Error::parser(format!("Unable to add group {shown}: {e}")))?;
    let Some(dict) = dict else { return Ok(Some(id)) };
    for key in ["vars", "children", "hosts"] {
        if let Some(v) = dict.get(key) {
            section(key, text, &v)?;
        }
    }
    for (key, v) in dict.items() {
        let key_text = key.to_text()?;
        let known = matches!(key_text.as_str(), "vars" | "children" | "hosts");
        if !known && !matches!(v, Value::Dict(_) | Value::None) {
            display::warning(&format!(
                "Skipping key ({key_text}) in group ({shown}) as it is not a mapping, it is a {}",
                group_type_name(&v)
            ));
            continue;
        }
        if v.is_none() {
            display::verbose(3, &format!("Skipping empty key ({key_text}) in group ({shown})"));
            continue;
        }
        if !known {
            display::warning(&format!(
                "Skipping unexpected key ({key_text}) in group ({shown}), only \"vars\", \"children\" and \"hosts\" \
                 are valid"
            ));
            continue;
        }
        let Some(members) = section(&key_text, text, &v)? else { continue };
        for (k, v) in members.items() {
            match key_text.as_str() {
                "vars" => data.set_group_var(id, &k, v)?,
                "children" => {
                    if let Some(child) = group(data, &k, &v)? {
                        data.add_child_group(id, child)?;
                    }
                }
                _ => host(data, id, &k, &v)?,
            }
        }
    }
    Ok(Some(id))
}

fn host(data: &mut Data, group: usize, pattern: &Value, vars: &Value) -> Result<(), Error> {
    let Some(text) = pattern.as_str() else {
        return Err(Error::parser(format!(
            "Host pattern {} must be a string. Enclose integers/floats in quotation marks.",
            pattern.to_text()?
        )));
    };
    let (names, port) = address::expand(text)?;
    let vars = match vars {
        Value::Dict(d) => Some(d),
        other if !other.truth()? => None,
        other => {
            return Err(Error::parser(format!(
                "Invalid data from file, expected dictionary and got:\n\n{}",
                other.to_text()?
            )));
        }
    };
    for name in names {
        let id = data.add_host(&name, Some(group), port)?;
        for (k, v) in vars.into_iter().flat_map(Dict::items) {
            data.set_host_var(id, &k, v);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Data, Error> {
        let mut data = Data::default();
        parse(&mut data, &crate::source::parse(text, &"/i.yml".into(), true)?)?;
        data.reconcile();
        Ok(data)
    }

    #[test]
    fn nested_groups() {
        let d = read(
            "all:\n  hosts: lone\n  children:\n    web:\n      hosts:\n        w[1:2]: {x: 1}\n      vars: {y: 2}\n    empty:\n",
        )
        .unwrap();
        let web = d.group("web").unwrap();
        assert_eq!(d.hosts_in(web).len(), 2);
        assert_eq!(d.groups[web].vars.get("y"), Some(Value::Int(2)));
        assert_eq!(d.hosts_in(1).len(), 1);
        assert!(d.group("empty").is_some());
    }

    #[test]
    fn errors() {
        assert_eq!(read("").unwrap_err().brief(), "Parsed empty YAML file");
        assert!(read("[a]").unwrap_err().brief().contains("it should be a dictionary, got: <class"));
        assert!(
            read("all: {hosts: {1: }}").unwrap_err().brief().starts_with("Host pattern 1 must be a string.")
        );
    }
}
