//! The process: what is run, as whom, with what environment and limits.

use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use pileus_base::{Error, Result};
use serde_json::{Value, json};

use super::{SpecInput, capabilities, security, user, values::Fields as _};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn process(
    input: &SpecInput<'_>,
    capabilities: &[String],
    options: &security::Options,
) -> Result<Value> {
    let (config, host) = (input.config, input.host_config);
    let mut args = config.strings("Entrypoint");
    args.extend(config.strings("Cmd"));
    args = if config.strings("Entrypoint") == [""] { config.strings("Cmd") } else { args };
    if args.is_empty() {
        return Err(Error::bad_request("No command specified"));
    }
    let mut identity = user::resolve(config.text("User"), input.passwd, input.group)?;
    for name in host.list("GroupAdd") {
        let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        let gid = user::group(&name, input.group)?;
        if !identity.additional.contains(&gid) {
            identity.additional.push(gid);
        }
    }
    let terminal = config.flag("Tty");
    let mut env = vec![PATH.to_owned(), format!("HOSTNAME={}", hostname(input))];
    if terminal {
        env.push("TERM=xterm".to_owned());
    }
    extend_env(&mut env, &config.strings("Env"));
    home(&mut env, &identity);
    let mut process = json!({
        "terminal": terminal,
        "user": identity.json(),
        "args": args,
        "env": env,
        "cwd": directory(Path::new("/"), config.text("WorkingDir")),
        "capabilities": sets(capabilities, identity.uid),
        "noNewPrivileges": options.no_new_privileges,
        "oomScoreAdj": host.number("OomScoreAdj"),
    });
    let size: Vec<u64> = host.list("ConsoleSize").iter().filter_map(Value::as_u64).collect();
    if let ([height, width], true) = (&size[..], terminal)
        && *height > 0
    {
        process["consoleSize"] = json!({ "height": height, "width": width });
    }
    let limits: Vec<_> = host
        .list("Ulimits")
        .iter()
        .map(|u| {
            let name = format!("RLIMIT_{}", u.text("Name").to_uppercase());
            // -1 is without limit, which is the largest number there is.
            json!({ "type": name, "soft": u.number("Soft") as u64, "hard": u.number("Hard") as u64 })
        })
        .collect();
    if !limits.is_empty() {
        process["rlimits"] = limits.into();
    }
    Ok(process)
}

/// The process of an exec in a container: the API's `ExecCreate` body on top of the container's own.
///
/// # Errors
/// 400 where the user isn't to be found, or nothing is to be run.
pub fn exec_process(container: &Spec, exec_config: &Value, passwd: &[u8], group: &[u8]) -> Result<Process> {
    let own = container.process().as_ref().ok_or_else(|| Error::internal("a container without a process"))?;
    let mut process = serde_json::to_value(own).map_err(|e| Error::wrap("failed to read a process", e))?;
    let args = exec_config.strings("Cmd");
    if args.is_empty() {
        return Err(Error::bad_request("No exec command specified"));
    }
    process["args"] = args.into();
    let terminal = exec_config.flag("Tty");
    process["terminal"] = terminal.into();
    if let Some(object) = process.as_object_mut() {
        object.remove("consoleSize");
    }
    let size: Vec<u64> = exec_config.list("ConsoleSize").iter().filter_map(Value::as_u64).collect();
    if let ([height, width], true) = (&size[..], terminal) {
        process["consoleSize"] = json!({ "height": height, "width": width });
    }
    let mut env = own.env().clone().unwrap_or_default();
    if terminal && !env.iter().any(|e| e.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    let mut uid = own.user().uid();
    let mut identity = None;
    if !exec_config.text("User").is_empty() {
        let found = user::resolve(exec_config.text("User"), passwd, group)?;
        uid = found.uid;
        process["user"] = found.json();
        env.retain(|e| !e.starts_with("HOME="));
        identity = Some(found);
    }
    extend_env(&mut env, &exec_config.strings("Env"));
    if let Some(identity) = identity {
        home(&mut env, &identity);
    }
    process["env"] = env.into();
    if !exec_config.text("WorkingDir").is_empty() {
        process["cwd"] = json!(directory(Path::new("/"), exec_config.text("WorkingDir")));
    }
    let names: Vec<String> = if exec_config.flag("Privileged") {
        capabilities::known().iter().map(|n| (*n).to_owned()).collect()
    } else {
        let bounding = own.capabilities().as_ref().and_then(|c| c.bounding().clone()).unwrap_or_default();
        bounding.iter().map(|c| format!("CAP_{c}")).collect()
    };
    process["capabilities"] = sets(&names, uid);
    super::typed(process)
}

/// Root has them all at once; another user has them within bounds only.
fn sets(names: &[String], uid: u32) -> Value {
    let active: &[String] = if uid == 0 { names } else { &[] };
    json!({ "bounding": names, "permitted": active, "effective": active, "inheritable": [], "ambient": [] })
}

/// The host name: as configured, or from the id.
pub(super) fn hostname(input: &SpecInput<'_>) -> String {
    match input.config.text("Hostname") {
        "" => input.id.get(..12).unwrap_or(input.id).to_owned(),
        name => name.to_owned(),
    }
}

/// Sets variables; one without `=` is taken away.
fn extend_env(env: &mut Vec<String>, with: &[String]) {
    for entry in with {
        let name = entry.split('=').next().unwrap_or_default();
        let at = env.iter().position(|e| e.split('=').next() == Some(name));
        match (at, entry.contains('=')) {
            (Some(at), true) => env[at].clone_from(entry),
            (None, true) => env.push(entry.clone()),
            (Some(at), false) => drop(env.remove(at)),
            (None, false) => {}
        }
    }
}

fn home(env: &mut Vec<String>, identity: &user::Identity) {
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push(format!("HOME={}", identity.home));
    }
}

/// A path made absolute and plain, without looking at any file.
fn directory(base: &Path, path: &str) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in base.join(path).components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::Normal(name) => out.push(name),
            _ => {}
        }
    }
    out
}
