//! What runs on the controller for a task: debug, set_fact, template, copy, include_vars … Everything else is a module,
//! and [`remote`] runs it where the host is.

pub mod argspec;
pub mod background;
pub mod basic;
pub mod copy;
pub mod count;
pub mod facts;
pub mod fetch;
pub mod files;
pub mod pause;
pub mod plugins;
pub mod python;
pub mod remote;
pub mod stats;
pub mod template;
pub mod tests;
pub mod vars_files;

use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::Error;
use crate::execute::fields::Fields;
use crate::execute::{Run, World};
use crate::inventory::Name;
use crate::playbook::{Task, names};
use crate::vars::Vars;

/// Why an action has no result of its own.
#[derive(Debug)]
pub enum Failure {
    /// A result that failed.
    Result(Dict),
    /// The action gave up: a message, and what else its result holds.
    Raised(Dict),
    /// An error.
    Error(Error),
    /// The host cannot be reached.
    Unreachable(String),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Error(e)
    }
}

impl From<pileus_jinja::Error> for Failure {
    fn from(e: pileus_jinja::Error) -> Self {
        Self::Error(e.into())
    }
}

impl Failure {
    /// A failed result with a message.
    pub fn msg(message: impl Into<String>) -> Self {
        let d = Dict::new();
        d.insert("msg", message.into());
        d.insert("changed", false);
        Self::Raised(d)
    }
}

/// What an action gives.
pub type Outcome = Result<Dict, Failure>;

/// One call of an action.
pub struct Cx<'a> {
    /// The world.
    pub world: &'a Arc<World>,
    /// The play.
    pub run: &'a Arc<Run>,
    /// The host.
    pub host: &'a Name,
    /// The task.
    pub task: &'a Arc<Task>,
    /// The variables.
    pub vars: &'a mut Vars,
    /// The keywords, rendered.
    pub fields: &'a Arc<Fields>,
    /// The arguments, rendered.
    pub args: Dict,
}

impl Cx<'_> {
    /// An argument as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.args.get(name).filter(|v| !v.is_none()).and_then(|v| v.to_text().ok())
    }
    /// An argument as a truth value.
    ///
    /// # Errors
    /// Where it is none.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Failure> {
        match self.args.get(name) {
            None | Some(Value::None) => Ok(default),
            Some(v) => crate::execute::fields::convert(crate::playbook::K::Become, &v)
                .map(|v| v.as_bool().unwrap_or(default))
                .map_err(|_| {
                    Failure::msg(format!(
                        "The value '{}' is not a valid boolean.",
                        v.to_text().unwrap_or_default()
                    ))
                }),
        }
    }
    /// Where files of the task are looked for.
    pub fn search_path(&self) -> Vec<String> {
        use pileus_jinja::Scope;
        let v = self.vars.get("ansible_search_path").unwrap_or_default();
        crate::playbook::keyword::items(&v).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }
    /// The file `name` of the task, in `folder` of its role or beside its files.
    ///
    /// # Errors
    /// Where there is none, in the reference's words.
    pub fn find(&self, folder: &str, name: &str) -> Result<String, Failure> {
        let places = self.search_path();
        crate::lookup::find_in(&places, folder, name).ok_or_else(|| {
            if name.starts_with('/') {
                return Failure::msg(format!(
                    "Could not find or access '{name}' on the Ansible Controller.\nIf you are using a module and expect the file to exist on the remote, see the remote_src option"
                ));
            }
            // the playbook's directory comes last once more
            let base = self.world.files.base();
            let searched: Vec<String> = places
                .iter()
                .chain(std::iter::once(&base))
                .flat_map(|p| [format!("{p}/{folder}/{name}"), format!("{p}/{name}")])
                .collect();
            Failure::msg(format!(
                "Could not find or access '{name}'\nSearched in:\n\t{} on the Ansible Controller.\nIf you are using a module and expect the file to exist on the remote, see the remote_src option",
                searched.join("\n\t")
            ))
        })
    }
    /// Refuses arguments that the action's specification does not have; aliases are shown in brackets: `that (msg)`.
    ///
    /// # Errors
    /// Naming them.
    pub fn supported(&self, known: &[&str]) -> Result<(), Failure> {
        let has = |k: &str| known.iter().any(|n| n.split([' ', '(', ')', ',']).any(|w| w == k));
        let names = self.args.keys();
        let bad: Vec<&str> = names.iter().filter_map(Value::as_str).filter(|k| !has(k)).collect();
        if bad.is_empty() {
            return Ok(());
        }
        Err(Failure::msg(format!(
            "Unsupported parameters for ({}) module: {}. Supported parameters include: {}.",
            self.task.written,
            bad.join(", "),
            known.join(", ")
        )))
    }
    /// Refuses arguments that the action does not know, by its older message.
    ///
    /// # Errors
    /// That message.
    pub fn only(&self, known: &[&str]) -> Result<(), Failure> {
        let bad: Vec<String> = self
            .args
            .keys()
            .iter()
            .filter_map(|k| k.to_text().ok())
            .filter(|k| !known.contains(&k.as_str()))
            .collect();
        if bad.is_empty() {
            return Ok(());
        }
        Err(Failure::msg(format!("Invalid options for {}: {}", self.task.full_action(), bad.join(","))))
    }
}

