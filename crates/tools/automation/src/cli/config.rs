//! `ansible-config`: the settings listed, dumped, shown, written anew, checked.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use pileus_jinja::{Dict, Value};
use serde_json::Value as Json;

use super::args::{Count, Given, Grammar, Takes, flag};
use super::{config_init, flags};
use crate::config::options::{self, Opt, PLUGIN_TYPES};
use crate::config::{Config, Setting};
use crate::source::paths::unfrack;
use crate::source::{dump_json, dump_yaml};
use crate::{Error, display};

const ACTIONS: [(&str, &str); 5] = [
    ("list", "Print all config options"),
    ("dump", "Dump configuration"),
    ("view", "View configuration file"),
    ("init", "Create initial configuration"),
    (
        "validate",
        "Validate the configuration file and environment variables. By default it only checks the base settings \
         without accounting for plugins (see -t).",
    ),
];
/// The keys of a Galaxy server's section.
const GALAXY: [(&str, &str); 10] = [
    ("url", "str"),
    ("username", "str"),
    ("password", "str"),
    ("token", "str"),
    ("auth_url", "str"),
    ("api_version", "int"),
    ("validate_certs", "bool"),
    ("client_id", "str"),
    ("client_secret", "str"),
    ("timeout", "int"),
];

fn top() -> Grammar {
    let mut g = Grammar::new("ansible-config", "View ansible configuration.").with(flags::base());
    g.actions = ACTIONS.to_vec();
    g
}

fn grammar(action: &str) -> Grammar {
    let types: Vec<&'static str> = ["all", "base"].into_iter().chain(PLUGIN_TYPES).collect();
    let g = Grammar::new(format!("ansible-config {action}"), "")
        .arguments(Count::Any, "args", "Specific plugin to target, requires type of plugin to be set")
        .with([
            flags::verbose(),
            flag(
                &["-c", "--config"],
                "config_file",
                Takes::Value,
                "path to configuration file, defaults to first file found in precedence.",
            ),
            flag(&["-t", "--type"], "type", Takes::Value, "Filter down to a specific plugin type.")
                .choices(&types),
        ]);
    let format = |choices: &[&'static str], help| {
        flag(&["--format", "-f"], "format", Takes::Value, help).choices(choices)
    };
    match action {
        "list" => g.with([format(&["json", "yaml"], "Output format for list")]),
        "dump" => g.with([
            flag(
                &["--only-changed", "--changed-only"],
                "only_changed",
                Takes::Flag,
                "Only show configurations that have changed from the default",
            ),
            format(&["json", "yaml", "display"], "Output format for dump"),
        ]),
        "init" => g.with([
            format(&["ini", "env", "vars"], "Output format for init"),
            flag(
                &["--disabled"],
                "commented",
                Takes::Flag,
                "Prefixes all entries with a comment character to disable them",
            ),
        ]),
        "validate" => g.with([format(&["ini", "env"], "Output format for init")]),
        _ => g,
    }
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    super::action::run(&top(), &ACTIONS, args, grammar, run)
}

fn run(action: &str, given: &Given, current: &'static Config) -> Result<i32, Error> {
    let own;
    let config = match given.value("config_file") {
        None => current,
        Some(file) => {
            let path = PathBuf::from(unfrack(file));
            if fs::File::open(&path).is_err() {
                return Err(Error::options(format!(
                    "The provided configuration file is missing or not accessible: {}",
                    path.display()
                )));
            }
            own = Config::from_file(path)?;
            &own
        }
    };
    let kind = given.value("type").unwrap_or("base");
    match action {
        "view" => view(config)?,
        "list" => list(given, config, kind)?,
        "dump" => dump(given, config, kind)?,
        "init" => display::out(&config_init::text(given, config, kind)),
        _ => return validate(given, config, kind),
    }
    Ok(0)
}

fn view(config: &Config) -> Result<(), Error> {
    let Some(file) = config.file() else { return Err(Error::new("Invalid or no config file was supplied")) };
    if !file.is_file() {
        return Err(Error::options(format!("{} is not a valid file", file.display())));
    }
    let text = fs::read_to_string(file).map_err(|e| {
        Error::new(format!("Failed to open config file: {}", crate::os_error(&e, &file.to_string_lossy())))
    })?;
    display::out(&text);
    Ok(())
}

/// The types and plugins that `-t` and the arguments name.
pub(super) fn plugins<'a>(given: &Given, kind: &str) -> Vec<(&'static str, Vec<&'a options::Plugin>)> {
    let wanted = |t: &&str| kind == "all" || **t == *kind;
    let of = |t: &'static str| {
        let named =
            |p: &&options::Plugin| given.args.is_empty() || kind == "all" || given.args.contains(&p.name);
        options::plugins().iter().filter(|p| p.plugin == t).filter(named).collect()
    };
    PLUGIN_TYPES.into_iter().filter(wanted).map(|t| (t, of(t))).collect()
}

/// The base options that are not for tests.
pub(super) fn base() -> impl Iterator<Item = &'static Opt> {
    options::base().iter().filter(|o| !o.name.starts_with("_Z_"))
}

