//! The inventory of a program: its sources read, patterns and the limit evaluated, changes while plays run.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use pileus_jinja::{Dict, Str, Value};

use super::data::{Data, LOCALHOST};
use super::pattern::{self, Chosen};
use super::{Beside, Inventory, Name, merge, named, sources};
use crate::source::{Loader, paths};
use crate::{Error, config, os_error};

/// What is read.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Paths and lists of hosts, as the command line or the settings give them.
    pub list: Vec<String>,
    /// `--extra-vars`: constructed inventories may use them.
    pub extra: Dict,
}

/// The inventory of a program.
#[derive(Debug)]
pub struct Manager {
    data: RwLock<Data>,
    wanted: Sources,
    loader: Arc<Loader>,
    beside: Beside,
    limit: RwLock<Vec<String>>,
    generation: AtomicU64,
    /// Hosts and groups added while plays run, to be added again after a refresh.
    added: RwLock<Vec<Added>>,
}

#[derive(Debug, Clone)]
enum Added {
    Host(String, Vec<String>, Dict),
    Group(String, String, Vec<String>),
}

impl Manager {
    /// Reads the sources.
    ///
    /// # Errors
    /// Where one cannot be read and the settings make that an error.
    pub fn load(loader: Arc<Loader>, wanted: Sources) -> Result<Self, Error> {
        let beside = Beside::default();
        let data = sources::read(&wanted, &loader, &beside)?;
        Ok(Self {
            data: RwLock::new(data),
            wanted,
            loader,
            beside,
            limit: RwLock::default(),
            generation: AtomicU64::new(1),
            added: RwLock::default(),
        })
    }

    /// Runs `f` with hosts and groups.
    pub fn read<T>(&self, f: impl FnOnce(&Data) -> T) -> T {
        f(&self.data.read())
    }
    /// The loader that reads files beside the sources.
    pub fn loader(&self) -> &Arc<Loader> {
        &self.loader
    }
    /// What lies beside sources and playbooks.
    pub fn beside(&self) -> &Beside {
        &self.beside
    }
    /// The directories of the sources, where `group_vars` and `host_vars` may lie.
    pub fn directories(&self) -> Vec<String> {
        sources::directories(&self.wanted.list)
    }

    /// Sets the limit, as `--limit` gives it; `@file` stands for the lines of a file.
    ///
    /// # Errors
    /// Where such a file cannot be read.
    pub fn set_limit(&self, limit: Option<&str>) -> Result<(), Error> {
        let mut out = Vec::new();
        for part in limit.map(pattern::split).unwrap_or_default() {
            let Some(file) = part.strip_prefix('@') else {
                out.push(part);
                continue;
            };
            let path = paths::unfrack(file);
            if !Path::new(&path).exists() {
                return Err(Error::new(format!("Unable to find limit file {path}")));
            }
            if !Path::new(&path).is_file() {
                return Err(Error::new(format!(
                    "Limit starting with \"@\" must be a file, not a directory: {path}"
                )));
            }
            let text = fs::read_to_string(&path).map_err(|e| {
                Error::new(format!("Unable to read limit file {path}")).because(os_error(&e, &path))
            })?;
            out.extend(text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()));
        }
        *self.limit.write() = out;
        Ok(())
    }

    /// The hosts that `pattern` names, within the limit unless `ignore_limit`.
    ///
    /// # Errors
    /// Where a pattern is wrong.
    pub fn select(&self, pattern: &str, ignore_limit: bool) -> Result<Vec<Name>, Error> {
        let data = self.data.read();
        let mut hosts = pattern::evaluate(&data, &pattern::split(pattern))?;
        let limit = self.limit.read();
        if !ignore_limit && !limit.is_empty() {
            let within: std::collections::HashSet<Chosen> =
                pattern::evaluate(&data, &limit)?.into_iter().collect();
            hosts.retain(|h| within.contains(h));
        }
        Ok(hosts
            .into_iter()
            .map(|h| match h {
                Chosen::Host(id) => data.hosts[id].name.clone(),
                Chosen::Implicit(name) => name.into(),
            })
            .collect())
    }

    fn implicit(&self, host: &str) -> Dict {
        if LOCALHOST.contains(&host) { implicit_vars() } else { Dict::new() }
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    fn apply_host(data: &mut Data, name: &str, groups: &[String], vars: &Dict) -> Result<bool, Error> {
        let new = data.host(name).is_none();
        let id = data.add_host(name, None, None)?;
        let mut changed = new;
        for (k, v) in vars.items() {
            if data.hosts[id].vars.get_value(&k).as_ref() != Some(&v) {
                changed = true;
                data.set_host_var(id, &k, v);
            }
        }
        for group in groups {
            changed |= data.group(group).is_none();
            let g = data.add_group(group)?;
            changed |= data.add_child(g, name)?;
        }
        data.reconcile();
        Ok(changed)
    }

    fn apply_group(data: &mut Data, host: &str, group: &str, parents: &[String]) -> Result<bool, Error> {
        let mut changed = data.group(group).is_none();
        let g = data.add_group(group)?;
        for parent in parents {
            changed |= data.group(parent).is_none();
            let p = data.add_group(parent)?;
            changed |= data.add_child_group(p, g)?;
        }
        if data.host(host).is_none() && LOCALHOST.contains(&host) {
            data.add_host(host, None, None)?;
        }
        changed |= data.add_child(g, host)?;
        data.reconcile();
        Ok(changed)
    }
}

