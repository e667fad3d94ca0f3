//! Modules of `openstack.cloud` that run on the controller: they speak HTTP to Keystone and to the services of its
//! catalog, so they have no place in the helper on a target.
//!
//! ```text
//! action/remote ──► run: local connection? spec ──► clouds (which cloud) ──► session (token, catalog) ──► a module
//! ```
//!
//! Whatever is not covered (https, another way to log in, boot from volume, floating addresses …) runs with Python and
//! openstacksdk, as a task for another host does. openstack.cloud 2.4's documentation and openstacksdk 4's attribute
//! names are the specification.

mod clouds;
mod fields;
mod keypair;
mod network;
mod server;
mod session;
mod subnet;

use std::collections::HashMap;
use std::sync::OnceLock;

use pileus_modules::Spec;
use serde_json::{Map, Value};

use session::Session;

static SPECS: &str = include_str!("specs.txt");

/// One call.
struct Call {
    params: Map<String, Value>,
    check: bool,
    session: Session,
}

/// Why a call has no result of its own.
enum Stop {
    /// It failed.
    Failed(String),
    /// It is Python's to do; nothing was changed.
    HandOver,
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Stop::Failed(message)
    }
}

type Reply = Result<Map<String, Value>, Stop>;

/// A module: what it covers of its parameters, and what it does.
struct Module {
    name: &'static str,
    covers: fn(&Map<String, Value>) -> bool,
    run: fn(&Call) -> Reply,
}

static MODULES: &[Module] = &[
    Module { name: "openstack.cloud.keypair", covers: keypair::covers, run: keypair::run },
    Module { name: "openstack.cloud.keypair_info", covers: |_| true, run: keypair::info },
    Module { name: "openstack.cloud.network", covers: network::covers, run: network::run },
    Module { name: "openstack.cloud.networks_info", covers: |_| true, run: network::info },
    Module { name: "openstack.cloud.server", covers: server::covers, run: server::run },
    Module { name: "openstack.cloud.server_info", covers: |_| true, run: server::info },
    Module { name: "openstack.cloud.subnet", covers: subnet::covers, run: subnet::run },
    Module { name: "openstack.cloud.subnets_info", covers: |_| true, run: subnet::info },
];

fn find(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|m| m.name == name)
}

/// Whether a module of that full name is native here.
pub fn exists(name: &str) -> bool {
    find(name).is_some()
}

fn spec(name: &str) -> Option<&'static Spec> {
    static TABLE: OnceLock<HashMap<&str, Spec>> = OnceLock::new();
    TABLE.get_or_init(|| pileus_modules::spec::table(SPECS).collect()).get(name)
}

/// Runs a module with the task's environment. `None`: there is none of that name, or it does not cover the call; then
/// nothing was changed.
pub fn run(
    name: &str,
    args: &Map<String, Value>,
    check: bool,
    environment: &[(String, String)],
) -> Option<Map<String, Value>> {
    let (module, spec) = (find(name)?, spec(name)?);
    let mut args = args.clone();
    args.retain(|key, _| !key.starts_with("_ansible_"));
    let mut warnings = Vec::new();
    let (params, reply) = match spec.check(args, &mut warnings) {
        Err(e) => (e.params, Err(e.message.replace("{module}", name))),
        Ok(params) => {
            if !(module.covers)(&params) {
                return None;
            }
            if check && !spec.check_mode {
                let mut map = Map::new();
                map.insert("skipped".into(), true.into());
                map.insert(
                    "msg".into(),
                    format!("remote module ({name}) does not support check mode").into(),
                );
                map.insert("changed".into(), false.into());
                return Some(map);
            }
            let session = match clouds::find(&params, environment).and_then(Session::open) {
                Ok(session) => session,
                Err(Stop::HandOver) => return None,
                Err(Stop::Failed(message)) => return Some(failed(message, params)),
            };
            let call = Call { params, check, session };
            match (module.run)(&call) {
                Err(Stop::HandOver) => return None,
                Err(Stop::Failed(message)) => (call.params, Err(message)),
                Ok(map) => (call.params, Ok(map)),
            }
        }
    };
    let mut map = match reply {
        Err(message) => return Some(failed(message, params)),
        Ok(map) => map,
    };
    map.insert("invocation".into(), invocation(params));
    if !warnings.is_empty() {
        map.insert("warnings".into(), warnings.into());
    }
    Some(map)
}

fn failed(message: String, params: Map<String, Value>) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("changed".into(), false.into());
    map.insert("failed".into(), true.into());
    map.insert("msg".into(), message.into());
    map.insert("invocation".into(), invocation(params));
    map
}

/// The parameters as results show them: credentials are hidden.
fn invocation(mut params: Map<String, Value>) -> Value {
    const HIDDEN: &str = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER";
    for name in ["auth", "client_key"] {
        if params.get(name).is_some_and(|v| !v.is_null()) {
            params.insert(name.into(), HIDDEN.into());
        }
    }
    if params.get("cloud").is_some_and(Value::is_object) {
        params.insert("cloud".into(), HIDDEN.into());
    }
    let mut out = Map::new();
    out.insert("module_args".into(), Value::Object(params));
    Value::Object(out)
}

impl Call {
    fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name)?.as_str().filter(|s| !s.is_empty())
    }
    fn flag(&self, name: &str) -> Option<bool> {
        self.params.get(name)?.as_bool()
    }
    fn raw(&self, name: &str) -> &Value {
        self.params.get(name).unwrap_or(&Value::Null)
    }
    fn absent(&self) -> bool {
        self.text("state") == Some("absent")
    }
}

/// Whether none of these parameters is given.
fn none_of(params: &Map<String, Value>, names: &[&str]) -> bool {
    names.iter().all(|name| match params.get(*name) {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(items)) => items.is_empty(),
        Some(_) => false,
    })
}

/// A result that says whether something changed.
fn changed(changed: bool) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("changed".into(), changed.into());
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_module_has_a_spec() {
        for module in MODULES {
            let spec = spec(module.name).expect(module.name);
            assert!(spec.params.iter().any(|p| p.name == "cloud"), "{}", module.name);
        }
        assert!(!exists("openstack.cloud.router") && !exists("server"));
    }

    #[test]
    fn what_is_not_covered_is_handed_over() {
        let args =
            json!({"name": "s", "boot_from_volume": true, "volume_size": 1, "image": "i", "flavor": "f"});
        let args = args.as_object().expect("an object");
        assert_eq!(run("openstack.cloud.server", args, false, &[]), None);
        let wrong = json!({"nam": "s"});
        let told = run("openstack.cloud.server", wrong.as_object().expect("an object"), false, &[]);
        assert_eq!(told.expect("a failure")["msg"], "missing required arguments: name");
    }

    #[test]
    fn credentials_are_not_shown() {
        let params = json!({"auth": {"password": "x"}, "cloud": {"auth": {}}, "name": "n"});
        let shown = invocation(params.as_object().expect("an object").clone()).to_string();
        assert!(!shown.contains("password") && shown.contains("\"n\""));
    }
}
