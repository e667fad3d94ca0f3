//! Statements.

use std::sync::Arc;

use super::objects::{BlockRef, LoopObject, MacroObject, ModuleObject};
use super::{Context, Frame, Sink};
use crate::parse::Template;
use crate::parse::ast::{Block, Expr, For, Node, Stmt, Target};
use crate::value::repr_str;
use crate::{Error, State, Value};

/// How statements ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
}

impl<'a> State<'a> {
    pub(crate) fn with_frame(&self, frame: Arc<Frame>) -> State<'a> {
        State { frame, context: self.context.clone(), ..*self }
    }

    pub(crate) fn in_context(&self, frame: Arc<Frame>, context: Arc<Context>) -> State<'a> {
        State { frame, context, ..*self }
    }

    /// Runs a template and what it extends.
    pub(crate) fn run_into(&self, template: &Arc<Template>, sink: &mut Sink) -> Result<(), Error> {
        let mut template = template.clone();
        loop {
            let mut parent = None;
            self.exec_top(&template.body, sink, &mut parent)?;
            sink.closed = false;
            match parent {
                Some(p) => template = p,
                None => return Ok(()),
            }
        }
    }

    fn exec_top(
        &self,
        body: &[Node],
        sink: &mut Sink,
        parent: &mut Option<Arc<Template>>,
    ) -> Result<(), Error> {
        for node in body {
            if let Stmt::Extends(name) = &node.kind {
                if parent.is_some() {
                    return Err(Error::runtime("extended multiple times").at_line(node.line));
                }
                let name = self.eval(name)?;
                let found = self.load(&name)?;
                let mut blocks = self.context.blocks.lock();
                for (k, b) in &found.blocks {
                    blocks.entry(k.clone()).or_default().push(b.clone());
                }
                drop(blocks);
                *parent = Some(found);
                sink.closed = true;
                continue;
            }
            self.exec_node(node, sink).map_err(|e| e.at_line(node.line))?;
        }
        Ok(())
    }

    /// Runs statements.
    pub(crate) fn exec(&self, body: &[Node], sink: &mut Sink) -> Result<Flow, Error> {
        for node in body {
            let flow = self.exec_node(node, sink).map_err(|e| e.at_line(node.line))?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn scoped(&self, body: &[Node], sink: &mut Sink) -> Result<Flow, Error> {
        self.with_frame(Frame::child(&self.frame)).exec(body, sink)
    }

    /// What statements put out, as a value.
    pub(crate) fn captured(&self, body: &[Node]) -> Result<Value, Error> {
        let mut sink = Sink::default();
        self.exec(body, &mut sink)?;
        Ok(sink.finish())
    }

    fn exec_node(&self, node: &Node, sink: &mut Sink) -> Result<Flow, Error> {
        self.tick()?;
        match &node.kind {
            Stmt::Text(s) => sink.text(self, s)?,
            Stmt::Output(e) => {
                let v = self.eval(e)?;
                sink.value(self, v)?;
            }
            Stmt::If { branches, other } => {
                for (test, body) in branches {
                    if self.eval(test)?.truth()? {
                        return self.exec(body, sink);
                    }
                }
                return self.exec(other, sink);
            }
            Stmt::For(f) => {
                let v = self.eval(&f.iter)?;
                self.run_loop(f, &v, 0, sink)?;
            }
            Stmt::Set { target, value } => {
                let v = self.eval(value)?;
                self.assign(target, v)?;
            }
            Stmt::SetBlock { target, filter, body } => {
                let inner = self.with_frame(Frame::child(&self.frame));
                let v = inner.captured(body)?;
                let v = match filter {
                    Some(f) => self.block_filter(f, v)?,
                    None => v,
                };
                self.assign(target, v)?;
            }
            Stmt::Macro(m) => {
                let object = MacroObject::new(m, self);
                self.frame.set(&m.name, Value::object(object));
            }
            Stmt::CallBlock { call, caller } => {
                let caller = Value::object(MacroObject::new(caller, self));
                let v = self.call_with_caller(call, caller)?;
                sink.value(self, v)?;
            }
            Stmt::FilterBlock { filter, body } => {
                let inner = self.with_frame(Frame::child(&self.frame));
                let v = inner.captured(body)?;
                let v = self.block_filter(filter, v)?;
                sink.value(self, v)?;
            }
            Stmt::With { targets, values, body } => {
                let values = values.iter().map(|e| self.eval(e)).collect::<Result<Vec<_>, _>>()?;
                let inner = self.with_frame(Frame::child(&self.frame));
                for (t, v) in targets.iter().zip(values) {
                    inner.assign(t, v)?;
                }
                return inner.exec(body, sink);
            }
            Stmt::Scope(body) => return self.scoped(body, sink),
            Stmt::Do(e) => {
                if let Value::Undefined(u) = self.eval(e)?
                    && u.error.is_some()
                {
                    return Err(u.to_error());
                }
            }
            Stmt::Break => return Ok(Flow::Break),
            Stmt::Continue => return Ok(Flow::Continue),
            Stmt::Block(b) => self.run_block(b, sink)?,
            Stmt::Extends(_) => {
                return Err(Error::runtime("extends is only supported at the top of a template"));
            }
            Stmt::Include { name, ignore_missing, with_context } => {
                let name = self.eval(name)?;
                let found = match self.load(&name) {
                    Ok(t) => t,
                    Err(_) if *ignore_missing => return Ok(Flow::Next),
                    Err(e) => return Err(e),
                };
                self.deeper(|| {
                    let root = if *with_context { Frame::child(&self.frame) } else { Frame::root() };
                    let context =
                        Context::new(found.clone(), root.clone(), !*with_context || self.context.isolated);
                    self.in_context(root, context).run_into(&found, sink)
                })?;
            }
            Stmt::Import { name, target, with_context } => {
                let module = self.module(name, *with_context)?;
                self.frame.set(target, Value::object(module));
            }
            Stmt::FromImport { name, names, with_context } => {
                let module = self.module(name, *with_context)?;
                for (n, alias) in names {
                    let v = module.get(n).unwrap_or_else(|| {
                        Value::undefined_hint(format!(
                            "the template {} (imported on line {}) does not export the requested name {}",
                            repr_str(&module.name),
                            node.line,
                            repr_str(n)
                        ))
                    });
                    self.frame.set(alias, v);
                }
            }
        }
        Ok(Flow::Next)
    }

    fn block_filter(&self, filter: &Expr, v: Value) -> Result<Value, Error> {
        match filter {
            Expr::Filter { value, name, args, line } => {
                let v = match value {
                    Some(inner) => self.block_filter(inner, v)?,
                    None => v,
                };
                self.eval_filter(v, name, args, *line)
            }
            other => self.eval(other),
        }
    }

    fn call_with_caller(&self, call: &Expr, caller: Value) -> Result<Value, Error> {
        let Expr::Call(f, args) = call else {
            return Err(Error::runtime("expected call"));
        };
        let f = self.eval(f)?;
        let mut args = self.eval_args(None, args)?;
        args.kw.push(("caller".into(), caller));
        self.call(&f, args)
    }

    pub(crate) fn assign(&self, target: &Target, v: Value) -> Result<(), Error> {
        match target {
            Target::Name(n) => self.frame.set(n, v),
            Target::Attr(n, attr) => match self.name(n) {
                Some(Value::Object(o)) => o.set_attr(attr, v)?,
                Some(_) | None => {
                    return Err(Error::runtime("cannot assign attribute on non-namespace object"));
                }
            },
            Target::Tuple(targets) => {
                if let Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::None = v {
                    return Err(Error::type_error(format!(
                        "cannot unpack non-iterable {} object",
                        v.type_name()
                    )));
                }
                let items = self.items(&v)?;
                if items.len() > targets.len() {
                    return Err(Error::value_error(format!(
                        "too many values to unpack (expected {})",
                        targets.len()
                    )));
                }
                if items.len() < targets.len() {
                    return Err(Error::value_error(format!(
                        "not enough values to unpack (expected {}, got {})",
                        targets.len(),
                        items.len()
                    )));
                }
                for (t, v) in targets.iter().zip(items) {
                    self.assign(t, v)?;
                }
            }
        }
        Ok(())
    }

    /// Runs a loop over `v`.
    pub(crate) fn run_loop(
        &self,
        f: &Arc<For>,
        v: &Value,
        depth: usize,
        sink: &mut Sink,
    ) -> Result<(), Error> {
        let mut any = false;
        if f.uses_loop || f.filter.is_some() {
            let mut items = Vec::new();
            for item in v.iter()? {
                let item = self.read(item);
                if let Some(filter) = &f.filter {
                    let inner = self.with_frame(Frame::child(&self.frame));
                    inner.assign(&f.target, item.clone())?;
                    if !inner.eval(filter)?.truth()? {
                        continue;
                    }
                }
                items.push(item);
            }
            let object = Arc::new(LoopObject::new(items.clone(), depth, f, self));
            let name: Arc<str> = "loop".into();
            for (i, item) in items.into_iter().enumerate() {
                any = true;
                object.at(i);
                let inner = self.with_frame(Frame::child(&self.frame));
                if f.uses_loop {
                    inner.frame.set(&name, Value::Object(object.clone()));
                }
                inner.assign(&f.target, item)?;
                if inner.exec(&f.body, sink)? == Flow::Break {
                    break;
                }
            }
        } else {
            for item in v.iter()? {
                self.tick()?;
                any = true;
                let inner = self.with_frame(Frame::child(&self.frame));
                inner.assign(&f.target, self.read(item))?;
                if inner.exec(&f.body, sink)? == Flow::Break {
                    break;
                }
            }
        }
        if !any {
            self.scoped(&f.other, sink)?;
        }
        Ok(())
    }

    fn run_block(&self, block: &Arc<Block>, sink: &mut Sink) -> Result<(), Error> {
        let actual = {
            let blocks = self.context.blocks.lock();
            blocks.get(&block.name).and_then(|b| b.first()).cloned().unwrap_or_else(|| block.clone())
        };
        if block.required && Arc::ptr_eq(&actual, block) {
            return Err(Error::runtime(format!("Required block {} not found", repr_str(&block.name))));
        }
        let parent = if block.scoped { &self.frame } else { &self.context.root };
        self.run_block_at(&actual, 0, parent, sink)
    }

    pub(crate) fn run_block_at(
        &self,
        block: &Arc<Block>,
        level: usize,
        parent: &Arc<Frame>,
        sink: &mut Sink,
    ) -> Result<(), Error> {
        self.deeper(|| {
            let inner = self.with_frame(Frame::child(parent));
            let object =
                BlockRef { name: block.name.clone(), level: level + 1, context: self.context.clone() };
            inner.frame.set(&"super".into(), Value::object(object));
            inner.frame.set(&"self".into(), Value::object(super::objects::SelfObject(self.context.clone())));
            inner.exec(&block.body, sink)?;
            inner.frame.clear();
            Ok(())
        })
    }

    /// The template that `name` (a name, or a list of names to try) stands for.
    fn load(&self, name: &Value) -> Result<Arc<Template>, Error> {
        let names: Vec<Value> = match name {
            Value::List(_) | Value::Tuple(_) => self.items(name)?,
            other => vec![other.clone().checked()?],
        };
        let Some(loader) = &self.engine.loader else {
            return Err(Error::type_error("no loader for this environment specified"));
        };
        let texts = names.iter().map(Value::to_text).collect::<Result<Vec<_>, _>>()?;
        for n in &texts {
            if let Some(source) = loader.load(n)? {
                let syntax = self.engine.file_syntax(&self.context.template.syntax);
                return self.engine.parsed(&source.into(), &syntax, false);
            }
        }
        Err(Error::runtime(match texts.as_slice() {
            [one] => one.clone(),
            many => format!("none of the templates given were found: {}", many.join(", ")),
        }))
    }

    fn module(&self, name: &Expr, with_context: bool) -> Result<ModuleObject, Error> {
        let name = self.eval(name)?;
        let found = self.load(&name)?;
        self.deeper(|| {
            let root = if with_context { Frame::child(&self.frame) } else { Frame::root() };
            let context = Context::new(found.clone(), root.clone(), !with_context || self.context.isolated);
            let state = self.in_context(root.clone(), context);
            let body = state.run_body(&found)?;
            self.run.frames.borrow_mut().push(root.clone());
            Ok(ModuleObject { name: name.to_text()?, frame: root, body })
        })
    }
}
