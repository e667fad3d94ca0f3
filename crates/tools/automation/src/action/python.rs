//! A task's module that is not native: found by the engine's or ansible-core's rules, run with the target's Python.

use std::collections::HashMap;

use parking_lot::Mutex;
use pileus_jinja::{Dict, Value};
use serde_json::{Map, Value as Json};

use super::remote::{connect, lost};
use super::{Cx, Failure, Outcome, background};
use crate::connection::{Connection, Settings};
use crate::display;
use crate::python::{PythonCall, discover, host, values};
use crate::vars::Vars;

/// The interpreters that were found on a run's hosts.
#[derive(Default)]
pub struct Python {
    found: Mutex<HashMap<String, String>>,
}

impl Python {
    /// The interpreter on a host: the variable or setting, else what discovery finds, told once.
    fn interpreter(
        &self,
        connection: &Connection,
        host: &str,
        vars: &dyn Settings,
    ) -> Result<String, Failure> {
        let wanted = vars
            .var("ansible_python_interpreter")
            .or_else(|| vars.setting(&["ANSIBLE_PYTHON_INTERPRETER"], &[("defaults", "interpreter_python")]))
            .unwrap_or_else(|| "auto".into());
        if !wanted.starts_with("auto") {
            return Ok(wanted);
        }
        if let Some(known) = self.found.lock().get(host) {
            return Ok(known.clone());
        }
        let found = discover(connection, host, &wanted, None).map_err(lost)?;
        if let Some(warning) = &found.warning {
            display::warning(warning);
        }
        self.found.lock().insert(host.to_owned(), found.path.clone());
        Ok(found.path)
    }
}

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
    let interpreter = python.interpreter(&connection, &target, other.as_ref().unwrap_or(&*cx.vars))?;
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
        paths: role.into_iter().chain([base.clone()]).collect(),
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
    Ok(match values::result(&Json::Object(result)) {
        Value::Dict(dict) => dict,
        _ => Dict::new(),
    })
}
