//! What the programs that run tasks share: settings, vault, inventory, extra variables, the world.

use std::collections::HashMap;
use std::sync::Arc;

use pileus_jinja::{Dict, Str, Value};

use crate::callback::{Callback, Callbacks};
use crate::execute::{Options, World};
use crate::inventory::Inventory;
use crate::playbook::Files;
use crate::playbook::split::parse_kv;
use crate::source::{self, paths};
use crate::vars::{magic, merge};
use crate::{Error, config, display, vault};

use super::options::Given;

/// Prepares settings and what is said.
///
/// # Errors
/// Where the settings are wrong.
pub fn settings(given: &Given) -> Result<&'static config::Config, Error> {
    let config = config::init()?;
    let verbosity = config.int("DEFAULT_VERBOSITY").max(0) as usize + given.count("verbose");
    display::set_verbosity(u8::try_from(verbosity).unwrap_or(u8::MAX));
    display::set_color(config.bool("ANSIBLE_FORCE_COLOR"), config.bool("ANSIBLE_NOCOLOR"));
    display::set_deprecations(config.bool("DEPRECATION_WARNINGS"));
    for w in &config.warnings {
        display::warning(w);
    }
    Ok(config)
}

/// Loads the vault's secrets.
///
/// # Errors
/// Where a password file cannot be read.
pub fn secrets(given: &Given, config: &config::Config) -> Result<(), Error> {
    let mut files: Vec<String> = Vec::new();
    for f in given.all("vault-password-file") {
        files.push(f);
    }
    let wanted = vault::secrets::Wanted {
        ids: given.all("vault-id"),
        files,
        ask: given.has("ask-vault-password"),
        ..vault::secrets::Wanted::default()
    };
    let wanted = wanted.with_settings(config);
    vault::set_current(Arc::new(vault::secrets::load(&wanted, config)?));
    Ok(())
}

/// The variables of `-e`: `key=value`, JSON or YAML, `@file`.
///
/// # Errors
/// Where one cannot be read.
pub fn extra(given: &Given, files: &Files) -> Result<Dict, Error> {
    let out = Dict::new();
    for text in given.all("extra-vars") {
        let text = text.as_str();
        let value = if let Some(file) = text.strip_prefix('@') {
            files.load(&paths::unfrack(file))?
        } else if text.trim_start().starts_with(['{', '[']) {
            source::parse(text, &"<CLI option '-e'>".into(), true)?
        } else if text.starts_with(['/', '.']) {
            return Err(Error::options(format!("Please prepend extra_vars filename '{text}' with '@'")));
        } else {
            Value::Dict(parse_kv(&Str::trusted(text), false)?)
        };
        match value {
            Value::Dict(d) => {
                if let Some(raw) = d.get("_raw_params") {
                    let _ = raw;
                    return Err(Error::options(format!(
                        "Invalid extra vars data supplied. '{text}' could not be made into a dictionary"
                    )));
                }
                merge::into(&out, &d, config::current().text("DEFAULT_HASH_BEHAVIOUR") == Some("merge"));
            }
            Value::None => {}
            _ => {
                return Err(Error::options(format!(
                    "Invalid extra vars data supplied. '{text}' could not be made into a dictionary"
                )));
            }
        }
    }
    Ok(out)
}

/// The words of repeated or comma-joined options.
pub fn words(list: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for w in list.iter().flat_map(|l| l.split(',')).map(str::trim).filter(|w| !w.is_empty()) {
        if !out.iter().any(|o| o == w) {
            out.push(w.to_owned());
        }
    }
    out
}

/// The passwords that were asked for, or whose files were named.
///
/// # Errors
/// Where one cannot be read.
fn passwords(given: &Given, config: &config::Config) -> Result<HashMap<&'static str, String>, Error> {
    let mut out = HashMap::new();
    let file = |name: &str, setting: &str| {
        given.last(name).map(str::to_owned).or_else(|| config.text(setting).map(str::to_owned))
    };
    let read = |path: &str| {
        std::fs::read_to_string(paths::unfrack(path))
            .map(|t| t.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|e| Error::new(format!("Could not read password file {path}: {e}")))
    };
    if given.has("ask-pass") || config.bool("DEFAULT_ASK_PASS") {
        out.insert(
            "ansible_password",
            vault::prompt::ask("SSH password: ", true).ok().flatten().unwrap_or_default(),
        );
    } else if let Some(f) = file("connection-password-file", "CONNECTION_PASSWORD_FILE") {
        out.insert("ansible_password", read(&f)?);
    }
    if given.has("ask-become-pass") || config.bool("DEFAULT_BECOME_ASK_PASS") {
        let default = out.get("ansible_password").cloned();
        let prompt = if default.is_some() {
            "BECOME password[defaults to SSH password]: "
        } else {
            "BECOME password: "
        };
        let typed = vault::prompt::ask(prompt, true).ok().flatten().unwrap_or_default();
        out.insert(
            "ansible_become_password",
            if typed.is_empty() { default.unwrap_or_default() } else { typed },
        );
    } else if let Some(f) = file("become-password-file", "BECOME_PASSWORD_FILE") {
        out.insert("ansible_become_password", read(&f)?);
    }
    Ok(out)
}

