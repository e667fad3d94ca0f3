//! From values to trees: lists of tasks become blocks, static imports are read in place, roles are compiled.

mod roles;

use imports::include_keywords;
use roles::role_args;
mod imports;
pub(crate) use imports::Level;

use std::path::Path;
use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::Error;
use crate::source::paths;

use super::block::{Block, Node};
use super::checked::{checked, class};
use super::frame::Frame;
use super::keyword::{self, K, Keywords, on};
use super::names;
use super::play::Play;
use super::raw::{self, Raw};
use super::role::{self};
use super::task::{self, Task};
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
                if handlers {
                    return Err(Error::parser("Using a block as a handler is not supported.")
                        .at(item.origin().cloned()));
                }
                out.push(Node::Block(self.block(item, map, frame, handlers)?));
                continue;
            }
            if map.contains("rescue") || map.contains("always") {
                let name = if map.contains("rescue") { "rescue" } else { "always" };
                return Err(Error::parser(format!("'{name}' keyword cannot be used without 'block'"))
                    .at(item.origin().cloned()));
            }
            let raw = raw::parse(item, handlers)?;
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
            args_templates: raw.args_templates,
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
