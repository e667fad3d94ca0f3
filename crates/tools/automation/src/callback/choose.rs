//! Which callbacks hear of a run: the one that prints, those that the settings enable, those in Python.

use std::ffi::OsString;

use crate::playbook::names;
use crate::python::events::{Events, Setup};
use crate::python::places::{self, Kind};
use crate::{Error, config, display};

use super::default::Default as DefaultCallback;
use super::junit::Junit;
use super::minimal::{Minimal, Oneline};
use super::profile_tasks::ProfileTasks;
use super::python::Python;
use super::report::Report;
use super::tree::Tree;
use super::{Callback, records};

/// Names of callbacks that are the engine's own and need to be enabled.
const ENABLED: [&str; 7] = [
    records::NAME,
    "profile_tasks",
    "ansible.posix.profile_tasks",
    "junit",
    "ansible.builtin.junit",
    "tree",
    "ansible.builtin.tree",
];

/// What a command wants.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The command and its arguments.
    pub program: &'a str,
    /// See `program`.
    pub argv: &'a [OsString],
    /// The callback that prints.
    pub stdout: &'a str,
    /// Whether those that the settings enable are wanted too.
    pub additional: bool,
    /// Whether the run is in check mode.
    pub check: bool,
    /// `--tree`.
    pub tree: Option<&'a str>,
    /// The inventories.
    pub inventory: Vec<String>,
}

/// The engine's own callback of that name that prints.
fn printer(name: &str, check: bool) -> Option<Box<dyn Callback>> {
    if places::file(Kind::Callback, name).is_some() {
        return None;
    }
    Some(match name.strip_prefix("ansible.builtin.").unwrap_or(name) {
        "default" => Box::new(DefaultCallback::new(check)),
        "minimal" => Box::new(Minimal),
        "oneline" => Box::new(Oneline),
        "json" | "ansible.posix.json" => Box::new(Report::default()),
        _ => return None,
    })
}

/// Whether a file of a callback is loaded without being enabled: then it must be asked of Python.
fn loads_itself(text: &str) -> bool {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let says = |what: &str| text.contains(what);
    !says("CALLBACK_NEEDS_ENABLED=True")
        && !says("CALLBACK_NEEDS_WHITELIST=True")
        && !says("CALLBACK_TYPE='stdout'")
        && !says("CALLBACK_TYPE=\"stdout\"")
        && says("CallbackModule")
}

/// The callbacks of a run.
///
/// # Errors
/// Where the one that prints cannot be had.
pub fn callbacks(wanted: &Wanted<'_>) -> Result<Vec<Box<dyn Callback>>, Error> {
    let own = printer(wanted.stdout, wanted.check);
    let enabled = if wanted.additional { config::current().list("CALLBACKS_ENABLED") } else { Vec::new() };
    let beside = || {
        let files = places::files(Kind::Callback).into_iter();
        files.filter_map(|f| std::fs::read_to_string(f).ok()).any(|text| loads_itself(&text))
    };
    let foreign = own.is_none()
        || enabled.iter().any(|name| !ENABLED.contains(&name.as_str()))
        || (wanted.additional && beside());
    let mut all: Vec<Box<dyn Callback>> = Vec::new();
    let printing = own.is_some();
    all.extend(own);
    if foreign {
        let events = Events::start(&Setup {
            program: wanted.program,
            argv: wanted.argv,
            stdout: (!printing).then_some(wanted.stdout),
            additional: wanted.additional,
            own: &ENABLED,
        })?;
        all.push(Box::new(Python::new(events)));
    }
    let on =
        |name: &str| enabled.iter().any(|e| names::short(e) == name || e.rsplit('.').next() == Some(name));
    if on("profile_tasks") {
        all.push(Box::new(ProfileTasks::default()));
    }
    if on("junit") {
        all.push(Box::new(Junit::new()?));
    }
    if on("tree") || wanted.tree.is_some() {
        all.push(Box::new(Tree::new(wanted.tree)));
    }
    let recorded = enabled.iter().any(|name| name == records::NAME);
    if let Some(dir) = records::directory(&wanted.inventory, recorded) {
        match records::Records::new(&dir, wanted.program, wanted.check) {
            Ok(records) => all.push(Box::new(records)),
            Err(e) => display::warning(&format!("This run is not recorded: {}: {e}", dir.display())),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_no_enabling_starts_python() {
        let class = "class CallbackModule(CallbackBase):\n";
        assert!(loads_itself(class));
        assert!(!loads_itself(&format!("{class}    CALLBACK_NEEDS_ENABLED = True\n")));
        assert!(!loads_itself(&format!("{class}    CALLBACK_TYPE = 'stdout'\n")));
        assert!(!loads_itself("HELPER = 1\n"));
    }
}
