//! `config`: settings, and options of plugins: from variables, the environment, `ansible.cfg`, or their defaults.

use std::path::PathBuf;

use pileus_jinja::Value;
use serde_json::Value as Json;

use crate::Error;
use crate::config::options::{self, Opt};
use crate::config::{Setting, current, types};

use super::{Cx, Found};

/// The lookup.
pub fn config(terms: &[Value], cx: &Cx<'_>) -> Found {
    let missing = cx.text("on_missing").or_else(|| cx.text("missing")).unwrap_or_else(|| "error".into());
    if !matches!(missing.as_str(), "error" | "warn" | "skip") {
        let m = format!("Invalid value '{missing}' for config 'on_missing' for 'config' lookup plugin.");
        return Err(Error::new(m).help("Valid values are: error, warn, skip"));
    }
    let (kind, name) = (cx.text("plugin_type"), cx.text("plugin_name"));
    if kind.is_some() != name.is_some() {
        return Err(Error::new(
            "Both plugin_type and plugin_name are required, cannot use one without the other.",
        ));
    }
    let plugin = kind.zip(name);
    let own = match &plugin {
        Some((kind, name)) if options::plugin(kind, name).is_none() => documented(kind, name, cx)?,
        _ => Vec::new(),
    };
    let mut out = Vec::new();
    for t in terms {
        let Some(option) = t.as_str() else {
            return Err(Error::new(format!(
                "Invalid setting identifier, {} is not a <class 'str'>, its a <class '{}'>.",
                t.repr(),
                t.type_name()
            )));
        };
        match setting(option, plugin.as_ref(), &own, cx)? {
            Some(s) => {
                let v = Value::from(&s.value);
                let pair = cx.flag("show_origin", false);
                out.push(if pair { Value::tuple(vec![v, Value::from(s.origin)]) } else { v });
            }
            None if missing == "error" => {
                let of = plugin.map_or(String::new(), |(kind, name)| format!(" for '{name}' {kind} plugin"));
                return Err(Error::new(format!("No config definition exists for '{option}'{of}.")));
            }
            None if missing == "warn" => {
                crate::display::warning(&format!("Skipping, did not find setting {option}"));
            }
            None => {}
        }
    }
    Ok(out)
}

/// The setting `option`; `None` where there is no such option.
fn setting(
    option: &str,
    plugin: Option<&(String, String)>,
    own: &[Opt],
    cx: &Cx<'_>,
) -> Result<Option<Setting>, Error> {
    let config = current();
    let (found, label) = match plugin {
        Some((kind, name)) => (
            options::plugin(kind, name).map_or(own, |p| &p.options).iter().find(|o| o.name == option),
            format!("'{option}' for '{name}' {kind} plugin"),
        ),
        None => (options::base().iter().find(|o| o.name == option), format!("'{option}'")),
    };
    let Some(found) = found else { return Ok(None) };
    // the last of its variables that is set
    for var in found.vars.iter().rev() {
        let Some(v) = cx.scope.get(var) else { continue };
        let v = cx.world.resolve(&v, cx.scope)?;
        let origin = format!("var: {var}");
        let value = types::convert(&v.to_json(), found.kind.as_deref(), &origin)?;
        return Ok(Some(Setting { value, origin }));
    }
    if plugin.is_none()
        && let Some(s) = config.get(option)
    {
        return Ok(Some(s.clone()));
    }
    config.evaluate(found, &label).map(Some)
}

/// The options that a plugin written in Python documents, from its file beside the playbook.
fn documented(kind: &str, name: &str, cx: &Cx<'_>) -> Result<Vec<Opt>, Error> {
    let unknown = || Error::new(format!("Unable to load {kind} plugin '{name}'."));
    let folder = format!("{kind}_plugins");
    let mut places = vec![PathBuf::from(cx.world.files.base()).join(&folder)];
    places.extend(cx.search_path().into_iter().map(|p| PathBuf::from(p).join(&folder)));
    let text = places
        .iter()
        .find_map(|p| std::fs::read_to_string(p.join(format!("{name}.py"))).ok())
        .ok_or_else(unknown)?;
    let Some(begin) = text.find("DOCUMENTATION") else { return Ok(Vec::new()) };
    let mut blocks = text[begin..].split(if text[begin..].contains("\"\"\"") { "\"\"\"" } else { "'''" });
    let block = blocks.nth(1).unwrap_or_default();
    let document =
        pileus_yaml::load(block, &pileus_yaml::Options::ansible()).map_err(|e| Error::new(e.to_string()))?;
    let json = document.value.to_json();
    let Some(Json::Object(all)) = json.get("options") else { return Ok(Vec::new()) };
    let names = |v: &Json, key: &str| -> Vec<Json> {
        let list = v.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(|e| e.get("name")).cloned().collect()
    };
    let mut out = Vec::new();
    for (option, about) in all {
        let ini: Vec<Json> = about
            .get("ini")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(|e| Some(Json::Array(vec![e.get("section")?.clone(), e.get("key")?.clone()])))
            .collect();
        let opt = serde_json::json!({
            "name": option, "type": about.get("type"), "default": about.get("default"), "ini": ini,
            "env": names(about, "env"), "vars": names(about, "vars"), "choices": about.get("choices"),
            "required": about.get("required").is_some_and(types::truth),
        });
        out.push(serde_json::from_value(opt).map_err(|e| Error::new(format!("{name}: {option}: {e}")))?);
    }
    Ok(out)
}