fn servers(config: &Config) -> Vec<String> {
    config.list("GALAXY_SERVER_LIST").into_iter().filter(|s| !s.is_empty()).collect()
}

/// The options of a Galaxy server.
fn server_options(server: &str, config: &Config) -> Vec<Opt> {
    let option = |(key, kind): (&str, &str)| Opt {
        name: key.to_owned(),
        kind: Some(kind.to_owned()),
        default: (key == "timeout").then(|| config.value("GALAXY_SERVER_TIMEOUT").clone()),
        env: vec![format!("ANSIBLE_GALAXY_SERVER_{}_{}", server.to_uppercase(), key.to_uppercase())],
        ini: vec![(format!("galaxy_server.{server}"), key.to_owned())],
        vars: Vec::new(),
        cli: Vec::new(),
        keyword: Vec::new(),
        aliases: Vec::new(),
        choices: (key == "api_version").then(|| vec![Json::from(2), Json::from(3)]),
        required: key == "url",
        deprecated: false,
        since: None,
    };
    GALAXY.into_iter().map(option).collect()
}

fn entry(name: &str, s: &Setting) -> Value {
    let d = Dict::new();
    d.insert("name", Value::str(name));
    d.insert("origin", Value::str(s.origin.as_str()));
    d.insert("value", Value::from(&s.value));
    Value::Dict(d)
}

fn line(name: &str, s: &Setting) -> String {
    let color = match s.origin.as_str() {
        "default" => "green",
        "REQUIRED" => "red",
        _ => "yellow",
    };
    display::paint(&format!("{name}({}) = {}", s.origin, crate::config::types::plain(&s.value)), color)
}

fn changed(name: &str, s: &Setting) -> bool {
    !matches!(s.origin.as_str(), "default" | "REQUIRED") && name != "_terms" && name != "_input"
}

fn required() -> Setting {
    Setting { value: Json::Null, origin: "REQUIRED".into() }
}

fn dump(given: &Given, config: &Config, kind: &str) -> Result<(), Error> {
    let format = given.value("format").unwrap_or("display");
    let only = given.on("only_changed");
    let shown = format == "display";
    let mut lines = Vec::new();
    let mut items = Vec::new();
    if matches!(kind, "base" | "all") {
        let mut names: Vec<&str> = base().map(|o| o.name.as_str()).collect();
        names.push("CONFIG_FILE");
        names.sort_unstable();
        let file = config.file().map_or(Json::Null, |f| Json::String(f.display().to_string()));
        let file = Setting { value: file, origin: String::new() };
        for name in names {
            let s = if name == "CONFIG_FILE" { Some(&file) } else { config.get(name) };
            let Some(s) = s.filter(|s| !only || changed(name, s)) else { continue };
            lines.push(line(name, s));
            items.push(entry(name, s));
        }
        lines.push("\nGALAXY_SERVERS:\n".into());
        let all = Dict::new();
        for server in servers(config) {
            lines.push(format!("\n{server}\n{}", "=".repeat(server.len())));
            let mut entries = Vec::new();
            let mut options = server_options(&server, config);
            for o in &options {
                let s = match config.evaluate(o, &format!("'{}'", o.name)) {
                    Err(_) if o.required => required(),
                    other => other?,
                };
                entries.push(entry(&o.name, &s));
            }
            options.sort_by(|a, b| a.name.cmp(&b.name));
            for o in &options {
                let s = config.evaluate(o, &format!("'{}'", o.name)).unwrap_or_else(|_| required());
                if !only || changed(&o.name, &s) {
                    lines.push(line(&o.name, &s));
                }
            }
            all.insert(Value::str(server), Value::list(entries));
        }
        items.push(Value::dict([("GALAXY_SERVERS", Value::Dict(all))]));
    }
    if kind != "base" {
        for (t, found) in plugins(given, kind) {
            let mut list = Vec::new();
            let mut text = Vec::new();
            for p in found {
                let mut entries = Vec::new();
                let mut options: Vec<&Opt> = p.options.iter().collect();
                options.sort_by(|a, b| a.name.cmp(&b.name));
                let mut rows = Vec::new();
                for o in options {
                    let s = config.plugin(t, &p.name, &o.name).unwrap_or_else(|_| required());
                    if !only || changed(&o.name, &s) {
                        rows.push(line(&o.name, &s));
                        entries.push(entry(&o.name, &s));
                    }
                }
                if !rows.is_empty() {
                    text.push(format!("\n{}:\n{}", p.name, "_".repeat(p.name.len())));
                    text.extend(rows);
                    list.push(Value::dict([(p.name.as_str(), Value::list(entries))]));
                }
            }
            if kind == "all" {
                if !only || !text.is_empty() {
                    lines.push(format!("\n{}:\n{}", t.to_uppercase(), "=".repeat(t.len())));
                }
                let name = format!("{}_PLUGINS", t.to_uppercase());
                items.push(Value::dict([(name.as_str(), Value::list(list))]));
            } else {
                items.extend(list);
            }
            lines.extend(text);
        }
    }
    let text = match format {
        _ if shown => lines.join("\n"),
        "yaml" => dump_yaml::dump(&Value::list(items)),
        _ => dump_json::dump(&Value::list(items), dump_json::Style { mark_untrusted: false }),
    };
    display::out(&text);
    Ok(())
}

