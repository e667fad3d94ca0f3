//! `meta`: what a task asks of the engine itself.

use std::sync::Arc;

use crate::inventory::Name;
use crate::playbook::keyword::items;
use crate::playbook::role::Role;
use crate::playbook::{K, Task};
use crate::vars::Vars;
use crate::{Error, display};

use super::strategy::{Ended, Strategy};
use super::{Run, World};

/// The actions there are.
const KNOWN: [&str; 12] = [
    "noop",
    "flush_handlers",
    "refresh_inventory",
    "clear_facts",
    "clear_host_errors",
    "end_batch",
    "end_host",
    "end_play",
    "end_role",
    "reset_connection",
    "role_complete",
    "step",
];

/// Those that each host does for itself.
const PER_HOST: [&str; 6] =
    ["noop", "reset_connection", "end_host", "role_complete", "flush_handlers", "end_role"];

/// Whether a handler answers to a notification: by its name, with its role's name before it, or by what it listens to.
pub fn answers(world: &Arc<World>, run: &Arc<Run>, handler: &Arc<Task>, name: &str) -> bool {
    by_name(world, run, handler, name) || listens(handler, name)
}

fn rendered(
    world: &Arc<World>,
    run: &Arc<Run>,
    handler: &Arc<Task>,
    v: &pileus_jinja::Value,
) -> Option<String> {
    match v.as_str() {
        Some(s) if !pileus_jinja::value::looks_like_template(s) => Some(s.to_owned()),
        _ => {
            let vars = Vars::new(world, Some(run), None, Some(handler));
            world.resolve(v, &vars).ok()?.to_text().ok()
        }
    }
}

fn by_name(world: &Arc<World>, run: &Arc<Run>, handler: &Arc<Task>, name: &str) -> bool {
    let Some(v) = handler.name() else { return false };
    let Some(own) = rendered(world, run, handler, v) else {
        if handler.keyword(K::Listen).is_none() {
            let text = v.to_text().unwrap_or_default();
            let vars = Vars::new(world, Some(run), None, Some(handler));
            let why = world.resolve(v, &vars).err().map(|e| Error::from(e).brief()).unwrap_or_default();
            display::warning(&format!(
                "Handler '{text}' is unusable because it has no listen topics and the name could not be templated \
                 (host-specific variables are not supported in handler names). The error: {why}"
            ));
        }
        return false;
    };
    if own == name {
        return true;
    }
    handler.frame.role.as_ref().is_some_and(|r| {
        name.strip_suffix(&own).and_then(|p| p.strip_suffix(" : ")).is_some_and(|p| named(r, p))
    })
}

/// Whether that is a role's name: with its collection or without.
fn named(role: &Role, name: &str) -> bool {
    name == &*role.name
        || name == &*role.full_name
        || role.collection.is_some() && role.full_name.rsplit('.').next() == Some(name)
}

fn listens(handler: &Task, name: &str) -> bool {
    let Some(list) = handler.keyword(K::Listen) else { return false };
    let role = handler.frame.role.as_ref();
    let own = name.split_once(" : ").filter(|(p, _)| role.is_some_and(|r| named(r, p)));
    let matches = |topic: &str| topic == name || own.is_some_and(|(_, n)| n == topic);
    // topics are no templates
    items(list).iter().flat_map(items).any(|v| v.as_str().is_some_and(matches))
}

/// The handlers that a notification calls: one of that name (the last block's, and the first there), and all that
/// listen, of those with the same name one.
pub fn called(s: &Strategy<'_>, name: &str) -> Vec<Arc<Task>> {
    let all = s.iterator.handlers_backwards();
    let mut out: Vec<Arc<Task>> = Vec::new();
    if let Some(h) = all.iter().find(|h| by_name(s.world, s.run, h, name)) {
        out.push(h.clone());
    }
    let mut seen = Vec::new();
    for h in all.iter().filter(|h| listens(h, name)) {
        let own = h.name().and_then(|v| rendered(s.world, s.run, h, v)).filter(|n| !n.is_empty());
        if own.is_some() && seen.contains(&own) {
            continue;
        }
        seen.push(own);
        if !out.iter().any(|o| o.id == h.id) {
            out.push(h.clone());
        }
    }
    out
}

