//! Filters, tests and lookups in Python, found by the template engine and by `lookup`.

use std::sync::{Arc, Weak};

use pileus_jinja::{Args, Error as TemplateError, ErrorKind, Filter, PluginFinder, State, Test, Value};
use pileus_modules::Map;
use serde_json::Value as Json;

use super::places::{self, Kind};
use super::{host, values};
use crate::Error;
use crate::execute::World;

/// Finds filters and tests for a template engine.
pub struct Finder(pub Weak<World>);

impl Finder {
    /// Whether Python should be asked for `name`.
    fn wanted(&self, kind: Kind, name: &str) -> bool {
        let mut parts = name.splitn(3, '.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("ansible"), Some("builtin"), _) => false,
            (Some("ansible"), Some("legacy"), Some(name)) => places::mentioned(kind, name),
            (Some(ns), Some(collection), Some(_)) => {
                self.0.upgrade().is_some_and(|w| w.files.collection(&format!("{ns}.{collection}")).is_some())
            }
            _ => places::mentioned(kind, name),
        }
    }

    fn exists(&self, kind: Kind, name: &str) -> bool {
        self.wanted(kind, name)
            && host().exists(kind, name).unwrap_or_else(|e| {
                crate::display::warning(&e.to_string());
                false
            })
    }
}

fn call(kind: Kind, name: &str, state: &State<'_>, args: &Args) -> Result<Value, TemplateError> {
    let positional: Vec<Json> = args.pos.iter().map(values::encode).collect();
    let named: Map = args.kw.iter().map(|(k, v)| (k.to_string(), values::encode(v))).collect();
    let fields = |vars: Json| {
        Map::from_iter([
            ("name".to_owned(), Json::from(name)),
            ("args".to_owned(), positional.clone().into()),
            ("kwargs".to_owned(), named.clone().into()),
            ("vars".to_owned(), vars),
        ])
    };
    let what = format!("the {} plugin {name}", kind.name());
    let failed = |e: super::HostError| TemplateError::new(ErrorKind::Plugin, e.to_string());
    let mut answer = host().ask(&what, kind.name(), fields(Json::Null), &[]).map_err(failed)?;
    if answer.head.contains_key("wants") {
        let vars = values::every(state.scope());
        answer = host().ask(&what, kind.name(), fields(vars.into()), &[]).map_err(failed)?;
    }
    Ok(values::decode(&answer.head.remove("value").unwrap_or(Json::Null)))
}

impl PluginFinder for Finder {
    fn filter(&self, name: &str) -> Option<Filter> {
        if !self.exists(Kind::Filter, name) {
            return None;
        }
        let name = name.to_owned();
        Some(Arc::new(move |state: &State<'_>, args: Args| call(Kind::Filter, &name, state, &args)))
    }
    fn test(&self, name: &str) -> Option<Test> {
        if !self.exists(Kind::Test, name) {
            return None;
        }
        let name = name.to_owned();
        Some(Arc::new(move |state: &State<'_>, args: Args| {
            call(Kind::Test, &name, state, &args).and_then(|v| v.truth())
        }))
    }
    fn hides(&self, test: bool, name: &str) -> bool {
        let kind = if test { Kind::Test } else { Kind::Filter };
        !name.contains('.') && places::mentioned(kind, name) && self.exists(kind, name)
    }
}

/// Whether the lookup `name` may be one in Python.
pub fn is_lookup(name: &str) -> bool {
    let name = name.strip_prefix("ansible.legacy.").unwrap_or(name);
    let collection = name.split('.').count() > 2 && !name.starts_with("ansible.builtin.");
    collection || places::file(Kind::Lookup, name).is_some()
}

/// Runs a lookup in Python.
///
/// # Errors
/// Where there is none, it fails, or ansible-core isn't there.
pub fn lookup(name: &str, terms: &[Value], cx: &crate::lookup::Cx<'_>) -> Result<Vec<Value>, Error> {
    let options: Map = cx
        .options
        .items()
        .iter()
        .filter_map(|(k, v)| Some((k.as_str()?.to_owned(), values::encode(v))))
        .collect();
    let terms = terms.iter().map(values::encode).collect();
    let found = host()
        .lookup(name, terms, options, values::every(cx.scope))
        .map_err(|e| Error::new(e.to_string()))?;
    Ok(match values::decode(&found) {
        Value::List(l) => l.items(),
        other => vec![other],
    })
}
