//! What a run knows of one host: facts, facts set, variables included, and its inventory variables merged.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use pileus_jinja::{Dict, Value};

use crate::Error;
use crate::execute::World;
use crate::source::vars_files;

use super::merge;

/// The extensions of variables' files.
const EXTENSIONS: [&str; 3] = [".yml", ".yaml", ".json"];

/// One host.
#[derive(Debug, Default)]
pub struct HostData {
    /// Facts as gathered (`ansible_distribution` …).
    pub facts: Dict,
    /// The same without `ansible_` (`ansible_facts`).
    pub stripped: Dict,
    /// `set_fact` and registered results.
    pub set: Dict,
    /// `include_vars`.
    pub included: Dict,
    /// Inventory variables, merged, of a generation of the inventory and a playbook's directory.
    merged: Mutex<Option<(u64, Arc<str>, Dict)>>,
}

impl HostData {
    /// Adds facts.
    pub fn add_facts(&self, facts: &Dict) {
        for (k, v) in facts.items() {
            let name = k.as_str().unwrap_or_default().to_owned();
            let short = match name.strip_prefix("ansible_") {
                Some(short) if name != "ansible_local" && name != "ansible_facts" => short,
                _ => &name,
            };
            self.stripped.insert(short, v.clone());
            self.facts.insert(k, v);
        }
    }
    /// Forgets facts.
    pub fn clear_facts(&self) {
        self.facts.write().clear();
        self.stripped.write().clear();
    }

    /// The inventory's variables of `host`, with those of `group_vars` and `host_vars` beside the sources and the
    /// playbook in `directory`.
    ///
    /// # Errors
    /// Where a file of variables cannot be read.
    pub fn inventory(&self, world: &World, host: &str, directory: &Arc<str>) -> Result<Dict, Error> {
        let generation = world.inventory.generation();
        let mut kept = self.merged.lock();
        if let Some((g, d, vars)) = &*kept
            && *g == generation
            && d == directory
        {
            return Ok(vars.clone());
        }
        let vars = gather(world, host, directory)?;
        super::reserved::warn(&vars);
        *kept = Some((generation, directory.clone(), vars.clone()));
        Ok(vars)
    }
}

/// The directories beside the sources of the inventory.
fn beside(world: &World) -> Vec<String> {
    let mut out = Vec::new();
    for source in world.inventory.sources() {
        let dir = if source.is_dir() { Some(&*source) } else { source.parent() };
        let Some(dir) = dir.map(|d| if d.as_os_str().is_empty() { Path::new(".") } else { d }) else {
            continue;
        };
        let dir = dir.display().to_string();
        if !out.contains(&dir) {
            out.push(dir);
        }
    }
    out
}

fn files(world: &World, dirs: &[String], folder: &str, name: &str, out: &Dict) -> Result<(), Error> {
    if name.contains('/') {
        return Ok(());
    }
    let extensions: Vec<String> = EXTENSIONS.iter().map(|e| (*e).to_owned()).collect();
    for dir in dirs {
        for file in vars_files::find(&format!("{dir}/{folder}"), name, &extensions) {
            match world.files.load(&file)? {
                Value::Dict(d) => merge::into(out, &d, world.merge_hashes),
                Value::None => {}
                other => {
                    return Err(Error::new(format!(
                        "Invalid variable file contents. {file} must contain a dictionary, got: {}",
                        other.type_name()
                    ))
                    .at(other.origin().cloned()));
                }
            }
        }
    }
    crate::python::vars::add(dirs, folder == "group_vars", name, out)
}

fn gather(world: &World, host: &str, directory: &Arc<str>) -> Result<Dict, Error> {
    let out = Dict::new();
    let deep = world.merge_hashes;
    let inventory = &world.inventory;
    let groups = inventory.groups_of(host);
    let (all, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|g| &**g == "all");
    let near = beside(world);
    let play = if near.contains(&directory.to_string()) { Vec::new() } else { vec![directory.to_string()] };
    for g in &all {
        merge::into(&out, &inventory.group_vars(g), deep);
    }
    for g in &others {
        merge::into(&out, &inventory.group_vars(g), deep);
    }
    for dirs in [&near, &play] {
        for g in &all {
            files(world, dirs, "group_vars", g, &out)?;
        }
    }
    for dirs in [&near, &play] {
        for g in &others {
            files(world, dirs, "group_vars", g, &out)?;
        }
    }
    merge::into(&out, &inventory.host_vars(host), deep);
    files(world, &near, "host_vars", host, &out)?;
    files(world, &play, "host_vars", host, &out)?;
    Ok(out)
}
