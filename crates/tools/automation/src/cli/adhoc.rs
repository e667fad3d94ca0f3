//! `ansible`: one module on the hosts of a pattern.

use std::ffi::OsString;
use std::sync::Arc;

use pileus_jinja::{Dict, Str, Value};

use crate::callback::choose;
use crate::config::Config;
use crate::execute::plays;
use crate::playbook::split::parse_kv;
use crate::playbook::{names, play};
use crate::python::handover;
use crate::{Error, display};

use super::args::{Count, Given, Grammar, Takes, flag};
use super::{common, flags, playbook, running};

/// The options, in the order of the usage line.
fn grammar() -> Grammar {
    let mut g = Grammar::new("ansible", "Define and run a single task 'playbook' against a set of hosts")
        .arguments(Count::One, "pattern", "host pattern")
        .with(flags::base())
        .with(flags::runas())
        .with(flags::inventory())
        .with([
            flag(
                &["-P", "--poll"],
                "poll_interval",
                Takes::Int,
                "set the poll interval if using -B (default=15)",
            ),
            flag(
                &["-B", "--background"],
                "seconds",
                Takes::Int,
                "run asynchronously, failing after X seconds (default=N/A)",
            ),
            flag(&["-o", "--one-line"], "one_line", Takes::Flag, "condense output"),
            flag(&["-t", "--tree"], "tree", Takes::Value, "log output to this directory"),
        ])
        .with(flags::connect())
        .with(flags::check())
        .with([flags::extra_vars()])
        .with(flags::vaults())
        .with([
            flags::forks(),
            flags::module_path(),
            flags::playbook_dir(),
            flag(
                &["--task-timeout"],
                "task_timeout",
                Takes::Int,
                "set task timeout limit in seconds, must be positive integer.",
            ),
            flag(
                &["-a", "--args"],
                "module_args",
                Takes::Value,
                "The action's options in space separated k=v format: -a 'opt1=val1 opt2=val2' or a json string: -a \
                 '{\"opt1\": \"val1\", \"opt2\": \"val2\"}'",
            ),
            flag(
                &["-m", "--module-name"],
                "module_name",
                Takes::Value,
                "Name of the action to execute (default=command)",
            ),
        ]);
    g.groups = vec![flags::BECOME_GROUP, flags::CONNECTION_GROUP];
    g.epilog = "Some actions do not make sense in Ad-Hoc (include, meta, etc)";
    g
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    common::run(&grammar(), args, |given, config| {
        let pattern = given.args.first().map(String::as_str).unwrap_or_default();
        run(given, config, pattern, args)
    })
}

fn run(given: &Given, config: &'static Config, pattern: &str, words: &[OsString]) -> Result<i32, Error> {
    if let Some(dir) = given.value("basedir").or_else(|| config.text("PLAYBOOK_DIR")) {
        crate::python::places::add(&crate::source::paths::unfrack(dir));
    }
    let name = if given.on("one_line") {
        "oneline".to_owned()
    } else if config.bool("DEFAULT_LOAD_CALLBACK_PLUGINS")
        && config.get("DEFAULT_STDOUT_CALLBACK").is_some_and(|s| s.origin != "default")
    {
        config.text("DEFAULT_STDOUT_CALLBACK").unwrap_or("minimal").to_owned()
    } else {
        "minimal".to_owned()
    };
    let callbacks = choose::callbacks(&choose::Wanted {
        program: "ansible",
        argv: words,
        stdout: &name,
        additional: config.bool("DEFAULT_LOAD_CALLBACK_PLUGINS"),
        check: given.on("check"),
        tree: given.value("tree"),
        inventory: running::sources(given, config),
    })?;
    let world = running::world(given, config, callbacks, false)?;
    // the pattern may be a template of extra variables
    let rendered = match pileus_jinja::value::looks_like_template(pattern) {
        true => {
            let vars = crate::vars::Vars::new(&world, None, None, None);
            let value = world.resolve(&Value::Str(Str::trusted(pattern)), &vars)?;
            let parts = crate::playbook::keyword::items(&value);
            parts.iter().filter_map(|p| p.to_text().ok()).collect::<Vec<_>>().join(",")
        }
        false => pattern.to_owned(),
    };
    let pattern = rendered.as_str();
    let hosts = world.inventory.chosen(pattern).map_err(Error::new)?;
    if hosts.is_empty() && !given.on("listhosts") {
        display::warning("No hosts matched, nothing to do");
        return Ok(0);
    }
    if given.on("listhosts") {
        display::out(&format!("  hosts ({}):", hosts.len()));
        for h in hosts {
            display::out(&format!("    {h}"));
        }
        return Ok(0);
    }
    let module = given
        .value("module_name")
        .map_or_else(|| config.text("DEFAULT_MODULE_NAME").unwrap_or("command").to_owned(), str::to_owned);
    let short = names::short(&module).to_owned();
    if matches!(short.as_str(), "import_playbook") {
        return Err(Error::options(format!("'{module}' is not a valid action for ad-hoc commands")));
    }
    let text = given
        .value("module_args")
        .unwrap_or(config.text("DEFAULT_MODULE_ARGS").unwrap_or_default())
        .to_owned();
    if names::takes_text(&short) && text.is_empty() {
        return Err(Error::options(format!("No argument passed to {module} module")));
    }
    let args = if text.trim_start().starts_with('{') && text.trim_end().ends_with('}') {
        match crate::source::parse(&text, &"<CLI option '-a'>".into(), true)? {
            Value::Dict(d) => d,
            _ => Dict::new(),
        }
    } else {
        parse_kv(&Str::trusted(text.as_str()), names::takes_text(&short))?
    };
    let task = Dict::new();
    let action = args.copy();
    action.insert("module", module.as_str());
    task.insert("action", Value::Dict(action));
    task.insert(
        "timeout",
        given.value("task_timeout").map_or(Value::Int(config.int("TASK_TIMEOUT")), Value::from),
    );
    if let Some(b) = given.value("seconds").filter(|b| *b != "0") {
        task.insert("async", b);
        task.insert(
            "poll",
            given.value("poll_interval").map_or(Value::Int(config.int("DEFAULT_POLL_INTERVAL")), Value::from),
        );
    }
    let entry = Dict::new();
    entry.insert("name", "Ansible Ad-Hoc");
    entry.insert("hosts", Value::Str(Str::new(pattern)));
    entry.insert("gather_facts", false);
    entry.insert("tasks", Value::list(vec![Value::Dict(task)]));
    let base = given
        .value("basedir")
        .or_else(|| config.text("PLAYBOOK_DIR"))
        .map_or_else(|| crate::source::paths::unfrack("."), crate::source::paths::unfrack);
    world.files.set_base(&base);
    let parsed = Arc::new(play::parse(&Value::Dict(entry), &base.as_str().into(), None)?);
    if let Some(strategy) = handover::strategy(&world, &parsed)? {
        return handover::run(&strategy, "ansible", words, None);
    }
    world.callbacks.playbook_start("__adhoc_playbook__", 1);
    let ended = plays::play(&world, &parsed)?;
    world.connections.close();
    world.callbacks.finish(&[]);
    Ok(playbook::exit_code(ended))
}