/// The world of a run.
///
/// # Errors
/// Where the inventory or the extra variables cannot be read.
pub fn world(
    given: &Given,
    config: &config::Config,
    callbacks: Vec<Box<dyn Callback>>,
    tags: bool,
) -> Result<Arc<World>, Error> {
    secrets(given, config)?;
    let files = Arc::new(Files::new());
    let extra = extra(given, &files)?;
    let forks = match given.last("forks") {
        Some(n) => n
            .parse::<i64>()
            .map_err(|_| Error::options(format!("argument -f/--forks: invalid int value: '{n}'")))?,
        None => config.int("DEFAULT_FORKS"),
    };
    if forks < 1 {
        return Err(Error::options("The number of processes (--forks) must be >= 1"));
    }
    let mut keywords: HashMap<&'static str, Value> = HashMap::new();
    if given.has("become") || config.bool("DEFAULT_BECOME") {
        keywords.insert("become", Value::Bool(true));
    }
    for (option, keyword) in [
        ("become-method", "become_method"),
        ("become-user", "become_user"),
        ("connection", "connection"),
        ("user", "remote_user"),
    ] {
        if let Some(v) = given.last(option) {
            keywords.insert(keyword, Value::from(v));
        }
    }
    let mut sources = given.all("inventory");
    if sources.is_empty() {
        sources = config.list("DEFAULT_HOST_LIST");
    }
    let limit =
        given.last("limit").map(str::to_owned).or_else(|| config.text("DEFAULT_SUBSET").map(str::to_owned));
    let inventory: Arc<dyn Inventory> = crate::inventory::open(&sources, limit.as_deref(), &extra)?;
    let mut only = if tags { words(&given.all("tags")) } else { Vec::new() };
    if only.is_empty() && tags {
        only = config.list("TAGS_RUN");
    }
    if only.is_empty() {
        only.push("all".into());
    }
    let mut skip = if tags { words(&given.all("skip-tags")) } else { Vec::new() };
    if skip.is_empty() && tags {
        skip = config.list("TAGS_SKIP");
    }
    let options = Options {
        check: given.has("check"),
        diff: given.has("diff") || config.bool("DIFF_ALWAYS"),
        forks: usize::try_from(forks).unwrap_or(5),
        tags: only,
        skip_tags: skip,
        limit,
        inventory: sources
            .iter()
            .map(|s| if s.contains(',') { s.clone() } else { paths::unfrack(s) })
            .collect(),
        step: given.has("step"),
        start_at: given.last("start-at-task").map(str::to_owned),
        force_handlers: given.has("force-handlers") || config.bool("DEFAULT_FORCE_HANDLERS"),
        flush_cache: given.has("flush-cache"),
        keywords,
        passwords: passwords(given, config)?,
    };
    if let Some(v) = given.last("private-key") {
        let key = paths::unfrack(v);
        extra_default(&extra, "ansible_private_key_file", &key);
    }
    for (option, var) in [
        ("ssh-common-args", "ansible_ssh_common_args"),
        ("ssh-extra-args", "ansible_ssh_extra_args"),
        ("timeout", "ansible_ssh_timeout"),
    ] {
        if let Some(v) = given.last(option) {
            extra_default(&extra, var, v);
        }
    }
    let world = World::new(files, inventory, options, extra, Callbacks::new(callbacks));
    crate::interrupt::watch(&world);
    // It lasts as long as the process: taking it apart at the end would be for nobody's use.
    std::mem::forget(world.clone());
    Ok(world)
}

fn extra_default(extra: &Dict, name: &str, value: &str) {
    if !extra.contains(name) {
        extra.insert(name, value);
    }
}

/// `--version`.
pub fn version(program: &str) {
    let home = std::env::var("HOME").unwrap_or_default();
    let config = config::init().ok();
    let file = config.and_then(|c| c.file()).map_or_else(|| "None".into(), |f| f.display().to_string());
    let full = magic::VERSION.map(|n| n.to_string()).join(".");
    let here = std::env::current_exe().map(|p| p.display().to_string()).unwrap_or_default();
    println!("{program} [core {full}]");
    println!("  config file = {file}");
    println!(
        "  configured module search path = ['{home}/.ansible/plugins/modules', '/usr/share/ansible/plugins/modules']"
    );
    println!("  ansible python module location = {here} (native)");
    println!("  ansible collection location = {home}/.ansible/collections:/usr/share/ansible/collections");
    println!("  executable location = {here}");
    println!("  python version = none needed (pileus {})", env!("CARGO_PKG_VERSION"));
    println!("  jinja version = native");
    println!("  pyyaml version = native");
}
