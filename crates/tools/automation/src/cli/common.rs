//! What the commands share: `--version`, passwords and inventories from the options, and how a command ends.

use std::ffi::OsString;
use std::sync::Arc;

use pileus_jinja::{Dict, Origin, Str, Value};

use super::args::{Given, Grammar, Stop};
use super::usage;
use crate::config::Config;
use crate::inventory::{Manager, Sources, listed, split_words};
use crate::source::{Loader, parse, paths};
use crate::vault::secrets::{self, Wanted};
use crate::{Error, config, display, vault};

/// The version of ansible-core that the engine answers for.
pub const VERSION: &str = "2.19.14";

/// Runs a command: settings, options, then `body`; the exit code. Errors are printed.
pub fn run(
    grammar: &Grammar,
    args: &[OsString],
    body: impl FnOnce(&Given, &'static Config) -> Result<i32, Error>,
) -> i32 {
    let config = match settings() {
        Ok(config) => config,
        Err(code) => return code,
    };
    match grammar.parse(args) {
        Ok(given) => finish(started(&grammar.program, &given, config).and_then(|()| body(&given, config))),
        Err(stop) => stopped(grammar, stop, config),
    }
}

/// The settings; where they are wrong, that is said and the exit code given.
///
/// # Errors
/// The exit code.
pub fn settings() -> Result<&'static Config, i32> {
    let config = config::init().map_err(|e| {
        let help = e.details();
        eprintln!("ERROR: {}\n", help.trim_end().replace("\n\n", " "));
        5
    })?;
    display::set_color(config.bool("ANSIBLE_FORCE_COLOR"), config.bool("ANSIBLE_NOCOLOR"));
    display::set_deprecations(config.bool("DEPRECATION_WARNINGS"));
    Ok(config)
}

/// What is said before a command does its work: verbosity, the settings' file, its warnings.
///
/// # Errors
/// None so far.
pub fn started(program: &str, given: &Given, config: &Config) -> Result<(), Error> {
    let level = u32::try_from(config.int("DEFAULT_VERBOSITY")).unwrap_or(0) + given.count("verbosity");
    display::set_verbosity(u8::try_from(level).unwrap_or(u8::MAX));
    open_log(config);
    if display::verbosity() > 1 {
        display::out(&display::paint(&version(program, config), "blue"));
    }
    match config.file() {
        Some(f) => display::verbose(1, &format!("Using {} as config file", f.display())),
        None => display::verbose(1, "No config file found; using defaults"),
    }
    for w in &config.warnings {
        display::warning(w);
    }
    Ok(())
}

/// Opens the log that the settings name.
fn open_log(config: &Config) {
    let Some(path) = config.text("DEFAULT_LOG_PATH").filter(|p| !p.is_empty()).map(paths::unfrack) else {
        return;
    };
    let own = config.get("LOG_VERBOSITY").and_then(|s| s.value.as_u64()).and_then(|n| u8::try_from(n).ok());
    if let Err(e) = crate::log::open(&path, own) {
        display::warning(&format!(
            "log file at '{path}' is not writeable and we cannot create it, aborting: {e}"
        ));
    }
}

/// Prints help, version or what is wrong; the exit code.
pub fn stopped(grammar: &Grammar, stop: Stop, config: &Config) -> i32 {
    match stop {
        Stop::Help => {
            display::out(&usage::help(grammar));
            0
        }
        Stop::Version => {
            display::out(&version(&grammar.program, config));
            0
        }
        Stop::Wrong(why) => {
            let usage = usage::usage(grammar);
            eprint!("{usage}{}: error: {why}\n \n{}", grammar.program, usage::help(grammar));
            2
        }
    }
}

/// Prints the error; the exit code.
pub fn finish(done: Result<i32, Error>) -> i32 {
    match done {
        Ok(code) => code,
        Err(e) => {
            display::error(&e);
            e.exit_code()
        }
    }
}

