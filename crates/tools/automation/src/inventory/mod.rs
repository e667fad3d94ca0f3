//! Hosts, groups and their variables; patterns that choose among them.
//!
//! [`Inventory`] is what the rest of the engine asks. Its answers are cheap clones; what changes while plays run
//! (`add_host`, `group_by`) goes through it too, so it locks inside.

mod address;
mod beside;
mod constructed;
mod data;
mod generator;
mod ini;
mod literal;
mod manager;
pub mod merge;
pub mod named;
pub mod names;
mod pattern;
mod python;
mod script;
mod sources;
mod toml;
mod words;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::Error;
use crate::source::Loader;

pub use beside::{Beside, Kind};
pub use data::{Data, Group, Host, LOCALHOST};
pub use manager::{Flattener, Manager, Sources, listed};
pub use toml::value as toml_value;
pub use words::split as split_words;

/// Python's words for a value's class.
fn group_type_name(v: &Value) -> String {
    format!("<class '{}'>", v.type_name())
}

/// The inventories that are templates: `constructed` and `generator`.
#[allow(clippy::too_many_arguments)]
fn templated(
    kind: &str,
    data: &mut Data,
    options: &Dict,
    source: &str,
    wanted: &Sources,
    processed: &[String],
    loader: &Loader,
    beside: &Beside,
) -> Result<(), Error> {
    let engine = pileus_jinja::Engine::new();
    if kind == "generator" {
        return generator::run(data, options, &engine);
    }
    constructed::run(data, options, wanted, processed, loader, beside, &engine).map_err(|e| {
        Error::parser(format!("Failed to parse {}.", pileus_jinja::value::repr_str(source))).because(e)
    })
}

/// The name of a host or group.
pub type Name = Arc<str>;

/// What is asked of an inventory while plays run.
pub trait Inventory: Send + Sync {
    /// Every host, in the order of the sources. The implicit localhost is not among them.
    fn hosts(&self) -> Vec<Name>;
    /// Every group, `all` and `ungrouped` first, with its hosts in order (those of its children too).
    fn groups(&self) -> Vec<(Name, Vec<Name>)>;
    /// The groups of `host` from the weakest to the strongest: by depth, priority, name; `all` first.
    fn groups_of(&self, host: &str) -> Vec<Name>;
    /// The variables that the sources give `host` itself, unrendered.
    fn host_vars(&self, host: &str) -> Dict;
    /// The variables that the sources give `group` itself, unrendered.
    fn group_vars(&self, group: &str) -> Dict;
    /// The hosts that `pattern` names (`web:&prod:!old`, `~regex`, `[0:3]`), without the limit. The implicit
    /// localhost answers to its names when no source has it.
    ///
    /// # Errors
    /// The reference's message, where the pattern is wrong.
    fn matching(&self, pattern: &str) -> Result<Vec<Name>, String>;
    /// [`Inventory::matching`] within `--limit`.
    ///
    /// # Errors
    /// As [`Inventory::matching`].
    fn chosen(&self, pattern: &str) -> Result<Vec<Name>, String>;
    /// The directories and files that were read: `group_vars` and `host_vars` lie beside them.
    fn sources(&self) -> Vec<Arc<Path>>;
    /// The source that named `host` (`inventory_file`), if a file did.
    fn source_of(&self, host: &str) -> Option<Arc<str>>;
    /// Adds or changes a host; whether anything changed.
    fn add_host(&self, name: &str, groups: &[String], vars: &Dict) -> bool;
    /// Puts `host` into `group`, below `parents`; whether anything changed.
    fn add_to_group(&self, host: &str, group: &str, parents: &[String]) -> bool;
    /// Reads the sources again (`meta: refresh_inventory`).
    ///
    /// # Errors
    /// Where they cannot be read.
    fn refresh(&self) -> Result<(), String>;
    /// A number that changes whenever hosts, groups or variables do.
    fn generation(&self) -> u64;
}

/// Reads the inventory of these sources.
///
/// # Errors
/// Where a source cannot be read.
pub fn open(sources: &[String], limit: Option<&str>, extra: &Dict) -> Result<Arc<dyn Inventory>, Error> {
    let wanted = Sources { list: listed(sources), extra: extra.clone() };
    let manager = Manager::load(Arc::new(Loader::new()), wanted)?;
    manager.set_limit(limit)?;
    if manager.read(|d| d.hosts.is_empty()) && crate::config::current().bool("LOCALHOST_WARNING") {
        crate::display::warning(
            "provided hosts list is empty, only localhost is available. Note that the implicit localhost does not \
             match 'all'",
        );
    }
    Ok(Arc::new(manager))
}
