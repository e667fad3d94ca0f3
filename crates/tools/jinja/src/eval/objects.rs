//! The objects of the language itself: macros, modules, loops, blocks, namespaces, bound methods.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Context, Frame, Sink};
use crate::engine::Function;
use crate::parse::ast::{For, Macro};
use crate::value::{Undefined, ValueIter, repr_str};
use crate::{Args, Dict, Error, Object, State, Value};

/// `omit`.
#[derive(Debug)]
pub(crate) struct Omit;

impl Omit {
    pub fn is(v: &Value) -> bool {
        matches!(v, Value::Object(o) if o.downcast::<Omit>().is_some())
    }
}

impl Object for Omit {
    fn type_name(&self) -> &str {
        "Omit"
    }
    fn is_storable(&self) -> bool {
        true
    }
    fn repr(&self) -> String {
        "<<Omit>>".into()
    }
    fn equals(&self, other: &Value) -> Option<bool> {
        Some(Omit::is(other))
    }
}

/// A global function.
pub(crate) struct FunctionObject {
    pub name: &'static str,
    pub f: Function,
    /// Takes undefined values.
    pub raw: bool,
}

impl fmt::Debug for FunctionObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<function {}>", self.name)
    }
}

impl Object for FunctionObject {
    fn type_name(&self) -> &str {
        match self.name {
            "range" | "dict" | "namespace" => "type",
            _ => "function",
        }
    }
    fn call(&self, state: &State<'_>, args: Args) -> Result<Value, Error> {
        (self.f)(state, args)
    }
    fn is_callable(&self) -> bool {
        true
    }
}

/// `value.method`, not called yet.
#[derive(Debug)]
pub(crate) struct BoundMethod {
    pub this: Value,
    pub name: Arc<str>,
}

impl Object for BoundMethod {
    fn type_name(&self) -> &str {
        if matches!(self.this, Value::Str(_)) { "builtin_function_or_method" } else { "method" }
    }
    fn call(&self, state: &State<'_>, args: Args) -> Result<Value, Error> {
        crate::methods::call(state, &self.this, &self.name, args)
    }
    fn is_callable(&self) -> bool {
        true
    }
}

/// `namespace(…)`.
#[derive(Debug)]
pub(crate) struct Namespace(pub Dict);

impl Object for Namespace {
    fn type_name(&self) -> &str {
        "Namespace"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(self.0.get(name))
    }
    fn item(&self, key: &Value) -> Result<Option<Value>, Error> {
        Ok(self.0.get_value(key))
    }
    fn set_attr(&self, name: &str, value: Value) -> Result<(), Error> {
        self.0.insert(name, value);
        Ok(())
    }
    fn repr(&self) -> String {
        format!("<Namespace {}>", Value::Dict(self.0.clone()).repr())
    }
}

/// A macro, with the names around its definition.
pub(crate) struct MacroObject {
    node: Arc<Macro>,
    frame: Arc<Frame>,
    context: Arc<Context>,
}

impl fmt::Debug for MacroObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr())
    }
}

impl MacroObject {
    pub fn new(node: &Arc<Macro>, state: &State<'_>) -> Self {
        state.run.frames.borrow_mut().push(state.frame.clone());
        Self { node: node.clone(), frame: state.frame.clone(), context: state.context.clone() }
    }

