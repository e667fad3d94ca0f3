//! Running modules where the host is: which connection, as whom, native or Python.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pileus_jinja::{Dict, Scope, Value};
use serde_json::{Map, Value as Json};

use crate::connection::{self, Become, Connection, ModuleCall, Options, Pool};
use crate::execute::{Run, World};
use crate::inventory::Name;
use crate::playbook::{K, Task};
use crate::vars::Vars;
use crate::{Error, config};

use super::{Cx, Failure, Outcome};

/// The connections of a run.
#[derive(Default)]
pub struct Connections(OnceLock<Pool>, super::python::Python);

impl Connections {
    fn pool(&self) -> &Pool {
        self.0.get_or_init(|| Pool::new(Some(Arc::new(connection::fetch::exchange))))
    }
    /// Forgets the connection of a host (`meta: reset_connection`).
    pub fn reset(&self, world: &Arc<World>, run: &Arc<Run>, host: &Name, task: &Arc<Task>) {
        let vars = Vars::new(world, Some(run), Some(host), Some(task));
        let plugin = plugin(world, &vars, host, None);
        if plugin != "local" {
            self.pool().reset(&Options::resolve(&plugin, host, None, None, &vars));
        }
    }
    /// Ends all of them.
    pub fn close(&self) {
        if let Some(p) = self.0.get() {
            p.close();
        }
    }
}

impl connection::Settings for Vars {
    fn var(&self, name: &str) -> Option<String> {
        let v = match self.get(name) {
            Some(v) => v,
            None => return self.world.options.passwords.get(name).cloned(),
        };
        let v = match &v {
            Value::Str(s) if !s.is_template() => return Some(s.to_string()),
            other => self.world.resolve(other, self).ok()?,
        };
        match &v {
            Value::None | Value::Undefined(_) => None,
            other => other.to_text().ok(),
        }
    }
    fn setting(&self, environment: &[&str], ini: &[(&str, &str)]) -> Option<String> {
        if let Some(v) = environment.iter().find_map(|e| std::env::var(e).ok()) {
            return Some(v);
        }
        let file = config::current().ini();
        ini.iter().find_map(|(s, k)| file.get(s, k).map(str::to_owned))
    }
}

/// The connection plugin for a host.
fn plugin(world: &World, vars: &Vars, host: &str, keyword: Option<&str>) -> String {
    use connection::Settings;
    if let Some(v) = vars.var("ansible_connection").filter(|v| !v.is_empty()) {
        return v.rsplit('.').next().unwrap_or(&v).to_owned();
    }
    let implicit = matches!(host, "localhost" | "127.0.0.1" | "::1")
        && !world.inventory.hosts().iter().any(|h| &**h == host);
    if implicit {
        return "local".into();
    }
    let v = keyword.map_or_else(
        || config::current().text("DEFAULT_TRANSPORT").unwrap_or("ssh").to_owned(),
        str::to_owned,
    );
    v.rsplit('.').next().unwrap_or(&v).to_owned()
}

/// The connection plugin for a task's host, or the host it is delegated to.
pub fn plugin_of(cx: &Cx<'_>) -> String {
    let keyword = cx.fields.connection.as_deref();
    let other;
    let (vars, host): (&Vars, &str) = match &cx.fields.delegate_to {
        Some(to) => {
            other = Vars::new(cx.world, Some(cx.run), Some(to), None);
            (&other, to)
        }
        None => (&*cx.vars, cx.host),
    };
    use connection::Settings;
    match vars.var("ansible_connection").filter(|v| !v.is_empty()) {
        Some(written) => written,
        None => plugin(cx.world, vars, host, keyword),
    }
}

