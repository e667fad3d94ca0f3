//! A task's keywords, rendered for one host.

use std::sync::Arc;

use pileus_jinja::{Dict, Scope, Value};

use crate::Error;
use crate::playbook::keyword::{Holds, items};
use crate::playbook::{K, Task};
use crate::vars::Vars;

use super::World;

/// A task's keywords, rendered for one host.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// `no_log`.
    pub no_log: bool,
    /// `ignore_errors`.
    pub ignore_errors: bool,
    /// `ignore_unreachable`.
    pub ignore_unreachable: bool,
    /// Check mode.
    pub check: bool,
    /// Diff mode.
    pub diff: bool,
    /// `delegate_to`.
    pub delegate_to: Option<Arc<str>>,
    /// `delegate_facts`.
    pub delegate_facts: bool,
    /// `run_once`.
    pub run_once: bool,
    /// `any_errors_fatal`.
    pub any_errors_fatal: bool,
    /// `timeout`, in seconds; 0 is none.
    pub timeout_s: i64,
    /// `notify`.
    pub notify: Vec<String>,
    /// `register`.
    pub register: Option<Arc<str>>,
    /// `async`, in seconds; 0 is none.
    pub async_s: i64,
    /// `poll`, in seconds.
    pub poll_s: i64,
    /// `retries`, where it is set.
    pub retries: Option<i64>,
    /// `delay`, in seconds.
    pub delay_s: f64,
    /// `environment`.
    pub environment: Vec<(String, String)>,
    /// `become`.
    pub r#become: bool,
    /// `become_method`, `become_user`, `become_exe`, `become_flags`.
    pub become_method: Option<String>,
    /// See `become_method`.
    pub become_user: Option<String>,
    /// See `become_method`.
    pub become_exe: Option<String>,
    /// See `become_method`.
    pub become_flags: Option<String>,
    /// `connection`.
    pub connection: Option<String>,
    /// `remote_user`.
    pub remote_user: Option<String>,
    /// `port`.
    pub port: Option<u16>,
    /// The arguments, rendered.
    pub args: pileus_jinja::Dict,
}

/// What a keyword's value is once rendered to what it holds.
///
/// # Errors
/// Where it isn't that.
pub fn convert(k: K, v: &Value) -> Result<Value, Error> {
    let bad = |kind: &str| {
        Error::new(format!("The value {} could not be converted to '{kind}'.", v.repr()))
            .at(v.origin().cloned())
    };
    Ok(match k.row().holds {
        Holds::Bool => match v {
            Value::Bool(_) | Value::None => v.clone(),
            Value::Int(0 | 1) => Value::Bool(v.as_int() == Some(1)),
            Value::Float(f) if *f == 0.0 || *f == 1.0 => Value::Bool(*f == 1.0),
            Value::Str(s) => Value::Bool(crate::truth::said(s).ok_or_else(|| bad("bool"))?),
            _ => return Err(bad("bool")),
        },
        Holds::Int => match v {
            Value::Int(_) | Value::None => v.clone(),
            Value::Bool(b) => Value::Int(i64::from(*b)),
            Value::Float(f) => Value::Int(*f as i64),
            Value::Str(s) => Value::Int(s.trim().parse().map_err(|_| bad("int"))?),
            _ => return Err(bad("int")),
        },
        Holds::Float | Holds::Percent => match v {
            Value::Str(s) => Value::Float(s.trim().trim_end_matches('%').parse().map_err(|_| bad("float"))?),
            other => Value::Float(other.as_float().ok_or_else(|| bad("float"))?),
        },
        Holds::Str => match v {
            Value::List(_) | Value::Dict(_) => return Err(bad("str")),
            other => Value::from(other.to_text().map_err(Error::from)?),
        },
        Holds::List => Value::list(items(v)),
        Holds::Dict | Holds::Any => v.clone(),
    })
}

/// Renders one keyword; `None` where it isn't set, or omitted.
///
/// # Errors
/// Where it cannot be rendered, or isn't what the keyword holds.
pub fn keyword(world: &World, k: K, value: &Value, scope: &dyn Scope) -> Result<Option<Value>, Error> {
    let fail = |e: Error| {
        let at = e.origin().cloned().or_else(|| value.origin().cloned());
        Error::new(format!("Error processing keyword '{}'.", k.name())).at(at.clone()).because(e.at(at))
    };
    let v = world.resolve(value, scope).map_err(|e| fail(e.into()))?;
    if crate::vars::is_omit(&v) || v.is_none() {
        return Ok(None);
    }
    convert(k, &v).map(Some).map_err(fail)
}

/// Whether a template cannot be rendered for want of the environment's facts.
fn wants_facts(world: &World, value: &Value, vars: &Vars) -> bool {
    let asks = |s: &str| s.contains("ansible_env") || s.contains("ansible_facts");
    value.as_str().is_some_and(asks) && world.resolve(value, vars).is_err_and(|e| e.is_undefined())
}

