//! The lookups of templates: file, env, template, first_found … and `with_NAME`, which asks them too.
//!
//! A lookup is a function from terms and options to a list. `query` gives the list; `lookup` joins texts with commas and
//! unpacks a list of one.

mod config;
mod crypt;
mod data;
mod files;
pub use files::glob;
mod ini;
mod options;
mod password;
mod sequence;
mod subelements;
mod tables;

use std::fmt;
use std::sync::{Arc, Weak};

use pileus_jinja::value::ValueIter;
use pileus_jinja::{Args, Dict, Engine, Error as TemplateError, ErrorKind, Object, Scope, State, Value};

use crate::Error;
use crate::execute::World;
use crate::playbook::names;
use crate::source::paths;
use crate::vars::Vars;

/// What a lookup has at hand.
pub struct Cx<'a> {
    /// The world.
    pub world: &'a Arc<World>,
    /// The variables.
    pub scope: &'a dyn Scope,
    /// Options by name.
    pub options: Dict,
}

impl Cx<'_> {
    /// An option as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.options.get(name).filter(|v| !v.is_none()).and_then(|v| v.to_text().ok())
    }
    /// An option as a truth value.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        crate::truth::of(self.options.get(name), default)
    }
    /// Where files are looked for, in order.
    pub fn search_path(&self) -> Vec<String> {
        let list = self
            .scope
            .get("ansible_search_path")
            .map(|v| crate::playbook::keyword::items(&v))
            .unwrap_or_default();
        let mut out: Vec<String> = list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
        if out.is_empty() {
            out.push(self.world.files.base());
        }
        out
    }
    /// The text of the file `path`, decrypted where it is a vault.
    ///
    /// # Errors
    /// Where it cannot be read, or the encoding is not known.
    pub fn read(&self, path: &str, encoding: Option<&str>) -> Result<String, Error> {
        let loader = self.world.files.loader();
        let name = encoding.unwrap_or("utf-8").to_lowercase().replace('_', "-");
        match name.as_str() {
            "utf-8" | "utf8" | "ascii" | "us-ascii" => Ok(loader.text(path)?.text),
            // every byte is the character of its number
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" => {
                let bytes = std::fs::read(path).map_err(|e| crate::os_error(&e, path))?;
                Ok(bytes.into_iter().map(char::from).collect())
            }
            _ => Err(Error::new(format!("unknown encoding: {}", encoding.unwrap_or_default()))),
        }
    }
    /// The file `name` in `folder` of a place of the search path, or in the place itself.
    pub fn find(&self, folder: &str, name: &str) -> Option<String> {
        find_in(&self.search_path(), folder, name)
    }
}

/// The file `name` in `folder` of one of `places`, or in the place itself.
pub fn find_in(places: &[String], folder: &str, name: &str) -> Option<String> {
    if name.starts_with(['/', '~']) {
        let p = paths::unfrack(name);
        return std::path::Path::new(&p).exists().then_some(p);
    }
    for place in places {
        let mut candidates = Vec::new();
        if place.ends_with("/tasks") || place.ends_with("/handlers") {
            // beside a role's folder of tasks
            let up = place.rsplit_once('/').map_or("", |(u, _)| u);
            candidates.push(format!("{up}/{folder}/{name}"));
        }
        candidates.push(format!("{place}/{folder}/{name}"));
        candidates.push(format!("{place}/{name}"));
        for c in candidates {
            let p = paths::unfrack(&c);
            if std::path::Path::new(&p).exists() {
                return Some(p);
            }
        }
    }
    None
}

type Found = Result<Vec<Value>, Error>;

