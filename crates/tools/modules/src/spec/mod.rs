//! Argument specs: what parameters a module takes, and checking a call's arguments against them.
//!
//! The specs are written in a small line language (`builtin.txt`, `collections.txt`), read once:
//!
//! ```text
//! name: file check                    module; `file`: the common file arguments; `check`: knows check mode
//!   path!:path =dest,name             required, of type path, with aliases
//!   state:str {absent|file} ?"file"   choices and a default (JSON)
//!   password#:str                     never shown
//!   names:list<str>                   elements
//!     sub:int                         options of a dict, indented below it
//!   @mutually_exclusive a,b           also required_together, required_one_of,
//!   @required_if state "x" a,b any    required_if and required_by
//! ```

mod check;
mod convert;
mod parse;
mod secrets;

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::Value;

pub use check::SpecError;
pub use convert::{human_to_bytes, to_bool, to_int};

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Str,
    /// A boolean or one of its spellings.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A list; text is split at commas.
    List,
    /// A mapping; `k=v` text or JSON is read.
    Dict,
    /// A path: `~` and `$VAR` are expanded.
    Path,
    /// JSON text, or a structure that is written as such.
    Json,
    /// A size with a unit, in bytes.
    Bytes,
    /// Anything, as it comes.
    Raw,
}

/// One parameter.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// The type of a list's elements.
    pub elements: Option<Type>,
    /// It must be given.
    pub required: bool,
    /// Its value is never shown; `Some(false)` says it isn't a secret although its name looks like one.
    pub no_log: Option<bool>,
    /// Other names.
    pub aliases: Vec<String>,
    /// Allowed values.
    pub choices: Vec<String>,
    /// Its default.
    pub default: Option<Value>,
    /// Options of a dict, or of a list of dicts.
    pub options: Option<Spec>,
}

/// What ties parameters together.
#[derive(Debug, Clone)]
pub enum Rule {
    /// At most one of them.
    MutuallyExclusive(Vec<String>),
    /// All or none.
    RequiredTogether(Vec<String>),
    /// At least one.
    RequiredOneOf(Vec<String>),
    /// When the parameter has that value, all (or any) of these are needed.
    RequiredIf(String, Value, Vec<String>, bool),
    /// When the first is given, so must the others.
    RequiredBy(String, Vec<String>),
}

/// The parameters of a module.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// The module understands check mode.
    pub check_mode: bool,
    /// The module takes the common file arguments.
    pub file_args: bool,
    /// Its parameters, in order.
    pub params: Vec<Param>,
    /// What ties them together.
    pub rules: Vec<Rule>,
}

static BUILTIN: &str = include_str!("builtin.txt");
static COLLECTIONS: &str = include_str!("collections.txt");

fn known() -> &'static HashMap<&'static str, &'static str> {
    static TABLE: OnceLock<HashMap<&str, &str>> = OnceLock::new();
    TABLE.get_or_init(|| parse::modules(BUILTIN).chain(parse::modules(COLLECTIONS)).collect())
}

/// The specs of a table in the line language, by name.
pub fn table(text: &'static str) -> impl Iterator<Item = (&'static str, Spec)> {
    parse::modules(text).map(|(name, text)| (name, parse::spec(text)))
}

/// Whether a short name is one of ansible.builtin's modules, native or not.
pub fn is_builtin(name: &str) -> bool {
    !name.contains('.') && known().contains_key(name)
}

/// The spec by the key of the tables (short names, and full ones of collections).
pub(crate) fn lookup(key: &str) -> Option<&'static Spec> {
    static SPECS: OnceLock<std::sync::Mutex<HashMap<&'static str, &'static Spec>>> = OnceLock::new();
    let (key, text) = known().get_key_value(key)?;
    let mut specs = SPECS.get_or_init(Default::default).lock().unwrap_or_else(|e| e.into_inner());
    // One leak per module and process: a spec lives as long as the program.
    Some(specs.entry(key).or_insert_with(|| Box::leak(Box::new(parse::spec(text)))))
}

/// The argument spec of a native module, by its short or full name.
pub fn spec(name: &str) -> Option<&'static Spec> {
    lookup(crate::registry::find(name)?.spec)
}

#[cfg(test)]
mod tests;
