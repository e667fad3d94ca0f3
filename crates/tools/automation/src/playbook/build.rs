//! From values to trees: lists of tasks become blocks, static imports are read in place, roles are compiled.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::Error;
use crate::source::paths;

use super::block::{Block, Node};
use super::frame::Frame;
use super::keyword::{self, K, Keywords, on};
use super::names;
use super::play::Play;
use super::role::{self, From, Request, Role};
use super::task::{self, Raw, Task, checked, class};
use super::{Files, Static};

/// Keywords that an include may bear.
const INCLUDE_KEYWORDS: [K; 16] = [
    K::Action,
    K::Args,
    K::Collections,
    K::Debugger,
    K::IgnoreErrors,
    K::Loop,
    K::LoopControl,
    K::Name,
    K::NoLog,
    K::Register,
    K::RunOnce,
    K::Tags,
    K::Timeout,
    K::Vars,
    K::When,
    K::Listen,
];

/// Builds trees for one play.
pub struct Builder<'a> {
    /// Files and where things are looked for.
    pub files: &'a Files,
    /// The play.
    pub play: &'a Play,
    /// Renders what must be known before anything runs.
    pub render: &'a dyn Static,
}

/// Directives of an `include_role`, `import_role` or `include_tasks` that the task's arguments hold.
fn known_args(task: &Raw, known: &[&str], action: &str) -> Result<(), Error> {
    let bad: Vec<String> = task
        .args
        .keys()
        .iter()
        .map(|k| k.to_text().unwrap_or_default())
        .filter(|k| !known.contains(&k.as_str()))
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Error::parser(format!("Invalid options for {action}: {}", bad.join(","))).at(task.origin.clone()))
}

