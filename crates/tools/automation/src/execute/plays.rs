//! Playbooks: each play in turn, each batch in turn.

use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use crate::Error;
use crate::inventory::Name;
use crate::playbook::keyword::items;
use crate::playbook::{self, Block, Builder, Files, K, Node, Play, Task};
use crate::vars::Vars;

use super::fields;
use super::iterator::Iterator;
use super::strategy::{Ended, Strategy};
use super::{Run, World};

/// Whether a task is to run by its tags.
pub fn chosen(world: &World, play: &Play, task: &Task) -> bool {
    // a play left out as a whole flushes no handlers either
    let flushes = task.implicit && task.meta_action().as_deref() == Some("flush_handlers");
    if task.implicit && !flushes {
        return true;
    }
    let (only, skip) = (&world.options.tags, &world.options.skip_tags);
    let mut tags = tags_of(world, play, task);
    if flushes {
        tags.push("always".into());
    }
    let has = |t: &str| tags.iter().any(|x| x == t);
    let tagged = !tags.is_empty() && (tags.len() != 1 || !has("untagged"));
    let mut run = true;
    if !only.is_empty() {
        let named = |t: &str| only.iter().any(|x| x == t);
        run = has("always")
            || (named("all") && !has("never"))
            || tags.iter().any(|t| named(t))
            || (named("tagged") && tagged && !has("never"))
            || (named("untagged") && !tagged);
    }
    if run && !skip.is_empty() {
        let named = |t: &str| skip.iter().any(|x| x == t);
        let out = if named("all") {
            !has("always") || named("always")
        } else {
            tags.iter().any(|t| named(t)) || (named("tagged") && tagged) || (named("untagged") && !tagged)
        };
        run = !out;
    }
    run
}

/// A task's tags, rendered.
pub fn tags_of(world: &World, play: &Play, task: &Task) -> Vec<String> {
    let Some(list) = task.keyword(K::Tags) else { return Vec::new() };
    let mut out: Vec<String> = Vec::new();
    for v in items(list) {
        let v = match &v {
            Value::Str(s) if s.is_template() => {
                let Some(me) = world.me() else { continue };
                let scope = Vars::in_frame(&me, play, &task.frame);
                world.resolve(&v, &scope).unwrap_or(Value::None)
            }
            _ => v,
        };
        for t in items(&v) {
            let text = t.to_text().unwrap_or_default();
            for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
                if !out.iter().any(|o| o == part) {
                    out.push(part.to_owned());
                }
            }
        }
    }
    out
}

/// A block without the tasks that tags leave out.
pub fn tagged(world: &World, play: &Play, block: &Arc<Block>) -> Option<Arc<Block>> {
    block.filtered(&|t| chosen(world, play, t))
}

/// Compiles a play.
///
/// # Errors
/// Where it is wrong.
pub fn compile(world: &Arc<World>, play: &Play) -> Result<(), Error> {
    let builder = Builder { files: &world.files, play, render: &**world };
    builder.play(forces_handlers(world, play))
}

/// Compiles a playbook's plays, so that what is wrong in any is told before the first runs. A play that asks for variables
/// waits until it has them: imports may use them.
///
/// # Errors
/// Where one is wrong.
pub fn compile_all(world: &Arc<World>, plays: &[Arc<Play>]) -> Result<(), Error> {
    plays.iter().filter(|p| p.keywords.get(K::VarsPrompt).is_none()).try_for_each(|p| compile(world, p))
}

fn forces_handlers(world: &World, play: &Play) -> bool {
    play.keywords
        .get(K::ForceHandlers)
        .and_then(|v| fields::convert(K::ForceHandlers, v).ok())
        .and_then(|v| v.as_bool())
        .unwrap_or(world.options.force_handlers)
}

