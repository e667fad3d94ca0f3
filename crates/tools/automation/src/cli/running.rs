//! What the programs that run tasks share: passwords, inventory, the world.

use std::collections::HashMap;
use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::callback::{Callback, Callbacks};
use crate::execute::{Options, World};
use crate::inventory::Inventory;
use crate::playbook::Files;
use crate::source::{Loader, paths};
use crate::{Error, config, vault};

use super::args::Given;
use super::common;

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
        given.value(name).map(str::to_owned).or_else(|| config.text(setting).map(str::to_owned))
    };
    let read = |path: &str| {
        std::fs::read_to_string(paths::unfrack(path))
            .map(|t| t.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|e| Error::new(format!("Could not read password file {path}: {e}")))
    };
    if given.on("ask_pass") || config.bool("DEFAULT_ASK_PASS") {
        out.insert(
            "ansible_password",
            vault::prompt::ask("SSH password: ", true).ok().flatten().unwrap_or_default(),
        );
    } else if let Some(f) = file("connection_password_file", "CONNECTION_PASSWORD_FILE") {
        out.insert("ansible_password", read(&f)?);
    }
    if given.on("become_ask_pass") || config.bool("DEFAULT_BECOME_ASK_PASS") {
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
    } else if let Some(f) = file("become_password_file", "BECOME_PASSWORD_FILE") {
        out.insert("ansible_become_password", read(&f)?);
    }
    Ok(out)
}

/// The inventories that were named, else those of the settings.
pub fn sources(given: &Given, config: &config::Config) -> Vec<String> {
    match given.values("inventory") {
        [] => config.list("DEFAULT_HOST_LIST"),
        named => named.to_vec(),
    }
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
    crate::playbook::rejected::list()?;
    common::open_vault(given, config)?;
    let files = Arc::new(Files::new());
    let extra = common::read_extra_vars(given.values("extra_vars"), &Loader::new())?;
    let forks = given.int("forks").unwrap_or_else(|| config.int("DEFAULT_FORKS"));
    if forks < 1 {
        return Err(Error::options("The number of processes (--forks) must be >= 1"));
    }
    let mut keywords: HashMap<&'static str, Value> = HashMap::new();
    if given.on("become") || config.bool("DEFAULT_BECOME") {
        keywords.insert("become", Value::Bool(true));
    }
    for keyword in ["become_method", "become_user", "connection", "remote_user"] {
        if let Some(v) = given.value(keyword) {
            keywords.insert(keyword, Value::from(v));
        }
    }
    let sources = sources(given, config);
    let limit =
        given.value("subset").map(str::to_owned).or_else(|| config.text("DEFAULT_SUBSET").map(str::to_owned));
    let inventory: Arc<dyn Inventory> = crate::inventory::open(&sources, limit.as_deref(), &extra)?;
    let mut only = if tags { words(given.values("tags")) } else { Vec::new() };
    if only.is_empty() && tags {
        only = config.list("TAGS_RUN");
    }
    if only.is_empty() {
        only.push("all".into());
    }
    let mut skip = if tags { words(given.values("skip_tags")) } else { Vec::new() };
    if skip.is_empty() && tags {
        skip = config.list("TAGS_SKIP");
    }
    let options = Options {
        check: given.on("check"),
        diff: given.on("diff") || config.bool("DIFF_ALWAYS"),
        forks: usize::try_from(forks).unwrap_or(5),
        tags: only,
        skip_tags: skip,
        limit,
        inventory: sources
            .iter()
            .map(|s| if s.contains(',') { s.clone() } else { paths::unfrack(s) })
            .collect(),
        step: given.on("step"),
        start_at: given.value("start_at_task").map(str::to_owned),
        force_handlers: given.on("force_handlers") || config.bool("DEFAULT_FORCE_HANDLERS"),
        flush_cache: given.on("flush_cache"),
        keywords,
        passwords: passwords(given, config)?,
    };
    if let Some(v) = given.value("private_key_file") {
        let key = paths::unfrack(v);
        extra_default(&extra, "ansible_private_key_file", &key);
    }
    for (option, var) in [
        ("ssh_common_args", "ansible_ssh_common_args"),
        ("ssh_extra_args", "ansible_ssh_extra_args"),
        ("sftp_extra_args", "ansible_sftp_extra_args"),
        ("scp_extra_args", "ansible_scp_extra_args"),
        ("timeout", "ansible_ssh_timeout"),
    ] {
        if let Some(v) = given.value(option) {
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