impl Builder<'_> {
    /// The blocks of a list of tasks: neighbours that are no blocks stand together.
    ///
    /// # Errors
    /// Where an entry is wrong.
    pub fn blocks(
        &self,
        items: &[Value],
        frame: &Arc<Frame>,
        handlers: bool,
    ) -> Result<Vec<Arc<Block>>, Error> {
        let mut out: Vec<Arc<Block>> = Vec::new();
        let mut run: Vec<Node> = Vec::new();
        for node in self.nodes(items, frame, handlers)? {
            match node {
                Node::Task(_) => run.push(node),
                Node::Block(b) => {
                    if !run.is_empty() {
                        out.push(Block::run(std::mem::take(&mut run), frame));
                    }
                    out.push(b);
                }
            }
        }
        if !run.is_empty() {
            out.push(Block::run(run, frame));
        }
        Ok(out)
    }

    fn nodes(&self, items: &[Value], frame: &Arc<Frame>, handlers: bool) -> Result<Vec<Node>, Error> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            let Some(map) = item.as_dict() else {
                if item.is_none() {
                    continue;
                }
                return Err(Error::parser(format!(
                    "The ds ({}) should be a dict but was a {}",
                    item.repr(),
                    class(item)
                ))
                .at(item.origin().cloned()));
            };
            if map.contains("block") {
                out.push(Node::Block(self.block(item, map, frame, handlers)?));
                continue;
            }
            if map.contains("rescue") || map.contains("always") {
                let name = if map.contains("rescue") { "rescue" } else { "always" };
                return Err(Error::parser(format!("'{name}' keyword cannot be used without 'block'"))
                    .at(item.origin().cloned()));
            }
            let raw = task::parse(item, handlers)?;
            self.task(raw, frame, handlers, &mut out)?;
        }
        Ok(out)
    }

    fn block(
        &self,
        value: &Value,
        map: &Dict,
        frame: &Arc<Frame>,
        handlers: bool,
    ) -> Result<Arc<Block>, Error> {
        let mut kw = Keywords::default();
        let mut vars = None;
        for (key, v) in map.items() {
            let name = key.to_text().unwrap_or_default();
            match name.as_str() {
                "block" | "rescue" | "always" => {}
                "listen" if handlers => {}
                "vars" => {
                    if let Value::Dict(d) = checked(K::Vars, &v, "Block", &key)? {
                        vars = Some(d);
                    }
                }
                _ => match keyword::find(&name, on::BLOCK) {
                    Some(k) => kw.set(k, checked(k, &v, "Block", &key)?),
                    None => {
                        return Err(Error::parser(format!("'{name}' is not a valid attribute for a Block"))
                            .at(key.origin().cloned()));
                    }
                },
            }
        }
        let inner = Arc::new(frame.inside(&kw).with_vars(vars.as_ref()));
        let part = |name: &str| -> Result<Vec<Node>, Error> {
            match map.get(name) {
                None | Some(Value::None) => Ok(Vec::new()),
                Some(Value::List(l)) => self.nodes(&l.items(), &inner, handlers),
                Some(other) => Err(Error::parser("A malformed block was encountered while loading a block")
                    .at(other.origin().or(value.origin()).cloned())),
            }
        };
        let (block, rescue, always) = (part("block")?, part("rescue")?, part("always")?);
        Ok(Arc::new(Block {
            id: task::next_id(),
            block,
            rescue,
            always,
            frame: inner,
            keywords: kw,
            origin: map.origin().cloned(),
            implicit: false,
        }))
    }

    fn task(&self, raw: Raw, frame: &Arc<Frame>, handler: bool, out: &mut Vec<Node>) -> Result<(), Error> {
        let written = names::short(&raw.written).to_owned();
        match written.as_str() {
            "import_tasks" => return self.import_tasks(raw, frame, handler, out),
            "import_role" => return self.import_role(raw, frame, handler, out),
            "include_tasks" => {
                known_args(&raw, &["file", "_raw_params", "apply"], "include_tasks")?;
                if !raw.args.contains("file") && !raw.args.contains("_raw_params") {
                    return Err(Error::parser("No file specified for include_tasks").at(raw.origin.clone()));
                }
                include_keywords(&raw, if handler { "HandlerTaskInclude" } else { "TaskInclude" })?;
            }
            "include_role" => {
                role_args(&raw, "include_role")?;
                include_keywords(&raw, "IncludeRole")?;
                if handler {
                    return Err(Error::parser("Using 'include_role' as a handler is not supported.")
                        .at(raw.origin.clone()));
                }
            }
            "include" => {
                return Err(Error::parser("[REMOVED]: ansible.builtin.include has been removed. Use include_tasks or import_tasks instead. This feature was removed from ansible-core version 2.16.").at(raw.origin.clone()));
            }
            _ if !pileus_jinja::value::looks_like_template(&raw.written)
                && !self.files.action_known(&raw.written, frame) =>
            {
                return Err(Error::parser(format!(
                    "couldn't resolve module/action '{}'. This often indicates a misspelling, missing collection, or incorrect module path.",
                    raw.written
                ))
                .at(raw.origin.clone()));
            }
            _ => {}
        }
        out.push(Node::Task(Arc::new(self.bind(raw, frame, handler))));
        Ok(())
    }

    /// A task inside its frame.
    pub fn bind(&self, raw: Raw, frame: &Arc<Frame>, handler: bool) -> Task {
        let vars = raw.keywords.get(K::Vars).and_then(|v| v.as_dict().cloned());
        let mut keywords = frame.keywords.within(&raw.keywords);
        if raw.local {
            keywords.set(K::DelegateTo, Value::str("localhost"));
        }
        let action = self.files.resolve_action(&raw.written, frame);
        Task {
            id: task::next_id(),
            action,
            written: raw.written,
            args: raw.args,
            args_template: raw.args_template,
            keywords,
            vars,
            loop_with: raw.loop_with,
            frame: frame.clone(),
            origin: raw.origin,
            handler,
            implicit: false,
            local: raw.local,
        }
    }

    fn import_tasks(
        &self,
        raw: Raw,
        frame: &Arc<Frame>,
        handler: bool,
        out: &mut Vec<Node>,
    ) -> Result<(), Error> {
        known_args(&raw, &["file", "_raw_params"], "import_tasks")?;
        include_keywords(&raw, if handler { "HandlerTaskInclude" } else { "TaskInclude" })?;
        if raw.keywords.get(K::Loop).is_some() {
            return Err(Error::parser(
                "You cannot use loops on 'import_tasks' statements. You should use 'include_tasks' instead.",
            )
            .at(raw.origin.clone()));
        }
        let vars = raw.keywords.get(K::Vars).and_then(|v| v.as_dict().cloned());
        let named = raw.args.get("_raw_params").or_else(|| raw.args.get("file"));
        let Some(named) = named.filter(|n| !n.is_none()) else {
            return Err(Error::parser("No file specified for import_tasks").at(raw.origin.clone()));
        };
        let probe = Arc::new((**frame).clone().with_params(vars.as_ref()));
        let file = self.render.render(&named, self.play, &probe).map_err(|e| {
            Error::parser(
                "Error when evaluating the dynamic path.\nWhen using static imports, the parent dynamic include will be evaluated at parse time"
                    .to_owned(),
            )
            .because(e)
            .at(raw.origin.clone())
        });
        let file = file?.to_text().map_err(Error::from)?;
        let Some(path) = self.find_tasks(&file, frame, handler) else {
            return Err(Error::not_found(format!(
                "Unable to retrieve file contents.\nCould not find or access '{}' on the Ansible Controller.\nIf you are using a module and expect the file to exist on the remote, see the remote_src option",
                self.missing(&file, frame)
            ))
            .at(raw.origin.clone()));
        };
        let items = self.read_list(&path)?;
        let mut inner = frame.inside(&raw.keywords).with_params(vars.as_ref());
        inner.directory = directory(&path);
        let inner = Arc::new(inner);
        for b in self.blocks(&items, &inner, handler)? {
            out.push(Node::Block(b));
        }
        Ok(())
    }

    fn import_role(
        &self,
        raw: Raw,
        frame: &Arc<Frame>,
        handler: bool,
        out: &mut Vec<Node>,
    ) -> Result<(), Error> {
        role_args(&raw, "import_role")?;
        include_keywords(&raw, "IncludeRole")?;
        if handler {
            return Err(
                Error::parser("Using 'import_role' as a handler is not supported.").at(raw.origin.clone())
            );
        }
        if raw.keywords.get(K::Loop).is_some() {
            return Err(Error::parser(
                "You cannot use loops on 'import_role' statements. You should use 'include_role' instead.",
            )
            .at(raw.origin.clone()));
        }
        let vars = raw.keywords.get(K::Vars).and_then(|v| v.as_dict().cloned());
        let probe = Arc::new((**frame).clone().with_params(vars.as_ref()));
        let args = Dict::new();
        for (k, v) in raw.args.items() {
            args.insert(k, self.render.render(&v, self.play, &probe)?);
        }
        let request = self.role_request(&args, &raw.keywords, raw.origin.clone(), true);
        let inner = frame.inside(&raw.keywords).with_params(vars.as_ref());
        for b in self.role_blocks(request, &Arc::new(inner))? {
            out.push(Node::Block(b));
        }
        Ok(())
    }

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
            request,
            defaults,
            vars,
            meta,
            dependencies: Vec::new(),
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
                let dep = role::request(&entry)?;
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

    fn role_frame(&self, role: &Arc<Role>, outer: &Arc<Frame>) -> Arc<Frame> {
        let mut frame = outer.inside(&role.request.keywords);
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
    fn argument_spec(&self, role: &Role, entry: &str) -> Option<Value> {
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
        context.insert("name", &*role.name);
        context.insert("argument_spec_name", entry.as_str());
        context.insert("path", &*role.path);
        args.insert("validate_args_context", Value::Dict(context));
        let task = Dict::new();
        task.insert("name", format!("Validating arguments against arg spec '{entry}'{about}"));
        task.insert("ansible.builtin.validate_argument_spec", Value::Dict(args));
        task.insert("tags", Value::list(vec!["always".into()]));
        Some(Value::Dict(task))
    }

    /// The tasks of a file.
    ///
    /// # Errors
    /// Where it cannot be read or is no list.
    pub fn read_list(&self, path: &str) -> Result<Vec<Value>, Error> {
        match self.files.load(path)? {
            Value::List(l) => Ok(l.items()),
            Value::None => Ok(Vec::new()),
            other => {
                Err(Error::parser("included task files must contain a list of tasks")
                    .at(other.origin().cloned()))
            }
        }
    }

    fn read_role_list(&self, path: &str, folder: &str, role: &Role) -> Result<Vec<Value>, Error> {
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

    /// The file that an include or import of tasks names.
    pub fn find_tasks(&self, file: &str, frame: &Frame, handler: bool) -> Option<String> {
        if file.starts_with('/') || file.starts_with('~') {
            let p = paths::unfrack(file);
            return Path::new(&p).is_file().then_some(p);
        }
        let mut places = vec![format!("{}/{file}", frame.directory)];
        if let Some(role) = &frame.role {
            places.push(format!("{}/{}/{file}", role.path, if handler { "handlers" } else { "tasks" }));
            places.push(format!("{}/tasks/{file}", role.path));
            places.push(format!("{}/{file}", role.path));
        }
        places.push(format!("{}/{file}", self.files.base()));
        places.push(format!("{}/tasks/{file}", self.files.base()));
        places.into_iter().map(|p| paths::unfrack(&p)).find(|p| Path::new(p).is_file())
    }

    /// The path to name where [`Builder::find_tasks`] found nothing.
    pub fn missing(&self, file: &str, frame: &Frame) -> String {
        if file.starts_with('/') {
            file.to_owned()
        } else {
            paths::unfrack(&format!("{}/{file}", frame.directory))
        }
    }

    /// Compiles the whole play: handlers, roles and tasks in order, with the flushes between.
    ///
    /// # Errors
    /// Where anything in it is wrong.
    pub fn play(&self, flush_always: bool) -> Result<(), Error> {
        let play = self.play;
        let frame = &play.frame;
        let mut roles = Vec::new();
        for entry in &play.roles {
            let request = role::request(entry)?;
            roles.push(self.role(request, None, &[], frame)?);
        }
        let mut handlers = Vec::new();
        for r in &roles {
            handlers.extend(self.role_handlers(r, frame)?);
        }
        handlers.extend(self.blocks(&play.handlers, frame, true)?);
        *play.handler_blocks.write() = handlers;
        let mut role_blocks = Vec::new();
        for r in &roles {
            role_blocks.extend(self.compile_role(r, frame)?);
        }
        let flush = || Node::Task(Task::meta("flush_handlers", frame));
        let mut out = Vec::new();
        let mut section = |blocks: Vec<Arc<Block>>| {
            if flush_always {
                let inner: Vec<Node> = blocks.into_iter().map(Node::Block).collect();
                let block = Block {
                    id: task::next_id(),
                    block: if inner.is_empty() { vec![Node::Task(Task::meta("noop", frame))] } else { inner },
                    rescue: Vec::new(),
                    always: vec![flush()],
                    frame: frame.clone(),
                    keywords: Keywords::default(),
                    origin: None,
                    implicit: true,
                };
                out.push(Arc::new(block));
            } else {
                out.extend(blocks);
                out.push(Block::run(vec![flush()], frame));
            }
        };
        section(self.blocks(&play.pre_tasks, frame, false)?);
        role_blocks.extend(self.blocks(&play.tasks, frame, false)?);
        section(role_blocks);
        section(self.blocks(&play.post_tasks, frame, false)?);
        *play.blocks.write() = out;
        Ok(())
    }
}

/// The directory of a file.
pub fn directory(path: &str) -> Arc<str> {
    Path::new(path).parent().map(|p| p.display().to_string()).unwrap_or_default().into()
}

/// A role without what it depends on.
fn shallow(role: &Role) -> Role {
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
        completed: parking_lot::Mutex::new(HashSet::new()),
        specs: None,
        public: parking_lot::RwLock::new(true),
    }
}

