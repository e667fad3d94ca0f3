//! The engine's entrances, nested rendering, and what becomes of results.

use std::sync::Arc;

use super::objects::Omit;
use super::{Context, Frame, Sink};
use crate::engine::Render;
use crate::parse::{self, Template};
use crate::state::Run;
use crate::{Dict, Engine, Error, List, Scope, State, Str, Syntax, Value};

/// Levels of nesting of a value past which it is taken to hold itself.
const MAX_VALUE_DEPTH: u32 = 200;
/// Templates kept parsed.
const MAX_CACHED: usize = 20_000;

/// What `value` with its items must still undergo.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// For a filter: templates rendered, nothing undefined.
    Plain,
    /// For text: also tuples are lists, omitted items are gone.
    Joined,
    /// For a result: also objects have become plain.
    Result,
}

impl Engine {
    pub(crate) fn parsed(
        &self,
        text: &Arc<str>,
        syntax: &Arc<Syntax>,
        expr: bool,
    ) -> Result<Arc<Template>, Error> {
        let mut key = (self.syntax_key(syntax), text.clone());
        if expr {
            key.0 = !key.0;
        }
        if let Some(found) = self.cache.read().get(&key) {
            return found.clone();
        }
        let known = |name: &str, test: bool| if test { self.has_test(name) } else { self.has_filter(name) };
        let parsed = if expr {
            parse::expression(text, syntax, &known)
        } else {
            parse::template(text, syntax, &known)
        };
        let parsed = parsed.map(Arc::new);
        let mut cache = self.cache.write();
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(key, parsed.clone());
        parsed
    }

