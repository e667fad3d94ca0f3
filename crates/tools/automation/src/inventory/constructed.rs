//! `constructed`: variables and groups made of what the sources before it gave, by expressions.

use pileus_jinja::{Dict, Engine, Scope, Str, Value};

use super::beside::Kind;
use super::data::Data;
use super::manager::Sources;
use super::names::safe_group;
use super::{Beside, merge, sources};
use crate::source::Loader;
use crate::{Error, config};

/// The sanitizing of group names that constructed inventories always do.
fn safe(name: &str) -> String {
    safe_group(name)
}

struct Options<'a> {
    given: &'a Dict,
    strict: bool,
    use_vars_plugins: bool,
    use_extra_vars: bool,
    leading_separator: bool,
}

fn flag(given: &Dict, name: &str, default: bool) -> bool {
    match given.get(name) {
        Some(v) => crate::config::types::truth(&v.to_json()),
        None => config::current()
            .plugin("inventory", "constructed", name)
            .ok()
            .and_then(|s| s.value.as_bool())
            .unwrap_or(default),
    }
}

/// Makes variables and groups for every host of `data`.
///
/// # Errors
/// Where an expression fails and `strict` is set, or an option is wrong.
pub fn run(
    data: &mut Data,
    given: &Dict,
    wanted: &Sources,
    processed: &[String],
    loader: &Loader,
    beside: &Beside,
    engine: &Engine,
) -> Result<(), Error> {
    let options = Options {
        given,
        strict: flag(given, "strict", false),
        use_vars_plugins: flag(given, "use_vars_plugins", false),
        use_extra_vars: flag(given, "use_extra_vars", false),
        leading_separator: flag(given, "leading_separator", true),
    };
    let dirs = sources::directories(processed);
    for host in 0..data.hosts.len() {
        let vars = host_vars(data, host, &options, &dirs, loader, beside)?;
        compose(data, host, &vars, &options, wanted, engine)?;
        let vars = host_vars(data, host, &options, &dirs, loader, beside)?;
        groups(data, host, &vars, &options, engine)?;
        keyed(data, host, &vars, &options, wanted, engine)?;
    }
    Ok(())
}

fn host_vars(
    data: &Data,
    host: usize,
    options: &Options<'_>,
    dirs: &[String],
    loader: &Loader,
    beside: &Beside,
) -> Result<Dict, Error> {
    let out = Dict::new();
    let groups = data.groups_of(host);
    for &g in &groups {
        merge::update(&out, &data.groups[g].vars);
    }
    let h = &data.hosts[host];
    if options.use_vars_plugins {
        for &g in &groups {
            beside.vars(loader, dirs, Kind::Group, &data.groups[g].name, &out)?;
        }
    }
    let source = h.source.as_deref();
    out.insert("inventory_file", source.map_or(Value::None, Value::str));
    out.insert("inventory_dir", source.map_or(Value::None, |s| Value::str(crate::source::paths::basedir(s))));
    merge::update(&out, &h.vars);
    out.insert("inventory_hostname", Value::str(&*h.name));
    let address = h.name.parse::<std::net::IpAddr>().is_ok();
    let short = if address { &*h.name } else { h.name.split('.').next().unwrap_or_default() };
    out.insert("inventory_hostname_short", Value::str(short));
    let mut names: Vec<&str> =
        groups.iter().map(|g| &*data.groups[*g].name).filter(|n| *n != "all").collect();
    names.sort_unstable();
    out.insert("group_names", Value::list(names.into_iter().map(Value::str).collect()));
    if options.use_vars_plugins {
        beside.vars(loader, dirs, Kind::Host, &h.name, &out)?;
    }
    Ok(out)
}

/// The value of an expression; what is no text is itself.
fn evaluate(engine: &Engine, expression: &Value, scope: &dyn Scope) -> Result<Value, Error> {
    match expression {
        Value::Str(s) => Ok(engine.expression(s, scope)?),
        other => Ok(engine.resolve(other, scope)?),
    }
}

fn scope_of(vars: &Dict, options: &Options<'_>, wanted: &Sources) -> Dict {
    if !options.use_extra_vars {
        return vars.clone();
    }
    let all = vars.copy();
    merge::update(&all, &wanted.extra);
    all
}