/// Does what `task` asks, for the hosts that have come to it; `announced`: with the task's name before it.
///
/// # Errors
/// Where the action is none, or the inventory cannot be read again.
pub fn run(s: &mut Strategy<'_>, task: &Arc<Task>, hosts: &[Name], announced: bool) -> Result<(), Error> {
    let what = task.meta_action().unwrap_or_default();
    if !KNOWN.contains(&what.as_str()) {
        return Err(Error::new(format!("invalid meta action requested: {what}")).at(task.origin.clone()));
    }
    // what concerns all hosts is done for the first that comes to it
    let hosts = if PER_HOST.contains(&what.as_str()) { hosts } else { &hosts[..hosts.len().min(1)] };
    for host in hosts {
        if task.implicit {
            s.world.callbacks.implicit_start(task, "meta");
        } else if announced {
            s.announce(task, host);
        }
        if !task.implicit && !holds(s, task, &what, host)? {
            continue;
        }
        if what == "flush_handlers"
            && task.implicit
            && s.iterator.state(host).is_some_and(|st| st.notifications.is_empty())
            && !s.iterator.notified.values().any(|hosts| hosts.contains(host))
        {
            display::debug(&format!("No handler notifications for {host}, skipping."));
            continue;
        }
        if let Some(told) = told(&what, host) {
            let header = format!("META: {told}");
            if task.implicit { display::debug(&header) } else { display::verbose(2, &header) }
        }
        if task.handler {
            s.iterator.handled(task, host);
        }
        match what.as_str() {
            "flush_handlers" => {
                if task.handler {
                    return Err(
                        Error::new("flush_handlers cannot be used as a handler").at(task.origin.clone())
                    );
                }
                let names = s
                    .iterator
                    .state_mut(host)
                    .map(|st| std::mem::take(&mut st.notifications))
                    .unwrap_or_default();
                for name in &names {
                    for h in called(s, name) {
                        s.iterator.notify(&h, host);
                    }
                }
                if let Some(st) = s.iterator.state_mut(host)
                    && !st.is_flushing()
                {
                    st.flush();
                }
            }
            "role_complete" => {
                if let Some(r) = &task.frame.role
                    && r.touched.lock().contains(host)
                {
                    r.completed.lock().insert(host.clone());
                }
            }
            "refresh_inventory" => {
                s.world.inventory.refresh().map_err(Error::new)?;
            }
            "clear_facts" => {
                for h in &s.run.all {
                    s.world.host(h).clear_facts();
                }
            }
            "clear_host_errors" => {
                let back: Vec<Name> = s.run.batch.clone();
                for h in &back {
                    s.iterator.clear(h);
                }
                s.run.unreachable.write().clear();
                s.run.failed.write().clear();
                s.run.removed.write().clear();
            }
            "end_play" => {
                for h in s.run.batch.clone() {
                    if !s.run.unreachable.read().contains(&h) && !s.iterator.is_failed(&h) {
                        s.iterator.complete(&h);
                    }
                }
                s.ended = s.ended.and(Ended(0x40));
            }
            "end_batch" => {
                for h in s.run.batch.clone() {
                    if !s.run.unreachable.read().contains(&h) && !s.iterator.is_failed(&h) {
                        s.iterator.complete(&h);
                    }
                }
            }
            "end_host" => s.iterator.complete(host),
            "end_role" => {
                if task.handler {
                    return Err(
                        Error::new("Cannot execute 'end_role' from a handler").at(task.origin.clone())
                    );
                }
                let Some(role) = task.frame.role.clone() else {
                    return Err(Error::new("Cannot execute 'end_role' from outside of a role")
                        .at(task.origin.clone()));
                };
                while let Some((state, t)) = s.iterator.peek(host) {
                    let same = t.frame.role.as_ref().is_some_and(|r| {
                        Arc::ptr_eq(r, &role) || t.frame.chain.iter().any(|c| Arc::ptr_eq(c, &role))
                    });
                    if !same
                        || (t.implicit
                            && t.meta_action().as_deref() == Some("role_complete")
                            && t.frame.role.as_ref().is_some_and(|r| Arc::ptr_eq(r, &role)))
                    {
                        break;
                    }
                    s.iterator.go(host, state);
                }
            }
            "reset_connection" => s.world.connections.reset(s.world, s.run, host, task),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the task's conditions hold for a host; where not, that is told. Some actions have none.
fn holds(s: &Strategy<'_>, task: &Arc<Task>, what: &str, host: &Name) -> Result<bool, Error> {
    let Some(conditions) = task.keyword(K::When) else { return Ok(true) };
    if matches!(what, "noop" | "reset_connection" | "refresh_inventory") {
        if !items(conditions).is_empty() {
            display::warning(&format!("{what} task does not support when conditional"));
        }
        return Ok(true);
    }
    let vars = Vars::new(s.world, Some(s.run), Some(host), Some(task));
    for c in items(conditions) {
        if s.world.condition(&c, &vars, false).map_err(|e| Error::from(e).at(c.origin().cloned()))? {
            continue;
        }
        let so = match what {
            "end_host" => format!(", continuing execution for {host}"),
            "end_play" => ", continuing play".to_owned(),
            "end_batch" => ", continuing current batch".to_owned(),
            // without the comma in the reference as well
            "end_role" => {
                let role = task.frame.role.as_ref().map_or_else(String::new, |r| r.name.to_string());
                format!("continuing role {role} for {host}")
            }
            "clear_facts" => format!(", not clearing facts and fact cache for {host}"),
            "clear_host_errors" => format!(", not clearing host error state for {host}"),
            "flush_handlers" => format!(", not running handlers for {host}"),
            _ => String::new(),
        };
        let reason = format!("{what} conditional evaluated to False{so}");
        display::verbose(2, &format!("META: {reason}"));
        let msg = match what {
            "end_host" => format!("{what} conditional evaluated to false{so}"),
            _ => what.to_owned(),
        };
        s.world.callbacks.meta_skipped(host, task, &msg, &reason);
        return Ok(false);
    }
    Ok(true)
}

/// What is told of an action that is done; nothing of `end_role`.
fn told(what: &str, host: &str) -> Option<String> {
    Some(match what {
        "end_host" => format!("ending play for {host}"),
        "end_play" => "ending play".into(),
        "end_batch" => "ending batch".into(),
        "end_role" => return None,
        "clear_host_errors" => "cleared host errors".into(),
        "clear_facts" => "facts cleared".into(),
        "refresh_inventory" => "inventory successfully refreshed".into(),
        "reset_connection" => "reset connection".into(),
        "flush_handlers" => format!("triggered running handlers for {host}"),
        other => other.to_owned(),
    })
}