/// An option as `list` shows it.
fn described(o: &Opt) -> Value {
    let d = Dict::new();
    let texts = |l: &[String]| {
        Value::list(l.iter().map(|n| Value::dict([("name", Value::str(n.as_str()))])).collect())
    };
    if let Some(v) = &o.default {
        d.insert("default", Value::from(v));
    }
    d.insert("description", Value::str(config_init::description(&o.name)));
    for (key, list) in [("env", &o.env), ("vars", &o.vars), ("cli", &o.cli), ("keyword", &o.keyword)] {
        if !list.is_empty() {
            d.insert(key, texts(list));
        }
    }
    if !o.ini.is_empty() {
        let pairs = o.ini.iter().map(|(section, key)| {
            Value::dict([("key", Value::str(key.as_str())), ("section", Value::str(section.as_str()))])
        });
        d.insert("ini", Value::list(pairs.collect()));
    }
    if let Some(choices) = &o.choices {
        d.insert("choices", Value::list(choices.iter().map(Value::from).collect()));
    }
    if let Some(kind) = &o.kind {
        d.insert("type", Value::str(kind.as_str()));
    }
    if let Some(since) = &o.since {
        d.insert("version_added", Value::str(since.as_str()));
    }
    Value::Dict(d)
}

fn list(given: &Given, config: &Config, kind: &str) -> Result<(), Error> {
    let out = Dict::new();
    if matches!(kind, "base" | "all") {
        for o in base() {
            out.insert(o.name.as_str(), described(o));
        }
        let all = Dict::new();
        for server in servers(config) {
            let d: Dict = server_options(&server, config)
                .iter()
                .map(|o| (Value::str(o.name.as_str()), described(o)))
                .collect();
            all.insert(Value::str(server), Value::Dict(d));
        }
        out.insert("GALAXY_SERVERS", Value::Dict(all));
    }
    if kind != "base" {
        let types = Dict::new();
        for (t, found) in plugins(given, kind) {
            let of = |p: &options::Plugin| -> Dict {
                p.options.iter().map(|o| (Value::str(o.name.as_str()), described(o))).collect()
            };
            let d: Dict = found.iter().map(|p| (Value::str(p.name.as_str()), Value::Dict(of(p)))).collect();
            let name = if kind == "all" { t.to_uppercase() } else { t.to_owned() };
            types.insert(Value::str(name), Value::Dict(d));
        }
        out.insert("PLUGINS", Value::Dict(types));
    }
    let value = Value::Dict(out);
    display::out(&match given.value("format") {
        Some("json") => dump_json::dump(&value, dump_json::Style { mark_untrusted: false }),
        _ => dump_yaml::dump(&value),
    });
    Ok(())
}

fn validate(given: &Given, config: &Config, kind: &str) -> Result<i32, Error> {
    let mut known: Vec<Opt> =
        if matches!(kind, "base" | "all") { base().cloned().collect() } else { Vec::new() };
    for server in servers(config) {
        known.extend(server_options(&server, config));
    }
    if kind != "base" {
        known.extend(plugins(given, kind).into_iter().flat_map(|(_, p)| p).flat_map(|p| p.options.clone()));
    }
    let mut found = false;
    if given.value("format") == Some("env") {
        let names: HashSet<&str> = known.iter().flat_map(|o| &o.env).map(String::as_str).collect();
        let settable = |n: &String| {
            n.starts_with("ANSIBLE_")
                && !n.starts_with("ANSIBLE_TEST_")
                && !n.starts_with("ANSIBLE_LINT_")
                && n != "ANSIBLE_CONFIG"
                && n != "ANSIBLE_DEV_HOME"
        };
        for name in std::env::vars_os().filter_map(|(k, _)| k.into_string().ok()).filter(settable) {
            if !names.contains(name.as_str()) {
                display::error_text(&format!("Found unknown environment variable '{name}'."));
                found = true;
            }
        }
    } else if let Some(file) = config.file() {
        let mut sections: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (section, key) in known.iter().flat_map(|o| &o.ini) {
            sections.entry(section).or_default().insert(key);
        }
        for section in config.ini().sections() {
            let Some(keys) = sections.get(section) else {
                display::error_text(&format!("Found unknown section '{section}' in '{}.", file.display()));
                found = true;
                continue;
            };
            for key in config.ini().keys(section) {
                if !keys.contains(key) {
                    display::error_text(&format!(
                        "Found unknown key '{key}' in section '{section}' in '{}.",
                        file.display()
                    ));
                    found = true;
                }
            }
        }
    }
    if found {
        return Ok(1);
    }
    display::out("All configurations seem valid!");
    Ok(0)
}