/// The variables of the localhost that no source names.
fn implicit_vars() -> Dict {
    let vars = Dict::new();
    let path = std::env::var("PATH").unwrap_or_default();
    let python = path.split(':').map(|d| format!("{d}/python3")).find(|p| Path::new(p).is_file());
    vars.insert("ansible_python_interpreter", Str::new(python.unwrap_or_else(|| "/usr/bin/python3".into())));
    vars.insert("ansible_connection", Value::str("local"));
    vars
}

impl Inventory for Manager {
    fn hosts(&self) -> Vec<Name> {
        self.read(|d| d.hosts.iter().map(|h| h.name.clone()).collect())
    }
    fn groups(&self) -> Vec<(Name, Vec<Name>)> {
        self.read(|d| {
            (0..d.groups.len())
                .map(|g| {
                    let hosts = d.hosts_in(g).into_iter().map(|h| d.hosts[h].name.clone()).collect();
                    (d.groups[g].name.clone(), hosts)
                })
                .collect()
        })
    }
    fn groups_of(&self, host: &str) -> Vec<Name> {
        self.read(|d| match d.host(host) {
            Some(id) => d.groups_of(id).into_iter().map(|g| d.groups[g].name.clone()).collect(),
            None => vec![d.groups[0].name.clone()],
        })
    }
    fn host_vars(&self, host: &str) -> Dict {
        self.read(|d| match d.host(host) {
            Some(id) => d.hosts[id].vars.copy(),
            None if LOCALHOST.contains(&host) => implicit_vars(),
            None => Dict::new(),
        })
    }
    fn group_vars(&self, group: &str) -> Dict {
        self.read(|d| d.group(group).map_or_else(Dict::new, |id| d.groups[id].vars.copy()))
    }
    fn matching(&self, pattern: &str) -> Result<Vec<Name>, String> {
        self.select(pattern, true).map_err(|e| e.brief())
    }
    fn chosen(&self, pattern: &str) -> Result<Vec<Name>, String> {
        self.select(pattern, false).map_err(|e| e.brief())
    }
    fn sources(&self) -> Vec<Arc<Path>> {
        let files = self.wanted.list.iter().filter(|s| {
            !s.is_empty() && named::of(s).is_none() && (!s.contains(',') || Path::new(s).exists())
        });
        files.map(|s| Path::new(&paths::unfrack(s)).into()).collect()
    }
    fn source_of(&self, host: &str) -> Option<Arc<str>> {
        self.read(|d| d.hosts[d.host(host)?].source.clone())
    }
    fn add_host(&self, name: &str, groups: &[String], vars: &Dict) -> bool {
        let changed = Self::apply_host(&mut self.data.write(), name, groups, vars).unwrap_or(false);
        self.added.write().push(Added::Host(name.to_owned(), groups.to_vec(), vars.copy()));
        self.changed();
        changed
    }
    fn add_to_group(&self, host: &str, group: &str, parents: &[String]) -> bool {
        let changed = Self::apply_group(&mut self.data.write(), host, group, parents).unwrap_or(false);
        self.added.write().push(Added::Group(host.to_owned(), group.to_owned(), parents.to_vec()));
        self.changed();
        changed
    }
    fn refresh(&self) -> Result<(), String> {
        self.beside.clear();
        self.loader.clear();
        let mut data = sources::read(&self.wanted, &self.loader, &self.beside).map_err(|e| e.brief())?;
        for added in self.added.read().iter() {
            let done = match added {
                Added::Host(name, groups, vars) => Self::apply_host(&mut data, name, groups, vars),
                // the sources may not have the host any more
                Added::Group(host, ..) if data.host(host).is_none() => continue,
                Added::Group(host, group, parents) => Self::apply_group(&mut data, host, group, parents),
            };
            done.map_err(|e| e.brief())?;
        }
        *self.data.write() = data;
        self.changed();
        Ok(())
    }
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

/// The settings' or the command line's sources: `-i` as given, else `inventory` of the settings.
pub fn listed(given: &[String]) -> Vec<String> {
    if given.is_empty() {
        return config::current().list("DEFAULT_HOST_LIST");
    }
    let whole = |s: &str| s.contains(',') || named::of(s).is_some();
    given.iter().map(|s| if whole(s) { s.clone() } else { paths::unfrack(s) }).collect()
}

/// The variables of hosts without the engine's own: groups', then the host's, then extra ones; from the sources and
/// from what lies beside them and the playbook. Hosts of the same groups share the groups' part.
#[derive(Debug)]
pub struct Flattener<'a> {
    manager: &'a Manager,
    near: Vec<String>,
    play: Vec<String>,
    groups: std::collections::HashMap<Vec<Name>, Dict>,
}

