//! A role: where it is, its defaults, variables and metadata. Its tasks are read where they are asked for.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pileus_jinja::{Dict, Origin, Str, Value};

use crate::Error;
use crate::source::paths;

use super::Files;
use super::checked::{checked, class};
use super::keyword::{self, K, Keywords, on};

/// Which files of a role are read (`tasks_from` …).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct From {
    /// `tasks/main`.
    pub tasks: Option<String>,
    /// `vars/main`.
    pub vars: Option<String>,
    /// `defaults/main`.
    pub defaults: Option<String>,
    /// `handlers/main`.
    pub handlers: Option<String>,
}

/// What asks for a role: an entry of `roles:`, a dependency, `include_role`.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The role's name or path.
    pub name: String,
    /// Keywords of the entry.
    pub keywords: Keywords,
    /// `vars:` of the entry.
    pub vars: Option<Dict>,
    /// Other keys: parameters.
    pub params: Dict,
    /// Files.
    pub from: From,
    /// Where.
    pub origin: Option<Arc<Origin>>,
    /// Whether its variables are seen by the rest of the play.
    pub public: bool,
    /// Whether it may run again though nothing differs.
    pub allow_duplicates: Option<bool>,
    /// Asked for by `include_role` or `import_role`.
    pub by_task: bool,
    /// Asked for by another role, which depends on it.
    pub dependency: bool,
    /// `rolespec_validate`.
    pub validate: bool,
}

/// A role as it is used at one place.
#[derive(Debug)]
pub struct Role {
    /// Its name as asked for.
    pub name: Arc<str>,
    /// Its full name (`ns.collection.role`).
    pub full_name: Arc<str>,
    /// Its collection.
    pub collection: Option<Arc<str>>,
    /// Its directory.
    pub path: Arc<str>,
    /// What asked for it.
    pub request: Request,
    /// `defaults/main`.
    pub defaults: Dict,
    /// `vars/main`.
    pub vars: Dict,
    /// `meta/main`.
    pub meta: Dict,
    /// The roles it depends on.
    pub dependencies: Vec<Arc<Role>>,
    /// Whether it may run twice on a host.
    pub allow_duplicates: bool,
    /// Hosts on which a task of it ran: one where all were skipped may come again.
    pub touched: Mutex<HashSet<Arc<str>>>,
    /// Hosts on which it has run to its end.
    pub completed: Mutex<HashSet<Arc<str>>>,
    /// Its argument specs.
    pub specs: Option<Value>,
    /// Whether its variables are seen by the rest of the play.
    pub public: RwLock<bool>,
    /// Whether it is one of the play's own, in `roles`.
    pub direct: RwLock<bool>,
}

impl Role {
    /// A role of the same path, asked for in the same way.
    pub fn same(&self, other: &Request, path: &str) -> bool {
        let r = &self.request;
        let equal = |k: K| r.keywords.get(k) == other.keywords.get(k);
        *self.path == *path
            // what a task brings in runs whether or not the play lists it
            && r.by_task == other.by_task
            && r.from == other.from
            && Value::Dict(r.params.clone()) == Value::Dict(other.params.clone())
            && r.vars.clone().map(Value::Dict) == other.vars.clone().map(Value::Dict)
            && equal(K::When)
            && equal(K::Tags)
    }
    /// Variables by default, weakest first: dependencies', then its own.
    pub fn default_layers(&self, out: &mut Vec<Dict>) {
        for d in &self.dependencies {
            d.default_layers(out);
        }
        if !self.defaults.is_empty() {
            out.push(self.defaults.clone());
        }
    }
    /// Variables, weakest first: dependencies', `vars/main`, `vars:` of the entry, with parameters if wanted.
    pub fn var_layers(&self, params: bool, out: &mut Vec<Dict>) {
        for d in &self.dependencies {
            d.var_layers(params, out);
        }
        if !self.vars.is_empty() {
            out.push(self.vars.clone());
        }
        out.extend(self.request.vars.clone());
        if params && !self.request.params.is_empty() {
            out.push(self.request.params.clone());
        }
    }
    /// Whether it has run on `host` and must not again.
    pub fn has_run(&self, host: &str) -> bool {
        !self.allow_duplicates && self.completed.lock().contains(host)
    }
    /// The file `name` of one of its folders, with or without an extension.
    pub fn file(&self, folder: &str, name: &str) -> Option<String> {
        find_main(&format!("{}/{folder}", self.path), name)
    }
}

/// `dir/name`, with the extension it has.
pub fn find_main(dir: &str, name: &str) -> Option<String> {
    let plain = format!("{dir}/{name}");
    let candidates = [".yml", ".yaml", ".json", ""].map(|e| format!("{plain}{e}"));
    candidates.into_iter().find(|c| Path::new(c).is_file())
}

/// Refuses a file's name (`tasks_from` …) that leads out of the role's folder `dir`.
///
/// # Errors
/// Where it does.
pub fn inside(dir: &str, name: &str, role: &str) -> Result<(), Error> {
    let path = if name.starts_with('/') { name.to_owned() } else { format!("{dir}/{name}") };
    if Path::new(&paths::unfrack(&path)).starts_with(paths::unfrack(dir)) {
        return Ok(());
    }
    Err(Error::new(format!(
        "Failed loading '{path}' for role ({role}) as it is not inside the expected role path: '{dir}'"
    )))
}

