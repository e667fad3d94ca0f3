//! The engine: syntax, bounds, registries, and the cache of parsed templates.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::parse::Template;
use crate::{Args, Error, Scope, State, Str, Value};

/// A filter: the piped value is the first argument.
pub type Filter = Arc<dyn Fn(&State<'_>, Args) -> Result<Value, Error> + Send + Sync>;
/// A test: the tested value is the first argument.
pub type Test = Arc<dyn Fn(&State<'_>, Args) -> Result<bool, Error> + Send + Sync>;
/// A global function.
pub type Function = Arc<dyn Fn(&State<'_>, Args) -> Result<Value, Error> + Send + Sync>;

/// Where `include`, `import` and `extends` find their templates.
pub trait Loader: Send + Sync {
    /// The text of the template `name`; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn load(&self, name: &str) -> Result<Option<String>, Error>;
}

/// The delimiters and how whitespace is treated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Syntax {
    /// `{%`
    pub block_start: String,
    /// `%}`
    pub block_end: String,
    /// `{{`
    pub variable_start: String,
    /// `}}`
    pub variable_end: String,
    /// `{#`
    pub comment_start: String,
    /// `#}`
    pub comment_end: String,
    /// What makes a line a statement.
    pub line_statement_prefix: Option<String>,
    /// What makes the rest of a line a comment.
    pub line_comment_prefix: Option<String>,
    /// Drop the newline after a block (Ansible's default).
    pub trim_blocks: bool,
    /// Drop the blanks before a block on its line.
    pub lstrip_blocks: bool,
    /// What newlines become.
    pub newline_sequence: String,
    /// Keep the newline at the end.
    pub keep_trailing_newline: bool,
    /// Whether `{% do %}` is known (`jinja2.ext.do`).
    pub do_statement: bool,
    /// Whether `{% break %}` and `{% continue %}` are known (`jinja2.ext.loopcontrols`).
    pub loop_controls: bool,
    /// Backslashes in the strings of `{{ … }}` stand for themselves: the template comes from YAML.
    pub escape_backslashes: bool,
}

impl Default for Syntax {
    /// As Ansible renders values of playbooks.
    fn default() -> Self {
        Self {
            block_start: "{%".into(),
            block_end: "%}".into(),
            variable_start: "{{".into(),
            variable_end: "}}".into(),
            comment_start: "{#".into(),
            comment_end: "#}".into(),
            line_statement_prefix: None,
            line_comment_prefix: None,
            trim_blocks: true,
            lstrip_blocks: false,
            newline_sequence: "\n".into(),
            keep_trailing_newline: false,
            do_statement: false,
            loop_controls: false,
            escape_backslashes: true,
        }
    }
}

/// The bounds of one rendering, the variables it renders included.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Templates and macros inside each other.
    pub depth: u32,
    /// Statements and expressions evaluated.
    pub steps: u64,
    /// Bytes of text produced.
    pub bytes: usize,
    /// Time.
    pub time: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 60, steps: 200_000_000, bytes: 512 << 20, time: None }
    }
}

/// How a template is rendered, where it differs from a playbook's values.
#[derive(Debug, Clone)]
pub struct Render {
    /// Delimiters and whitespace.
    pub syntax: Arc<Syntax>,
    /// Newlines at the template's end are kept in the result.
    pub preserve_trailing_newlines: bool,
}

pub(crate) struct Entry<F> {
    pub f: F,
    /// The name in messages: `ansible.builtin.mandatory`.
    pub name: Arc<str>,
    /// Takes undefined values.
    pub undefined: bool,
    /// Renders what it reads itself; else its arguments come rendered all through.
    pub lazy: bool,
}

/// The engine. Build it once; rendering only needs `&self`.
pub struct Engine {
    pub(crate) filters: HashMap<Arc<str>, Arc<Entry<Filter>>>,
    pub(crate) tests: HashMap<Arc<str>, Arc<Entry<Test>>>,
    pub(crate) globals: HashMap<Arc<str>, Value>,
    pub(crate) loader: Option<Arc<dyn Loader>>,
    syntax: Arc<Syntax>,
    limits: Limits,
    pub(crate) cache: RwLock<Cache>,
}

