//! `generator`: hosts and groups for every combination of its layers.

use pileus_jinja::{Dict, Engine, Value};

use super::constructed::{render, render_text};
use super::data::Data;
use crate::Error;

/// Makes the hosts and groups of `options`.
///
/// # Errors
/// Where an option is missing or a template fails.
pub fn run(data: &mut Data, options: &Dict, engine: &Engine) -> Result<(), Error> {
    let part = |name: &str| options.get(name).ok_or_else(|| Error::new(format!("'{name}'")));
    let (layers, hosts) = (part("layers")?, part("hosts")?);
    let (Value::Dict(layers), Value::Dict(hosts)) = (layers, hosts) else {
        return Err(Error::new("layers and hosts must be dictionaries"));
    };
    let names = layers.keys();
    let values = layers.values().iter().map(Value::to_vec).collect::<Result<Vec<_>, _>>()?;
    let name = hosts.get("name").ok_or_else(|| Error::new("'name'"))?;
    let parents = hosts.get("parents");
    let mut at = vec![0usize; values.len()];
    if values.iter().any(Vec::is_empty) {
        return Ok(());
    }
    loop {
        let scope: Dict =
            names.iter().cloned().zip(values.iter().zip(&at).map(|(v, i)| v[*i].clone())).collect();
        let host = render_text(engine, &name, &scope)?;
        data.add_host(&host, None, None)?;
        add_parents(data, &host, parents.as_ref(), &scope, engine)?;
        // the last layer turns fastest
        let Some(next) = (0..at.len()).rev().find(|i| at[*i] + 1 < values[*i].len()) else { return Ok(()) };
        at[next] += 1;
        at[next + 1..].fill(0);
    }
}

fn add_parents(
    data: &mut Data,
    child: &str,
    parents: Option<&Value>,
    scope: &Dict,
    engine: &Engine,
) -> Result<(), Error> {
    let Some(parents) = parents.filter(|p| !p.is_none()) else { return Ok(()) };
    for parent in parents.to_vec()? {
        let name = match parent.get("name") {
            Some(n) => render_text(engine, &n, scope)?,
            None => String::new(),
        };
        if name.is_empty() {
            return Err(Error::parser(format!("Element {child} has a parent with no name.")));
        }
        let group = data.add_group(&name)?;
        if let Some(Value::Dict(vars)) = parent.get("vars") {
            for (k, v) in vars.items() {
                let v = render(engine, &v, scope)?;
                data.set_group_var(group, &k, v)?;
            }
        }
        data.add_child(group, child)?;
        add_parents(data, &name, parent.get("parents").as_ref(), scope, engine)?;
    }
    Ok(())
}