fn compose(
    data: &mut Data,
    host: usize,
    vars: &Dict,
    options: &Options<'_>,
    wanted: &Sources,
    engine: &Engine,
) -> Result<(), Error> {
    let Some(Value::Dict(compose)) = options.given.get("compose") else { return Ok(()) };
    let scope = scope_of(vars, options, wanted);
    for (name, expression) in compose.items() {
        match evaluate(engine, &expression, &scope) {
            Ok(v) => data.set_host_var(host, &name, v),
            Err(e) if options.strict => {
                let host = data.hosts[host].name.clone();
                return Err(Error::new(format!("Could not set {} for host {host}: {e}", name.to_text()?)));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn groups(
    data: &mut Data,
    host: usize,
    vars: &Dict,
    options: &Options<'_>,
    engine: &Engine,
) -> Result<(), Error> {
    let Some(Value::Dict(groups)) = options.given.get("groups") else { return Ok(()) };
    let broken = config::current().bool("ALLOW_BROKEN_CONDITIONALS");
    for (name, condition) in groups.items() {
        let name = safe(&name.to_text()?);
        match engine.condition(&condition, vars, broken) {
            Ok(true) => {
                let g = data.add_group(&name)?;
                let host = data.hosts[host].name.clone();
                data.add_child(g, &host)?;
            }
            Ok(false) => {}
            Err(e) if options.strict => {
                let host = data.hosts[host].name.clone();
                return Err(Error::parser(format!("Could not add host {host} to group {name}: {e}")));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn keyed(
    data: &mut Data,
    host: usize,
    vars: &Dict,
    options: &Options<'_>,
    wanted: &Sources,
    engine: &Engine,
) -> Result<(), Error> {
    let Some(Value::List(entries)) = options.given.get("keyed_groups") else { return Ok(()) };
    let scope = scope_of(vars, options, wanted);
    let host_name = data.hosts[host].name.clone();
    for entry in entries.items() {
        let Value::Dict(entry) = &entry else {
            return Err(Error::parser(format!(
                "Invalid keyed group entry, it must be a dictionary: {} ",
                entry.to_text()?
            )));
        };
        let expression = entry.get("key").unwrap_or_default();
        let key = match evaluate(engine, &expression, &scope) {
            Ok(v) => v,
            Err(e) if options.strict => {
                return Err(Error::parser(format!(
                    "Could not generate group for host {host_name} from {} entry: {e}",
                    expression.to_text()?
                )));
            }
            Err(_) => continue,
        };
        let default = entry.get("default_value").filter(|v| !v.is_none());
        let trailing = entry.get("trailing_separator").filter(|v| !v.is_none());
        if trailing.is_some() && default.is_some() {
            return Err(Error::parser(
                "parameters are mutually exclusive for keyed groups: default_value|trailing_separator",
            ));
        }
        let empty = |v: &Value| v.is_none() || v.as_str() == Some("");
        let use_default = empty(&key) && default.is_some();
        if !key.truth()? && !use_default {
            let container = matches!(key, Value::List(_) | Value::Dict(_));
            if options.strict && !container {
                return Err(Error::parser(format!(
                    "No key or key resulted empty for {} in host {host_name}, invalid entry",
                    expression.to_text()?
                )));
            }
            continue;
        }
        let text = |name: &str, or: &str| entry.get(name).map_or_else(|| Ok(or.to_owned()), |v| v.to_text());
        let prefix = text("prefix", "")?;
        let separator = text("separator", "_")?;
        let parent = match entry.get("parent_group") {
            Some(v) if v.truth()? => match engine.resolve(&v, &scope) {
                Ok(v) => Some(v.to_text()?).filter(|p| !p.is_empty()),
                Err(e) if options.strict => {
                    return Err(Error::parser(format!(
                        "Could not generate parent group {} for group {}: {e}",
                        v.repr(),
                        key.repr()
                    )));
                }
                Err(_) => continue,
            },
            _ => None,
        };
        let trailing_off = trailing.as_ref().and_then(Value::as_bool) == Some(false);
        let names = raw_names(&key, use_default, default.as_ref(), &separator, trailing_off)?;
        for bare in names {
            let separator = if prefix.is_empty() && !options.leading_separator { "" } else { &separator };
            let group = data.add_group(&safe(&format!("{prefix}{separator}{bare}")))?;
            data.add_host(&host_name, Some(group), None)?;
            if let Some(parent) = &parent {
                let parent = data.add_group(&safe(parent))?;
                data.add_child_group(parent, group)?;
            }
        }
    }
    Ok(())
}

fn raw_names(
    key: &Value,
    use_default: bool,
    default: Option<&Value>,
    separator: &str,
    trailing_off: bool,
) -> Result<Vec<String>, Error> {
    let empty = |v: &Value| v.is_none() || v.as_str() == Some("");
    let shown = |v: &Value| match default {
        Some(d) if empty(v) => d.to_text(),
        _ => v.to_text(),
    };
    if use_default {
        return Ok(vec![default.unwrap_or(key).to_text()?]);
    }
    match key {
        Value::Str(s) => Ok(vec![s.to_string()]),
        Value::List(items) => items.items().iter().map(|v| Ok(shown(v)?)).collect(),
        Value::Dict(pairs) => pairs
            .items()
            .iter()
            .map(|(name, v)| {
                let name = name.to_text()?;
                if empty(v) && default.is_none() && trailing_off {
                    return Ok(name);
                }
                Ok(format!("{name}{separator}{}", shown(v)?))
            })
            .collect(),
        other => Err(Error::parser(format!(
            "Invalid group name format, expected a string or a list of them or dictionary, got: <class '{}'>",
            other.type_name()
        ))),
    }
}

/// `str` of a template's name: text is rendered, the rest is itself.
pub(super) fn render(engine: &Engine, v: &Value, scope: &Dict) -> Result<Value, Error> {
    match v {
        Value::Str(s) => Ok(engine.render(s, scope)?),
        other => Ok(other.clone()),
    }
}

/// A template's text.
pub(super) fn render_text(engine: &Engine, v: &Value, scope: &Dict) -> Result<String, Error> {
    Ok(match render(engine, v, scope)? {
        Value::None => String::new(),
        other => Str::new(other.to_text()?).to_string(),
    })
}