/// A value whose text is no template.
fn untrusted(v: &Value) -> Value {
    match v {
        Value::Str(s) => Value::Str(s.clone().untrust()),
        Value::List(l) => Value::list(l.items().iter().map(untrusted).collect()),
        Value::Dict(d) => Value::Dict(d.items().iter().map(|(k, v)| (untrusted(k), untrusted(v))).collect()),
        other => other.clone(),
    }
}

fn truth(v: &Value) -> Option<bool> {
    match v {
        Value::Bool(b) => Some(*b),
        Value::Int(n) => Some(*n != 0),
        Value::Str(s) => match s.to_lowercase().as_str() {
            "yes" | "true" | "on" | "1" | "y" | "t" => Some(true),
            "no" | "false" | "off" | "0" | "n" | "f" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn include_keywords(raw: &Raw, class_name: &str) -> Result<(), Error> {
    for (k, _) in raw.keywords.iter() {
        if !INCLUDE_KEYWORDS.contains(&k) {
            return Err(Error::parser(format!("'{}' is not a valid attribute for a {class_name}", k.name()))
                .at(raw.origin.clone()));
        }
    }
    Ok(())
}

fn role_args(raw: &Raw, action: &str) -> Result<(), Error> {
    let include = action == "include_role";
    let known: &[&str] = if include {
        &[
            "name",
            "role",
            "tasks_from",
            "vars_from",
            "defaults_from",
            "handlers_from",
            "apply",
            "public",
            "allow_duplicates",
            "rolespec_validate",
        ]
    } else {
        &[
            "name",
            "role",
            "tasks_from",
            "vars_from",
            "defaults_from",
            "handlers_from",
            "public",
            "allow_duplicates",
            "rolespec_validate",
        ]
    };
    if raw.args_template.is_none() && !raw.args.contains("name") && !raw.args.contains("role") {
        return Err(Error::parser(format!("'name' is a required field for {action}.")).at(raw.origin.clone()));
    }
    known_args(raw, known, action)?;
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