    fn run_template<'a>(
        &'a self,
        template: &Arc<Template>,
        scope: &'a dyn Scope,
        run: &'a Run,
    ) -> (State<'a>, Result<Value, Error>) {
        let root = Frame::root();
        let context = Context::new(template.clone(), root.clone(), false);
        let state = State { engine: self, scope, run, frame: root, context };
        let result = state.run_body(template);
        (state, result)
    }

    fn render_parsed(
        &self,
        text: &Str,
        template: Result<Arc<Template>, Error>,
        scope: &dyn Scope,
        render_constants: bool,
        what: &str,
    ) -> Result<Value, Error> {
        let wrap = |e: Error| e.wrap(what).through(text.origin());
        let template = template.map_err(wrap)?;
        let run = Run::new(self, render_constants);
        let (state, result) = self.run_template(&template, scope, &run);
        let value = result.map_err(wrap)?;
        if let Value::Undefined(u) = &value
            && u.lenient
        {
            return Err(wrap(Error::type_error("Type 'Undefined' is unsupported for variable storage.")));
        }
        if Omit::is(&value) {
            return Ok(value);
        }
        state.convert(value, Mode::Result, 0).map_err(wrap)
    }

    /// Renders the template `text` (trusted or not) with the variables of `scope`. One expression gives its
    /// object; anything else is joined to text. The result holds no templates and nothing undefined.
    ///
    /// # Errors
    /// In the reference's words, with the template's line and the places passed through.
    pub fn render(&self, text: &Str, scope: &dyn Scope) -> Result<Value, Error> {
        not_omitted(self.render_or_omit(text, scope)?)
    }

    /// [`Engine::render`], where the result may be the `omit` placeholder ([`Value::is_omit`]).
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn render_or_omit(&self, text: &Str, scope: &dyn Scope) -> Result<Value, Error> {
        if !crate::value::looks_like_template(text) {
            return Ok(Value::Str(text.clone()));
        }
        if text.starts_with("#jinja2:") {
            let (body, syntax) = crate::engine::header(text, self.syntax())
                .map_err(|e| e.wrap("template").through(text.origin()))?;
            let how = Render { syntax: Arc::new(syntax), preserve_trailing_newlines: true };
            return self.render_body(&Str::new(body).at(text.origin().cloned()), scope, &how);
        }
        let how = Render { syntax: self.syntax().clone(), preserve_trailing_newlines: true };
        self.render_body(text, scope, &how)
    }

    /// [`Engine::render`] with another syntax: template files, overrides. The text need not look like a
    /// template; a `#jinja2:` header applies.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn render_with(&self, text: &Str, scope: &dyn Scope, how: &Render) -> Result<Value, Error> {
        if text.starts_with("#jinja2:") {
            let (body, syntax) = crate::engine::header(text, &how.syntax)
                .map_err(|e| e.wrap("template").through(text.origin()))?;
            let how = Render { syntax: Arc::new(syntax), ..how.clone() };
            return not_omitted(self.render_body(&Str::new(body).at(text.origin().cloned()), scope, &how)?);
        }
        not_omitted(self.render_body(text, scope, how)?)
    }

    fn render_body(&self, text: &Str, scope: &dyn Scope, how: &Render) -> Result<Value, Error> {
        let template = self.parsed(text.as_arc(), &how.syntax, false);
        let value = self.render_parsed(text, template, scope, false, "template")?;
        Ok(if how.preserve_trailing_newlines { keep_newlines(text, value, &how.syntax) } else { value })
    }

    /// Evaluates the expression `text`, as `until` and `vars` of `query` do.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn expression(&self, text: &Str, scope: &dyn Scope) -> Result<Value, Error> {
        self.expression_with(text, scope, self.syntax(), false)
    }

    fn expression_with(
        &self,
        text: &Str,
        scope: &dyn Scope,
        syntax: &Arc<Syntax>,
        render_constants: bool,
    ) -> Result<Value, Error> {
        let template = self.parsed(text.as_arc(), syntax, true);
        let braces = template.is_err() && crate::value::looks_like_template(text);
        let what = if braces {
            "expression. Template delimiters are not supported in expressions"
        } else {
            "expression"
        };
        not_omitted(self.render_parsed(text, template, scope, render_constants, what)?)
    }

    /// Evaluates a conditional: a bool, or text that is an expression with a bool as its result. With
    /// `allow_broken`, other results count by their truth.
    ///
    /// # Errors
    /// As [`Engine::render`], and where the result is no bool.
    pub fn condition(&self, when: &Value, scope: &dyn Scope, allow_broken: bool) -> Result<bool, Error> {
        let augment = |e: Error| {
            if e.kind() == crate::ErrorKind::Undefined {
                e.context(crate::ErrorKind::Undefined, "Error while evaluating conditional.")
            } else {
                e
            }
        };
        let empty =
            || Error::type_error("Empty conditional expressions are not allowed.").help(BROKEN_ALLOWED);
        let value = match when {
            Value::Bool(b) => return Ok(*b),
            Value::None if allow_broken => return Ok(true),
            Value::None => return Err(empty()),
            Value::Str(s) => {
                if s.trim().is_empty() {
                    return if allow_broken { Ok(true) } else { Err(empty()) };
                }
                if !s.is_trusted() {
                    return Err(untrusted(s));
                }
                let mut text = Str::trusted(s.trim()).at(s.origin().cloned());
                let opens = ["{{", "{%", "{#"].iter().any(|o| text.starts_with(o));
                let closes = ["}}", "%}", "#}"].iter().any(|c| text.ends_with(c));
                let mut done = None;
                if (opens && closes) || text.starts_with("#jinja2:") {
                    match self.render(&text, scope).map_err(augment)? {
                        Value::Str(inner) => {
                            if inner.trim().is_empty() {
                                return if allow_broken { Ok(true) } else { Err(empty()) };
                            }
                            if !inner.is_trusted() {
                                return Err(untrusted(&inner).through(s.origin()));
                            }
                            text = Str::new(inner.trim()).at(s.origin().cloned());
                        }
                        Value::None if !allow_broken => return Err(empty()),
                        other => done = Some(other),
                    }
                }
                match done {
                    Some(v) => v,
                    None => self.expression_with(&text, scope, self.plain_syntax(), true).map_err(augment)?,
                }
            }
            other if allow_broken => self.resolve(other, scope)?,
            _ => {
                return Err(
                    Error::type_error("Conditional expressions must be strings.").help(BROKEN_ALLOWED)
                );
            }
        };
        match &value {
            Value::Bool(b) => Ok(*b),
            other => {
                let truth = other.truth()?;
                if allow_broken {
                    return Ok(truth);
                }
                let origin = value.origin().or(when.origin());
                let origin = origin.map_or_else(|| "<unknown>".to_owned(), |o| o.to_string());
                let e = Error::type_error(format!(
                    "Conditional result ({}) was derived from value of type '{}' at {}. Conditionals must have a boolean result.",
                    if truth { "True" } else { "False" },
                    other.type_name(),
                    crate::value::repr_str(&origin)
                ));
                Err(e.help(BROKEN_ALLOWED))
            }
        }
    }

    /// Renders every trusted template in `value`, at any depth; `omit` drops out of lists and dicts, and is
    /// itself given back where it is the whole.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn resolve(&self, value: &Value, scope: &dyn Scope) -> Result<Value, Error> {
        match value {
            Value::Str(s) if s.is_template() => self.render_or_omit(s, scope),
            Value::Str(_) | Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                Ok(value.clone())
            }
            other => {
                let run = Run::new(self, false);
                let template = self.parsed(&self.nothing, self.syntax(), false)?;
                let root = Frame::root();
                let context = Context::new(template, root.clone(), false);
                let state = State { engine: self, scope, run: &run, frame: root, context };
                state.convert(other.clone(), Mode::Result, 0).map_err(|e| e.wrap("template"))
            }
        }
    }
}