impl Fields {
    /// Renders the keywords of `task` with `vars`.
    ///
    /// # Errors
    /// As [`keyword`].
    pub fn render(world: &World, task: &Task, vars: &Vars) -> Result<Self, Error> {
        let get = |k: K| -> Result<Option<Value>, Error> {
            match task.keyword(k).or_else(|| world.options.keywords.get(k.name())) {
                None => Ok(None),
                Some(v @ (Value::Bool(_) | Value::Int(_))) => convert(k, v).map(Some),
                // what is omitted is as around the task
                Some(v) => match keyword(world, k, v, vars)? {
                    None => match task.frame.keywords.get(k).filter(|outer| *outer != v) {
                        Some(outer) => keyword(world, k, outer, vars),
                        None => Ok(None),
                    },
                    found => Ok(found),
                },
            }
        };
        let flag = |k: K| -> Result<bool, Error> { Ok(get(k)?.and_then(|v| v.as_bool()).unwrap_or(false)) };
        let int = |k: K| -> Result<Option<i64>, Error> { Ok(get(k)?.and_then(|v| v.as_int())) };
        let text = |k: K| -> Result<Option<String>, Error> {
            Ok(get(k)?.and_then(|v| v.as_str().map(str::to_owned)))
        };
        let mut out = Self {
            no_log: get(K::NoLog)?
                .and_then(|v| v.as_bool())
                .unwrap_or_else(|| crate::config::current().bool("DEFAULT_NO_LOG")),
            ignore_errors: flag(K::IgnoreErrors)?,
            ignore_unreachable: flag(K::IgnoreUnreachable)?,
            check: get(K::CheckMode)?.and_then(|v| v.as_bool()).unwrap_or(world.options.check),
            diff: get(K::Diff)?.and_then(|v| v.as_bool()).unwrap_or(world.options.diff),
            delegate_to: text(K::DelegateTo)?.filter(|s| !s.is_empty()).map(Arc::from),
            delegate_facts: flag(K::DelegateFacts)?,
            run_once: flag(K::RunOnce)?,
            any_errors_fatal: flag(K::AnyErrorsFatal)?,
            timeout_s: int(K::Timeout)?.unwrap_or(0),
            register: text(K::Register)?.map(Arc::from),
            async_s: int(K::Async)?.unwrap_or(0),
            poll_s: int(K::Poll)?.unwrap_or(15),
            retries: int(K::Retries)?,
            delay_s: get(K::Delay)?.and_then(|v| v.as_float()).unwrap_or(5.0),
            r#become: flag(K::Become)?,
            connection: text(K::Connection)?,
            remote_user: text(K::RemoteUser)?,
            port: int(K::Port)?.and_then(|p| u16::try_from(p).ok()),
            args: pileus_jinja::Dict::new(),
            ..Self::default()
        };
        if let Some(v) = get(K::Notify)? {
            for n in items(&v) {
                out.notify.push(n.to_text().map_err(Error::from)?);
            }
        }
        if out.r#become {
            out.become_method = text(K::BecomeMethod)?;
            out.become_user = text(K::BecomeUser)?;
            out.become_exe = text(K::BecomeExe)?;
            out.become_flags = text(K::BecomeFlags)?;
        }
        Ok(out)
    }

    /// Renders `environment`, the outermost first, later ones winning.
    ///
    /// # Errors
    /// As [`keyword`], and where an entry is no mapping.
    pub fn render_environment(&mut self, world: &World, task: &Task, vars: &Vars) -> Result<(), Error> {
        let Some(list) = task.keyword(K::Environment) else { return Ok(()) };
        // the facts that a template asks for may be those that are about to be gathered
        let facts = matches!(&*task.action, "setup" | "gather_facts");
        for entry in items(list) {
            let entry = match &entry {
                Value::Dict(d) if facts => Value::Dict(
                    d.items().into_iter().filter(|(_, v)| !wants_facts(world, v, vars)).collect::<Dict>(),
                ),
                _ => entry,
            };
            let Some(v) = keyword(world, K::Vars, &entry, vars)? else { continue };
            for layer in items(&v) {
                let Value::Dict(d) = &layer else {
                    return Err(Error::new(format!(
                        "environment must be a dictionary, received {} ({})",
                        layer.repr(),
                        layer.type_name()
                    ))
                    .at(entry.origin().cloned()));
                };
                for (k, v) in d.items() {
                    let (k, v) = (k.to_text().map_err(Error::from)?, v.to_text().map_err(Error::from)?);
                    self.environment.retain(|(n, _)| *n != k);
                    self.environment.push((k, v));
                }
            }
        }
        Ok(())
    }
}
