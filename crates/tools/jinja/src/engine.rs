//! The engine: syntax, bounds, registries, and the cache of parsed templates.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::parse::Template;
use crate::{Args, Error, State, Value};

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
    pub(crate) finder: Option<Arc<dyn PluginFinder>>,
    syntax: Arc<Syntax>,
    syntax_key: u64,
    /// The same without `escape_backslashes`: conditionals and included files.
    plain: Arc<Syntax>,
    limits: Limits,
    pub(crate) cache: RwLock<Cache>,
    pub(crate) nothing: Arc<str>,
}

/// Parsed templates by their syntax's key and their text.
pub(crate) type Cache = HashMap<(u64, Arc<str>), Result<Arc<Template>, Error>>;

/// Finds filters and tests that are not registered: plugins of collections, Python's.
pub trait PluginFinder: Send + Sync {
    /// The filter `name`.
    fn filter(&self, name: &str) -> Option<Filter>;
    /// The test `name`.
    fn test(&self, name: &str) -> Option<Test>;
    /// Whether its own filter (or test) `name` hides the registered one. Asked often: cheap where there is none.
    fn hides(&self, _test: bool, _name: &str) -> bool {
        false
    }
}

fn key_of(syntax: &Syntax) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut h = std::collections::hash_map::DefaultHasher::new();
    syntax.hash(&mut h);
    h.finish()
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine with Jinja's and ansible-core's filters, tests and globals, as far as they need no I/O.
    pub fn new() -> Self {
        let mut engine = Self {
            filters: HashMap::new(),
            tests: HashMap::new(),
            globals: HashMap::new(),
            loader: None,
            finder: None,
            syntax: Arc::new(Syntax::default()),
            syntax_key: key_of(&Syntax::default()),
            plain: Arc::new(Syntax { escape_backslashes: false, ..Syntax::default() }),
            limits: Limits::default(),
            cache: RwLock::new(HashMap::new()),
            nothing: "".into(),
        };
        crate::globals::register(&mut engine);
        crate::filters::register(&mut engine);
        crate::tests::register(&mut engine);
        engine
    }
    /// Sets the default syntax.
    pub fn set_syntax(&mut self, syntax: Syntax) {
        self.syntax_key = key_of(&syntax);
        self.plain = Arc::new(Syntax { escape_backslashes: false, ..syntax.clone() });
        self.syntax = Arc::new(syntax);
    }
    pub(crate) fn syntax_key(&self, syntax: &Arc<Syntax>) -> u64 {
        if Arc::ptr_eq(syntax, &self.syntax) { self.syntax_key } else { key_of(syntax) }
    }
    /// The default syntax, in which backslashes escape: as conditionals and files are read.
    pub fn plain_syntax(&self) -> &Arc<Syntax> {
        &self.plain
    }
    /// The syntax for what a template of `syntax` includes.
    pub(crate) fn file_syntax(&self, syntax: &Arc<Syntax>) -> Arc<Syntax> {
        if !syntax.escape_backslashes {
            return syntax.clone();
        }
        if Arc::ptr_eq(syntax, &self.syntax) {
            return self.plain.clone();
        }
        Arc::new(Syntax { escape_backslashes: false, ..(**syntax).clone() })
    }
    /// Sets who finds filters and tests that are not registered.
    pub fn set_plugin_finder(&mut self, finder: Arc<dyn PluginFinder>) {
        self.finder = Some(finder);
    }
    /// Registers a global function. It is called with undefined arguments, too, if `raw`.
    pub fn add_function(&mut self, name: &'static str, f: Function, raw: bool) {
        self.add_global(name, Value::object(crate::eval::FunctionObject { name, f, raw }));
    }
    pub(crate) fn filter_entry(&self, name: &str) -> Option<Arc<Entry<Filter>>> {
        if let Some(e) = self.filters.get(name).or_else(|| self.filters.get(short_name(name)))
            && !self.finder.as_ref().is_some_and(|f| f.hides(false, name))
        {
            return Some(e.clone());
        }
        let f = self.finder.as_ref()?.filter(name)?;
        Some(Arc::new(Entry { f, name: full_name(name), undefined: false, lazy: false }))
    }
    pub(crate) fn test_entry(&self, name: &str) -> Option<Arc<Entry<Test>>> {
        if let Some(e) = self.tests.get(name).or_else(|| self.tests.get(short_name(name)))
            && !self.finder.as_ref().is_some_and(|f| f.hides(true, name))
        {
            return Some(e.clone());
        }
        let f = self.finder.as_ref()?.test(name)?;
        Some(Arc::new(Entry { f, name: full_name(name), undefined: false, lazy: false }))
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
        self.filter_entry(name).is_some()
    }
    /// Whether there is a test `name`, with or without `ansible.builtin.` before it.
    pub fn has_test(&self, name: &str) -> bool {
        self.test_entry(name).is_some()
    }
}

