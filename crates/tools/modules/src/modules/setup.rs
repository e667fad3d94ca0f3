//! `setup`: the machine's facts.

use crate::cx::Cx;
use crate::facts;
use crate::map;
use crate::result::Reply;

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let (subset, filter) = (cx.list("gather_subset"), cx.list("filter"));
    let found = facts::gather(cx, &subset, &filter)?;
    let mut found = found;
    if let Some(path) = discovered(cx) {
        found.insert("discovered_interpreter_python".into(), path.into());
    }
    Ok(map! { "ansible_facts" => found })
}

/// The interpreter that discovery finds, where none is named: modules in Python would run with it
/// (INTERPRETER_PYTHON_FALLBACK).
fn discovered(cx: &Cx<'_>) -> Option<String> {
    if cx.interpreter.as_deref().is_some_and(|named| !named.starts_with("auto")) {
        return None;
    }
    crate::PYTHONS.iter().find_map(|name| match name.starts_with('/') {
        true => std::path::Path::new(name).is_file().then(|| (*name).to_owned()),
        false => cx.find_bin(name),
    })
}