const BROKEN_ALLOWED: &str = "Broken conditionals can be temporarily allowed with the `ALLOW_BROKEN_CONDITIONALS` configuration option.";

/// The error of text that no trusted source wrote where a template or an expression must be.
fn untrusted(text: &Str) -> Error {
    Error::value_error("Encountered untrusted template or expression.")
        .through(text.origin())
        .help("Templates and expressions must be defined by trusted sources such as playbooks or roles, not untrusted sources such as module results.")
}

fn not_omitted(v: Value) -> Result<Value, Error> {
    if Omit::is(&v) {
        return Err(Error::type_error("A template was resolved to an Omit scalar."));
    }
    Ok(v)
}

/// Gives text the newlines at its template's end back.
fn keep_newlines(text: &Str, value: Value, syntax: &Syntax) -> Value {
    let count = |s: &str| s.bytes().rev().take_while(|b| *b == b'\n').count();
    match value {
        Value::Str(s) if text.ends_with('\n') => {
            let (want, have) = (count(text), count(&s));
            if want > have {
                Value::str(format!("{s}{}", syntax.newline_sequence.repeat(want - have)))
            } else {
                Value::Str(s)
            }
        }
        other => other,
    }
}

impl Value {
    /// Whether it is the `omit` placeholder.
    pub fn is_omit(&self) -> bool {
        Omit::is(self)
    }
    /// The `omit` placeholder.
    pub fn omit() -> Self {
        Value::object(Omit)
    }
    /// Itself, or the error that it stands for.
    ///
    /// # Errors
    /// Where it is undefined.
    pub fn checked(self) -> Result<Value, Error> {
        match self {
            Value::Undefined(u) => Err(u.to_error()),
            other => Ok(other),
        }
    }
}

