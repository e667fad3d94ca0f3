//! `ansible`: one module on the hosts of a pattern.

use std::ffi::OsString;
use std::sync::Arc;

use pileus_jinja::{Dict, Str, Value};

use crate::execute::plays;
use crate::playbook::split::parse_kv;
use crate::playbook::{names, play};
use crate::{Error, display};

use super::options::{self, Opt};
use super::{playbook, running};

const USAGE: &str = "usage: ansible [-h] [--version] [-v] [-b] [--become-method BECOME_METHOD]
               [--become-user BECOME_USER]
               [-K | --become-password-file BECOME_PASSWORD_FILE]
               [-i INVENTORY] [--list-hosts] [-l SUBSET] [--flush-cache]
               [-P POLL_INTERVAL] [-B SECONDS] [-o] [-t TREE]
               [--private-key PRIVATE_KEY_FILE] [-u REMOTE_USER]
               [-c CONNECTION] [-T TIMEOUT]
               [--ssh-common-args SSH_COMMON_ARGS]
               [--ssh-extra-args SSH_EXTRA_ARGS]
               [-k | --connection-password-file CONNECTION_PASSWORD_FILE] [-C]
               [-D] [-e EXTRA_VARS] [--vault-id VAULT_IDS]
               [-J | --vault-password-file VAULT_PASSWORD_FILES] [-f FORKS]
               [-M MODULE_PATH] [--playbook-dir BASEDIR]
               [--task-timeout TASK_TIMEOUT] [-a MODULE_ARGS] [-m MODULE_NAME]
               pattern";

const OWN: [Opt; 8] = [
    Opt { short: "a", long: &["args"], value: true },
    Opt { short: "m", long: &["module-name"], value: true },
    Opt { short: "B", long: &["background"], value: true },
    Opt { short: "P", long: &["poll"], value: true },
    Opt { short: "o", long: &["one-line"], value: false },
    Opt { short: "", long: &["playbook-dir"], value: true },
    Opt { short: "", long: &["task-timeout"], value: true },
    Opt { short: "t", long: &["tree"], value: true },
];

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    // tasks of playbooks are not this program's
    let playbooks = [
        "tags",
        "skip-tags",
        "list-tasks",
        "list-tags",
        "step",
        "start-at-task",
        "syntax-check",
        "force-handlers",
    ];
    let mut known: Vec<Opt> =
        options::RUNNING.iter().filter(|o| !playbooks.contains(&o.long[0])).copied().collect();
    known.extend(OWN);
    let given = match options::parse(args, &known) {
        Ok(g) => g,
        Err(e) => return usage(&e),
    };
    if given.has("version") {
        running::version("ansible");
        return 0;
    }
    if given.has("help") {
        println!("{USAGE}\n\nDefine and run a single task 'playbook' against a set of hosts");
        return 0;
    }
    let [pattern] = given.rest.as_slice() else {
        return usage(if given.rest.is_empty() {
            "the following arguments are required: pattern"
        } else {
            "unrecognized arguments"
        });
    };
    match run(&given, pattern) {
        Ok(code) => code,
        Err(e) => {
            display::error(&e);
            e.exit_code()
        }
    }
}

fn usage(why: &str) -> i32 {
    eprintln!("{USAGE}\nansible: error: {why}");
    2
}

fn run(given: &options::Given, pattern: &str) -> Result<i32, Error> {
    let config = running::settings(given)?;
    let name = if given.has("one-line") {
        "oneline".to_owned()
    } else if config.bool("DEFAULT_LOAD_CALLBACK_PLUGINS")
        && config.get("DEFAULT_STDOUT_CALLBACK").is_some_and(|s| s.origin != "default")
    {
        config.text("DEFAULT_STDOUT_CALLBACK").unwrap_or("minimal").to_owned()
    } else {
        "minimal".to_owned()
    };
    let recap = names::short(&name) == "default";
    let world = running::world(given, config, vec![playbook::printer(&name, given.has("check"))?], false)?;
    let hosts = world.inventory.chosen(pattern).map_err(Error::new)?;
    if hosts.is_empty() && !given.has("list-hosts") {
        display::warning("No hosts matched, nothing to do");
        return Ok(0);
    }
    if given.has("list-hosts") {
        display::out(&format!("  hosts ({}):", hosts.len()));
        for h in hosts {
            display::out(&format!("    {h}"));
        }
        return Ok(0);
    }
    let module = given
        .last("module-name")
        .map_or_else(|| config.text("DEFAULT_MODULE_NAME").unwrap_or("command").to_owned(), str::to_owned);
    let short = names::short(&module).to_owned();
    if matches!(short.as_str(), "import_playbook") {
        return Err(Error::options(format!("'{module}' is not a valid action for ad-hoc commands")));
    }
    let text =
        given.last("args").unwrap_or(config.text("DEFAULT_MODULE_ARGS").unwrap_or_default()).to_owned();
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
        given.last("task-timeout").map_or(Value::Int(config.int("TASK_TIMEOUT")), Value::from),
    );
    if let Some(b) = given.last("background").filter(|b| *b != "0") {
        task.insert("async", b);
        task.insert(
            "poll",
            given.last("poll").map_or(Value::Int(config.int("DEFAULT_POLL_INTERVAL")), Value::from),
        );
    }
    let entry = Dict::new();
    entry.insert("name", "Ansible Ad-Hoc");
    entry.insert("hosts", Value::Str(Str::new(pattern)));
    entry.insert("gather_facts", false);
    entry.insert("tasks", Value::list(vec![Value::Dict(task)]));
    let base = given
        .last("playbook-dir")
        .map_or_else(|| crate::source::paths::unfrack("."), crate::source::paths::unfrack);
    world.files.set_base(&base);
    let parsed = Arc::new(play::parse(&Value::Dict(entry), &base.as_str().into(), None)?);
    let ended = plays::play(&world, &parsed)?;
    world.connections.close();
    if recap {
        world.callbacks.finish(&[]);
    }
    Ok(playbook::exit_code(ended))
}
