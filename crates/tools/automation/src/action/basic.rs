//! Small actions: debug, set_fact, assert, fail, add_host, group_by.

use pileus_jinja::{Dict, Str, Value};

use crate::playbook::keyword::items;
use crate::playbook::names;
use crate::{Error, display};

use super::{Cx, Failure, Outcome};

/// `debug`.
pub fn debug(cx: &mut Cx<'_>) -> Outcome {
    let d = Dict::new();
    if cx.args.contains("msg") && cx.args.contains("var") {
        return Err(Failure::msg("'msg' and 'var' are incompatible options"));
    }
    if let Some(v) = cx.args.get("verbosity") {
        let level = v.as_int().or_else(|| v.as_str().and_then(|s| s.trim().parse().ok()));
        let level = level.ok_or_else(|| {
            Failure::msg(format!(
                "argument 'verbosity' is of type {} and we were unable to convert to int: \"{}\" cannot be converted to an int",
                v.type_name(),
                v.repr()
            ))
        })?;
        if i64::from(display::verbosity()) < level {
            d.insert("skipped_reason", "Verbosity threshold not met.");
            d.insert("skipped", true);
            return Ok(d);
        }
    }
    if let Some(var) = cx.args.get("var") {
        // a name, an expression, or a template that gives either
        let var = cx.world.resolve(&var, cx.vars)?;
        match &var {
            Value::Str(name) => {
                let text = name.as_str().trim();
                let shown = if text.is_empty() { String::new() } else { text.to_owned() };
                let value = match cx.world.engine().expression(&Str::trusted(text), cx.vars) {
                    Ok(v) => match &v {
                        Value::Undefined(u) => {
                            let e = Error::from(u.to_error());
                            warn_template(&e, &var);
                            Value::from(format!("<< error 1 - {} >>", e.brief()))
                        }
                        _ => match cx.world.resolve(&v, cx.vars) {
                            Ok(v) => v,
                            Err(e) => broken(e.into(), &var),
                        },
                    },
                    Err(e) if e.is_undefined() => broken(e.into(), &var),
                    Err(e) => return Err(Error::from(e).into()),
                };
                d.insert(shown, value);
            }
            other => {
                d.insert(
                    if matches!(other, Value::List(_)) { "<class 'list'>" } else { "<class 'dict'>" },
                    other.clone(),
                );
            }
        }
    } else if let Some(msg) = cx.args.get("msg") {
        d.insert("msg", msg);
    } else {
        d.insert("msg", "Hello world!");
    }
    for k in cx.args.keys() {
        let k = k.to_text().unwrap_or_default();
        if !matches!(k.as_str(), "msg" | "var" | "verbosity") {
            return Err(Failure::msg(format!("Invalid options for debug: {k}")));
        }
    }
    d.insert("_ansible_verbose_always", true);
    d.insert("changed", false);
    Ok(d)
}

fn warn_template(e: &Error, _v: &Value) {
    let text = e.details();
    display::warning(&format!("Encountered 1 template error.\nerror 1 - {text}"));
}

fn broken(e: Error, v: &Value) -> Value {
    warn_template(&e, v);
    Value::from(format!("<< error 1 - {} >>", e.brief()))
}

/// `set_fact`.
pub fn set_fact(cx: &mut Cx<'_>) -> Outcome {
    let cacheable = cx.flag("cacheable", false)?;
    cx.args.remove("cacheable");
    let facts = Dict::new();
    for (k, v) in cx.args.items() {
        let written = match k.as_str() {
            // a name that the playbook writes may be a template
            Some(s) if pileus_jinja::value::looks_like_template(s) && cx.task.args.contains(s) => {
                cx.world.resolve(&Value::Str(Str::trusted(s)), &*cx.vars)?
            }
            _ => k.clone(),
        };
        let name = written.to_text().map_err(Error::from)?;
        if name == "_raw_params" {
            return Err(Failure::msg(
                "No key/value pairs provided, at least one is required for this action to succeed",
            ));
        }
        names::variable(&written)?;
        // key=value text that is a truth value is one
        let v = match &v {
            Value::Str(s) if crate::config::current().bool("DEFAULT_JINJA2_NATIVE") => Value::Str(s.clone()),
            Value::Str(s)
                if matches!(s.to_lowercase().as_str(), "true" | "false" | "yes" | "no")
                    && written_as_text(cx, &name) =>
            {
                Value::Bool(matches!(s.to_lowercase().as_str(), "true" | "yes"))
            }
            _ => v,
        };
        let name = match written {
            Value::Str(s) => s.untrust(),
            _ => Str::new(name),
        };
        facts.insert(name, v);
    }
    if facts.is_empty() {
        return Err(Failure::msg(
            "No key/value pairs provided, at least one is required for this action to succeed",
        ));
    }
    let d = Dict::new();
    d.insert("changed", false);
    d.insert("ansible_facts", Value::Dict(facts));
    d.insert("_ansible_facts_cacheable", cacheable);
    Ok(d)
}

fn written_as_text(_cx: &Cx<'_>, _name: &str) -> bool {
    false
}

/// `fail`.
pub fn fail(cx: &mut Cx<'_>) -> Outcome {
    cx.only(&["msg"])?;
    let msg = match cx.args.get("msg") {
        Some(v) if !v.is_none() => v,
        _ => Value::str("Failed as requested from task"),
    };
    let d = Dict::new();
    d.insert("failed", true);
    d.insert("changed", false);
    d.insert("msg", msg);
    Ok(d)
}

