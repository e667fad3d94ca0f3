//! The options: names, types, defaults, environment variables and places in `ansible.cfg`.
//!
//! The data are tables of our own, an option or a plugin a line: `data/options.jsonl` (the base options) and
//! `data/plugins.jsonl` (those of the plugins that ansible-core ships).

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value as Json;

/// Endings of files that are never read as modules or inventories.
pub const REJECT_EXTENSIONS: [&str; 9] = [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst"];

/// An option.
#[derive(Debug, Clone, Deserialize)]
pub struct Opt {
    /// Its name.
    pub name: String,
    /// Its type, as `integer`, `pathspec`; text where absent.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its default; a text in `{{ }}` is made of other settings.
    pub default: Option<Json>,
    /// Environment variables; the last one set wins.
    #[serde(default)]
    pub env: Vec<String>,
    /// Sections and keys of `ansible.cfg`; the last one set wins.
    #[serde(default)]
    pub ini: Vec<(String, String)>,
    /// Variables of hosts; the last one set wins.
    #[serde(default)]
    pub vars: Vec<String>,
    /// Options of the command line, by their destination's name.
    #[serde(default)]
    pub cli: Vec<String>,
    /// Keywords of plays and tasks.
    #[serde(default)]
    pub keyword: Vec<String>,
    /// Other names of it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The values allowed.
    pub choices: Option<Vec<Json>>,
    /// Whether it must be set.
    #[serde(default)]
    pub required: bool,
    /// Whether the reference will drop it.
    #[serde(default)]
    pub deprecated: bool,
    /// The version of ansible-core that brought it.
    pub since: Option<String>,
}

/// The options of a plugin.
#[derive(Debug, Clone, Deserialize)]
pub struct Plugin {
    /// Its type, as `connection`.
    pub plugin: String,
    /// Its name.
    pub name: String,
    /// Its options.
    pub options: Vec<Opt>,
}

/// The types of plugins that have options, in the order they are shown.
pub const PLUGIN_TYPES: [&str; 11] = [
    "become",
    "cache",
    "callback",
    "cliconf",
    "connection",
    "httpapi",
    "inventory",
    "lookup",
    "netconf",
    "shell",
    "vars",
];

fn lines<T: for<'a> Deserialize<'a>>(text: &'static str) -> Vec<T> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The base options.
pub fn base() -> &'static [Opt] {
    static BASE: OnceLock<Vec<Opt>> = OnceLock::new();
    BASE.get_or_init(|| lines(include_str!("data/options.jsonl")))
}

/// The plugins with options.
pub fn plugins() -> &'static [Plugin] {
    static PLUGINS: OnceLock<Vec<Plugin>> = OnceLock::new();
    PLUGINS.get_or_init(|| lines(include_str!("data/plugins.jsonl")))
}

/// The plugin `name` of type `kind`, with or without `ansible.builtin.` before it.
pub fn plugin(kind: &str, name: &str) -> Option<&'static Plugin> {
    static INDEX: OnceLock<HashMap<(&'static str, &'static str), &'static Plugin>> = OnceLock::new();
    let index =
        INDEX.get_or_init(|| plugins().iter().map(|p| ((p.plugin.as_str(), p.name.as_str()), p)).collect());
    let name = name
        .strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .unwrap_or(name);
    index.get(&(kind, name)).copied()
}