impl<'a> Flattener<'a> {
    /// For the hosts of `manager`, with a playbook in `playbook_dir`.
    pub fn new(manager: &'a Manager, playbook_dir: &str) -> Self {
        let near = manager.directories();
        let play = fs::canonicalize(playbook_dir)
            .map_or_else(|_| playbook_dir.to_owned(), |p| p.to_string_lossy().into_owned());
        let play = if near.contains(&play) { Vec::new() } else { vec![play] };
        Self { manager, near, play, groups: std::collections::HashMap::new() }
    }

    /// The variables of `host`.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn vars(&mut self, host: &str, extra: &Dict) -> Result<Dict, Error> {
        let m = self.manager;
        let groups = m.groups_of(host);
        let out = match self.groups.get(&groups) {
            Some(known) => known.copy(),
            None => {
                let merged = self.group_part(&groups)?;
                let copy = merged.copy();
                self.groups.insert(groups, merged);
                copy
            }
        };
        m.read(|d| match d.host(host) {
            Some(id) => merge::update(&out, &d.hosts[id].vars),
            None => merge::update(&out, &m.implicit(host)),
        });
        m.beside.vars(&m.loader, &self.near, super::Kind::Host, host, &out)?;
        m.beside.vars(&m.loader, &self.play, super::Kind::Host, host, &out)?;
        merge::update(&out, extra);
        Ok(out)
    }

    fn group_part(&self, groups: &[Name]) -> Result<Dict, Error> {
        let m = self.manager;
        let out = Dict::new();
        let (all, others): (Vec<&Name>, Vec<&Name>) = groups.iter().partition(|g| &***g == "all");
        for g in all.iter().chain(&others) {
            merge::update(&out, &m.group_vars(g));
        }
        for list in [&all, &others] {
            for dir in self.near.iter().chain(&self.play) {
                for g in list {
                    m.beside.vars(&m.loader, std::slice::from_ref(dir), super::Kind::Group, g, &out)?;
                }
            }
        }
        Ok(out)
    }
}