/// A play's name, rendered.
pub fn name(world: &Arc<World>, play: &Play) -> String {
    let named = play.keywords.get(K::Name).filter(|v| !v.is_none());
    let v = named.or_else(|| play.keywords.get(K::Hosts)).cloned().unwrap_or_default();
    let scope = Vars::in_frame(world, play, &play.frame);
    let v = world.resolve(&v, &scope).unwrap_or(v);
    items(&v).iter().map(|v| v.to_text().unwrap_or_default()).collect::<Vec<_>>().join(",")
}

/// The pattern of a play's hosts, rendered.
///
/// # Errors
/// Where it cannot be rendered.
pub fn pattern(world: &Arc<World>, play: &Play) -> Result<String, Error> {
    let v = play.keywords.get(K::Hosts).cloned().unwrap_or_default();
    let scope = Vars::in_frame(world, play, &play.frame);
    let v = world.resolve(&v, &scope).map_err(|e| Error::from(e).at(v.origin().cloned()))?;
    let mut out = Vec::new();
    for p in items(&v) {
        out.push(p.to_text().map_err(Error::from)?);
    }
    Ok(out.join(","))
}

/// The hosts of a play, in its order.
///
/// # Errors
/// Where the pattern is wrong.
pub fn hosts(world: &Arc<World>, play: &Play) -> Result<Vec<Name>, Error> {
    let pattern = pattern(world, play)?;
    let mut hosts = world.inventory.chosen(&pattern).map_err(Error::new)?;
    if let Some(order) = play.keywords.get(K::Order) {
        let scope = Vars::in_frame(world, play, &play.frame);
        let order = fields::keyword(world, K::Order, order, &scope)?;
        match order.as_ref().and_then(Value::as_str).unwrap_or("inventory") {
            "inventory" => {}
            "reverse_inventory" => hosts.reverse(),
            "sorted" => hosts.sort(),
            "reverse_sorted" => {
                hosts.sort();
                hosts.reverse();
            }
            "shuffle" => shuffle(&mut hosts),
            other => {
                return Err(Error::new(format!("Invalid 'order' specified for inventory hosts: {other}")));
            }
        }
    }
    Ok(hosts)
}

fn shuffle(hosts: &mut [Name]) {
    use std::hash::{BuildHasher, Hasher};
    let state = std::collections::hash_map::RandomState::new();
    for i in (1..hosts.len()).rev() {
        let mut h = state.build_hasher();
        h.write_usize(i);
        hosts.swap(i, (h.finish() % (i as u64 + 1)) as usize);
    }
}

/// The batches of `serial`.
fn batches(world: &Arc<World>, play: &Play, hosts: &[Name]) -> Result<Vec<Vec<Name>>, Error> {
    let scope = Vars::in_frame(world, play, &play.frame);
    let mut sizes = Vec::new();
    if let Some(v) = play.keywords.get(K::Serial) {
        let v = world.resolve(v, &scope).map_err(|e| Error::from(e).at(v.origin().cloned()))?;
        let given = if crate::vars::is_omit(&v) { Vec::new() } else { items(&v) };
        for item in given {
            let text = item.to_text().map_err(Error::from)?;
            let text = text.trim();
            let n = match text.strip_suffix('%') {
                Some(p) => {
                    p.trim().parse::<f64>().ok().map(|p| ((p / 100.0 * hosts.len() as f64) as usize).max(1))
                }
                None => text.parse::<f64>().ok().map(|n| if n <= 0.0 { usize::MAX } else { n as usize }),
            };
            sizes.push(n.ok_or_else(|| {
                Error::new(format!(
                    "the field 'serial' has an invalid value ({text}), and could not be converted to an int"
                ))
            })?);
        }
    }
    if sizes.is_empty() {
        return Ok(vec![hosts.to_vec()]);
    }
    let mut out = Vec::new();
    let mut rest = hosts;
    let mut i = 0;
    while !rest.is_empty() {
        let n = sizes[i.min(sizes.len() - 1)].min(rest.len());
        out.push(rest[..n].to_vec());
        rest = &rest[n..];
        i += 1;
    }
    Ok(out)
}

