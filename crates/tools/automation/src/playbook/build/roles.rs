//! Roles: found, read, compiled.

use super::super::block::{Block, Node};
use super::super::checked::class;
use super::super::frame::Frame;
use super::super::keyword::{self, K, Keywords};
use super::super::raw::Raw;
use super::super::role::{self, From, Request, Role};
use super::super::task::Task;
use super::*;
use crate::Error;
use pileus_jinja::{Dict, Value};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

impl Builder<'_> {
    /// What an `include_role` or `import_role` with rendered arguments asks for.
    pub fn role_request(
        &self,
        args: &Dict,
        _keywords: &Keywords,
        origin: Option<Arc<pileus_jinja::Origin>>,
        import: bool,
    ) -> Request {
        let text =
            |k: &str| args.get(k).and_then(|v| v.to_text().ok().filter(|s| !s.is_empty() && !v.is_none()));
        let flag = |k: &str| args.get(k).and_then(|v| truth(&v));
        // a role that isn't there is missed where it is named
        let named = args.get("name").or_else(|| args.get("role"));
        let origin = named.and_then(|n| n.origin().cloned()).or(origin);
        Request {
            name: text("name").or_else(|| text("role")).unwrap_or_default(),
            from: From {
                tasks: text("tasks_from"),
                vars: text("vars_from"),
                defaults: text("defaults_from"),
                handlers: text("handlers_from"),
            },
            origin,
            public: flag("public").unwrap_or(import),
            allow_duplicates: flag("allow_duplicates"),
            by_task: true,
            validate: flag("rolespec_validate").unwrap_or(true),
            ..Request::default()
        }
    }

    /// The blocks of a role asked for by a task; its handlers join the play's.
    ///
    /// # Errors
    /// Where the role isn't there or is wrong.
    pub fn role_blocks(&self, request: Request, frame: &Arc<Frame>) -> Result<Vec<Arc<Block>>, Error> {
        let role = self.role(request, frame.role.as_ref(), &frame.chain, frame)?;
        let handlers = self.role_handlers(&role, frame)?;
        self.play.handler_blocks.write().extend(handlers);
        self.compile_role(&role, frame)
    }

    /// Reads a role and those it depends on.
    ///
    /// # Errors
    /// Where it isn't there, depends on itself or holds what it must not.
    pub fn role(
        &self,
        mut request: Request,
        asking: Option<&Arc<Role>>,
        chain: &[Arc<Role>],
        frame: &Arc<Frame>,
    ) -> Result<Arc<Role>, Error> {
        if pileus_jinja::value::looks_like_template(&request.name) {
            let probe = Arc::new(
                (**frame).clone().with_params(request.vars.as_ref()).with_params(Some(&request.params)),
            );
            let rendered = self.render.render(&Value::Str(role::text(&request.name)), self.play, &probe)?;
            request.name = rendered.to_text().map_err(Error::from)?;
        }
        let collections: Vec<String> = frame
            .keywords
            .get(K::Collections)
            .map(keyword::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect();
        let Some((path, full)) = role::locate(self.files, &request.name, asking.map(|r| &**r), &collections)
        else {
            let places = role::search_path(self.files, asking.map(|r| &**r)).join(":");
            return Err(Error::new(format!("the role '{}' was not found in {places}", request.name))
                .at(request.origin));
        };
        if chain
            .iter()
            .filter(|r| *r.path == *path && r.request.from == request.from && !request.by_task)
            .count()
            > 0
        {
            return Err(Error::new("A recursion loop was detected with the roles specified. Make sure child roles do not have dependencies on parent roles").at(request.origin));
        }
        if let Some(same) = self.play.role_list.read().iter().find(|r| r.same(&request, &path)) {
            if !request.by_task && !request.dependency {
                *same.direct.write() = true;
            }
            if request.public {
                *same.public.write() = true;
            }
            return Ok(same.clone());
        }
        let at = |e: Error| e.at(request.origin.clone());
        let meta = match role::find_main(&format!("{path}/meta"), "main") {
            Some(file) => match self.files.load(&file)? {
                Value::Dict(d) => d,
                Value::None => Dict::new(),
                other => {
                    return Err(Error::parser(format!(
                        "the 'meta/main.yml' for role {} is not a dictionary",
                        request.name
                    ))
                    .at(other.origin().cloned()));
                }
            },
            None => Dict::new(),
        };
        let specs = match role::find_main(&format!("{path}/meta"), "argument_specs") {
            Some(file) => self.files.load(&file)?.get("argument_specs"),
            None => meta.get("argument_specs"),
        };
        crate::python::places::add(&path);
        let defaults =
            role::variables(self.files, &path, "defaults", request.from.defaults.as_deref()).map_err(at)?;
        let vars = role::variables(self.files, &path, "vars", request.from.vars.as_deref()).map_err(at)?;
        let (full_name, collection) = match full {
            Some((f, c)) => (f, Some(c)),
            None => (request.name.rsplit('/').next().unwrap_or(&request.name).to_owned(), None),
        };
        let short: Arc<str> = if collection.is_some() || !request.name.contains('/') {
            request.name.as_str().into()
        } else {
            full_name.as_str().into()
        };
        let allow = request.allow_duplicates.or_else(|| meta.get("allow_duplicates").and_then(|v| truth(&v)));
        let mut role = Role {
            name: short,
            full_name: full_name.into(),
            collection: collection.map(Arc::from),
            path: path.as_str().into(),
            allow_duplicates: allow.unwrap_or(request.by_task),
            public: parking_lot::RwLock::new(request.public),
            direct: parking_lot::RwLock::new(!request.by_task && !request.dependency),
            request,
            defaults,
            vars,
            meta,
            dependencies: Vec::new(),
            touched: parking_lot::Mutex::default(),
            completed: parking_lot::Mutex::new(HashSet::new()),
            specs,
        };
        let wanted = role.meta.get("dependencies").map(|d| keyword::items(&d)).unwrap_or_default();
        if !wanted.is_empty() {
            // a placeholder for the chain: it carries the path that must not come again
            let probe = Arc::new(shallow(&role));
            let mut chain = chain.to_vec();
            chain.push(probe.clone());
            for entry in wanted {
                let mut dep = role::request(&entry)?;
                dep.dependency = true;
                role.dependencies.push(self.role(dep, Some(&probe), &chain, frame)?);
            }
        }
        let role = Arc::new(role);
        self.play.role_list.write().push(role.clone());
        Ok(role)
    }

    /// The blocks of a role: those of what it depends on, its own tasks, the mark of its end.
    ///
    /// # Errors
    /// Where its tasks are wrong.
    pub fn compile_role(&self, role: &Arc<Role>, outer: &Arc<Frame>) -> Result<Vec<Arc<Block>>, Error> {
        let mut out = Vec::new();
        let frame = self.role_frame(role, outer);
        for d in &role.dependencies {
            out.extend(self.compile_role(d, &frame)?);
        }
        let from = role.request.from.tasks.as_deref();
        let folder = format!("{}/tasks", role.path);
        role::inside(&folder, from.unwrap_or("main"), &role.name)?;
        let file = role::find_main(&folder, from.unwrap_or("main"));
        let mut items = match (&file, from) {
            (Some(file), _) => self.read_role_list(file, "tasks", role)?,
            (None, Some(name)) => {
                return Err(Error::parser(format!("Could not find specified file in role: tasks/{name}"))
                    .at(role.request.origin.clone()));
            }
            (None, None) => Vec::new(),
        };
        if role.request.validate
            && let Some(spec) = self.argument_spec(role, from.unwrap_or("main"))
        {
            items.insert(0, spec);
        }
        let mut own = (*frame).clone();
        own.directory = file.as_deref().map_or_else(|| folder.as_str().into(), directory);
        let own = Arc::new(own);
        out.extend(self.blocks(&items, &own, false)?);
        out.push(Block::run(vec![Node::Task(Task::meta("role_complete", &own))], &own));
        Ok(out)
    }

    pub(super) fn role_frame(&self, role: &Arc<Role>, outer: &Arc<Frame>) -> Arc<Frame> {
        let mut keywords = role.request.keywords.clone();
        if let Some(collections) = role.meta.get("collections").filter(|c| !c.is_none()) {
            keywords.set(K::Collections, collections);
        }
        let mut frame = outer.inside(&keywords);
        frame.role = Some(role.clone());
        frame.chain.push(role.clone());
        Arc::new(frame)
    }

    /// The handlers of a role and of those it depends on.
    ///
    /// # Errors
    /// Where they are wrong.
    pub fn role_handlers(&self, role: &Arc<Role>, outer: &Arc<Frame>) -> Result<Vec<Arc<Block>>, Error> {
        let mut frame = (*self.role_frame(role, outer)).clone();
        let mut out = Vec::new();
        for d in &role.dependencies {
            out.extend(self.role_handlers(d, &Arc::new(frame.clone()))?);
        }
        let from = role.request.from.handlers.as_deref();
        let folder = format!("{}/handlers", role.path);
        role::inside(&folder, from.unwrap_or("main"), &role.name)?;
        match role::find_main(&folder, from.unwrap_or("main")) {
            Some(file) => {
                frame.directory = directory(&file);
                let items = self.read_role_list(&file, "handlers", role)?;
                out.extend(self.blocks(&items, &Arc::new(frame), true)?);
            }
            None if from.is_some() => {
                return Err(Error::parser(format!(
                    "Could not find specified file in role: handlers/{}",
                    from.unwrap_or_default()
                ))
                .at(role.request.origin.clone()));
            }
            None => {}
        }
        Ok(out)
    }

    /// The task that checks a role's arguments, where its specs have the entry point.
    pub(super) fn argument_spec(&self, role: &Role, entry: &str) -> Option<Value> {
        let entry = Path::new(entry).file_stem().map(|s| s.to_string_lossy().into_owned())?;
        let spec = role.specs.as_ref()?.get(&entry)?;
        let options =
            spec.get("options").filter(|o| !o.is_none()).unwrap_or_else(|| Value::Dict(Dict::new()));
        let about = spec
            .get("short_description")
            .and_then(|d| d.as_str().map(|s| format!(" - {s}")))
            .unwrap_or_default();
        let provided = Dict::new();
        let args = Dict::new();
        args.insert("argument_spec", untrusted(&options));
        args.insert("provided_arguments", Value::Dict(provided));
        let context = Dict::new();
        context.insert("type", "role");
        context.insert("name", role.name.rsplit('.').next().unwrap_or(&role.name));
        context.insert("argument_spec_name", entry.as_str());
        context.insert("path", &*role.path);
        args.insert("validate_args_context", Value::Dict(context));
        let task = Dict::new();
        task.insert("name", format!("Validating arguments against arg spec '{entry}'{about}"));
        task.insert("ansible.builtin.validate_argument_spec", Value::Dict(args));
        task.insert("tags", Value::list(vec!["always".into()]));
        Some(Value::Dict(task))
    }

    pub(super) fn read_role_list(&self, path: &str, folder: &str, role: &Role) -> Result<Vec<Value>, Error> {
        match self.files.load(path)? {
            Value::List(l) => Ok(l.items()),
            Value::None => Ok(Vec::new()),
            other => Err(Error::parser(format!(
                "The {folder}/main.yml file for role '{}' must contain a list of tasks",
                role.name
            ))
            .at(other.origin().cloned())),
        }
    }
}

