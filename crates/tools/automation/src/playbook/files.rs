//! Where things are: the loader of files, roles' and collections' directories, which modules exist.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use pileus_jinja::Value;

use crate::python::{self, places};
use crate::source::{Loader, paths};
use crate::{Error, config};

use super::frame::Frame;
use super::keyword::{self, K};
use super::names;

/// Groups of actions by full name.
type Groups = HashMap<String, Option<Arc<Vec<String>>>>;

/// Files and search paths of a run.
#[derive(Debug, Default)]
pub struct Files {
    loader: Loader,
    collections: RwLock<HashMap<String, Option<String>>>,
    redirects: RwLock<HashMap<String, Arc<HashMap<String, String>>>>,
    libraries: RwLock<HashMap<String, Option<String>>>,
    pub(super) groups: RwLock<Groups>,
    moved: RwLock<HashMap<String, Option<String>>>,
}

impl Files {
    /// With the working directory as the base.
    pub fn new() -> Self {
        Self::default()
    }
    /// The loader.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }
    /// The directory of the playbook.
    pub fn base(&self) -> String {
        paths::unfrack(&self.loader.base())
    }
    /// Sets the directory of the playbook.
    pub fn set_base(&self, dir: &str) {
        self.loader.set_base(dir);
    }
    /// A YAML file's value, read once.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn load(&self, path: &str) -> Result<Value, Error> {
        self.loader.load(path)
    }
    /// The configured directories of roles.
    pub fn roles_path(&self) -> Vec<String> {
        config::current().list("DEFAULT_ROLES_PATH")
    }
    /// The file of a playbook to import: beside the importing one, or `ns.collection.name`.
    pub fn playbook(&self, name: &str, directory: &str) -> String {
        let plain = paths::unfrack_from(name, directory);
        if Path::new(&plain).is_file() {
            return plain;
        }
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() >= 3
            && !name.contains('/')
            && let Some(dir) = self.collection(&format!("{}.{}", parts[0], parts[1]))
        {
            for ext in ["yml", "yaml"] {
                let path = format!("{dir}/playbooks/{}.{ext}", parts[2..].join("/"));
                if Path::new(&path).is_file() {
                    return path;
                }
            }
        }
        plain
    }
    /// The directory of a collection.
    pub fn collection(&self, name: &str) -> Option<String> {
        if let Some(found) = self.collections.read().get(name) {
            return found.clone();
        }
        let rest = name.replacen('.', "/", 1);
        let mut places = vec![format!("{}/collections", self.base())];
        places.extend(config::current().list("COLLECTIONS_PATHS"));
        let found = places
            .iter()
            .flat_map(|p| [format!("{p}/ansible_collections/{rest}"), format!("{p}/{rest}")])
            .find(|p| p.contains("ansible_collections/") && Path::new(p).is_dir())
            // what pip has installed
            .or_else(|| {
                let beside =
                    python::search::packages().iter().map(|p| format!("{p}/ansible_collections/{rest}"));
                beside.into_iter().find(|p| Path::new(p).is_dir())
            });
        self.collections.write().insert(name.to_owned(), found.clone());
        found
    }
    /// What `meta/runtime.yml` of a collection says its plugins are called now: `modules/old` → full name.
    pub fn redirects(&self, collection: &str) -> Arc<HashMap<String, String>> {
        if let Some(found) = self.redirects.read().get(collection) {
            return found.clone();
        }
        let mut out = HashMap::new();
        if let Some(dir) = self.collection(collection)
            && let Ok(value) = self.load(&format!("{dir}/meta/runtime.yml"))
            && let Some(Value::Dict(routing)) = value.get("plugin_routing")
        {
            for (kind, entries) in routing.items() {
                let Value::Dict(entries) = entries else { continue };
                for (name, entry) in entries.items() {
                    let (Some(kind), Some(name)) = (kind.as_str(), name.as_str()) else { continue };
                    if let Some(to) = entry.get("redirect") {
                        out.insert(format!("{kind}/{name}"), to.to_text().unwrap_or_default());
                    }
                    if let Some(to) = entry.get("action_plugin") {
                        out.insert(format!("action_plugin/{name}"), to.to_text().unwrap_or_default());
                    }
                }
            }
        }
        let out = Arc::new(out);
        self.redirects.write().insert(collection.to_owned(), out.clone());
        out
    }

    /// The file of a module in Python (or any executable) that is not native: beside the playbook or role, in the
    /// configured libraries, in a collection.
    pub fn module_file(&self, name: &str, frame: Option<&Frame>) -> Option<String> {
        let short = names::short(name);
        let role = frame.and_then(|f| f.role.as_deref());
        // each playbook and role that is read may bring modules
        let key = format!("{}|{}|{name}", places::count(), role.map_or("", |r| &*r.path));
        if let Some(found) = self.libraries.read().get(&key) {
            return found.clone();
        }
        let found = self.find_module(short, role);
        self.libraries.write().insert(key, found.clone());
        found
    }

    fn find_module(&self, name: &str, role: Option<&super::Role>) -> Option<String> {
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() > 2 {
            let dir = self.collection(&format!("{}.{}", parts[0], parts[1]))?;
            return module_in(&format!("{dir}/plugins/modules"), &parts[2..].join("/")).or_else(|| {
                let action = format!("{dir}/plugins/action/{}.py", parts[2..].join("/"));
                Path::new(&action).is_file().then_some(action)
            });
        }
        let mut places = Vec::new();
        if let Some(role) = role {
            places.push(format!("{}/library", role.path));
            places.push(format!("{}/action_plugins", role.path));
        }
        for dir in places::all().into_iter().chain([self.base()]) {
            places.push(format!("{dir}/library"));
            places.push(format!("{dir}/action_plugins"));
        }
        places.extend(config::current().list("DEFAULT_MODULE_PATH"));
        places.extend(config::current().list("DEFAULT_ACTION_PLUGIN_PATH"));
        places.iter().find_map(|p| module_in(p, name))
    }

    /// Whether a module of no collection lies in a library and isn't core's.
    pub fn is_local(&self, name: &str, frame: &Frame) -> bool {
        !name.contains('.') && !names::known(name) && self.module_file(name, Some(frame)).is_some()
    }

    /// Whether an action of that name can run.
    pub fn action_known(&self, name: &str, frame: &Frame) -> bool {
        let resolved = self.resolve_action(name, frame);
        if super::rejected::list().is_ok_and(|l| l.contains(names::short(&resolved))) {
            return false;
        }
        names::known(&resolved) || self.module_file(&resolved, Some(frame)).is_some()
    }

    /// The name an action goes by: collections of the task tried, redirects followed, core's prefix dropped.
    pub fn resolve_action(&self, name: &str, frame: &Frame) -> Arc<str> {
        let short = names::short(name);
        let gone = |name: &str| {
            names::identifier(name) && !names::known(name) && self.module_file(name, Some(frame)).is_none()
        };
        if short.len() != name.len() {
            // core's own table may send it elsewhere
            return match gone(short).then(|| self.moved(short)).flatten() {
                Some(to) => to.into(),
                None => short.into(),
            };
        }
        if !name.contains('.') {
            let own = frame.role.as_ref().and_then(|r| r.collection.as_deref()).map(str::to_owned);
            let listed = frame.keywords.get(K::Collections).map(keyword::items).unwrap_or_default();
            for collection in
                own.into_iter().chain(listed.iter().filter_map(|v| v.as_str().map(str::to_owned)))
            {
                if matches!(collection.as_str(), "ansible.builtin" | "ansible.legacy") {
                    if names::known(name) {
                        return name.into();
                    }
                    continue;
                }
                let full = self.redirected(&format!("{collection}.{name}"));
                if self.module_file(&full, None).is_some()
                    || (full.contains('.') && names::known(&full) && self.collection(&collection).is_some())
                {
                    return full.into();
                }
            }
            if gone(name)
                && let Some(to) = self.moved(name)
            {
                return to.into();
            }
            return name.into();
        }
        self.redirected(name).into()
    }

    /// Where core's own table of redirects sends a short name, by what the installed ansible-core knows.
    fn moved(&self, name: &str) -> Option<String> {
        if let Some(known) = self.moved.read().get(name) {
            return known.clone();
        }
        let fields = pileus_modules::Map::from_iter([("name".to_owned(), name.into())]);
        let found = crate::python::host().value(&format!("the module {name}"), "action", fields).ok();
        let to = found
            .and_then(|(v, _)| v["name"].as_str().map(str::to_owned))
            .filter(|to| to != name && !to.starts_with("ansible.builtin."));
        self.moved.write().insert(name.to_owned(), to.clone());
        to
    }

    fn redirected(&self, name: &str) -> String {
        self.follow(name, 0)
    }

    /// Follows redirects: an action's where there is something at its end, else a module's.
    fn follow(&self, name: &str, depth: usize) -> String {
        let parts: Vec<&str> = name.splitn(3, '.').collect();
        let [ns, coll, rest] = parts.as_slice() else { return name.to_owned() };
        if depth >= 10 {
            return name.to_owned();
        }
        let map = self.redirects(&format!("{ns}.{coll}"));
        let end = |kind: &str| {
            map.get(&format!("{kind}/{rest}")).map(|to| self.follow(names::short(to), depth + 1))
        };
        let there = |name: &str| names::known(name) || self.module_file(name, None).is_some();
        let action = end("action");
        if let Some(end) = action.as_ref().filter(|end| there(end)) {
            return end.clone();
        }
        end("modules")
            .or(action.filter(|_| self.module_file(name, None).is_none()))
            .unwrap_or_else(|| name.to_owned())
    }
}

/// Extensions of what is no module (MODULE_IGNORE_EXTS).
const NO_MODULES: [&str; 12] =
    ["pyc", "pyo", "swp", "bak", "rpm", "md", "txt", "rst", "yml", "yaml", "ini", "json"];

fn module_in(dir: &str, name: &str) -> Option<String> {
    // a leading underscore marks a deprecated module
    for name in [name, &format!("_{name}")] {
        let exact = ["", ".py", ".sh", ".ps1"].map(|e| format!("{dir}/{name}{e}"));
        if let Some(p) = exact.into_iter().find(|p| Path::new(p).is_file()) {
            return Some(p);
        }
    }
    // any extension, and folders below
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(p) = path.to_str().and_then(|d| module_in(d, name)) {
                return Some(p);
            }
        } else if path.file_stem().is_some_and(|s| s == name)
            && !path.extension().and_then(|e| e.to_str()).is_some_and(|e| NO_MODULES.contains(&e))
        {
            return Some(path.display().to_string());
        }
    }
    None
}