/// The connection of a task, and whom it becomes there.
///
/// # Errors
/// Where the host cannot be reached.
pub fn connect(cx: &Cx<'_>) -> Result<(Arc<Connection>, Option<Become>), Failure> {
    let f = cx.fields;
    let delegated = f.delegate_to.as_ref();
    let other;
    let (vars, host): (&Vars, &str) = match delegated {
        Some(to) => {
            let mut v = Vars::new(cx.world, Some(cx.run), Some(to), None);
            // a task's own variables hold for the delegated host too
            for (k, value) in cx.task.vars.iter().flat_map(Dict::items) {
                if let Some(k) = k.as_str().filter(|k| k.starts_with("ansible_")) {
                    v.set(k, value);
                }
            }
            other = v;
            (&other, to)
        }
        None => (&*cx.vars, cx.host),
    };
    let plugin = plugin(cx.world, vars, host, f.connection.as_deref());
    let options = if plugin == "local" {
        use connection::Settings;
        let executable = vars
            .var("ansible_shell_executable")
            .or_else(|| config::current().text("DEFAULT_EXECUTABLE").map(str::to_owned));
        Options {
            plugin,
            host: host.to_owned(),
            executable: executable.unwrap_or_else(|| "/bin/sh".into()),
            timeout_s: vars
                .var("ansible_local_become_success_timeout")
                .and_then(|s| s.parse().ok())
                .filter(|s| *s > 0)
                .unwrap_or(10),
            helper: true,
            ..Options::default()
        }
    } else {
        Options::resolve(&plugin, host, f.remote_user.as_deref(), f.port, vars)
    };
    let wants = {
        use connection::Settings;
        match vars.var("ansible_become") {
            Some(v) => crate::truth::holds(&v),
            None => f.r#become,
        }
    };
    let become_ = wants.then(|| {
        use connection::Settings;
        let method = vars
            .var("ansible_become_method")
            .or_else(|| f.become_method.clone())
            .or_else(|| config::current().text("DEFAULT_BECOME_METHOD").map(str::to_owned));
        Become::resolve(
            method.as_deref().unwrap_or("sudo"),
            f.become_user.as_deref(),
            f.become_exe.as_deref(),
            f.become_flags.as_deref(),
            vars,
        )
    });
    let c = cx.world.connections.pool().get(&options).map_err(lost)?;
    Ok((c, become_))
}

/// A connection's failure.
pub fn lost(e: connection::Error) -> Failure {
    if e.is_unreachable() {
        return Failure::Unreachable(e.to_string());
    }
    Failure::Error(Error::new(e.to_string()))
}

/// Arguments as JSON, and those the engine adds.
pub fn json(args: &Dict) -> Map<String, Json> {
    match Value::Dict(args.clone()).to_json() {
        Json::Object(m) => m,
        _ => Map::new(),
    }
}

/// Runs a native module with these arguments; `None` where there is none of that name, or the one there is does not cover
/// the arguments or what it found on the host: then the module in Python is to be run, and nothing was changed.
///
/// # Errors
/// Where the host cannot be reached.
pub fn native(
    cx: &Cx<'_>,
    name: &str,
    args: &Map<String, Json>,
) -> Result<Option<Map<String, Json>>, Failure> {
    if !pileus_modules::covers(name, args) {
        return Ok(None);
    }
    let (c, as_user) = connect(cx)?;
    let mut call = call(cx, name, args);
    if name == "setup" {
        // the facts tell of the interpreter that modules in Python would get
        let python = super::python::wanted(&*cx.vars).unwrap_or_else(|| "auto".into());
        call.args.insert("_ansible_python_interpreter".into(), python.into());
    }
    if cx.fields.async_s > 0 && !matches!(name, "async_status" | "stat" | "file" | "copy") {
        let result = super::background::start(cx, &c, &call, as_user.as_ref())?;
        return Ok(result.filter(|r| !pileus_modules::handed_over(r)));
    }
    let result = c.module(&call, as_user.as_ref(), None).map_err(lost)?;
    Ok(result.filter(|r| !pileus_modules::handed_over(r)))
}