impl State<'_> {
    /// Runs a template's body, and its parents'.
    pub(crate) fn run_body(&self, template: &Arc<Template>) -> Result<Value, Error> {
        let mut sink = Sink::default();
        self.run_into(template, &mut sink)?;
        Ok(sink.finish())
    }

    /// One more level of templates or macros; `f` runs inside it.
    pub(crate) fn deeper<T>(&self, f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let depth = self.run.depth.get() + 1;
        if depth > self.engine.limits().depth {
            return Err(Error::new(crate::ErrorKind::Recursion, "maximum recursion depth exceeded"));
        }
        self.run.depth.set(depth);
        let r = f();
        self.run.depth.set(depth - 1);
        r
    }

    /// Renders a variable's template. What fails becomes an undefined value.
    pub(crate) fn render_nested(&self, text: &Str) -> Value {
        let scope_at = std::ptr::from_ref(self.scope).cast::<()>() as usize;
        let key = (Arc::as_ptr(text.as_arc()).cast::<()>() as usize, scope_at);
        if self.run.stack.borrow().contains(&key) {
            let e = Error::new(crate::ErrorKind::Recursion, "maximum recursion depth exceeded");
            return Value::captured(e.wrap("template").through(text.origin()));
        }
        self.run.stack.borrow_mut().push(key);
        let result = self.deeper(|| {
            let (template, newlines);
            if text.starts_with("#jinja2:") {
                let (body, syntax) = crate::engine::header(text, self.engine.syntax())?;
                let syntax = Arc::new(syntax);
                template = self.engine.parsed(&body.into(), &syntax, false)?;
                newlines = syntax;
            } else {
                newlines = self.engine.syntax().clone();
                template = self.engine.parsed(text.as_arc(), &newlines, false)?;
            }
            let value = self.engine.run_template(&template, self.scope, self.run).1?;
            Ok(keep_newlines(text, value, &newlines))
        });
        self.run.stack.borrow_mut().pop();
        match result {
            Ok(v) => v,
            Err(e) => Value::captured(e.wrap("template").through(text.origin())),
        }
    }

    /// A value as it is read: a template is rendered, an encrypted string decrypted.
    pub fn read(&self, v: Value) -> Value {
        match &v {
            Value::Str(s) if s.is_template() => self.render_nested(s),
            Value::Object(o) => match o.resolve() {
                None => v,
                Some(Ok(plain)) => self.read(plain),
                Some(Err(e)) => Value::captured(e),
            },
            _ => v,
        }
    }

    /// `v` with all it holds rendered; an undefined value in it is an error.
    ///
    /// # Errors
    /// Where rendering fails, or something in it is undefined.
    pub fn plain(&self, v: Value) -> Result<Value, Error> {
        self.convert(v, Mode::Plain, 0)
    }

    /// Appends `v` to text, as in a template of several nodes.
    pub(crate) fn write_joined(&self, out: &mut String, v: Value) -> Result<(), Error> {
        match &v {
            Value::Str(s) => {
                out.push_str(s);
                Ok(())
            }
            Value::Undefined(u) if u.lenient => Ok(()),
            _ => self.convert(v, Mode::Joined, 0)?.write_text(out),
        }
    }

    pub(crate) fn convert(&self, v: Value, mode: Mode, depth: u32) -> Result<Value, Error> {
        if !needs(&v, mode, depth) {
            return Ok(v);
        }
        if depth > MAX_VALUE_DEPTH {
            return Err(Error::new(crate::ErrorKind::Recursion, "maximum recursion depth exceeded"));
        }
        let unsupported =
            |name: &str| Error::type_error(format!("Type '{name}' is unsupported for variable storage."));
        let list = |items: Vec<Value>| -> Result<Vec<Value>, Error> {
            let mut out = Vec::with_capacity(items.len());
            for v in items {
                let v = self.read(v);
                if mode == Mode::Plain || !Omit::is(&v) {
                    out.push(self.convert(v, mode, depth + 1)?);
                }
            }
            Ok(out)
        };
        Ok(match v {
            Value::Undefined(u) => return Err(u.to_error()),
            Value::Str(s) if s.is_template() => {
                let v = self.render_nested(&s);
                return self.convert(v, mode, depth + 1);
            }
            Value::Str(s) if mode == Mode::Result => Value::Str(s.untrust()),
            Value::List(l) => Value::List(List::with_origin(list(l.items())?, l.origin().cloned())),
            Value::Tuple(t) => {
                let items = list(t.to_vec())?;
                if mode == Mode::Plain { Value::tuple(items) } else { Value::list(items) }
            }
            Value::Dict(d) => {
                let mut out = indexmap::IndexMap::with_capacity(d.len());
                for (k, v) in d.items() {
                    let v = self.read(v);
                    if mode == Mode::Plain || !Omit::is(&v) {
                        out.insert(self.convert(k, mode, depth + 1)?, self.convert(v, mode, depth + 1)?);
                    }
                }
                Value::Dict(Dict::with_origin(out, d.origin().cloned()))
            }
            Value::Object(o) => {
                if let Some(plain) = o.resolve() {
                    return self.convert(self.read(plain?), mode, depth + 1);
                }
                if mode != Mode::Result || o.is_storable() {
                    return Ok(Value::Object(o));
                }
                if o.type_name() == "range" {
                    return Err(unsupported("range"));
                }
                match o.iter() {
                    Some(keys) if o.is_mapping() => {
                        let out = Dict::new();
                        for k in keys? {
                            let v = self.read(o.item(&k)?.unwrap_or_default());
                            if !Omit::is(&v) {
                                out.insert(k, self.convert(v, mode, depth + 1)?);
                            }
                        }
                        Value::Dict(out)
                    }
                    Some(items) => Value::list(list(items?.collect())?),
                    None => return Err(unsupported(o.type_name())),
                }
            }
            other => other,
        })
    }
}

/// Whether [`State::convert`] has anything to do.
fn needs(v: &Value, mode: Mode, depth: u32) -> bool {
    if depth > MAX_VALUE_DEPTH {
        return true;
    }
    match v {
        Value::Undefined(_) => true,
        Value::Str(s) => s.is_template() || mode == Mode::Result && s.is_constant_template(),
        Value::List(l) => l.read().iter().any(|v| needs(v, mode, depth + 1)),
        Value::Tuple(t) => mode != Mode::Plain || t.iter().any(|v| needs(v, mode, depth + 1)),
        Value::Dict(d) => d.read().iter().any(|(k, v)| {
            needs(v, mode, depth + 1) || !matches!(k, Value::Str(_)) && needs(k, mode, depth + 1)
        }),
        Value::Object(o) => mode != Mode::Plain || o.resolve().is_some(),
        _ => false,
    }
}
