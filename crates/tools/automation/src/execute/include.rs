//! Dynamic includes: `include_tasks` and `include_role`, read once for all hosts that ask for the same.

use std::sync::Arc;

use pileus_jinja::{Dict, Scope, Value};

use crate::Error;
use crate::inventory::Name;
use crate::playbook::keyword::{self, on};
use crate::playbook::{Block, Builder, Frame, K, Keywords, Task, checked};
use crate::vars::Vars;

use super::{Run, World};

/// What an include asks for, on one host.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A file of tasks.
    Tasks {
        /// As named.
        file: String,
        /// Its path.
        path: Option<String>,
        /// Its arguments.
        args: Dict,
        /// The loop's variables.
        locals: Vec<(Arc<str>, Value)>,
    },
    /// A role.
    Role {
        /// Its arguments, rendered.
        args: Dict,
        /// The loop's variables.
        locals: Vec<(Arc<str>, Value)>,
    },
}

/// Whether the task is a dynamic include.
pub fn is_include(task: &Task) -> bool {
    matches!(&*task.action, "include_tasks" | "include_role")
}

/// The variables that a loop set.
fn loop_vars(vars: &Vars) -> Vec<(Arc<str>, Value)> {
    let mut out = Vec::new();
    for (name, value) in &vars.locals {
        out.push((name.clone(), value.clone()));
    }
    out
}

/// What the include `task` asks for with `vars`.
///
/// # Errors
/// Where its arguments cannot be rendered.
pub fn wanted(world: &World, task: &Task, vars: &Vars) -> Result<Wanted, Error> {
    let args = Dict::new();
    for (k, v) in task.args.items() {
        if k.as_str() == Some("apply") {
            continue;
        }
        let v = world.resolve(&v, vars).map_err(|e| Error::from(e).at(v.origin().cloned()))?;
        if !crate::vars::is_omit(&v) {
            args.insert(k, v);
        }
    }
    for t in &task.args_templates {
        if let Value::Dict(d) = world.resolve(t, vars)? {
            for (k, v) in d.items() {
                args.insert(k, v);
            }
        }
    }
    if &*task.action == "include_role" {
        return Ok(Wanted::Role { args, locals: loop_vars(vars) });
    }
    let file = args.remove("_raw_params").or_else(|| args.remove("file")).unwrap_or_default();
    let file = file.to_text().map_err(Error::from)?.trim().to_owned();
    if file.is_empty() || file == "None" {
        return Err(Error::new("No file specified for include_tasks"));
    }
    Ok(Wanted::Tasks { file, path: None, args, locals: loop_vars(vars) })
}

/// An include to read, and the hosts that want it.
#[derive(Debug, Clone)]
pub struct Included {
    /// The task.
    pub task: Arc<Task>,
    /// What.
    pub wanted: Wanted,
    /// What to show of a loop's item.
    pub label: Option<Value>,
    /// Who.
    pub hosts: Vec<Name>,
}

impl Included {
    /// Whether two ask for the same.
    pub fn same(&self, task: &Task, wanted: &Wanted) -> bool {
        if self.task.id != task.id {
            return false;
        }
        match (&self.wanted, wanted) {
            (Wanted::Tasks { file, args, locals, .. }, Wanted::Tasks { file: f, args: a, locals: l, .. }) => {
                file == f && Value::Dict(args.clone()) == Value::Dict(a.clone()) && locals == l
            }
            (Wanted::Role { args, locals }, Wanted::Role { args: a, locals: l }) => {
                Value::Dict(args.clone()) == Value::Dict(a.clone()) && locals == l
            }
            _ => false,
        }
    }
}

/// Reads an include; its blocks.
///
/// # Errors
/// Where it cannot be read.
pub fn load(world: &Arc<World>, run: &Arc<Run>, inc: &Included) -> Result<Vec<Arc<Block>>, Error> {
    let task = &inc.task;
    let builder = Builder { files: &world.files, play: &run.play, render: &**world };
    let locals = match &inc.wanted {
        Wanted::Tasks { locals, .. } | Wanted::Role { locals, .. } => locals,
    };
    let vars = Dict::new();
    for (k, v) in task.vars.iter().flat_map(Dict::items) {
        vars.insert(k, v);
    }
    for (k, v) in locals {
        vars.insert(&**k, v.clone());
    }
    // an include's own keywords are its own, but for what `apply` says
    let (applied, more) = apply(world, run, inc)?;
    let mut frame = task.frame.inside(&applied).with_vars(more.as_ref());
    if !vars.is_empty() {
        frame = frame.with_params(Some(&vars));
    }
    match &inc.wanted {
        Wanted::Tasks { file, .. } => {
            let Some(path) = builder.find_tasks(file, &task.frame, task.handler) else {
                return Err(missing(&builder.missing(file, &task.frame)));
            };
            let list = builder.read_list(&path)?;
            frame.directory = crate::playbook::build::directory(&path);
            builder.blocks(&list, &Arc::new(frame), task.handler)
        }
        Wanted::Role { args, .. } => {
            let named = task.args.get("name").or_else(|| task.args.get("role"));
            let origin = named.and_then(|n| n.origin().cloned()).or_else(|| task.origin.clone());
            let request = builder.role_request(args, &Keywords::default(), origin, false);
            let frame = Arc::new(frame);
            builder.role_blocks(request, &frame)
        }
    }
}

/// The file of an include that isn't there.
pub fn missing(path: &str) -> Error {
    Error::not_found(format!(
        "Could not find or access '{path}' on the Ansible Controller: Unable to retrieve file contents.\nCould not find or \
         access '{path}' on the Ansible Controller.\nIf you are using a module and expect the file to exist on the remote, \
         see the remote_src option: [Errno 2] No such file or directory: '{path}'"
    ))
}

/// The path that an include names, if the file is there.
pub fn path(world: &Arc<World>, run: &Arc<Run>, task: &Task, wanted: &Wanted) -> Option<String> {
    let Wanted::Tasks { file, .. } = wanted else { return None };
    let builder = Builder { files: &world.files, play: &run.play, render: &**world };
    Some(
        builder
            .find_tasks(file, &task.frame, task.handler)
            .unwrap_or_else(|| builder.missing(file, &task.frame)),
    )
}

/// The keywords and variables of `apply`.
fn apply(world: &Arc<World>, run: &Arc<Run>, inc: &Included) -> Result<(Keywords, Option<Dict>), Error> {
    let mut kw = Keywords::default();
    let Some(value) = inc.task.args.get("apply") else { return Ok((kw, None)) };
    let value = match value {
        Value::Dict(_) => value,
        other => {
            let scope: Vars = Vars::new(world, Some(run), inc.hosts.first(), Some(&inc.task));
            let _: &dyn Scope = &scope;
            world.resolve(&other, &scope)?
        }
    };
    let Value::Dict(d) = &value else {
        return Err(Error::parser(format!(
            "Expected a dict for apply but got {} instead",
            checked::class(&value)
        ))
        .at(inc.task.origin.clone()));
    };
    let mut vars = None;
    for (k, v) in d.items() {
        let name = k.to_text().unwrap_or_default();
        match keyword::find(&name, on::BLOCK) {
            Some(K::Vars) => vars = v.as_dict().cloned(),
            Some(kind) => kw.set(kind, checked::checked(kind, &v, "Block", &k)?),
            None => {
                return Err(Error::parser(format!("'{name}' is not a valid attribute for a Block"))
                    .at(k.origin().cloned()));
            }
        }
    }
    Ok((kw, vars))
}

/// The frame type is used by callers of [`load`].
pub type Inner = Frame;
