//! A task's module that is not native: found by the engine's or ansible-core's rules, run with the target's Python.

use std::collections::HashMap;

use parking_lot::Mutex;
use pileus_jinja::{Dict, Scope, Value};
use serde_json::{Map, Value as Json};

use super::remote::{connect, lost};
use super::{Cx, Failure, Outcome, background};
use crate::connection::{Connection, Settings};
use crate::display;
use crate::playbook::keyword::items;
use crate::python::{PythonCall, discover, host, places, values};
use crate::vars::Vars;

/// The interpreters that were found on a run's hosts.
#[derive(Default)]
pub struct Python {
    found: Mutex<HashMap<String, String>>,
}

impl Python {
    /// The interpreter on a host: the variable or setting, else what discovery finds, told once; whether that is new
    /// to the host's facts.
    fn interpreter(
        &self,
        connection: &Connection,
        host: &str,
        vars: &Vars,
    ) -> Result<(String, bool), Failure> {
        let wanted = wanted(vars).unwrap_or_else(|| "auto".into());
        if !wanted.starts_with("auto") {
            return Ok((wanted, false));
        }
        if let Some(known) = vars.var("discovered_interpreter_python") {
            return Ok((known, false));
        }
        if let Some(known) = self.found.lock().get(host) {
            return Ok((known.clone(), true));
        }
        let candidates: Option<Vec<String>> = vars
            .rendered("ansible_interpreter_python_fallback")
            .map(|list| items(&list).iter().filter_map(|v| v.to_text().ok()).collect());
        let found = discover(connection, host, &wanted, candidates.as_deref()).map_err(lost)?;
        if let Some(warning) = &found.warning {
            display::warning(warning);
        }
        self.found.lock().insert(host.to_owned(), found.path.clone());
        Ok((found.path, true))
    }
}

/// The interpreter that a variable or setting names: a path, or how to find one.
pub fn wanted(vars: &Vars) -> Option<String> {
    vars.var("ansible_python_interpreter")
        .or_else(|| vars.setting(&["ANSIBLE_PYTHON_INTERPRETER"], &[("defaults", "interpreter_python")]))
}

/// Variables that say how a module is run: interpreters of other languages, the limit of open files.
fn for_bundle(vars: &Vars) -> Result<Map<String, Json>, Failure> {
    let mut out = Map::new();
    for name in vars.names() {
        if !(name.starts_with("ansible_") && name.ends_with("_interpreter")) && name != RLIMIT {
            continue;
        }
        let Some(written) = vars.get(&name) else { continue };
        let value = vars.world.resolve(&written, vars)?;
        if !value.is_none() && !crate::vars::is_omit(&value) {
            out.insert(name.to_string(), value.to_json());
        }
    }
    Ok(out)
}

/// How many files a module may have open.
const RLIMIT: &str = "ansible_python_module_rlimit_nofile";

/// Runs the module; `file` is where it was found, if the engine found it.
///
/// # Errors
/// Where the host cannot be reached, or ansible-core is needed and isn't there.
pub fn run(
    cx: &mut Cx<'_>,
    python: &Python,
    name: &str,
    file: Option<String>,
    args: &Map<String, Json>,
) -> Outcome {
    let (connection, as_user) = connect(cx)?;
    let fields = cx.fields;
    let target = fields.delegate_to.as_deref().unwrap_or(cx.host).to_owned();
    // a delegated host has an interpreter of its own
    let other =
        fields.delegate_to.as_ref().map(|to| Vars::new(cx.world, Some(cx.run), Some(to), Some(cx.task)));
    let (interpreter, found) =
        python.interpreter(&connection, &target, other.as_ref().unwrap_or(&*cx.vars))?;
    let discovered = found.then(|| interpreter.clone()).filter(|_| fields.delegate_to.is_none());
    let truth = |v: Option<String>| v.is_some_and(|v| crate::truth::holds(&v));
    let base = cx.world.files.base();
    let role = cx.task.frame.role.as_ref().map(|r| r.path.to_string());
    let mut args = args.clone();
    for (key, value) in cx.args.items() {
        // dates stay dates for modules that can take them
        let key = key.as_str().unwrap_or_default();
        if let Some(dates) = values::moments(&value)
            && args.get(key) == Some(&value.to_json())
        {
            args.insert(key.to_owned(), dates);
        }
    }
    let call = PythonCall {
        name: name.to_owned(),
        path: file,
        args,
        check: fields.check,
        diff: fields.diff,
        no_log: fields.no_log,
        verbosity: display::verbosity(),
        environment: fields.environment.clone(),
        interpreter,
        vars: for_bundle(&*cx.vars)?,
        paths: role.into_iter().chain([base]).chain(places::all()).collect(),
        remote_tmp: cx.vars.var("ansible_remote_tmp"),
        keep_files: truth(
            cx.vars.setting(&["ANSIBLE_KEEP_REMOTE_FILES"], &[("defaults", "keep_remote_files")]),
        ),
        // A bundle on the interpreter's input is never worse for us; become with requiretty needs files.
        pipelining: true,
        ..PythonCall::default()
    };
    let job = (fields.async_s > 0).then(|| background::job(cx));
    let result =
        crate::python::run(host(), &connection, &call, as_user.as_ref(), job.as_ref()).map_err(lost)?;
    let result = match job {
        Some(job) if fields.poll_s > 0 => {
            // the wrapper adds its process to the id
            let jid = result.get("ansible_job_id").and_then(Json::as_str).unwrap_or(&job.jid);
            background::wait(cx, &connection, jid, as_user.as_ref())?
        }
        _ => result,
    };
    let result = match values::result(&Json::Object(result)) {
        Value::Dict(dict) => dict,
        _ => Dict::new(),
    };
    if let Some(path) = discovered {
        let facts = result.get("ansible_facts").and_then(|f| f.as_dict().cloned()).unwrap_or_default();
        facts.insert("discovered_interpreter_python", path);
        result.insert("ansible_facts", Value::Dict(facts));
    }
    Ok(result)
}
