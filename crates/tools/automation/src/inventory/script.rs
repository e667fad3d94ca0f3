//! Executable inventories: `--list` gives JSON; `--host NAME` is asked where `_meta.hostvars` is missing.

use std::process::{Command, Stdio};
use std::sync::Arc;

use indexmap::IndexSet;
use pileus_jinja::value::repr_str;
use pileus_jinja::{Origin, Value};
use serde_json::Value as Json;

use super::data::Data;
use crate::source::json;
use crate::{Error, config, display, os_error};

/// Runs the script at `path` and reads what it says into `data`.
///
/// # Errors
/// Where it cannot be run, fails, or says no inventory.
pub fn parse(data: &mut Data, path: &str) -> Result<(), Error> {
    let origin = Arc::new(Origin {
        file: format!("<inventory script output from {}>", repr_str(path)).into(),
        line: 0,
        column: 0,
        sealed: None,
    });
    let (text, stderr) = run(path, &["--list"])?;
    let help = |e: Error| match stderr.trim().is_empty() {
        true => e,
        false => e.help(format!("Standard error from inventory script:\n{stderr}")),
    };
    let undecodable = |why: String| {
        help(Error::new("Unable to get JSON decoder for inventory script result.").because(Error::new(why)))
    };
    let parsed: Json =
        serde_json::from_str(&text).map_err(|_| undecodable("Value could not be parsed as JSON.".into()))?;
    let Json::Object(groups) = &parsed else {
        return Err(undecodable(format!("Value is '{}' instead of 'dict'.", type_name(&parsed))));
    };
    if let Some(meta) = groups.get("_meta") {
        let Json::Object(meta) = meta else {
            return Err(undecodable(format!(
                "Value contains '_meta' which is '{}' instead of 'dict'.",
                type_name(meta)
            )));
        };
        match meta.get("profile") {
            None => {}
            Some(Json::String(p)) if p.starts_with("inventory_") => {}
            Some(Json::String(p)) => {
                return Err(undecodable(format!("Non-inventory profile {} is not allowed.", repr_str(p))));
            }
            Some(other) => {
                return Err(undecodable(format!(
                    "Value contains '_meta.profile' which is '{}' instead of 'str'.",
                    type_name(other)
                )));
            }
        }
    }
    let always = config::current().plugin("inventory", "script", "always_show_stderr")?;
    if !stderr.is_empty() && always.value.as_bool() == Some(true) {
        display::error_text(&stderr);
    }
    fill(data, groups, &origin, true, |name| host_vars(path, name))
}

/// Puts what a script said into `data`. Its text is a template where `trusted`; `ask` gives the variables of a host
/// where there is no `_meta`.
pub(super) fn fill(
    data: &mut Data,
    groups: &serde_json::Map<String, Json>,
    origin: &Arc<Origin>,
    trusted: bool,
    ask: impl Fn(&str) -> Result<Option<Json>, Error>,
) -> Result<(), Error> {
    let mut hosts = IndexSet::new();
    let mut meta = None;
    for (name, body) in groups {
        if name == "_meta" {
            meta = Some(match body.get("hostvars") {
                Some(Json::Object(vars)) => vars,
                other => {
                    return Err(Error::new(format!(
                        "Value contains '_meta.hostvars' which is '{}' instead of 'dict'.",
                        other.map_or("NoneType", type_name)
                    )));
                }
            });
        } else {
            group(data, name, body, origin, trusted, &mut hosts)?;
        }
    }
    if meta.is_none() {
        display::deprecated(
            "Inventory scripts should always provide 'meta.hostvars'. Host variables will be collected by running \
             the inventory script with the '--host' option for each host.",
            "2.23",
            None,
        );
    }
    for name in hosts {
        let vars = match meta {
            Some(all) => all.get(&name).cloned(),
            None => ask(&name)?,
        };
        let Some(vars) = vars else { continue };
        let Json::Object(vars) = vars else {
            return Err(Error::parser(format!(
                "Invalid data from file, expected dictionary and got:\n\n{}",
                Value::from(&vars).to_text()?
            )));
        };
        let host = data.add_host(&name, None, None)?;
        for (k, v) in &vars {
            data.set_host_var(host, &Value::from(k), json::value(v, Some(origin), trusted));
        }
    }
    Ok(())
}

fn type_name(v: &Json) -> &'static str {
    match v {
        Json::Null => "NoneType",
        Json::Bool(_) => "bool",
        Json::Number(n) if n.is_f64() => "float",
        Json::Number(_) => "int",
        Json::String(_) => "str",
        Json::Array(_) => "list",
        Json::Object(_) => "dict",
    }
}

