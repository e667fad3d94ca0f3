//! Facts, and actions that choose a module by them: gather_facts, package, service.

use pileus_jinja::{Dict, Value};

use crate::playbook::keyword::items;

use super::{Cx, Failure, Outcome, remote};

/// `gather_facts`: the fact modules, joined.
pub fn gather(cx: &mut Cx<'_>) -> Outcome {
    let modules = crate::config::current().list("FACTS_MODULES");
    let asked: Vec<String> = match cx.vars.rendered("ansible_facts_modules") {
        Some(v) => items(&v).iter().filter_map(|v| v.to_text().ok()).collect(),
        None => modules,
    };
    let facts = Dict::new();
    let out = Dict::new();
    for name in asked {
        let name = if name == "smart" { "setup".to_owned() } else { name };
        cx.args.remove("parallel");
        let r = remote::module(cx, crate::playbook::names::short(&name))?;
        if crate::execute::result::flag(&r, "failed") {
            return Ok(r);
        }
        if let Some(Value::Dict(d)) = r.get("ansible_facts") {
            crate::vars::merge::into(&facts, &d, true);
        }
        for key in ["warnings", "deprecations"] {
            if let Some(v) = r.get(key) {
                out.insert(key, v);
            }
        }
    }
    out.insert("changed", false);
    out.insert("ansible_facts", Value::Dict(facts));
    out.insert("_ansible_verbose_override", true);
    Ok(out)
}

fn fact(cx: &Cx<'_>, name: &str) -> Option<String> {
    let host = cx.fields.delegate_to.as_ref().unwrap_or(cx.host);
    cx.world.host(host).stripped.get(name).and_then(|v| v.to_text().ok())
}

/// Gathers what decides, where it isn't known.
fn need(cx: &mut Cx<'_>, name: &str, subset: &str) -> Result<Option<String>, Failure> {
    if let Some(v) = fact(cx, name) {
        return Ok(Some(v));
    }
    let mut args = serde_json::Map::new();
    args.insert("filter".into(), format!("ansible_{name}").into());
    args.insert("gather_subset".into(), subset.into());
    let r = remote::native(cx, "setup", &args)?.unwrap_or_default();
    let v = r
        .get("ansible_facts")
        .and_then(|f| f.get(format!("ansible_{name}")))
        .and_then(|v| v.as_str().map(str::to_owned));
    Ok(v)
}

/// `package`: by the host's package manager.
pub fn package(cx: &mut Cx<'_>) -> Outcome {
    let mut module = cx.text("use").unwrap_or_else(|| "auto".into());
    if module == "auto" {
        module = need(cx, "pkg_mgr", "!all,!min,pkg_mgr")?.unwrap_or_else(|| "auto".into());
    }
    if module == "auto" || module == "unknown" {
        return Err(Failure::msg(
            "Could not detect which package manager to use. Try gathering facts or setting the \"use\" option.",
        ));
    }
    cx.args.remove("use");
    let module = crate::playbook::names::short(&module).to_owned();
    remote::module(cx, &module)
}

/// `service`: by the host's service manager.
pub fn service(cx: &mut Cx<'_>) -> Outcome {
    let mut module = cx.text("use").unwrap_or_else(|| "auto".into()).to_lowercase();
    if module == "auto" {
        module = need(cx, "service_mgr", "!all,!min,service_mgr")?.unwrap_or_else(|| "service".into());
    }
    cx.args.remove("use");
    let module = crate::playbook::names::short(&module).to_owned();
    if module == "systemd" {
        // what systemd's module has no use for
        for key in ["pattern", "runlevel", "sleep", "arguments", "args"] {
            cx.args.remove(key);
        }
        return remote::module(cx, "systemd");
    }
    remote::module(cx, if pileus_modules::exists(&module) { &module } else { "service" })
}