/// The text of `--version`, as tools parse it.
pub fn version(program: &str, config: &Config) -> String {
    let program = program.split(' ').next().unwrap_or_default();
    let file = config.file().map_or_else(|| "None".to_owned(), |f| f.display().to_string());
    let modules: Vec<Value> = config.list("DEFAULT_MODULE_PATH").into_iter().map(Value::from).collect();
    let me = std::env::current_exe().map(|p| p.display().to_string()).unwrap_or_default();
    format!(
        "{program} [core {VERSION}]\n  config file = {file}\n  configured module search path = {}\n  ansible python \
         module location = None\n  ansible collection location = {}\n  executable location = {me}\n  python version = \
         None (modules run natively; Python is used where a module needs it)\n  jinja version = pileus {pileus}\n  \
         pyyaml version = pileus {pileus}",
        Value::list(modules).repr(),
        config.list("COLLECTIONS_PATHS").join(":"),
        pileus = env!("CARGO_PKG_VERSION"),
    )
}

/// Gets the passwords of the options and the settings and makes them the program's.
///
/// # Errors
/// As [`secrets::load`].
pub fn open_vault(given: &Given, config: &Config) -> Result<(), Error> {
    let wanted = Wanted {
        ids: given.values("vault_ids").to_vec(),
        files: given.values("vault_password_files").to_vec(),
        ask: given.on("ask_vault_pass") || config.bool("DEFAULT_ASK_VAULT_PASS"),
        ..Wanted::default()
    };
    let found = secrets::load(&wanted.with_settings(config), config)?;
    vault::set_current(Arc::new(found));
    Ok(())
}

/// The variables of `-e`: `@file`, YAML or JSON, or `key=value` pairs; later ones win.
///
/// # Errors
/// Where a file cannot be read, or the text is none of them.
pub fn read_extra_vars(given: &[String], loader: &Loader) -> Result<Dict, Error> {
    let out = Dict::new();
    let file: Arc<str> = "<CLI option '-e'>".into();
    let origin = Arc::new(Origin { file: file.clone(), line: 0, column: 0, sealed: None });
    for text in given {
        if text.is_empty() {
            continue;
        }
        let value = match text.strip_prefix('@') {
            Some(path) => loader.load_fresh(&paths::unfrack(path), true)?,
            None if text.starts_with(['/', '.']) => {
                return Err(Error::options(format!("Please prepend extra_vars filename '{text}' with '@'")));
            }
            None if text.starts_with(['[', '{']) => parse(text, &file, true)?,
            None => pairs(text, &origin)?,
        };
        match value {
            Value::Dict(d) => crate::inventory::merge::update(&out, &d),
            v if text.starts_with('@') && v.is_none() => {}
            _ => {
                return Err(Error::options(format!(
                    "Invalid extra vars data supplied. {} could not be made into a dictionary",
                    pileus_jinja::value::repr_str(text)
                )));
            }
        }
    }
    Ok(out)
}

/// `a=1 b='x y'`: every value is text.
fn pairs(text: &str, origin: &Arc<Origin>) -> Result<Value, Error> {
    let words = split_words(text).map_err(|_| {
        Error::parser(
            "failed at splitting arguments, either an unbalanced jinja2 block or quotes: ".to_owned() + text,
        )
    })?;
    let out = Dict::new();
    for word in words {
        if let Some((k, v)) = word.split_once('=') {
            out.insert(Str::new(k.trim()), Value::Str(Str::trusted(v.trim()).at(Some(origin.clone()))));
        }
    }
    Ok(Value::Dict(out))
}

/// The loader, the inventory and the extra variables of the options; the vault is opened first.
///
/// # Errors
/// Where passwords, variables or an inventory cannot be read.
pub fn prepare(given: &Given, config: &Config) -> Result<(Arc<Loader>, Manager, Dict), Error> {
    let loader = Arc::new(Loader::new());
    if let Some(dir) = given.value("basedir").or_else(|| config.text("PLAYBOOK_DIR")) {
        loader.set_base(&paths::unfrack(dir));
        crate::python::places::add(&paths::unfrack(dir));
    }
    open_vault(given, config)?;
    let extra = read_extra_vars(given.values("extra_vars"), &Loader::new())?;
    let sources = Sources { list: listed(given.values("inventory")), extra: extra.clone() };
    let manager = Manager::load(loader.clone(), sources)?;
    Ok((loader, manager, extra))
}