/// Runs the lookup `name`.
///
/// # Errors
/// Where there is none of that name, or it fails.
pub fn run(name: &str, terms: Vec<Value>, cx: &Cx<'_>) -> Found {
    if crate::python::templates::is_lookup(name) {
        return crate::python::templates::lookup(name, &terms, cx);
    }
    match names::short(name) {
        "config" => config::config(&terms, cx),
        "csvfile" => tables::csvfile(&terms, cx),
        "dict" => data::dict(&terms),
        "env" => data::env(&terms, cx),
        "file" => files::file(&terms, cx),
        "fileglob" => files::fileglob(&terms, cx),
        "first_found" => files::first_found(&terms, cx),
        "indexed_items" => data::indexed_items(&terms),
        "ini" => ini::ini(&terms, cx),
        "inventory_hostnames" => data::inventory_hostnames(&terms, cx),
        "items" => Ok(data::flat(&terms)),
        "flattened" => Ok(data::flat_deep(&terms)),
        "lines" => files::lines(&terms, cx),
        "list" => Ok(terms),
        "nested" => data::nested(&terms),
        "password" => password::password(&terms, cx),
        "pipe" => files::pipe(&terms, cx),
        "random_choice" => Ok(data::random_choice(&terms)),
        "sequence" => sequence::sequence(&terms, cx),
        "subelements" => subelements::subelements(&terms),
        "template" => files::template(&terms, cx),
        "together" => data::together(&terms),
        "unvault" => files::unvault(&terms, cx),
        "url" => files::url(&terms, cx),
        "varnames" => data::varnames(&terms, cx),
        "vars" => data::vars(&terms, cx),
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("The lookup plugin '{name}' was not found."))
}

/// The items of `with_NAME: value`.
///
/// # Errors
/// Where the value cannot be rendered, or the lookup fails.
pub fn with(world: &Arc<World>, name: &str, value: &Value, vars: &Vars) -> Result<Vec<Value>, Error> {
    let engine = &**world;
    let at = value.origin().cloned();
    let lenient = names::short(name) == "first_found";
    let rendered = match value {
        // one bad candidate of many is only not found
        Value::List(l) if lenient => {
            let mut out = Vec::new();
            for v in l.items() {
                match engine.resolve(&v, vars) {
                    Ok(v) => out.push(v),
                    Err(e) if e.is_undefined() => {}
                    Err(e) => return Err(Error::from(e).at(at)),
                }
            }
            Value::list(out)
        }
        other => engine.resolve(other, vars).map_err(|e| Error::from(e).at(at.clone()))?,
    };
    let terms = match &rendered {
        Value::List(l) => l.items(),
        Value::Tuple(t) => t.to_vec(),
        other => vec![other.clone()],
    };
    let cx = Cx { world, scope: vars, options: Dict::new() };
    let out = run(name, terms, &cx).map_err(|e| {
        Error::new(format!("The lookup plugin '{}' failed.", names::short(name))).because(e).at(at)
    })?;
    // `with_first_found` of nothing that may be skipped loops over nothing
    Ok(out)
}

/// The template engine with `lookup`, `query` and `q`.
pub fn engine(world: &Weak<World>) -> Engine {
    let mut engine = Engine::new();
    engine.set_loader(Arc::new(crate::action::template::Beside));
    for (name, list) in [("lookup", false), ("query", true), ("q", true)] {
        engine.add_global(name, Value::object(Function { world: world.clone(), list }));
    }
    crate::action::tests::register(&mut engine, world);
    engine.set_plugin_finder(Arc::new(crate::python::templates::Finder(world.clone())));
    crypt::register(&mut engine);
    engine
}

/// A term, rendered; what is undefined in it stays so.
fn soft(engine: &World, state: &State<'_>, v: &Value) -> Result<Value, TemplateError> {
    Ok(match v {
        Value::Undefined(_) => v.clone(),
        Value::List(l) => {
            Value::list(l.items().iter().map(|v| soft(engine, state, v)).collect::<Result<_, _>>()?)
        }
        other => match engine.resolve(other, state.scope()) {
            Err(e) if e.is_undefined() => Value::Undefined(Arc::new(pileus_jinja::Undefined::error(e))),
            other => other?,
        },
    })
}

struct Function {
    world: Weak<World>,
    list: bool,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<function lookup>")
    }
}

