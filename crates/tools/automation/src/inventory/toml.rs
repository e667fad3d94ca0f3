//! TOML inventories: a table per group, with `hosts`, `vars` and `children`.

use std::sync::Arc;

use pileus_jinja::{Origin, Str, Value};

use super::{address, data::Data, group_type_name};
use crate::{Error, display};

/// Reads `text` of `file` into `data`.
///
/// # Errors
/// Where it is no TOML or no inventory.
pub fn parse(data: &mut Data, text: &str, file: &Arc<str>) -> Result<(), Error> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        Error::parser(format!("TOML file '{file}' is invalid.")).because(Error::new(e.message().to_owned()))
    })?;
    if table.is_empty() {
        return Err(Error::parser("Parsed empty TOML file"));
    }
    if table.get("plugin").is_some_and(|p| p.as_str() != Some("")) {
        return Err(Error::parser("Plugin configuration TOML file, not TOML inventory"));
    }
    let origin = Arc::new(Origin { file: file.clone(), line: 0, column: 0, sealed: None });
    for (name, body) in &table {
        group(data, name, &value(body, &origin))?;
    }
    Ok(())
}

/// A TOML value; text is a template.
pub fn value(v: &toml::Value, origin: &Arc<Origin>) -> Value {
    match v {
        toml::Value::String(s) => Value::Str(Str::trusted(s.as_str()).at(Some(origin.clone()))),
        toml::Value::Integer(i) => Value::Int(*i),
        toml::Value::Float(f) => Value::Float(*f),
        toml::Value::Boolean(b) => Value::Bool(*b),
        toml::Value::Datetime(d) => {
            let text = d.to_string();
            Value::moment(&text).unwrap_or_else(|| Value::from(text))
        }
        toml::Value::Array(items) => Value::list(items.iter().map(|v| value(v, origin)).collect()),
        toml::Value::Table(t) => {
            Value::Dict(t.iter().map(|(k, v)| (Value::from(k.as_str()), value(v, origin))).collect())
        }
    }
}

fn wrong(key: &str, group: &str, kind: &str, found: &Value) -> Error {
    Error::parser(format!(
        "Invalid \"{key}\" entry for \"{group}\" group, requires a {kind}, found \"{}\" instead.",
        group_type_name(found)
    ))
}

fn group(data: &mut Data, name: &str, body: &Value) -> Result<(), Error> {
    let Value::Dict(body) = body else {
        display::warning(&format!("Skipping '{name}' as this is not a valid group definition"));
        return Ok(());
    };
    let id = data.add_group(name)?;
    for (key, v) in body.items() {
        match (key.as_str().unwrap_or_default(), &v) {
            ("vars", Value::Dict(vars)) => {
                for (k, v) in vars.items() {
                    data.set_group_var(id, &k, v)?;
                }
            }
            ("children", Value::List(children)) => {
                for child in children.items() {
                    let child = data.add_group(&child.to_text()?)?;
                    data.add_child_group(id, child)?;
                }
            }
            ("hosts", Value::Dict(hosts)) => {
                for (pattern, vars) in hosts.items() {
                    let (names, port) = address::expand(&pattern.to_text()?)?;
                    let Value::Dict(vars) = vars else {
                        return Err(Error::parser(format!(
                            "Invalid data from file, expected dictionary and got:\n\n{}",
                            vars.to_text()?
                        )));
                    };
                    for name in names {
                        let host = data.add_host(&name, Some(id), port)?;
                        for (k, v) in vars.items() {
                            data.set_host_var(host, &k, v);
                        }
                    }
                }
            }
            ("vars", v) => return Err(wrong("vars", name, "dict", v)),
            ("children", v) => return Err(wrong("children", name, "list", v)),
            ("hosts", v) => return Err(wrong("hosts", name, "dict", v)),
            (key, _) => display::warning(&format!(
                "Skipping unexpected key \"{key}\" in group \"{name}\", only \"vars\", \"children\" and \"hosts\" are \
                 valid"
            )),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let mut d = Data::default();
        let text = "[web]\nchildren=['a']\nvars={x=1}\n[web.hosts]\n'w[1:2]'={}\nb={y='z'}\n";
        parse(&mut d, text, &"/i.toml".into()).unwrap();
        assert_eq!(d.hosts_in(d.group("web").unwrap()).len(), 3);
        assert!(d.group("a").is_some());
        assert_eq!(d.hosts[d.host("b").unwrap()].vars.get("y").unwrap().as_str(), Some("z"));
        assert!(
            parse(&mut d, "x = [", &"/i.toml".into())
                .unwrap_err()
                .brief()
                .starts_with("TOML file '/i.toml' is invalid")
        );
    }
}
