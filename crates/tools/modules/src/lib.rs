//! The native modules of the automation engine (`ansible.builtin` and the most used of a few collections).
//!
//! A module is a plain function from checked parameters to a result. It runs inside the controller for
//! `connection: local` and inside the helper on a target, so this crate has no runtime, makes no NSS call
//! and brings few crates.
//!
//! ```text
//! Call ──► registry (name → module) ──► spec (aliases, types, choices, …) ──► module(&mut Cx) ──► result
//! ```
//!
//! [`run`] always gives a result: a failure is a result with `failed` and `msg`, as the reference's
//! `fail_json`. The documentation of ansible-core 2.19's modules is the specification.

mod cx;
mod facts;
mod files;
pub mod frame;
mod modules;
pub mod net;
mod py;
mod re;

mod registry;
mod result;
pub mod spec;
mod sys;

pub use cx::{FetchReply, FetchRequest};
pub use result::Map;
pub use spec::{Spec, spec};

use serde_json::Value;

use cx::Cx;
use result::Fail;

/// Where the discovery of a Python looks, in order (INTERPRETER_PYTHON_FALLBACK).
pub const PYTHONS: &[&str] = &[
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python3.8",
    "/usr/bin/python3",
    "python3",
];

/// Takes a long command's output as it appears.
pub type Stream<'a> = dyn FnMut(&[u8]) + 'a;

/// What a module calls to have the controller fetch a URL (TLS runs there).
pub type Fetch<'a> = dyn FnMut(&FetchRequest) -> Result<FetchReply, String> + 'a;

/// One call of a module.
pub struct Call<'a> {
    /// The module's name, short (`file`) or full (`ansible.builtin.file`, `ansible.posix.sysctl`).
    pub name: &'a str,
    /// Templated arguments; a free-form command is `_raw_params`.
    pub args: Map,
    /// Check mode: say what would change, change nothing.
    pub check: bool,
    /// Diff mode: results of modules that edit files carry `diff`.
    pub diff: bool,
    /// The task's environment, added to the process's own for every child.
    pub environment: Vec<(String, String)>,
    /// The directory children start in; the process's own when absent. Relative paths are the process's.
    pub cwd: Option<std::path::PathBuf>,
    /// Where modules make their temporary files (`_ansible_tmpdir`); `/tmp` when absent.
    pub tmpdir: Option<std::path::PathBuf>,
    /// Receives output of long commands as it appears (both streams).
    pub stream: Option<&'a mut Stream<'a>>,
    /// One exchange over https (no redirect is followed) for `get_url`, `uri`, `unarchive` …; http is done natively.
    pub fetch: Option<&'a mut Fetch<'a>>,
}

impl<'a> Call<'a> {
    /// A call with neither check mode, diff, environment nor hooks.
    pub fn new(name: &'a str, args: Map) -> Self {
        Call {
            name,
            args,
            check: false,
            diff: false,
            environment: Vec::new(),
            cwd: None,
            tmpdir: None,
            stream: None,
            fetch: None,
        }
    }
}

/// MD5 of bytes in hexadecimal, as results show it.
pub fn md5(bytes: &[u8]) -> String {
    sys::hash::digest("md5", bytes).ok().flatten().unwrap_or_default()
}

/// Whether a native module of that name exists.
pub fn exists(name: &str) -> bool {
    registry::find(name).is_some()
}

/// The short names of all native modules, sorted.
pub fn names() -> Vec<&'static str> {
    registry::names()
}

/// Whether the native module does all that these templated arguments ask for. Where it does not, the module in Python
/// is to be run instead; nothing was changed. Arguments that are wrong are covered: the module says what is wrong.
pub fn covers(name: &str, args: &Map) -> bool {
    let Some(entry) = registry::find(name) else { return false };
    let mut args = args.clone();
    args.retain(|key, _| !key.starts_with("_ansible_"));
    match spec::lookup(entry.spec) {
        Some(spec) => spec.check(args, &mut Vec::new()).map_or(true, |params| (entry.covers)(&params)),
        None => (entry.covers)(&args),
    }
}

/// Whether a result says that the native module cannot do this here and changed nothing: the module in Python is to be
/// run instead. What only the target knows (which program is there) is decided so; the arguments by [`covers`].
pub fn handed_over(result: &Map) -> bool {
    result.get(result::HAND_OVER).is_some()
}

/// Runs a module. Never panics on input; an unknown name is a failed result.
pub fn run(call: Call<'_>) -> Map {
    let Some(entry) = registry::find(call.name) else {
        return Fail::msg(format!("The module {} was not found in configured module paths", call.name))
            .into_map();
    };
    let name = call.name.to_string();
    let mut args = call.args.clone();
    args.retain(|key, _| !key.starts_with("_ansible_"));
    let spec = spec::lookup(entry.spec);
    let mut warnings = Vec::new();
    let checked = match spec {
        Some(spec) => spec.check(args, &mut warnings),
        None => Ok(args),
    };
    let mut cx = Cx::new(call);
    cx.warnings = warnings;
    let result = match checked {
        Ok(params) => {
            cx.params = params;
            if cx.check && !spec.is_none_or(|s| s.check_mode) {
                let mut map = Map::new();
                map.insert("skipped".into(), true.into());
                map.insert(
                    "msg".into(),
                    format!("remote module ({name}) does not support check mode").into(),
                );
                Ok(map)
            } else {
                (entry.run)(&mut cx)
            }
        }
        Err(error) => {
            cx.params = error.params;
            Err(Fail::msg(error.message.replace("{module}", &name)))
        }
    };
    finish(cx, spec, result)
}

/// What every result gets: facts of its path, `invocation`, warnings, hidden secrets.
fn finish(mut cx: Cx<'_>, spec: Option<&Spec>, result: Result<Map, Fail>) -> Map {
    let mut map = match result {
        Ok(map) => map,
        Err(fail) => fail.into_map(),
    };
    files::info::add_path_info(&mut map);
    if !cx.diff && !cx.keep_diff {
        map.remove("diff");
    }
    if !cx.warnings.is_empty() {
        let all = cx.warnings.drain(..).map(Value::from).collect();
        map.insert("warnings".into(), Value::Array(all));
    }
    if let Some(spec) = spec {
        if !map.contains_key("invocation") {
            let mut invocation = Map::new();
            invocation.insert("module_args".into(), Value::Object(cx.params.clone()));
            map.insert("invocation".into(), Value::Object(invocation));
        }
        spec.hide_secrets(&cx.params, &mut map);
    }
    map.entry("changed").or_insert(Value::Bool(false));
    map
}
