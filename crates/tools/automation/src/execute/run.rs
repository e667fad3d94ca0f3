//! One play on one batch of hosts: who takes part, who has dropped out.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pileus_jinja::{Dict, Scope, Value};

use crate::inventory::Name;
use crate::playbook::{K, Play, Role, keyword};
use crate::source::paths;
use crate::vars::Vars;
use crate::{Error, display};

use super::World;

/// One play on one batch of hosts.
#[derive(Debug)]
pub struct Run {
    /// The play.
    pub play: Arc<Play>,
    /// Its name, rendered.
    pub name: String,
    /// The play's hosts.
    pub all: Vec<Name>,
    /// The batch.
    pub batch: Vec<Name>,
    /// Hosts that `ansible_play_hosts` no longer names: failed with nothing to rescue them; they may still be in an
    /// `always`, or have handlers to run.
    pub removed: RwLock<HashSet<Name>>,
    /// Hosts that have failed for good.
    pub failed: RwLock<HashSet<Name>>,
    /// Hosts that could not be reached.
    pub unreachable: RwLock<HashSet<Name>>,
    /// The roles of `roles:`.
    pub direct_roles: Vec<Arc<Role>>,
    /// `vars_files` by host.
    files: Mutex<HashMap<Name, Arc<Vec<Dict>>>>,
}

impl Run {
    /// A run of `play`.
    pub fn new(play: Arc<Play>, name: String, all: Vec<Name>, batch: Vec<Name>) -> Self {
        let direct_roles = play.role_list.read().iter().filter(|r| *r.direct.read()).cloned().collect();
        Self {
            play,
            name,
            all,
            batch,
            removed: RwLock::default(),
            failed: RwLock::default(),
            unreachable: RwLock::default(),
            direct_roles,
            files: Mutex::default(),
        }
    }
    /// Whether a host has failed or can't be reached.
    pub fn has_lost(&self, host: &Name) -> bool {
        self.removed.read().contains(host)
            || self.failed.read().contains(host)
            || self.unreachable.read().contains(host)
    }
    /// The batch without those who dropped out.
    pub fn alive(&self) -> Vec<Name> {
        let (failed, unreachable) = (self.failed.read(), self.unreachable.read());
        self.batch.iter().filter(|h| !failed.contains(*h) && !unreachable.contains(*h)).cloned().collect()
    }
    /// Variables that the play's roles give to all its tasks, strongest first.
    pub fn role_exports(&self, out: &mut Vec<Dict>) {
        let list = self.play.role_list.read();
        for r in list.iter().rev().filter(|r| *r.public.read()) {
            let mut layers = Vec::new();
            r.var_layers(false, &mut layers);
            // `vars:` of an entry is its own
            let own = r.request.vars.clone();
            layers.retain(|l| own.as_ref().is_none_or(|o| !o.same(l)));
            out.extend(layers.into_iter().rev());
        }
    }
    /// Defaults that the play's roles give to all its tasks, strongest first.
    pub fn role_defaults(&self, out: &mut Vec<Dict>) {
        let list = self.play.role_list.read();
        for r in list.iter().rev().filter(|r| *r.public.read()) {
            let mut layers = Vec::new();
            r.default_layers(&mut layers);
            out.extend(layers.into_iter().rev());
        }
    }
    /// The variables of `vars_files` for a host, weakest first.
    pub fn vars_files(&self, host: &Name) -> Arc<Vec<Dict>> {
        self.files.lock().get(host).cloned().unwrap_or_default()
    }

    /// Reads `vars_files` for a host.
    ///
    /// # Errors
    /// Where a file isn't there or holds no variables.
    pub fn load_vars_files(self: &Arc<Self>, world: &Arc<World>, host: &Name) -> Result<(), Error> {
        let Some(list) = self.play.keywords.get(K::VarsFiles) else { return Ok(()) };
        let mut out: Vec<Dict> = Vec::new();
        for entry in keyword::items(list) {
            let choices = keyword::items(&entry);
            let mut found = false;
            let mut last = None;
            for choice in &choices {
                let scope = Vars::new(world, Some(self), Some(host), None);
                let name = match world.resolve(choice, &scope) {
                    Ok(v) => v.to_text().map_err(Error::from)?,
                    Err(e) if e.is_undefined() => {
                        last = Some(Error::from(e));
                        continue;
                    }
                    Err(e) => return Err(e.into()),
                };
                let candidates = [
                    format!("{}/vars/{name}", self.play.directory),
                    format!("{}/{name}", self.play.directory),
                ];
                let candidates = if name.starts_with(['/', '~']) {
                    vec![paths::unfrack(&name)]
                } else {
                    candidates.iter().map(|c| paths::unfrack(c)).collect()
                };
                let Some(path) = candidates.iter().find(|p| Path::new(p).is_file()) else {
                    last = Some(
                        Error::not_found(format!(
                            "Unable to retrieve file contents.\nCould not find or access '{}' on the Ansible Controller.\nIf you are using a module and expect the file to exist on the remote, see the remote_src option",
                            candidates.last().cloned().unwrap_or_default()
                        ))
                        .at(choice.origin().cloned()),
                    );
                    continue;
                };
                let value = world.files.load(path)?;
                // a dictionary, or several in a list
                for item in crate::playbook::keyword::items(&value) {
                    let Value::Dict(d) = item else {
                        return Err(Error::parser("Invalid variable file contents.")
                            .at(item.origin().or(value.origin()).cloned())
                            .help(
                                "Variable files must contain either a dictionary of variables, or a list of \
                                 dictionaries.",
                            ));
                    };
                    out.push(d);
                    self.files.lock().insert(host.clone(), Arc::new(out.clone()));
                }
                found = true;
                break;
            }
            if !found && let Some(e) = last {
                let undefined = e.kind() != crate::ErrorKind::NotFound;
                if undefined {
                    // facts may define it later
                    display::verbose(
                        1,
                        &format!("skipping vars_file '{}' due to an undefined variable", entry.repr()),
                    );
                    continue;
                }
                return Err(if choices.len() > 1 {
                    Error::not_found(format!("vars file {} was not found", entry.repr()))
                        .at(entry.origin().cloned())
                } else {
                    e
                });
            }
        }
        self.files.lock().insert(host.clone(), Arc::new(out));
        Ok(())
    }
    /// Whether `vars_files` depend on variables.
    pub fn vars_files_vary(&self) -> bool {
        let templated = |v: &Value| v.as_str().is_some_and(pileus_jinja::value::looks_like_template);
        self.play
            .keywords
            .get(K::VarsFiles)
            .is_some_and(|l| keyword::items(l).iter().flat_map(keyword::items).any(|v| templated(&v)))
    }
}

/// A variable as text.
pub fn text(scope: &dyn Scope, name: &str) -> Option<String> {
    scope.get(name).and_then(|v| v.to_text().ok())
}
