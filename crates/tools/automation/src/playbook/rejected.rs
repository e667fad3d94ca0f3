//! Modules that an administrator took away: `plugin_filters_cfg` names a file that lists them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use pileus_jinja::Value;

use crate::source::{Loader, paths};
use crate::{Error, config, display};

/// The file looked at where the setting names none.
const DEFAULT: &str = "/etc/ansible/plugin_filters.yml";

/// The names of the modules and actions that don't exist.
///
/// # Errors
/// Where `stat` is among them: nearly every action needs it.
pub fn list() -> Result<&'static HashSet<String>, Error> {
    static LIST: OnceLock<HashSet<String>> = OnceLock::new();
    if let Some(list) = LIST.get() {
        return Ok(list);
    }
    let given = config::current().text("PLUGIN_FILTERS_CFG");
    let file = given.map_or_else(|| DEFAULT.to_owned(), paths::unfrack);
    let list = read(&file, given.is_some());
    if list.contains("stat") {
        return Err(Error::new(format!(
            "The stat module was specified in the module reject list file, {file}, but Ansible will not function without \
             the stat module.  Please remove stat from the reject list."
        )));
    }
    Ok(LIST.get_or_init(|| list))
}

fn read(file: &str, given: bool) -> HashSet<String> {
    let skip = |why: &str| {
        display::warning(&format!("{why} Skipping."));
        HashSet::new()
    };
    if !Path::new(file).exists() {
        return if given {
            skip(&format!("The plugin filter file, {file} does not exist."))
        } else {
            HashSet::new()
        };
    }
    let value = match Loader::new().load_fresh(file, false) {
        Ok(value) => value,
        Err(e) => {
            display::warning(&format!(
                "The plugin filter file, {file} was not parsable. Skipping: {}",
                e.brief()
            ));
            return HashSet::new();
        }
    };
    let Some(version) = value.get("filter_version").and_then(|v| v.to_text().ok()) else {
        return skip(&format!("The plugin filter file, {file} was invalid."));
    };
    if version.trim() != "1.0" {
        return skip(&format!(
            "The plugin filter file, {file} was a version not recognized by this version of Ansible."
        ));
    }
    match value.get("module_rejectlist") {
        Some(Value::List(l)) => l.items().iter().filter_map(|v| v.to_text().ok()).collect(),
        _ => skip(&format!(
            "Unable to parse the plugin filter file {file} as module_rejectlist is not a list."
        )),
    }
}
