//! The cache of facts: in memory, or a file of JSON per host (`jsonfile`).

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pileus_jinja::{Dict, Value};

use crate::config;
use crate::source::paths;

fn file(host: &str) -> Option<PathBuf> {
    let config = config::current();
    let plugin = config.text("CACHE_PLUGIN").unwrap_or("memory");
    if crate::playbook::names::short(plugin) != "jsonfile" || host.contains('/') {
        return None;
    }
    let dir = paths::unfrack(config.text("CACHE_PLUGIN_CONNECTION")?);
    Some(PathBuf::from(format!("{dir}/{}{host}", config.text("CACHE_PLUGIN_PREFIX").unwrap_or_default())))
}

/// The configured cache plugin where it is one in Python.
fn python() -> Option<&'static str> {
    let plugin = config::current().text("CACHE_PLUGIN")?;
    (!matches!(crate::playbook::names::short(plugin), "memory" | "jsonfile")).then_some(plugin)
}

/// The facts kept of a host, unless they are too old.
pub fn kept(host: &str) -> Option<Dict> {
    if let Some(plugin) = python() {
        return crate::python::vars::cached(plugin, host).unwrap_or_else(|e| {
            crate::display::warning(&e.brief());
            None
        });
    }
    let file = file(host)?;
    let age =
        SystemTime::now().duration_since(fs::metadata(&file).ok()?.modified().ok()?).unwrap_or_default();
    let limit = u64::try_from(config::current().int("CACHE_PLUGIN_TIMEOUT")).unwrap_or(0);
    if limit > 0 && age > Duration::from_secs(limit) {
        return None;
    }
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    match Value::from(json) {
        Value::Dict(d) => Some(d),
        _ => None,
    }
}

/// Keeps the facts of a host; what cannot be written is told.
pub fn keep(host: &str, facts: &Dict) {
    if let Some(plugin) = python() {
        if let Err(e) = crate::python::vars::keep(plugin, host, Some(facts)) {
            crate::display::warning(&e.brief());
        }
        return;
    }
    let Some(file) = file(host) else { return };
    let text = crate::callback::json::dumps(&Value::Dict(facts.clone()), Some(4), true);
    let dir = file.parent().map(PathBuf::from).unwrap_or_default();
    let temporary = dir.join(format!(".{host}.{}", std::process::id()));
    let done = fs::create_dir_all(&dir)
        .and_then(|()| fs::write(&temporary, text))
        .and_then(|()| fs::rename(&temporary, &file));
    if let Err(e) = done {
        crate::display::warning(&format!(
            "error in 'jsonfile' cache plugin while trying to write to '{}': {e}",
            file.display()
        ));
    }
}