/// Runs a module of [`crate::openstack`] in this process, where the task is for this host and this user. `None`: it is
/// for another, or not covered, and Python's to do.
fn on_controller(cx: &Cx<'_>, name: &str, args: &Map<String, Json>) -> Result<Option<Dict>, Failure> {
    let (connection, as_user) = connect(cx)?;
    if connection.transport() != "local" || as_user.is_some() || cx.fields.async_s > 0 {
        return Ok(None);
    }
    let result = crate::openstack::run(name, args, cx.fields.check, &cx.fields.environment);
    Ok(result.and_then(|map| match Value::from(Json::Object(map)) {
        Value::Dict(dict) => Some(dict),
        _ => None,
    }))
}

/// A path on a target for a file that is sent there and removed again; nobody can guess it.
pub fn temporary(base: &str) -> String {
    format!("/tmp/.ansible-{:016x}-{base}", rand::random::<u64>())
}

/// A call of a native module with the task's modes and environment.
pub fn call(cx: &Cx<'_>, name: &str, args: &Map<String, Json>) -> ModuleCall {
    ModuleCall {
        name: name.to_owned(),
        args: args.clone(),
        check: cx.fields.check,
        diff: cx.fields.diff,
        environment: cx.fields.environment.clone(),
        cwd: None,
        tmpdir: None,
    }
}

/// Runs the module `name` with the task's arguments.
///
/// # Errors
/// Where it isn't there, or the host cannot be reached.
pub fn module(cx: &mut Cx<'_>, name: &str) -> Outcome {
    let args = json(&cx.args);
    execute(cx, name, &args)
}

/// Runs the module `name` with these arguments; its result.
///
/// # Errors
/// As [`module`].
pub fn execute(cx: &mut Cx<'_>, name: &str, args: &Map<String, Json>) -> Outcome {
    let text = |key: &str| args.get(key).and_then(Json::as_str);
    if crate::playbook::names::short(name) == "user"
        && text("state") == Some("absent")
        && let Some(user) = text("name").or_else(|| text("user"))
    {
        connect(cx)?.0.leave(user);
    }
    // a module in Python of that name, beside the playbook or role, comes before ours; a collection's does not
    let own = cx.world.files.module_file(name, Some(&cx.task.frame));
    let of_collection = name.matches('.').count() > 1 && !name.starts_with("ansible.legacy.");
    if of_collection
        && crate::openstack::exists(name)
        && let Some(result) = on_controller(cx, name, args)?
    {
        return Ok(result);
    }
    if (own.is_none() || of_collection)
        && let Some(result) = native(cx, name, args)?
    {
        let d = match Value::from(Json::Object(result)) {
            Value::Dict(d) => d,
            _ => Dict::new(),
        };
        return Ok(d);
    }
    let world = cx.world.clone();
    super::python::run(cx, &world.connections.1, name, own, args)
}

/// `wait_for_connection`: until the host answers.
pub fn wait_for_connection(cx: &mut Cx<'_>) -> Outcome {
    let number = |name: &str, default: f64| {
        cx.args.get(name).and_then(|v| v.as_float().or_else(|| v.as_str()?.parse().ok())).unwrap_or(default)
    };
    let (timeout, delay, sleep) = (number("timeout", 600.0), number("delay", 0.0), number("sleep", 1.0));
    let clock = std::time::Instant::now();
    if delay > 0.0 {
        crate::delay::asked(Duration::from_secs_f64(delay));
    }
    loop {
        let e = match native(cx, "ping", &Map::new()) {
            Ok(_) => {
                let d = Dict::new();
                d.insert("changed", false);
                d.insert("elapsed", clock.elapsed().as_secs() as i64);
                return Ok(d);
            }
            Err(e) => e,
        };
        if clock.elapsed().as_secs_f64() >= timeout {
            let why = match e {
                Failure::Unreachable(m) => m,
                Failure::Error(e) => e.brief(),
                Failure::Result(d) | Failure::Raised(d) => {
                    d.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default()
                }
            };
            return Err(Failure::msg(format!("timed out waiting for ping module test: {why}")));
        }
        crate::delay::asked(Duration::from_secs_f64(sleep.max(0.01)));
    }
}

/// A keyword as text.
pub fn keyword_text(task: &Task, k: K) -> Option<String> {
    task.keyword(k).and_then(|v| v.as_str().map(str::to_owned))
}
