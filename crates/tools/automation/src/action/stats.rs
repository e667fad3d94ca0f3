//! `set_stats`: figures shown after the recap.

use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::execute::World;
use crate::execute::result::flag;
use crate::playbook::names;

use super::{Cx, Failure, Outcome};

/// The action.
pub fn set_stats(cx: &mut Cx<'_>) -> Outcome {
    cx.only(&["aggregate", "data", "per_host"])?;
    let stats = Dict::new();
    let data = match cx.args.get("data") {
        None => Dict::new(),
        Some(Value::Dict(d)) => d,
        Some(_) => return Err(Failure::msg("The 'data' option needs to be a dictionary/hash")),
    };
    for k in data.keys() {
        names::variable(&k)?;
    }
    stats.insert("data", Value::Dict(data));
    // what is no truth value is false
    let said = |name: &str, default: bool| match cx.args.get(name) {
        Some(v) if !v.is_none() => crate::truth::of(Some(v), false),
        _ => default,
    };
    stats.insert("per_host", said("per_host", false));
    stats.insert("aggregate", said("aggregate", true));
    let d = Dict::new();
    d.insert("changed", false);
    d.insert("ansible_stats", Value::Dict(stats));
    Ok(d)
}

/// Notes what a result's `ansible_stats` say.
pub fn record(world: &Arc<World>, host: &str, stats: &Dict) {
    let who = if flag(stats, "per_host") { host } else { "_run" };
    let aggregate = stats.get("aggregate").is_none_or(|v| v.truth().unwrap_or(true));
    let Some(Value::Dict(data)) = stats.get("data") else { return };
    let mut all = world.custom_stats.lock();
    for (k, v) in data.items() {
        let k = k.to_text().unwrap_or_default();
        match all.iter_mut().find(|(h, n, _)| h == who && *n == k) {
            Some((_, _, old)) if aggregate => {
                *old = match (&*old, &v) {
                    (Value::Dict(a), Value::Dict(b)) => {
                        let joined = a.copy();
                        crate::vars::merge::into(&joined, b, true);
                        Value::Dict(joined)
                    }
                    (a, b) => pileus_jinja::value::add(a, b).unwrap_or_else(|_| b.clone()),
                };
            }
            Some((_, _, old)) => *old = v,
            None => all.push((who.to_owned(), k, v)),
        }
    }
}