impl Object for Function {
    fn type_name(&self) -> &str {
        "function"
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn iter(&self) -> Option<Result<ValueIter, TemplateError>> {
        None
    }
    fn takes_undefined(&self) -> bool {
        true
    }
    fn call(&self, state: &State<'_>, mut args: Args) -> Result<Value, TemplateError> {
        let Some(world) = self.world.upgrade() else {
            return Err(TemplateError::runtime("the engine has ended"));
        };
        if args.pos.is_empty() {
            let function = if self.list { "_query" } else { "_lookup" };
            return Err(TemplateError::type_error(format!(
                "{function}() missing 1 required positional argument: 'plugin_name'"
            )));
        }
        let engine = &*world;
        let name = args.pos.remove(0);
        if name.is_undefined() {
            return Ok(name);
        }
        let name = engine.resolve(&name, state.scope())?.to_text()?;
        // templates in texts that are terms, for old playbooks' sake
        if crate::config::current().bool("ALLOW_EMBEDDED_TEMPLATES") {
            args.pos = std::mem::take(&mut args.pos).into_iter().map(|v| state.lookup_term(v)).collect();
        }
        // `env` may give an undefined default, `first_found` passes over what is undefined
        // one in Python says itself whether it takes it
        let python = crate::python::templates::is_lookup(&name);
        let mut positional = args.pos.iter().filter(|_| names::short(&name) != "first_found" && !python);
        let mut named = args.kw.iter().map(|(_, v)| v).filter(|_| names::short(&name) != "env" && !python);
        let undefined = |v: &&Value| v.is_undefined();
        if let Some(u) = positional.find(undefined).or_else(|| named.find(undefined)) {
            return Ok(u.clone());
        }
        let truth = |v: Option<Value>, default: bool| v.map_or(Ok(default), |v| v.truth());
        let list = truth(args.take_named("wantlist"), self.list)?;
        let errors = args
            .take_named("errors")
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_else(|| "strict".into());
        let options = Dict::new();
        for (k, v) in args.kw {
            let v = if v.is_undefined() { v } else { engine.resolve(&v, state.scope())? };
            options.insert(&*k, v);
        }
        let mut terms = Vec::with_capacity(args.pos.len());
        for v in args.pos {
            // candidates that are undefined are only not found
            if names::short(&name) == "first_found"
                && let Value::List(l) = &v
            {
                terms.push(Value::list(
                    l.items().iter().filter_map(|v| engine.resolve(v, state.scope()).ok()).collect(),
                ));
                continue;
            }
            terms.push(if python { soft(engine, state, &v)? } else { engine.resolve(&v, state.scope())? });
        }
        let cx = Cx { world: &world, scope: state.scope(), options };
        let found = match run(&name, terms, &cx) {
            // a variable that is not there
            Ok(found) if !python && found.iter().any(Value::is_undefined) => {
                return Ok(found.into_iter().find(Value::is_undefined).unwrap_or_default());
            }
            Ok(found) => found,
            Err(e) if e.kind() == crate::ErrorKind::NotFound && e.brief() == unknown(&name).brief() => {
                return Err(TemplateError::new(ErrorKind::Plugin, e.brief()));
            }
            Err(e) => {
                let message = format!("The lookup plugin '{name}' failed: {}", e.brief());
                match errors.as_str() {
                    "ignore" => return Ok(if list { Value::list(Vec::new()) } else { Value::None }),
                    "warn" => {
                        crate::display::warning(&format!("The lookup plugin '{name}' failed: {}", e.brief()));
                        return Ok(if list { Value::list(Vec::new()) } else { Value::None });
                    }
                    _ => return Err(TemplateError::new(ErrorKind::Plugin, message)),
                }
            }
        };
        if list {
            return Ok(Value::list(found));
        }
        if found.len() == 1 {
            return Ok(found.into_iter().next().unwrap_or_default());
        }
        if !found.is_empty() && found.iter().all(|v| matches!(v, Value::Str(_))) {
            let texts: Vec<&str> = found.iter().filter_map(Value::as_str).collect();
            return Ok(Value::from(texts.join(",")));
        }
        Ok(Value::list(found))
    }
}
