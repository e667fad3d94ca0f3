//! A task's module that is not native: found by the engine's or ansible-core's rules, run with the target's Python.

use std::collections::HashMap;
use std::sync::OnceLock;

use parking_lot::Mutex;
use pileus_jinja::{Dict, Value};
use serde_json::{Map, Value as Json};

use super::remote::{connect, lost};
use super::{Cx, Failure, Outcome, background};
use crate::connection::{Connection, Settings};
use crate::python::{Host, PythonCall, Setup, discover};
use crate::{config, display};

/// The plugin host of a run, and the interpreters that were found on its hosts.
#[derive(Default)]
pub struct Python {
    host: OnceLock<Host>,
    found: Mutex<HashMap<String, String>>,
}

impl Python {
    /// The host; its process starts at the first request.
    pub fn host(&self, basedir: &str) -> &Host {
        self.host.get_or_init(|| {
            Host::new(Setup {
                collections_paths: config::current().list("COLLECTIONS_PATHS"),
                basedir: Some(basedir.to_owned()),
                verbosity: display::verbosity(),
                ..Setup::default()
            })
        })
    }

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
    let interpreter = python.interpreter(&connection, &target, &*cx.vars)?;
    let truth = |v: Option<String>| {
        v.is_some_and(|v| matches!(v.to_lowercase().as_str(), "true" | "yes" | "on" | "1"))
    };
    let base = cx.world.files.base();
    let role = cx.task.frame.role.as_ref().map(|r| r.path.to_string());
    let call = PythonCall {
        name: name.to_owned(),
        path: file,
        args: args.clone(),
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
    let result = crate::python::run(python.host(&base), &connection, &call, as_user.as_ref(), job.as_ref())
        .map_err(lost)?;
    let result = match job {
        Some(job) if fields.poll_s > 0 => {
            // the wrapper adds its process to the id
            let jid = result.get("ansible_job_id").and_then(Json::as_str).unwrap_or(&job.jid);
            background::wait(cx, &connection, jid, as_user.as_ref())?
        }
        _ => result,
    };
    Ok(match Value::from(Json::Object(result)) {
        Value::Dict(dict) => dict,
        _ => Dict::new(),
    })
}

/// Whether the task needs a plugin in Python: its action's, its connection's or its become method's.
pub fn wanted(cx: &Cx<'_>) -> bool {
    cx.world.files.action_plugin(&cx.task.action, &cx.task.frame).is_some()
        || (!super::stays_here(&cx.task.action) && super::remote::foreign(cx))
}

/// Runs a task with its plugin in Python, by the installed ansible-core.
///
/// # Errors
/// Where the plugin fails, or no ansible-core is installed.
pub fn task(cx: &mut Cx<'_>) -> Outcome {
    let world = cx.world.clone();
    let base = world.files.base();
    let host = world.connections.python().host(&base);
    let role = cx.task.frame.role.as_ref().map(|r| r.path.to_string());
    let paths: Vec<String> = role.into_iter().chain([base]).collect();
    let list = cx.task.keyword(crate::playbook::K::Collections).map(crate::playbook::keyword::items);
    let collections: Vec<Json> = list.iter().flatten().map(Value::to_json).collect();
    let request = Map::from_iter([
        ("name".to_owned(), crate::execute::one::name_of(cx.world, cx.task, cx.vars).into()),
        ("action".to_owned(), (*cx.task.action).into()),
        ("args".to_owned(), Json::Object(super::remote::json(&cx.args))),
        ("keywords".to_owned(), keywords(cx)),
        ("collections".to_owned(), collections.into()),
        ("paths".to_owned(), paths.into()),
        ("vars".to_owned(), variables(cx)),
    ]);
    let what = format!("the task's plugin {}", cx.task.action);
    let (result, warnings) =
        host.value(&what, "task", request).map_err(|e| Failure::Error(crate::Error::new(e.to_string())))?;
    for warning in warnings {
        display::warning(&warning);
    }
    let Value::Dict(value) = Value::from(result) else {
        return Err(Failure::msg(format!("{what} gave no mapping")));
    };
    match value.remove("_pileus_error").map(|v| crate::playbook::keyword::items(&v)) {
        None => Ok(value),
        Some(messages) => {
            let told = messages.iter().rev().filter_map(|m| m.to_text().ok());
            let error = told.fold(None, |cause: Option<crate::Error>, message| {
                let e = crate::Error::new(message);
                Some(match cause {
                    Some(cause) => e.because(cause),
                    None => e,
                })
            });
            Err(Failure::Told(value, error.unwrap_or_else(|| crate::Error::new("Unknown error."))))
        }
    }
}

/// The keywords that the executor there must know.
fn keywords(cx: &Cx<'_>) -> Json {
    let f = cx.fields;
    let mut out = Map::new();
    let mut put = |k: &str, v: Json| {
        if !v.is_null() {
            out.insert(k.to_owned(), v);
        }
    };
    put("check_mode", f.check.into());
    put("diff", f.diff.into());
    put("no_log", f.no_log.into());
    put("async", f.async_s.into());
    put("poll", f.poll_s.into());
    put("become", f.r#become.into());
    for (name, value) in [
        ("become_method", &f.become_method),
        ("become_user", &f.become_user),
        ("become_exe", &f.become_exe),
        ("become_flags", &f.become_flags),
        ("connection", &f.connection),
        ("remote_user", &f.remote_user),
    ] {
        put(name, value.clone().map_or(Json::Null, Json::from));
    }
    put("port", f.port.map_or(Json::Null, Json::from));
    if !f.environment.is_empty() {
        put("environment", f.environment.iter().map(|(k, v)| (k.clone(), Json::from(v.as_str()))).collect());
    }
    Json::Object(out)
}

/// The variables, rendered; those of the host that the task is delegated to, where it is.
fn variables(cx: &Cx<'_>) -> Json {
    let other;
    let vars = match &cx.fields.delegate_to {
        Some(to) => {
            other = crate::vars::Vars::new(cx.world, Some(cx.run), Some(to), Some(cx.task));
            &other
        }
        None => &*cx.vars,
    };
    let mut out = Map::new();
    for name in vars.names() {
        // what can't be rendered is undefined there
        if !matches!(name.as_str(), "hostvars" | "vars" | "omit")
            && let Some(value) = vars.rendered(&name)
        {
            out.insert(name, value.to_json());
        }
    }
    for name in ["inventory_hostname", "inventory_hostname_short", "groups", "group_names", "playbook_dir"] {
        if let Some(value) = vars.rendered(name) {
            out.insert(name.to_owned(), value.to_json());
        }
    }
    Json::Object(out)
}