/// A role without what it depends on.
pub(super) fn shallow(role: &Role) -> Role {
    Role {
        name: role.name.clone(),
        full_name: role.full_name.clone(),
        collection: role.collection.clone(),
        path: role.path.clone(),
        request: role.request.clone(),
        defaults: role.defaults.clone(),
        vars: role.vars.clone(),
        meta: role.meta.clone(),
        dependencies: Vec::new(),
        allow_duplicates: role.allow_duplicates,
        touched: parking_lot::Mutex::default(),
        completed: parking_lot::Mutex::new(HashSet::new()),
        specs: None,
        public: parking_lot::RwLock::new(true),
        direct: parking_lot::RwLock::new(*role.direct.read()),
    }
}

/// A value whose text is no template.
pub(super) fn untrusted(v: &Value) -> Value {
    match v {
        Value::Str(s) => Value::Str(s.clone().untrust()),
        Value::List(l) => Value::list(l.items().iter().map(untrusted).collect()),
        Value::Dict(d) => Value::Dict(d.items().iter().map(|(k, v)| (untrusted(k), untrusted(v))).collect()),
        other => other.clone(),
    }
}

pub(super) fn truth(v: &Value) -> Option<bool> {
    match v {
        Value::Bool(b) => Some(*b),
        Value::Int(n) => Some(*n != 0),
        Value::Str(s) => crate::truth::said(s),
        _ => None,
    }
}

pub(super) fn role_args(raw: &Raw, action: &str) -> Result<(), Error> {
    let mut known = vec![
        "name",
        "role",
        "tasks_from",
        "vars_from",
        "defaults_from",
        "handlers_from",
        "public",
        "allow_duplicates",
        "rolespec_validate",
    ];
    if action == "include_role" {
        known.push("apply");
    }
    if raw.args_templates.is_empty() && !raw.args.contains("name") && !raw.args.contains("role") {
        return Err(Error::parser(format!("'name' is a required field for {action}.")).at(raw.origin.clone()));
    }
    known_args(raw, &known, action)?;
    for key in ["tasks_from", "vars_from", "defaults_from", "handlers_from"] {
        if let Some(v) = raw.args.get(key)
            && v.as_str().is_none()
        {
            return Err(Error::parser(format!("Expected a string for {key} but got {} instead", class(&v)))
                .at(raw.origin.clone()));
        }
    }
    if let Some(apply) = raw.args.get("apply")
        && !matches!(apply, Value::Dict(_) | Value::Str(_))
    {
        return Err(Error::parser(format!("Expected a dict for apply but got {} instead", class(&apply)))
            .at(raw.origin.clone()));
    }
    Ok(())
}