fn group(
    data: &mut Data,
    name: &str,
    body: &Json,
    origin: &Arc<Origin>,
    trusted: bool,
    seen: &mut IndexSet<String>,
) -> Result<(), Error> {
    let id = data.add_group(name)?;
    let wrong = |key: &str, found: &Json, wanted: &str| {
        Error::new(format!(
            "Value contains '{name}.{key}' which is '{}' instead of '{wanted}'.",
            type_name(found)
        ))
    };
    let mut lone = Vec::new();
    let (hosts, vars, children) = match body {
        Json::Object(map) if ["hosts", "vars", "children"].iter().any(|k| map.contains_key(*k)) => {
            (map.get("hosts"), map.get("vars"), map.get("children"))
        }
        Json::Object(_) => {
            display::deprecated(
                &format!(
                    "Treating malformed group '{name}' as the sole host of that group. Variables provided in this \
                     manner cannot be templated."
                ),
                "2.23",
                None,
            );
            lone.push(Json::String(name.to_owned()));
            (None, Some(body), None)
        }
        other => {
            display::deprecated(
                &format!("Group '{name}' was converted to 'dict' from '{}'.", type_name(other)),
                "2.23",
                None,
            );
            (Some(other), None, None)
        }
    };
    let malformed = !lone.is_empty();
    match hosts {
        Some(Json::Array(items)) => lone.extend(items.iter().cloned()),
        Some(other) => return Err(wrong("hosts", other, "list")),
        None => {}
    }
    for host in &lone {
        let Json::String(host) = host else {
            return Err(Error::new(format!(
                "Invalid host name supplied, expected a string but got <class '{}'> for {}",
                type_name(host),
                Value::from(host).to_text()?
            )));
        };
        seen.insert(host.clone());
        data.add_host(host, Some(id), None)?;
    }
    match vars {
        Some(Json::Object(map)) => {
            for (k, v) in map {
                data.set_group_var(id, &Value::from(k), json::value(v, Some(origin), trusted && !malformed))?;
            }
        }
        Some(other) => return Err(wrong("vars", other, "dict")),
        None => {}
    }
    if let Some(Json::Array(names)) = children {
        for child in names.iter().filter_map(Json::as_str) {
            let child = data.add_group(child)?;
            data.add_child_group(id, child)?;
        }
    }
    Ok(())
}

fn host_vars(path: &str, host: &str) -> Result<Option<Json>, Error> {
    let (text, _) = run(path, &["--host", host])?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&text).map(Some).map_err(|e| {
        Error::new(format!("Inventory script result for host '{host}' could not be parsed as JSON."))
            .because(Error::new(e.to_string()))
    })
}

fn run(path: &str, args: &[&str]) -> Result<(String, String), Error> {
    let done = Command::new(path).args(args).stdin(Stdio::inherit()).output().map_err(|e| {
        let shown = std::iter::once(path).chain(args.iter().copied()).collect::<Vec<_>>().join(" ");
        Error::new(format!("Failed to execute inventory script command '{shown}'."))
            .because(os_error(&e, path))
    })?;
    let mut stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    if !stderr.is_empty() && !stderr.ends_with('\n') {
        stderr.push('\n');
    }
    let help = |e: Error| match stderr.trim().is_empty() {
        true => e,
        false => e.help(format!("Standard error from inventory script:\n{stderr}")),
    };
    if !done.status.success() {
        let code = done.status.code().unwrap_or(-1);
        return Err(help(Error::new(format!("Inventory script returned non-zero exit code {code}."))));
    }
    let text = String::from_utf8(done.stdout).map_err(|e| {
        let told = "Inventory script result contained characters that cannot be interpreted as UTF-8.";
        help(Error::new(told).because(Error::new(e.to_string())))
    })?;
    Ok((text, stderr))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lists_and_hosts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inv.sh");
        let script = "#!/bin/sh\n[ \"$1\" = --list ] && echo '{\"web\": {\"hosts\": [\"a\"], \"vars\": {\"x\": \"{{ y }}\"}}}' \
                      || echo '{\"z\": 1}'\n";
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut d = Data::default();
        parse(&mut d, path.to_str().unwrap()).unwrap();
        assert_eq!(d.hosts[d.host("a").unwrap()].vars.get("z"), Some(Value::Int(1)));
        let web = d.group("web").unwrap();
        assert!(matches!(d.groups[web].vars.get("x"), Some(Value::Str(s)) if s.is_template()));
        std::fs::write(&path, "#!/bin/sh\necho oops >&2; exit 3\n").unwrap();
        let e = parse(&mut d, path.to_str().unwrap()).unwrap_err();
        assert_eq!(e.brief(), "Inventory script returned non-zero exit code 3.");
    }
}
