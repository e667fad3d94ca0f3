//! Where third-party plugins lie: folders beside playbooks and in roles, and the configured paths.
//!
//! Python starts only when a plugin is really used, so what is there is learned from names of files, and which filters
//! and tests a file may hold from the quoted words in it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::config;

/// A kind of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Action,
    Become,
    Cache,
    Callback,
    Connection,
    Filter,
    Inventory,
    Lookup,
    Strategy,
    Test,
    Vars,
}

impl Kind {
    /// Its folder beside a playbook or in a role, and the setting with further directories.
    fn folder(self) -> (&'static str, &'static str) {
        match self {
            Self::Action => ("action_plugins", "DEFAULT_ACTION_PLUGIN_PATH"),
            Self::Become => ("become_plugins", "BECOME_PLUGIN_PATH"),
            Self::Cache => ("cache_plugins", "DEFAULT_CACHE_PLUGIN_PATH"),
            Self::Callback => ("callback_plugins", "DEFAULT_CALLBACK_PLUGIN_PATH"),
            Self::Connection => ("connection_plugins", "DEFAULT_CONNECTION_PLUGIN_PATH"),
            Self::Filter => ("filter_plugins", "DEFAULT_FILTER_PLUGIN_PATH"),
            Self::Inventory => ("inventory_plugins", "DEFAULT_INVENTORY_PLUGIN_PATH"),
            Self::Lookup => ("lookup_plugins", "DEFAULT_LOOKUP_PLUGIN_PATH"),
            Self::Strategy => ("strategy_plugins", "DEFAULT_STRATEGY_PLUGIN_PATH"),
            Self::Test => ("test_plugins", "DEFAULT_TEST_PLUGIN_PATH"),
            Self::Vars => ("vars_plugins", "DEFAULT_VARS_PLUGIN_PATH"),
        }
    }
    /// Its name in a collection's `plugins` and in ansible-core's loaders.
    pub fn name(self) -> &'static str {
        self.folder().0.trim_end_matches("_plugins")
    }
}

static PLACES: RwLock<Vec<String>> = RwLock::new(Vec::new());
static WORDS: RwLock<Option<HashMap<Kind, Arc<HashSet<String>>>>> = RwLock::new(None);

/// A playbook's or role's directory may hold plugins from now on.
pub fn add(directory: &str) {
    if directory.is_empty() || PLACES.read().iter().any(|p| p == directory) {
        return;
    }
    PLACES.write().push(directory.to_owned());
    *WORDS.write() = None;
}

/// The directories so far.
pub fn all() -> Vec<String> {
    PLACES.read().clone()
}

/// How many there are: grows when more may be found.
pub fn count() -> usize {
    PLACES.read().len()
}

/// The directories that hold plugins of `kind`.
fn directories(kind: Kind) -> Vec<String> {
    let (folder, setting) = kind.folder();
    let beside = PLACES.read().iter().map(|p| format!("{p}/{folder}")).collect::<Vec<_>>();
    let configured = config::current().list(setting);
    beside.into_iter().chain(configured).filter(|d| Path::new(d).is_dir()).collect()
}

/// The plugin files of `kind`.
pub fn files(kind: Kind) -> Vec<String> {
    let mut out = Vec::new();
    for dir in directories(kind) {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        out.extend(
            entries
                .flatten()
                .filter_map(|e| e.path().to_str().map(str::to_owned))
                .filter(|p| p.ends_with(".py") && !p.ends_with("/__init__.py")),
        );
    }
    out
}

/// The file of the plugin `name` (no collection's).
pub fn file(kind: Kind, name: &str) -> Option<String> {
    if name.is_empty() || name.contains(['/', '.']) {
        return None;
    }
    directories(kind).into_iter().map(|d| format!("{d}/{name}.py")).find(|p| Path::new(p).is_file())
}

/// Whether there are plugin files of `kind`; looked up once until a place is added.
pub fn any(kind: Kind) -> bool {
    static KNOWN: RwLock<Option<(usize, HashMap<Kind, bool>)>> = RwLock::new(None);
    let places = PLACES.read().len();
    if let Some((at, known)) = &*KNOWN.read()
        && *at == places
        && let Some(answer) = known.get(&kind)
    {
        return *answer;
    }
    let answer = !files(kind).is_empty();
    let mut known = KNOWN.write();
    match &mut *known {
        Some((at, map)) if *at == places => {
            map.insert(kind, answer);
        }
        other => *other = Some((places, HashMap::from([(kind, answer)]))),
    }
    answer
}

/// Whether a file of filters or tests names `name` in quotes, so that asking Python is worth it.
pub fn mentioned(kind: Kind, name: &str) -> bool {
    if let Some(found) = WORDS.read().as_ref().and_then(|w| w.get(&kind)) {
        return found.contains(name);
    }
    let mut words = HashSet::new();
    for file in files(kind) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        words.extend(quoted(&text));
    }
    let answer = words.contains(name);
    WORDS.write().get_or_insert_default().insert(kind, Arc::new(words));
    answer
}

/// The words in quotes, and those before `=` (`dict(name=…)`).
fn quoted(text: &str) -> Vec<String> {
    let word = |w: &&str| !w.is_empty() && w.chars().all(|c| c.is_alphanumeric() || c == '_');
    let mut out: Vec<String> = text.split(['\'', '"']).filter(word).map(str::to_owned).collect();
    out.extend(
        text.split('=')
            .filter_map(|t| t.trim_end().rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next())
            .filter(word)
            .map(str::to_owned),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_filters_are_found_in_dictionaries_of_both_forms() {
        let words = quoted("return {'one': f, \"two\": g}\ndict(three=h, four = i)");
        for name in ["one", "two", "three", "four"] {
            assert!(words.iter().any(|w| w == name), "{name}");
        }
    }
}