    fn invoke(&self, state: &State<'_>, mut args: Args) -> Result<Value, Error> {
        let node = &self.node;
        let n = node.params.len();
        let inner = state.in_context(Frame::child(&self.frame), self.context.clone());
        let caller = args.take_named("caller");
        if let Some(c) = caller {
            if !node.uses_caller && !node.params.iter().any(|p| &**p == "caller") && !node.uses_kwargs {
                let m = format!("macro {} takes no keyword argument 'caller'", repr_str(&node.name));
                return Err(Error::type_error(m));
            }
            inner.frame.set(&"caller".into(), c);
        } else if node.uses_caller {
            inner.frame.set(&"caller".into(), Value::undefined_hint("No caller defined"));
        }
        let extra = args.pos.split_off(n.min(args.pos.len()));
        let given = args.pos.len();
        for (name, v) in node.params.iter().zip(args.pos) {
            inner.frame.set(name, v);
        }
        let first_default = n - node.defaults.len();
        for (i, name) in node.params.iter().enumerate().skip(given) {
            let v = match args.kw.iter().position(|(k, _)| k == name) {
                Some(at) => args.kw.remove(at).1,
                None if i >= first_default => inner.eval(&node.defaults[i - first_default])?,
                None if &**name == "caller" => continue,
                None => Value::Undefined(Arc::new(Undefined {
                    name: Some(name.to_string()),
                    ..Undefined::hint(format!("parameter {} was not provided", repr_str(name)))
                })),
            };
            inner.frame.set(name, v);
        }
        if node.uses_kwargs {
            let d: Dict = args.kw.into_iter().map(|(k, v)| (Value::from(k), v)).collect();
            inner.frame.set(&"kwargs".into(), Value::Dict(d));
        } else if let Some((k, _)) = args.kw.first() {
            return Err(Error::type_error(format!(
                "macro {} takes no keyword argument {}",
                repr_str(&node.name),
                repr_str(k)
            )));
        }
        if node.uses_varargs {
            inner.frame.set(&"varargs".into(), Value::tuple(extra));
        } else if !extra.is_empty() {
            return Err(Error::type_error(format!(
                "macro {} takes not more than {n} argument(s)",
                repr_str(&node.name)
            )));
        }
        state.deeper(|| inner.captured(&node.body))
    }
}

impl Object for MacroObject {
    fn type_name(&self) -> &str {
        "Macro"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(match name {
            "name" => Some(Value::from(self.node.name.clone())),
            "arguments" => {
                Some(Value::tuple(self.node.params.iter().map(|p| Value::from(p.clone())).collect()))
            }
            "catch_kwargs" => Some(Value::Bool(self.node.uses_kwargs)),
            "catch_varargs" => Some(Value::Bool(self.node.uses_varargs)),
            "caller" => Some(Value::Bool(self.node.uses_caller)),
            _ => None,
        })
    }
    fn call(&self, state: &State<'_>, args: Args) -> Result<Value, Error> {
        self.invoke(state, args)
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn repr(&self) -> String {
        format!("<Macro {}>", repr_str(&self.node.name))
    }
}

/// An imported template.
#[derive(Debug)]
pub(crate) struct ModuleObject {
    pub name: String,
    pub frame: Arc<Frame>,
    pub body: Value,
}

impl ModuleObject {
    pub fn get(&self, name: &str) -> Option<Value> {
        if name.starts_with('_') { None } else { self.frame.get_own(name) }
    }
}

impl Object for ModuleObject {
    fn type_name(&self) -> &str {
        "TemplateModule"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(self.get(name))
    }
    fn resolve(&self) -> Option<Result<Value, Error>> {
        None
    }
    fn text(&self) -> String {
        self.body.to_text().unwrap_or_default()
    }
}

/// `super()`.
#[derive(Debug)]
pub(crate) struct BlockRef {
    pub name: Arc<str>,
    pub level: usize,
    pub context: Arc<Context>,
}

impl Object for BlockRef {
    fn type_name(&self) -> &str {
        "BlockReference"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok((name == "super").then(|| {
            Value::object(BlockRef {
                name: self.name.clone(),
                level: self.level + 1,
                context: self.context.clone(),
            })
        }))
    }
    fn call(&self, state: &State<'_>, _: Args) -> Result<Value, Error> {
        let block = self.context.blocks.lock().get(&self.name).and_then(|b| b.get(self.level)).cloned();
        let Some(block) = block else {
            return Ok(Value::undefined_hint(format!(
                "there is no parent block called {}.",
                repr_str(&self.name)
            )));
        };
        let mut sink = Sink::default();
        let root = self.context.root.clone();
        let inner = state.in_context(root.clone(), self.context.clone());
        inner.run_block_at(&block, self.level, &root, &mut sink)?;
        Ok(sink.finish())
    }
    fn is_callable(&self) -> bool {
        true
    }
}

/// `self`: the template's blocks.
#[derive(Debug)]
pub(crate) struct SelfObject(pub Arc<Context>);

impl Object for SelfObject {
    fn type_name(&self) -> &str {
        "TemplateReference"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        let known = self.0.blocks.lock().contains_key(name);
        Ok(known.then(|| Value::object(BlockRef { name: name.into(), level: 0, context: self.0.clone() })))
    }
}

/// `loop`.
pub(crate) struct LoopObject {
    items: Vec<Value>,
    at: Mutex<usize>,
    changed: Mutex<Option<Vec<Value>>>,
    depth: usize,
    node: Arc<For>,
    frame: Arc<Frame>,
    context: Arc<Context>,
}

impl fmt::Debug for LoopObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<LoopContext>")
    }
}