/// Actions whose failures are said to be the action's, not a module's.
pub fn on_controller(action: &str) -> bool {
    names::ACTIONS.contains(&action)
        && !matches!(
            action,
            "command" | "shell" | "service" | "package" | "uri" | "async_status" | "dnf" | "gather_facts"
        )
}

/// Arguments that an action renders itself.
pub fn keeps_unrendered(action: &str, name: &str) -> bool {
    matches!(
        (action, name),
        ("assert", "that") | ("debug", "var") | ("validate_argument_spec", "argument_spec")
    )
}

/// Whether the action takes text that isn't `key=value`: core's that do, and a plugin in Python that says it does.
pub fn takes_raw_params(task: &Task) -> bool {
    use crate::python::places::{self, Kind};
    names::FREE_FORM.contains(&names::short(&task.action))
        || places::file(Kind::Action, &task.action)
            .and_then(|path| std::fs::read_to_string(path).ok())
            .is_some_and(|text| text.contains("supports_raw_params = True"))
}

/// Whether `module_defaults` for `name` are for the action.
pub fn defaults_apply(world: &World, task: &Task, name: &str) -> bool {
    let action = &*task.action;
    if let Some(group) = name.strip_prefix("group/") {
        let members = world.files.action_group(group, &task.frame).unwrap_or_default();
        let legacy = task.written.starts_with("ansible.legacy.") || world.files.is_local(action, &task.frame);
        return members.iter().any(|m| match m.strip_prefix("ansible.legacy.") {
            Some(m) => legacy && m == action,
            None => m == action && !legacy,
        });
    }
    if names::short(name) == action {
        // core's defaults are not those of a plugin of that name that lies beside the playbook
        let replaced = || {
            crate::python::places::file(crate::python::places::Kind::Action, action).is_some()
                || world.files.module_file(action, Some(&task.frame)).is_some()
        };
        let core = |n: &str| n.starts_with("ansible.builtin.");
        return !core(name) || core(&task.written) || !replaced();
    }
    name.contains('.') && *world.files.resolve_action(name, &task.frame) == *action
}

/// Runs a task's action.
///
/// # Errors
/// Where it fails, or the host cannot be reached.
pub fn run(cx: &mut Cx<'_>) -> Outcome {
    count::action();
    if cx.args.contains("_raw_params") && !takes_raw_params(cx.task) {
        let action = cx.task.full_action();
        return Err(Failure::Error(Error::new(format!("Action '{action}' does not support raw params."))));
    }
    if let Some(outcome) = plugins::run(cx) {
        count::python();
        return outcome;
    }
    match &*cx.task.action.clone() {
        "debug" => basic::debug(cx),
        "set_fact" => basic::set_fact(cx),
        "assert" => basic::assert(cx),
        "fail" => basic::fail(cx),
        "add_host" => basic::add_host(cx),
        "group_by" => basic::group_by(cx),
        "set_stats" => stats::set_stats(cx),
        "include_vars" => vars_files::include_vars(cx),
        "pause" => pause::pause(cx),
        "template" => template::template(cx),
        "copy" => copy::copy(cx),
        "fetch" => fetch::fetch(cx),
        "script" => files::script(cx),
        "raw" => files::raw(cx),
        "assemble" => files::assemble(cx),
        "unarchive" => files::unarchive(cx),
        "uri" => files::uri(cx),
        "gather_facts" => facts::gather(cx),
        "validate_argument_spec" => argspec::validate(cx),
        "package" => facts::package(cx),
        "service" => facts::service(cx),
        "async_status" => background::status(cx),
        "wait_for_connection" => remote::wait_for_connection(cx),
        "reboot" => Err(Failure::msg("Running reboot is not supported yet: nothing was rebooted")),
        "shell" => {
            if cx.args.contains("expand_argument_vars") {
                return Err(Failure::msg("Unsupported parameters for (shell) module: expand_argument_vars"));
            }
            cx.args.insert("_uses_shell", true);
            remote::module(cx, "command")
        }
        other => remote::module(cx, other),
    }
}