/// `assert`.
pub fn assert(cx: &mut Cx<'_>) -> Outcome {
    cx.supported(&["fail_msg (msg)", "quiet", "success_msg", "that"])?;
    let Some(that) = cx.args.get("that") else {
        return Err(Failure::msg("missing required arguments: that"));
    };
    let message = |name: &str| cx.args.get(name).filter(|v| !v.is_none());
    for name in ["fail_msg", "msg", "success_msg"] {
        if let Some(v) = message(name) {
            let list_of_text =
                matches!(&v, Value::List(l) if l.items().iter().all(|i| matches!(i, Value::Str(_))));
            if !matches!(v, Value::Str(_)) && !list_of_text {
                return Err(Failure::msg(
                    format!("Type of one of the elements in {name} list is not string type")
                        .replace("one of the elements in ", "one of the elements in "),
                ));
            }
        }
    }
    let fail_msg = message("fail_msg").or_else(|| message("msg"));
    let success = message("success_msg").unwrap_or_else(|| Value::str("All assertions passed"));
    let quiet = cx.flag("quiet", false)?;
    let d = Dict::new();
    let list = match &that {
        Value::Str(s) if s.is_template() && s.trim().starts_with("{{") => {
            // a template may give the whole list
            match cx.world.resolve(&that, cx.vars)? {
                Value::List(l) => l.items(),
                other => vec![other],
            }
        }
        // asked as it is, and refused
        Value::None => vec![Value::None],
        other => items(other),
    };
    if !quiet {
        d.insert("_ansible_verbose_always", true);
    }
    let broken = crate::config::current().bool("ALLOW_BROKEN_CONDITIONALS");
    for c in list {
        let holds =
            cx.world.condition(&c, cx.vars, broken).map_err(|e| Error::from(e).at(c.origin().cloned()))?;
        if !holds {
            d.insert("failed", true);
            d.insert("changed", false);
            d.insert("evaluated_to", false);
            d.insert(
                "assertion",
                match c {
                    Value::Str(s) => Value::Str(s.untrust().at(None)),
                    other => other,
                },
            );
            d.insert("msg", fail_msg.unwrap_or_else(|| Value::str("Assertion failed")));
            return Ok(d);
        }
    }
    d.insert("changed", false);
    d.insert("msg", success);
    Ok(d)
}

/// `add_host`.
pub fn add_host(cx: &mut Cx<'_>) -> Outcome {
    let args = cx.args.copy();
    if let Some(raw) = args.remove("_raw_params") {
        let kv = match &raw {
            Value::Dict(d) => d.clone(),
            text => crate::playbook::split::parse_kv(&Str::new(text.to_text().map_err(Error::from)?), false)?,
        };
        for (k, v) in kv.items() {
            args.insert(k, v);
        }
    }
    let named = ["name", "hostname", "host"].into_iter().find_map(|k| args.get(k));
    let Some(named) = named else {
        return Err(Failure::msg("name, host or hostname needs to be provided"));
    };
    let name = named.to_text().map_err(Error::from)?;
    let (host, port) = match name.rsplit_once(':') {
        Some((h, p)) if !h.contains(':') && p.parse::<u16>().is_ok() => (h.to_owned(), Some(p.to_owned())),
        _ => (name.clone(), None),
    };
    let vars = Dict::new();
    let groups = ["groups", "group", "groupname"].into_iter().find_map(|k| args.get(k)).unwrap_or_default();
    let mut list: Vec<Value> = Vec::new();
    match &groups {
        Value::List(_) | Value::Tuple(_) => list = items(&groups),
        Value::None => {}
        Value::Str(s) => {
            list.extend(s.split(',').map(|g| Value::str(g.trim())).filter(|g| g.as_str() != Some("")))
        }
        _ => return Err(Failure::msg("Groups must be specified as a list.")),
    }
    for (k, v) in args.items() {
        if !matches!(k.as_str(), Some("name" | "hostname" | "host" | "groups" | "group" | "groupname")) {
            vars.insert(k, v);
        }
    }
    if let Some(p) = port {
        vars.insert("ansible_ssh_port", p.parse::<i64>().unwrap_or(22));
    }
    let d = Dict::new();
    let add = Dict::new();
    add.insert("host_name", host.as_str());
    add.insert("groups", Value::list(list.clone()));
    add.insert("host_vars", Value::Dict(vars.clone()));
    // at once: the next item of a loop sees it
    let names: Vec<String> = list.iter().filter_map(|g| g.to_text().ok()).collect();
    d.insert("changed", cx.world.inventory.add_host(&host, &names, &vars));
    d.insert("add_host", Value::Dict(add));
    Ok(d)
}

/// `group_by`.
pub fn group_by(cx: &mut Cx<'_>) -> Outcome {
    cx.only(&["key", "parents"])?;
    let Some(key) = cx.text("key") else {
        return Err(Failure::msg("the 'key' param is required when using group_by"));
    };
    let clean = |s: &str| s.replace(' ', "-");
    let parents = cx.args.get("parents").map(|p| items(&p)).unwrap_or_else(|| vec![Value::str("all")]);
    let d = Dict::new();
    let name = clean(&key);
    let already = cx.world.inventory.groups_of(cx.host).iter().any(|g| **g == *name);
    d.insert("changed", !already);
    d.insert("add_group", name);
    d.insert(
        "parent_groups",
        Value::list(
            parents.iter().filter_map(|p| p.to_text().ok()).map(|p| Value::from(clean(&p))).collect(),
        ),
    );
    Ok(d)
}