impl LoopObject {
    pub fn new(items: Vec<Value>, depth: usize, node: &Arc<For>, state: &State<'_>) -> Self {
        Self {
            items,
            at: Mutex::new(0),
            changed: Mutex::new(None),
            depth,
            node: node.clone(),
            frame: state.frame.clone(),
            context: state.context.clone(),
        }
    }
    pub fn at(&self, i: usize) {
        *self.at.lock() = i;
    }
}

impl Object for LoopObject {
    fn type_name(&self) -> &str {
        "LoopContext"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        let at = *self.at.lock();
        let n = self.items.len();
        Ok(Some(match name {
            "index" => (at + 1).into(),
            "index0" => at.into(),
            "revindex" => (n - at).into(),
            "revindex0" => (n - at - 1).into(),
            "first" => (at == 0).into(),
            "last" => (at + 1 == n).into(),
            "length" => n.into(),
            "depth" => (self.depth + 1).into(),
            "depth0" => self.depth.into(),
            "previtem" => match at.checked_sub(1) {
                Some(i) => self.items[i].clone(),
                None => Value::undefined_hint("there is no previous item"),
            },
            "nextitem" => match self.items.get(at + 1) {
                Some(v) => v.clone(),
                None => Value::undefined_hint("there is no next item"),
            },
            _ => return Ok(None),
        }))
    }
    fn call_method(&self, _: &State<'_>, name: &str, args: &Args) -> Option<Result<Value, Error>> {
        match name {
            "cycle" if args.pos.is_empty() => Some(Err(Error::type_error("no items for cycling given"))),
            "cycle" => Some(Ok(args.pos[*self.at.lock() % args.pos.len()].clone())),
            "changed" => {
                let mut last = self.changed.lock();
                let new = last.as_ref() != Some(&args.pos);
                *last = Some(args.pos.clone());
                Some(Ok(Value::Bool(new)))
            }
            _ => None,
        }
    }
    fn call(&self, state: &State<'_>, args: Args) -> Result<Value, Error> {
        if !self.node.recursive {
            return Err(Error::type_error(
                "The loop must have the 'recursive' marker to be called recursively.",
            ));
        }
        let inner = state.in_context(self.frame.clone(), self.context.clone());
        let mut sink = Sink::default();
        state.deeper(|| inner.run_loop(&self.node, &args.first(), self.depth + 1, &mut sink))?;
        Ok(sink.finish())
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn len(&self) -> Option<usize> {
        Some(self.items.len())
    }
    fn truth(&self) -> Result<bool, Error> {
        Ok(!self.items.is_empty())
    }
    fn iter(&self) -> Option<Result<ValueIter, Error>> {
        None
    }
}