/// Parsed templates by syntax and text.
pub(crate) type Cache = HashMap<Arc<Syntax>, HashMap<Arc<str>, Result<Arc<Template>, Error>>>;

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine with Jinja's and ansible-core's filters, tests and globals, as far as they need no I/O.
    pub fn new() -> Self {
        Self {
            filters: HashMap::new(),
            tests: HashMap::new(),
            globals: HashMap::new(),
            loader: None,
            syntax: Arc::new(Syntax::default()),
            limits: Limits::default(),
            cache: RwLock::new(HashMap::new()),
        }
    }
    /// Sets the default syntax.
    pub fn set_syntax(&mut self, syntax: Syntax) {
        self.syntax = Arc::new(syntax);
    }
    /// The default syntax.
    pub fn syntax(&self) -> &Arc<Syntax> {
        &self.syntax
    }
    /// Sets the bounds.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }
    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
    /// Sets where `include`, `import` and `extends` find templates.
    pub fn set_loader(&mut self, loader: Arc<dyn Loader>) {
        self.loader = Some(loader);
    }
    /// Registers a filter. Its arguments come rendered all through; an undefined one is an error before it runs.
    pub fn add_filter(&mut self, name: &str, f: Filter) {
        self.put_filter(name, f, false, false);
    }
    /// Registers a filter that takes undefined values and renders what it reads itself.
    pub fn add_raw_filter(&mut self, name: &str, f: Filter) {
        self.put_filter(name, f, true, true);
    }
    pub(crate) fn put_filter(&mut self, name: &str, f: Filter, undefined: bool, lazy: bool) {
        let entry = Entry { f, name: full_name(name), undefined, lazy };
        self.filters.insert(name.into(), Arc::new(entry));
    }
    /// Registers a test, as [`Engine::add_filter`].
    pub fn add_test(&mut self, name: &str, f: Test) {
        self.put_test(name, f, false, false);
    }
    pub(crate) fn put_test(&mut self, name: &str, f: Test, undefined: bool, lazy: bool) {
        let entry = Entry { f, name: full_name(name), undefined, lazy };
        self.tests.insert(name.into(), Arc::new(entry));
    }
    /// Sets a global variable; variables of the scope hide it.
    pub fn add_global(&mut self, name: &str, value: Value) {
        self.globals.insert(name.into(), value);
    }
    /// Whether there is a filter `name`, with or without `ansible.builtin.` before it.
    pub fn has_filter(&self, name: &str) -> bool {
        self.filters.contains_key(short_name(name)) || self.filters.contains_key(name)
    }
    /// Whether there is a test `name`, with or without `ansible.builtin.` before it.
    pub fn has_test(&self, name: &str) -> bool {
        self.tests.contains_key(short_name(name)) || self.tests.contains_key(name)
    }
}

fn full_name(name: &str) -> Arc<str> {
    if name.contains('.') { name.into() } else { format!("ansible.builtin.{name}").into() }
}

/// `name` without `ansible.builtin.` or `ansible.legacy.`.
pub(crate) fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy.")).unwrap_or(name)
}

impl Engine {
    /// Renders the template `text` (trusted or not) with the variables of `scope`. One expression gives its
    /// object; anything else is joined to text. The result holds no templates and nothing undefined.
    ///
    /// # Errors
    /// In the reference's words, with the template's line and the places passed through.
    pub fn render(&self, _text: &Str, _scope: &dyn Scope) -> Result<Value, Error> {
        Err(Error::runtime("the evaluator lands next"))
    }
    /// [`Engine::render`] with another syntax: template files, `#jinja2:`-like overrides.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn render_with(&self, text: &Str, scope: &dyn Scope, _how: &Render) -> Result<Value, Error> {
        self.render(text, scope)
    }
    /// Evaluates the expression `text`, as `when` and `until` do.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn expression(&self, _text: &Str, _scope: &dyn Scope) -> Result<Value, Error> {
        Err(Error::runtime("the evaluator lands next"))
    }
    /// Evaluates a conditional: a bool, or text that is an expression with a bool as its result. With
    /// `allow_broken`, other results count by their truth.
    ///
    /// # Errors
    /// As [`Engine::render`], and where the result is no bool.
    pub fn condition(&self, _when: &Value, _scope: &dyn Scope, _allow_broken: bool) -> Result<bool, Error> {
        Err(Error::runtime("the evaluator lands next"))
    }
    /// Renders every trusted template in `value`, at any depth; `omit` drops out of lists and dicts.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn resolve(&self, _value: &Value, _scope: &dyn Scope) -> Result<Value, Error> {
        Err(Error::runtime("the evaluator lands next"))
    }
}
