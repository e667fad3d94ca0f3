//! Tests on the results of tasks.

use super::Plain;
use crate::{Args, Error, ErrorKind, State, Value};

pub(super) const TESTS: &[(&str, Plain)] = &[
    ("change", |s, a| changed(s, &a)),
    ("changed", |s, a| changed(s, &a)),
    ("failed", |s, a| flag(s, &a, "failed", "failed")),
    ("failure", |s, a| flag(s, &a, "failed", "failed")),
    ("success", |s, a| flag(s, &a, "failed", "success").map(|f| !f)),
    ("succeeded", |s, a| flag(s, &a, "failed", "success").map(|f| !f)),
    ("successful", |s, a| flag(s, &a, "failed", "success").map(|f| !f)),
    ("skip", |s, a| flag(s, &a, "skipped", "skipped")),
    ("skipped", |s, a| flag(s, &a, "skipped", "skipped")),
    ("reachable", |s, a| flag(s, &a, "unreachable", "reachable").map(|f| !f)),
    ("unreachable", |s, a| flag(s, &a, "unreachable", "unreachable")),
    ("finished", |s, a| job(s, &a, "finished")),
    ("started", |s, a| job(s, &a, "started")),
    ("timedout", |s, a| timed_out(s, &a)),
];

fn result(state: &State<'_>, a: &Args, test: &str) -> Result<Value, Error> {
    let v = state.read(a.first());
    if v.is_mapping() {
        return Ok(v);
    }
    Err(Error::new(ErrorKind::Plugin, format!("The '{test}' test expects a dictionary")))
}

fn get(state: &State<'_>, v: &Value, key: &str) -> Option<Value> {
    v.get(key).map(|v| state.read(v))
}

fn flag(state: &State<'_>, a: &Args, key: &str, test: &str) -> Result<bool, Error> {
    let v = result(state, a, test)?;
    get(state, &v, key).map_or(Ok(false), |v| v.truth())
}

/// What isn't asynchronous has started and finished.
fn job(state: &State<'_>, a: &Args, key: &str) -> Result<bool, Error> {
    let v = result(state, a, key)?;
    get(state, &v, key).map_or(Ok(true), |v| v.truth())
}

fn changed(state: &State<'_>, a: &Args) -> Result<bool, Error> {
    let v = result(state, a, "changed")?;
    if let Some(c) = get(state, &v, "changed") {
        return c.truth();
    }
    for item in get(state, &v, "results").map_or(Ok(Vec::new()), |r| state.items(&r))? {
        if let Some(c) = get(state, &item, "changed")
            && c.truth()?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn timed_out(state: &State<'_>, a: &Args) -> Result<bool, Error> {
    let v = result(state, a, "timedout")?;
    Ok(match get(state, &v, "timedout") {
        Some(t) if t.is_mapping() => get(state, &t, "period").map_or(Ok(false), |p| p.truth())?,
        _ => false,
    })
}