/// Asks for a play's `vars_prompt`.
fn prompts(world: &Arc<World>, play: &Play) -> Result<(), Error> {
    let Some(list) = play.keywords.get(K::VarsPrompt) else { return Ok(()) };
    for p in items(list) {
        let mut vars = Vars::new(world, None, None, None);
        let own = play.vars.items().into_iter();
        vars.locals = own.filter_map(|(k, v)| Some((k.as_str()?.into(), v))).collect();
        let p = world.resolve(&p, &vars)?;
        let Some(d) = p.as_dict() else { continue };
        let name = d.get("name").and_then(|v| v.to_text().ok()).unwrap_or_default();
        if world.extra.contains(&name) {
            continue;
        }
        world.callbacks.asked(&name, d);
        let value = crate::callback::prompt::ask(world, d, &name)?;
        play.vars.insert(name.as_str(), value);
    }
    Ok(())
}

/// The task that gathers facts.
fn setup(play: &Play, gather: bool) -> Option<Arc<Block>> {
    if !gather {
        return None;
    }
    let args = Dict::new();
    if let Some(v) = play.keywords.get(K::GatherSubset) {
        args.insert("gather_subset", v.clone());
    }
    if let Some(v) = play.keywords.get(K::GatherTimeout) {
        args.insert("gather_timeout", v.clone());
    }
    if let Some(v) = play.keywords.get(K::FactPath) {
        args.insert("fact_path", v.clone());
    }
    let mut task = Task::made("gather_facts", args, &play.frame);
    task.keywords.set(K::Name, Value::str("Gathering Facts"));
    task.written = "gather_facts".into();
    task.origin.clone_from(&play.origin);
    Some(Block::run(vec![Node::Task(Arc::new(task))], &play.frame))
}