/// Reads an entry of `roles:` or `dependencies:`.
///
/// # Errors
/// Where it is no role definition.
pub fn request(entry: &Value) -> Result<Request, Error> {
    let at = || entry.origin().cloned();
    let mut r = Request { origin: at(), public: true, validate: true, ..Request::default() };
    match entry {
        Value::Str(s) => {
            let spec = s.as_str();
            if spec.contains(',') {
                return Err(Error::new(format!("Invalid old style role requirement: {spec}")).at(at()));
            }
            r.name = spec.to_owned();
        }
        Value::Int(n) => r.name = n.to_string(),
        Value::Dict(d) => {
            let name = d.get("role").or_else(|| d.get("name"));
            r.name = match name {
                Some(Value::Str(s)) => s.to_string(),
                Some(Value::Int(n)) => n.to_string(),
                _ if d.contains("src") => String::new(),
                _ => return Err(Error::parser("role definitions must contain a role name").at(at())),
            };
            for (key, v) in d.items() {
                let Some(k) = key.as_str() else { continue };
                match k {
                    "role" | "name" => {}
                    "vars" => match checked(K::Vars, &v, "RoleInclude", &key)? {
                        Value::Dict(d) => r.vars = Some(d),
                        _ => r.vars = None,
                    },
                    "tasks_from" => r.from.tasks = v.as_str().map(str::to_owned),
                    "vars_from" => r.from.vars = v.as_str().map(str::to_owned),
                    "defaults_from" => r.from.defaults = v.as_str().map(str::to_owned),
                    "handlers_from" => r.from.handlers = v.as_str().map(str::to_owned),
                    "allow_duplicates" => r.allow_duplicates = v.as_bool(),
                    "public" => {}
                    _ => match keyword::find(k, on::ROLE) {
                        Some(kw) => r.keywords.set(kw, checked(kw, &v, "RoleInclude", &key)?),
                        None => r.params.insert(key, v),
                    },
                }
            }
        }
        other => return Err(Error::parser(format!("Invalid role definition: {}", class(other))).at(at())),
    }
    Ok(r)
}

/// Where roles are looked for, in order: beside the playbook, the configured path, the asking role's folder.
pub fn search_path(files: &Files, asking: Option<&Role>) -> Vec<String> {
    let base = files.base();
    let mut out = vec![format!("{base}/roles")];
    for p in files.roles_path() {
        out.push(p);
    }
    if let Some(role) = asking {
        out.push(Path::new(&*role.path).parent().map(|p| p.display().to_string()).unwrap_or_default());
    }
    out.push(base);
    let mut seen = HashSet::new();
    out.retain(|p| seen.insert(p.clone()));
    out
}

/// The directory of the role `name`; its full name and collection where it is in one.
pub fn locate(
    files: &Files,
    name: &str,
    asking: Option<&Role>,
    collections: &[String],
) -> Option<(String, Option<(String, String)>)> {
    let parts: Vec<&str> = name.split('.').collect();
    if parts.len() > 2
        && parts
            .iter()
            .all(|p| super::names::identifier(p) || p.chars().all(|c| c.is_alphanumeric() || c == '_'))
    {
        let collection = format!("{}.{}", parts[0], parts[1]);
        let rest = parts[2..].join("/");
        if let Some(dir) = files.collection(&collection) {
            let path = format!("{dir}/roles/{rest}");
            if Path::new(&path).is_dir() {
                return Some((path, Some((name.to_owned(), collection))));
            }
        }
    } else if !name.contains('/') {
        let own = asking.and_then(|r| r.collection.as_deref());
        for collection in own.into_iter().chain(collections.iter().map(String::as_str)) {
            if let Some(dir) = files.collection(collection) {
                let path = format!("{dir}/roles/{name}");
                if Path::new(&path).is_dir() {
                    return Some((path, Some((format!("{collection}.{name}"), collection.to_owned()))));
                }
            }
        }
    }
    for dir in search_path(files, asking) {
        let path = if name.starts_with('/') { name.to_owned() } else { format!("{dir}/{name}") };
        if !name.is_empty() && Path::new(&path).is_dir() {
            return Some((paths::unfrack(&path), None));
        }
    }
    let direct = paths::unfrack(name);
    (!name.is_empty() && (name.starts_with('/') || name.starts_with('~')) && Path::new(&direct).is_dir())
        .then_some((direct, None))
}

/// Variables of a role's folder (`vars`, `defaults`): one file, or all of a `main` directory.
pub fn variables(files: &Files, path: &str, folder: &str, from: Option<&str>) -> Result<Dict, Error> {
    let dir = format!("{path}/{folder}");
    let name = from.unwrap_or("main");
    let extensions = [".yml".to_owned(), ".yaml".to_owned(), ".json".to_owned()];
    inside(&dir, name, path.rsplit('/').next().unwrap_or(path))?;
    let out = Dict::new();
    let found = if from.is_some() && Path::new(&format!("{dir}/{name}")).is_file() {
        vec![format!("{dir}/{name}")]
    } else {
        crate::source::vars_files::find(&dir, name, &extensions)
    };
    if found.is_empty() && from.is_some() {
        return Err(Error::parser(format!("Could not find specified file in role: {folder}/{name}")));
    }
    for file in found {
        match files.load(&file)? {
            Value::Dict(d) => {
                for (k, v) in d.items() {
                    out.insert(k, v);
                }
            }
            Value::None => {}
            other => {
                return Err(Error::parser(format!(
                    "The {folder}/{name} file for role '{}' must contain a dictionary of variables",
                    Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
                ))
                .at(other.origin().cloned()));
            }
        }
    }
    Ok(out)
}

/// The text of a template that must not be rendered: role names are, at once.
pub fn text(value: &str) -> Str {
    Str::new(value).trust()
}