fn full_name(name: &str) -> Arc<str> {
    if name.contains('.') { name.into() } else { format!("ansible.builtin.{name}").into() }
}

/// `name` without `ansible.builtin.` or `ansible.legacy.`.
pub(crate) fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy.")).unwrap_or(name)
}

/// Takes a `#jinja2: key:value, …` header off: the rest, and the syntax with its changes.
pub(crate) fn header(text: &str, syntax: &Syntax) -> Result<(String, Syntax), Error> {
    const HEADER: &str = "#jinja2:";
    let rest = text.strip_prefix(HEADER).unwrap_or(text);
    let Some((line, body)) = rest.split_once('\n') else {
        return Err(Error::value_error(format!("Missing newline after '{HEADER}' override.")));
    };
    let mut syntax = syntax.clone();
    for pair in line.split(',') {
        if pair.trim().is_empty() {
            return Err(Error::value_error(format!("Empty '{HEADER}' override pair not allowed.")));
        }
        let Some((key, value)) = pair.split_once(':') else {
            return Err(Error::value_error(format!(
                "Missing key-value separator `:` in '{HEADER}' override pair {}.",
                crate::value::repr_str(pair)
            )));
        };
        set_option(&mut syntax, key.trim(), value.trim())?;
    }
    Ok((body.to_owned(), syntax))
}

/// Sets one option of the syntax, its value written as in Python.
fn set_option(syntax: &mut Syntax, key: &str, value: &str) -> Result<(), Error> {
    let malformed = || Error::value_error(format!("malformed node or string: {value}"));
    let text = || {
        let inner = value
            .strip_prefix('\'')
            .and_then(|v| v.strip_suffix('\''))
            .or_else(|| value.strip_prefix('"').and_then(|v| v.strip_suffix('"')));
        inner.map(|s| s.replace("\\n", "\n").replace("\\r", "\r")).ok_or_else(malformed)
    };
    let truth = || match value {
        "True" => Ok(true),
        "False" => Ok(false),
        _ => Err(malformed()),
    };
    match key {
        "block_start_string" => syntax.block_start = text()?,
        "block_end_string" => syntax.block_end = text()?,
        "variable_start_string" => syntax.variable_start = text()?,
        "variable_end_string" => syntax.variable_end = text()?,
        "comment_start_string" => syntax.comment_start = text()?,
        "comment_end_string" => syntax.comment_end = text()?,
        "line_statement_prefix" => syntax.line_statement_prefix = Some(text()?),
        "line_comment_prefix" => syntax.line_comment_prefix = Some(text()?),
        "newline_sequence" => syntax.newline_sequence = text()?,
        "trim_blocks" => syntax.trim_blocks = truth()?,
        "lstrip_blocks" => syntax.lstrip_blocks = truth()?,
        "keep_trailing_newline" => syntax.keep_trailing_newline = truth()?,
        _ => {
            return Err(Error::value_error(format!(
                "Invalid '#jinja2:' override key {}.",
                crate::value::repr_str(key)
            )));
        }
    }
    Ok(())
}
