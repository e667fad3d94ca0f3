//! The variables of a task on a host, as the engine asks for them.

use std::sync::Arc;

use pileus_jinja::{Dict, Scope, Value};

use crate::execute::{Run, World};
use crate::inventory::Name;
use crate::playbook::{Frame, Task};

use super::{HostData, magic};

/// The variables of a task on a host. Cheap to make: a list of pointers.
#[derive(Clone)]
pub struct Vars {
    /// The world.
    pub world: Arc<World>,
    /// The play that runs.
    pub run: Option<Arc<Run>>,
    /// The host.
    pub host: Option<Name>,
    /// The task.
    pub task: Option<Arc<Task>>,
    /// What surrounds it.
    pub frame: Option<Arc<Frame>>,
    /// `item` and the like: strongest.
    pub locals: Vec<(Arc<str>, Value)>,
    layers: Vec<Dict>,
}

impl Vars {
    /// Whether the inventory's variables of the host can be had.
    ///
    /// # Errors
    /// Where a file of them cannot be read.
    pub fn readable(&self) -> Result<(), crate::Error> {
        let Some(host) = &self.host else { return Ok(()) };
        let directory = self.directory();
        self.world.host(host).inventory(&self.world, host, &directory).map(drop)
    }
    /// The variables of `task` on `host` in the play `run`, any of which may be absent.
    pub fn new(
        world: &Arc<World>,
        run: Option<&Arc<Run>>,
        host: Option<&Name>,
        task: Option<&Arc<Task>>,
    ) -> Self {
        let frame = task.map(|t| t.frame.clone());
        let mut out = Self {
            world: world.clone(),
            run: run.cloned(),
            host: host.cloned(),
            task: task.cloned(),
            frame,
            locals: Vec::new(),
            layers: Vec::new(),
        };
        out.fill();
        out
    }
    /// The variables that hold in `frame`, for static imports.
    pub fn in_frame(world: &Arc<World>, play: &crate::playbook::Play, frame: &Arc<Frame>) -> Self {
        let mut out = Self {
            world: world.clone(),
            run: None,
            host: None,
            task: None,
            frame: Some(frame.clone()),
            locals: Vec::new(),
            layers: Vec::new(),
        };
        out.fill();
        let at = out.layers.len();
        out.layers.insert(at, play.vars.clone());
        for role in play.role_list.read().iter() {
            role.default_layers(&mut out.layers);
        }
        out
    }

    fn fill(&mut self) {
        let data: Option<Arc<HostData>> = self.host.as_ref().map(|h| self.world.host(h));
        let directory = self.directory();
        let out = &mut self.layers;
        out.push(self.world.extra.clone());
        if let Some(f) = &self.frame {
            if let Some(t) = &self.task
                && matches!(&*t.action, "include_tasks" | "include_role" | "import_tasks" | "import_role")
            {
                out.extend(t.vars.clone());
            }
            out.extend(f.params.iter().rev().cloned());
            for r in f.chain.iter().rev() {
                if !r.request.params.is_empty() {
                    out.push(r.request.params.clone());
                }
            }
        }
        if let Some(d) = &data {
            out.push(d.set.clone());
            out.push(d.included.clone());
        }
        if let Some(t) = &self.task {
            out.extend(t.vars.clone());
        }
        if let Some(f) = &self.frame {
            out.extend(f.vars.iter().rev().cloned());
            let mut layers = Vec::new();
            if let Some((own, parents)) = f.chain.split_last() {
                for p in parents {
                    layers.extend(p.request.vars.clone());
                    if !p.vars.is_empty() {
                        layers.push(p.vars.clone());
                    }
                }
                own.var_layers(true, &mut layers);
            }
            out.extend(layers.into_iter().rev());
        }
        if let Some(run) = &self.run {
            run.role_exports(out);
            if let Some(h) = &self.host {
                out.extend(run.vars_files(h).iter().rev().cloned());
            }
            out.push(run.play.vars.clone());
        }
        if let Some(d) = &data {
            if self.world.inject_facts {
                out.push(d.facts.clone());
            }
            if let Some(h) = &self.host
                && let Ok(vars) = d.inventory(&self.world, h, &directory)
            {
                out.push(vars);
            }
        } else {
            out.push(self.world.inventory.group_vars("all"));
        }
        if let Some(f) = &self.frame {
            let mut layers = Vec::new();
            if let Some((own, parents)) = f.chain.split_last() {
                for p in parents {
                    if !p.defaults.is_empty() {
                        layers.push(p.defaults.clone());
                    }
                }
                own.default_layers(&mut layers);
            }
            out.extend(layers.into_iter().rev());
        }
        if let Some(run) = &self.run {
            run.role_defaults(out);
        }
    }

    /// The directory of the playbook.
    pub fn directory(&self) -> Arc<str> {
        self.run.as_ref().map_or_else(|| self.world.files.base().into(), |r| r.play.directory.clone())
    }
    /// Sets a strongest variable.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.locals.iter_mut().find(|(n, _)| &**n == name) {
            Some((_, v)) => *v = value,
            None => self.locals.push((name.into(), value)),
        }
    }
    /// A variable as stored, without the magic ones.
    pub fn stored(&self, name: &str) -> Option<Value> {
        let mut found = self.layers.iter().filter_map(|l| l.get(name));
        let strongest = found.next()?;
        if !self.world.merge_hashes || !matches!(strongest, Value::Dict(_)) {
            return Some(strongest);
        }
        // dicts are joined down to the first that is none
        let mut dicts = Vec::new();
        for v in std::iter::once(strongest).chain(found) {
            let Value::Dict(d) = v else { break };
            dicts.push(d);
        }
        let weakest = dicts.pop()?;
        if dicts.is_empty() {
            return Some(Value::Dict(weakest));
        }
        let joined = weakest.copy();
        for d in dicts.iter().rev() {
            super::merge::into(&joined, d, true);
        }
        Some(Value::Dict(joined))
    }
    /// The names of all variables.
    pub fn names(&self) -> Vec<String> {
        let mut out: Vec<String> = self.locals.iter().map(|(n, _)| n.to_string()).collect();
        for l in &self.layers {
            out.extend(l.keys().iter().filter_map(|k| k.as_str().map(str::to_owned)));
        }
        out.extend(magic::NAMES.iter().map(|n| (*n).to_owned()));
        out.sort();
        out.dedup();
        out
    }
    /// A variable, rendered; `None` where it is undefined or cannot be rendered.
    pub fn rendered(&self, name: &str) -> Option<Value> {
        let v = self.get(name)?;
        self.world.resolve(&v, self).ok()
    }
}

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Value> {
        if let Some((_, v)) = self.locals.iter().find(|(n, _)| &**n == name) {
            return Some(v.clone());
        }
        if let Some(v) = magic::get(self, name) {
            return Some(v);
        }
        let stored = self.stored(name);
        // where nobody says otherwise, a host is reached under its name
        if stored.is_none() && name == "ansible_host" {
            // a delegated task's is that of the host it is delegated to
            if let Some((_, Value::Dict(to))) =
                self.locals.iter().find(|(n, _)| &**n == "ansible_delegated_vars")
                && let Some((_, Value::Object(of_host))) = to.items().into_iter().next()
                && let Ok(Some(address)) = of_host.item(&Value::str(name))
            {
                return Some(address);
            }
            return self.host.as_deref().map(Value::str);
        }
        // the connection's password as it was asked for, or its file's
        if stored.is_none() && name == "ansible_password" {
            return self.world.options.passwords.get(name).map(|p| Value::str(p.as_str()));
        }
        stored
    }
}