/// Runs one play; how it ended.
///
/// # Errors
/// Where something is wrong that is no host's.
pub fn play(world: &Arc<World>, play: &Arc<Play>) -> Result<Ended, Error> {
    let callbacks = &world.callbacks;
    prompts(world, play)?;
    for vars in [&world.extra, &play.vars] {
        crate::vars::reserved::warn(vars);
    }
    let name = name(world, play);
    let hosts = hosts(world, play)?;
    if play.blocks.read().is_empty() {
        compile(world, play)?;
    }
    if hosts.is_empty() {
        callbacks.play_start(play, &name, &[]);
        callbacks.no_hosts_matched();
        return Ok(Ended::OK);
    }
    let gathering = crate::config::current().text("DEFAULT_GATHERING").unwrap_or("implicit").to_owned();
    let scope = Vars::in_frame(world, play, &play.frame);
    let gather = match play.keywords.get(K::GatherFacts) {
        Some(v) => fields::keyword(world, K::GatherFacts, v, &scope)?.and_then(|v| v.as_bool()),
        None => None,
    };
    let gather_default = gather.unwrap_or(gathering != "explicit");
    let batches = batches(world, play, &hosts)?;
    let mut ended = Ended::OK;
    for batch in batches {
        let run = Arc::new(Run::new(play.clone(), name.clone(), hosts.clone(), batch.clone()));
        for h in &batch {
            run.load_vars_files(world, h)?;
        }
        callbacks.play_start(play, &name, &batch);
        for h in &batch {
            Vars::new(world, Some(&run), Some(h), None).readable()?;
        }
        let blocks: Vec<Arc<Block>> =
            play.blocks.read().iter().filter_map(|b| tagged(world, play, b)).collect();
        let setup = setup(play, gather_default).and_then(|b| {
            let Some(Node::Task(t)) = b.block.first() else { return None };
            gather_chosen(world, play, t).then_some(b)
        });
        let gathers = |h: &Name| match gather {
            Some(g) => g,
            None => gathering != "smart" || world.host(h).facts.is_empty(),
        };
        let wanted = world.starting.lock().clone();
        let starts = wanted.as_ref().map(|pattern| {
            let (world, run) = (world.clone(), run.clone());
            let pattern = pattern.clone();
            move |t: &Task| {
                if t.implicit {
                    return false;
                }
                let vars = Vars::new(&world, Some(&run), None, None);
                let own = t.name().and_then(|n| n.as_str()).unwrap_or_default();
                let full = super::one::name_of(&world, t, &vars);
                [own, full.as_str()].iter().any(|n| *n == pattern || wild(&pattern, n))
            }
        });
        let start: Option<&dyn Fn(&Task) -> bool> = starts.as_ref().map(|f| f as &dyn Fn(&Task) -> bool);
        let iterator = Iterator::new(play, &batch, blocks, setup, &gathers, start);
        if wanted.is_some() && batch.iter().any(|h| iterator.peek(h).is_some()) {
            *world.starting.lock() = None;
        }
        let mut iterator = iterator;
        for (h, unreachable) in world.lost.lock().iter() {
            // who was lost in an earlier play stays lost
            if *unreachable {
                run.unreachable.write().insert(h.clone());
            } else if batch.contains(h) {
                iterator.complete(h);
                run.failed.write().insert(h.clone());
            }
        }
        let mut strategy = Strategy::new(world, &run, iterator);
        let kind = match play.keywords.get(K::Strategy) {
            Some(v) => fields::keyword(world, K::Strategy, v, &scope)?.and_then(|v| v.to_text().ok()),
            None => None,
        };
        let kind = kind.unwrap_or_else(|| {
            crate::config::current().text("DEFAULT_STRATEGY").unwrap_or("linear").to_owned()
        });
        match playbook::names::short(&kind) {
            "linear" | "debug" => strategy.linear()?,
            "free" => strategy.free(false)?,
            "host_pinned" => strategy.free(true)?,
            other => {
                return Err(
                    Error::new(format!("Invalid play strategy specified: {other}")).at(play.origin.clone())
                );
            }
        }
        let end = strategy.end();
        ended = ended.and(Ended(end.0 & !0x40));
        let lost: Vec<Name> = batch
            .iter()
            .filter(|h| run.failed.read().contains(*h) || run.unreachable.read().contains(*h))
            .cloned()
            .collect();
        for h in &lost {
            world.lost.lock().insert(h.clone(), run.unreachable.read().contains(h));
        }
        if end.0 & 0x40 != 0 {
            break;
        }
        if ended.has(Ended::BREAK) || ended.has(Ended::ERROR) {
            break;
        }
        // all of a batch gone: no further batch
        if lost.len() == batch.len() {
            ended = ended.and(Ended::BREAK);
            break;
        }
    }
    Ok(ended)
}

fn gather_chosen(world: &World, play: &Play, task: &Task) -> bool {
    let mut copy = Task::made("gather_facts", Dict::new(), &task.frame);
    copy.implicit = false;
    let mut tags = copy.keyword(K::Tags).map(items).unwrap_or_default();
    // a play without tags of its own always gathers
    if tags.is_empty() {
        tags.push(Value::str("always"));
    }
    copy.keywords.set(K::Tags, Value::list(tags));
    chosen(world, play, &copy)
}

/// Shell-like matching of `*` and `?`.
fn wild(pattern: &str, text: &str) -> bool {
    fn at(p: &[char], t: &[char]) -> bool {
        match p.split_first() {
            None => t.is_empty(),
            Some(('*', rest)) => (0..=t.len()).any(|i| at(rest, &t[i..])),
            Some(('?', rest)) => !t.is_empty() && at(rest, &t[1..]),
            Some((c, rest)) => t.first() == Some(c) && at(rest, &t[1..]),
        }
    }
    at(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

/// Reads the plays of a playbook file.
///
/// # Errors
/// Where it is wrong.
pub fn read(world: &Arc<World>, files: &Files, path: &str) -> Result<Vec<Arc<Play>>, Error> {
    let plays = playbook::plays(files, path, &**world, &[], &Dict::new())?;
    Ok(plays.into_iter().map(Arc::new).collect())
}
