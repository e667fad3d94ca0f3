//! Tasks that the installed ansible-core runs: an action in Python, or a connection or way to become another user that
//! is a plugin in Python.

use pileus_jinja::{Dict, Value};
use pileus_modules::Map;
use serde_json::{Value as Json, json};

use super::{Cx, Failure, Outcome, remote};
use crate::connection::Settings;
use crate::playbook::{K, keyword};
use crate::python::places::{self, Kind};
use crate::python::{host, values};
use crate::{Error, display};

/// Actions that need no connection.
const HERE: [&str; 12] = [
    "add_host",
    "assert",
    "debug",
    "fail",
    "group_by",
    "include_vars",
    "pause",
    "set_fact",
    "set_stats",
    "validate_argument_spec",
    "wait_for_connection",
    "async_status",
];
/// Connections that are the engine's own.
const CONNECTIONS: [&str; 8] =
    ["local", "ssh", "paramiko", "paramiko_ssh", "smart", "docker", "winrm", "psrp"];
/// Ways to become another user that are the engine's own.
const METHODS: [&str; 3] = ["sudo", "su", "doas"];

/// Whether the task's action, connection or way to become another user is a plugin in Python.
fn wanted(cx: &Cx<'_>) -> bool {
    if action(cx) {
        return true;
    }
    if HERE.contains(&&*cx.task.action) {
        return false;
    }
    let plugin = remote::plugin_of(cx);
    let python = |kind: Kind, name: &str, own: &[&str]| {
        let short = name.rsplit('.').next().unwrap_or(name);
        let foreign = name.split('.').count() > 2 && !name.starts_with("ansible.") && !own.contains(&short);
        foreign || (!name.contains('.') && places::file(kind, name).is_some())
    };
    if python(Kind::Connection, &plugin, &CONNECTIONS) {
        return true;
    }
    let method = cx.vars.var("ansible_become_method").or_else(|| cx.fields.become_method.clone());
    let becomes = cx.fields.r#become || cx.vars.var("ansible_become").is_some();
    becomes && method.is_some_and(|m| python(Kind::Become, &m, &METHODS))
}

/// Whether the action is a plugin in Python.
fn action(cx: &Cx<'_>) -> bool {
    let name = &*cx.task.action;
    let parts: Vec<&str> = name.splitn(3, '.').collect();
    if let [ns, collection, rest] = parts.as_slice() {
        let collection = format!("{ns}.{collection}");
        let Some(dir) = cx.world.files.collection(&collection) else { return false };
        let there = |n: &str| std::path::Path::new(&format!("{dir}/plugins/action/{n}.py")).is_file();
        return there(&rest.replace('.', "/"))
            || there(rest.split('_').next().unwrap_or(rest))
            || cx.world.files.redirects(&collection).contains_key(&format!("action_plugin/{rest}"));
    }
    !cx.task.written.starts_with("ansible.builtin.") && places::file(Kind::Action, name).is_some()
}

/// Runs the task by ansible-core, if it must.
pub fn run(cx: &mut Cx<'_>) -> Option<Outcome> {
    wanted(cx).then(|| task(cx))
}

fn task(cx: &mut Cx<'_>) -> Outcome {
    let request = request(cx);
    let what = format!("the task's action '{}'", cx.task.written);
    let mut answer =
        host().ask(&what, "task", request, &[]).map_err(|e| Failure::Error(Error::new(e.to_string())))?;
    for text in answer.head.get("warnings").and_then(Json::as_array).into_iter().flatten() {
        display::warning(text.as_str().unwrap_or_default());
    }
    let Some(Json::Object(mut value)) = answer.head.remove("value") else { return Ok(Dict::new()) };
    values::strip(&mut value);
    let Value::Dict(result) = values::decode(&Json::Object(value)) else { return Ok(Dict::new()) };
    let raised = result.remove("_pileus_raised").is_some();
    let message = || result.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default();
    if crate::execute::result::flag(&result, "unreachable") {
        return Err(Failure::Unreachable(message()));
    }
    if raised && result.keys().len() <= 3 {
        return Err(Failure::Error(Error::new(message())));
    }
    Ok(result)
}

fn request(cx: &Cx<'_>) -> Map {
    let f = cx.fields;
    let mut vars = values::variables(&*cx.vars, &cx.vars.names());
    if !vars.contains_key("ansible_connection") && remote::plugin_of(cx) == "local" {
        vars.insert("ansible_connection".into(), "local".into());
        let python = Json::from(cx.world.python());
        vars.entry("ansible_python_interpreter").or_insert(python);
    }
    let own = cx.task.frame.role.as_ref().and_then(|r| r.collection.as_deref()).map(str::to_owned);
    let listed = cx.task.frame.keywords.get(K::Collections).map(keyword::items).unwrap_or_default();
    let collections: Vec<String> =
        own.into_iter().chain(listed.iter().filter_map(|v| v.as_str().map(str::to_owned))).collect();
    let environment: Map = f.environment.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    let mut fields = json!({
        "check_mode": f.check, "diff": f.diff, "no_log": f.no_log, "environment": [environment],
        "async": f.async_s, "poll": f.poll_s, "collections": collections, "become": f.r#become,
    });
    let method = f.become_method.clone().or_else(|| {
        let default = crate::config::current().text("DEFAULT_BECOME_METHOD").unwrap_or("sudo");
        f.r#become.then(|| default.to_owned())
    });
    if let Some(map) = fields.as_object_mut() {
        let texts = [
            ("delegate_to", f.delegate_to.as_deref()),
            ("become_method", method.as_deref()),
            ("become_user", f.become_user.as_deref()),
            ("become_exe", f.become_exe.as_deref()),
            ("become_flags", f.become_flags.as_deref()),
            ("connection", f.connection.as_deref()),
            ("remote_user", f.remote_user.as_deref()),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                map.insert(name.into(), value.into());
            }
        }
        if let Some(port) = f.port {
            map.insert("port".into(), port.into());
        }
    }
    let delegated = f.delegate_to.as_ref().map(|to| {
        // the delegated host's own, the task's among them, that host standing in for the task's
        let mut vars = crate::vars::Vars::new(cx.world, Some(cx.run), Some(to), Some(cx.task));
        vars.set("inventory_hostname", Value::str(&**cx.host));
        let mut out = values::variables(&vars, &vars.names());
        // what only the engine can render (hostvars); the rest is told of there
        for (name, value) in &mut out {
            if name.starts_with("ansible_")
                && value.is_object()
                && let Some(rendered) = vars.rendered(name)
            {
                *value = values::encode(&rendered);
            }
        }
        out
    });
    let written = &*cx.task.written;
    let action = if pileus_jinja::value::looks_like_template(written) { &*cx.task.action } else { written };
    let passwords = &cx.world.options.passwords;
    let request = json!({
        "action": action, "host": &**cx.host, "args": remote::json(&cx.args), "fields": fields, "vars": vars,
        "delegated": delegated,
        "role": cx.task.frame.role.as_ref().map(|r| json!({ "name": &*r.name, "path": &*r.path, "collection": r.collection.as_deref() })),
        "basedir": cx.world.files.base(),
        "passwords": { "conn_pass": passwords.get("ansible_password"), "become_pass": passwords.get("ansible_become_password") },
        "cli": { "check": f.check, "diff": f.diff },
    });
    match request {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}
